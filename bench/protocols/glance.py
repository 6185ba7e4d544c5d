"""The comparison in one small table: a column a way to migrate."""

from collections.abc import Callable, Sequence
from typing import Final

from bench.protocols.compare import Comparison, Row
from bench.protocols.forms import ms, number


def _stop(seconds: float) -> str:
    return ms(1e6 * seconds)


def _digits(value: float) -> str:
    return number(value, ".2f")


_LINES: Final[Sequence[tuple[str, str, str, Callable[[float], str]]]] = (
    ("closed loop: op/s during", "closed", "throughput", number),
    ("closed loop: of op/s before", "closed", "throughput_ratio", _digits),
    ("closed loop: took, s", "closed", "migration_seconds", _digits),
    ("open loop: p50 during, ms", "open", "p50", ms),
    ("open loop: p99 during, ms", "open", "p99", ms),
    ("open loop: p99.9 during, ms", "open", "p999", ms),
    ("open loop: longest during, ms", "open", "longest", ms),
    ("open loop: p50 before, ms", "open", "p50_before", ms),
    ("open loop: p99 before, ms", "open", "p99_before", ms),
    ("open loop: nobody served, ms", "open", "downtime_seconds", _stop),
    ("open loop: extra bytes of clients, %", "open", "client_extra", _digits),
    ("open loop: redirects", "open", "redirects", number),
    ("open loop: took, s", "open", "migration_seconds", _digits),
)
"""What a line shows: its name, the loop, the figure, and how it is written."""


def table(comparison: Comparison, shown: Sequence[Row]) -> list[list[str]]:
    """Return the header and the lines; `shown` are the rows at the point that have a column."""
    names = list(dict.fromkeys(row.case.name for row in shown))
    at = {(row.case.name, row.case.loop): row for row in shown}
    lines = [["", *names]]
    for text, loop, figure, form in _LINES:
        lines.append([text, *(_cell(at.get((name, loop)), figure, form) for name in names)])
    writes, budget = comparison.point
    for other in sorted({row.case.budget for row in comparison.rows} - {budget}, reverse=True):
        less = {
            row.case.name: row
            for row in comparison.rows
            if (row.case.writes, row.case.budget, row.case.loop) == (writes, other, "closed")
            and row.case.settings == comparison.plain
        }
        text = f"source's host limited to {other} % of a core, closed loop: op/s during"
        lines.append([text, *(_cell(less.get(name), "throughput", number) for name in names)])
    return lines


def _cell(row: Row | None, figure: str, form: Callable[[float], str]) -> str:
    return "–" if row is None else form(row[figure])
