"""The comparison in one small table: a column a way to migrate."""

import math
from collections.abc import Callable, Sequence
from typing import Final

from bench.protocols.compare import Comparison, Row


def _thousands(value: float) -> str:
    return f"{value:,.0f}"


def _ms(value: float) -> str:
    return f"{value / 1000:,.2f}"


_LINES: Final[Sequence[tuple[str, str, str, Callable[[float], str]]]] = (
    ("closed loop: op/s during", "closed", "throughput", _thousands),
    ("of before", "closed", "throughput_ratio", "{:.2f}".format),
    ("took, s", "closed", "migration_seconds", "{:.1f}".format),
    ("open loop: p50, ms", "open", "p50", _ms),
    ("p99, ms", "open", "p99", _ms),
    ("p99.9, ms", "open", "p999", _ms),
    ("p99 before, ms", "open", "p99_before", _ms),
    ("stop, ms", "open", "downtime_seconds", lambda value: f"{1000 * value:.1f}"),
    ("extra bytes of clients, %", "open", "client_extra", "{:.2f}".format),
    ("redirects", "open", "redirects", _thousands),
    ("took, s", "open", "migration_seconds", "{:.1f}".format),
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
        text = f"source's host limited to {other} % of a core: op/s during"
        lines.append([text, *(_cell(less.get(name), "throughput", _thousands) for name in names)])
    return lines


def _cell(row: Row | None, figure: str, form: Callable[[float], str]) -> str:
    return "–" if row is None or math.isnan(row[figure]) else form(row[figure])
