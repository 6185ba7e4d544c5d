"""`report.md`: one page with the goals, the figures and the tables."""

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.peers.ways import SETTINGS as PEERS
from bench.protocols import glance, plots
from bench.protocols.compare import SIMILAR, Comparison, Row
from bench.protocols.goals import Goal
from bench.protocols.plan import Plan
from bench.protocols.run import AS_LONG_AS_STOCK, LOOPS, PARTS, Run
from bench.protocols.sizes import Size


def write(
    plan: Plan, comparison: Comparison, runs: Sequence[Run], sizes: Sequence[Size],
    goals: Sequence[Goal], output: Path,
) -> None:  # fmt: skip
    """Write `report.md` and its figures."""
    plain = [
        row
        for row in comparison.rows
        if _is_plain(row, comparison) and row.case.protocol not in PEERS
    ]
    writes, budget = comparison.point
    shown = _shown(comparison)
    alike = [row for row in shown if row in plain]
    plots.over_time(_typical(runs, alike), output / "protocols.png")
    if others := [row for row in shown if row not in plain]:
        plots.over_time(_typical(runs, others), output / "peers.png")
    at_budget = [row for row in plain if row.case.budget == budget]
    plots.bars(at_budget, lambda row: row.case.writes, "writes", output / "writes.png")
    at_writes = [row for row in plain if row.case.writes == writes]
    plots.bars(at_writes, lambda row: row.case.budget, "source CPU", output / "budgets.png")
    plots.trade(comparison, output / "trade.png")
    text = [
        *_head(plan, comparison),
        *_glance(comparison),
        *_goals(goals),
        *_service(comparison),
        *_network(comparison),
        *_processors(comparison),
        *_sizes(sizes),
        *_problems(runs),
    ]
    (output / "report.md").write_text("\n".join(text) + "\n")


def _is_plain(row: Row, comparison: Comparison) -> bool:
    """Whether a row is no part of the sweep; another way to migrate has settings of its own."""
    same = [r for r in comparison.rows if r.case.protocol == row.case.protocol]
    plain = [r for r in same if r.case.settings == comparison.plain]
    return row.case.settings == (comparison.plain if plain else same[0].case.settings)


def _shown(comparison: Comparison) -> list[Row]:
    """Return the rows of figures and tables: none of the sweep, ours in a peer's time, too."""
    return [
        row
        for loop in LOOPS
        for row in comparison.at(loop)
        if _is_plain(row, comparison) or row.case.settings == AS_LONG_AS_STOCK
    ]


def _typical(runs: Sequence[Run], rows: Sequence[Row]) -> list[Run]:
    """Return for each row the run whose throughput is nearest to the median."""
    return [
        min(
            (run for run in runs if run.case == row.case and not run.problem),
            key=lambda run: abs(run.figures["throughput"] - row["throughput"]),
        )
        for row in rows
    ]


def _number(value: float, form: str = ",.0f", unit: str = "") -> str:
    """Return a figure as text; a dash where it does not apply."""
    return "–" if math.isnan(value) else format(value, form) + unit


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Return a Markdown table; the first `left` columns are text."""
    rules = ["---"] * left + ["---:"] * (len(columns) - left)
    lines = [columns, rules, *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _head(plan: Plan, comparison: Comparison) -> list[str]:
    writes, budget = comparison.point
    return [
        "# Migration protocols side by side",
        "",
        f"{plan.keys:,} records of 64 bytes move under YCSB load of {writes} % writes, source CPU "
        f"{budget} %, {dict(comparison.plain)['throttle'] / 1e6:g} Mbit/s, unless said otherwise. "
        f"Closed loop: {plan.outstanding} outstanding; open loop: {plan.rate:,} op/s. Medians of "
        f"{plan.repeat}, taken by turns; figures are of the time from the request to migrate to "
        "its end. `protocols.json` has all of them with their spread, `timelines.csv` every 100 "
        "ms.",
        "",
    ]


def _glance(comparison: Comparison) -> list[str]:
    header, *lines = glance.table(comparison, _shown(comparison))
    return ["## At a glance", "", *_table(header, lines), ""]


def _goals(goals: Sequence[Goal]) -> list[str]:
    mark = {True: "met", False: "**missed**", None: ""}
    return [
        "## Goals",
        "",
        "Ours at its defaults, each other at the best of the settings tried that take at most "
        f"{SIMILAR} times as long.",
        "",
        *_table(
            ("goal", "wanted", "measured", "", "measured with it"),
            [(goal.name, goal.wanted, goal.measured, mark[goal.met], goal.why) for goal in goals],
            left=5,
        ),
        "",
    ]


def _service(comparison: Comparison) -> Iterator[str]:
    yield from ("## What clients feel", "")
    yield "![over time](protocols.png)"
    yield ""
    if any(row.case.protocol in PEERS for row in comparison.rows):
        yield "![the stores' own ways over time, and ours throttled to take as long](peers.png)"
        yield ""
    yield "![by writes](writes.png) ![by source CPU](budgets.png) ![settings](trade.png)"
    yield ""
    yield (
        "Over time: one run each, that nearest to the median. Bars and table: the same settings "
        "for all, medians (whiskers: least and most). Last plot: every setting tried, with a ring "
        "around each one's best that is as quick as ours."
    )
    yield ""
    yield from _table(
        (
            *("loop", "protocol", "op/s", "of before", "p50 µs", "p99 µs", "p99.9 µs"),
            *("took s", "stop ms", "redirects", "sent again", "errors", "violations"),
        ),
        [
            (
                row.case.loop,
                row.case.name,
                _number(row["throughput"]),
                _number(row["throughput_ratio"], ".2f"),
                _number(row["p50"]),
                _number(row["p99"]),
                _number(row["p999"]),
                _number(row["migration_seconds"], ".2f"),
                _number(1000 * row["downtime_seconds"], ".1f"),
                _number(row["redirects"]),
                _number(row["resent"]),
                _number(row["errors"], ".0f"),
                _number(row["violations"], ".0f"),
            )
            for row in _shown(comparison)
        ],
        left=2,
    )
    yield ""


def _network(comparison: Comparison) -> list[str]:
    return [
        "## Network overhead",
        "",
        "During the migration, open loop. Bytes of clients, between servers and of control packets "
        "are the switch's counts; keys pulled ahead, queries handed on and keys copied again are "
        "the agents', in per cent of the data.",
        "",
        *_table(
            ("protocol", "client bytes", "extra", "between servers", "data", "control packets",
             "pulled, handed on", "copied again", "double reads", "asked again"),
            [
                (
                    row.case.name,
                    _number(row["client_bytes"]),
                    _number(row["client_extra"], ".3f", " %"),
                    _number(row["server_bytes"]),
                    _number(row["moved_bytes"]),
                    _number(row["server_control"], ".4f", " %"),
                    _number(row["server_handed"], ".2f", " %"),
                    _number(row["server_again"], ".2f", " %"),
                    _number(row["double_reads"]),
                    _number(row["retries"]),
                )
                for row in _shown(comparison)
                if row.case.loop == "open"
            ],
        ),
        "",
    ]  # fmt: skip


def _cores(row: Row, parts: Sequence[str]) -> str:
    during, before = (sum(row[f"cpu_{part}{phase}"] for part in parts) for phase in ("", "_before"))
    return f"{_number(during, '.2f')} ({_number(before, '.2f')})"


def _all(row: Row) -> str:
    return _cores(row, [part for part in PARTS if f"cpu_{part}" in row.figures])


def _processors(comparison: Comparison) -> list[str]:
    rows = [
        (row.case.loop, row.case.name, *(_cores(row, [part]) for part in PARTS), _all(row))
        for row in _shown(comparison)
    ]
    names = [part.replace("_", " ") for part in PARTS]
    return [
        "## Cores used during the migration (before)",
        "",
        f"Of {os.cpu_count()}. The kernel's work for a packet counts where it is done, mostly at "
        "its sender. What is little before and much during is what the migration costs.",
        "",
        *_table(("loop", "protocol", *names, "together"), rows, left=2),
        "",
    ]


def _sizes(sizes: Sequence[Size]) -> list[str]:
    if not sizes:
        return []
    return [
        "## From few records to many",
        "",
        "netmigrate. Time and processor time (both stores and agents) unthrottled and without "
        "load; the rest under load. Memory: the most that an agent ever had resident above its "
        "start, its mapped journal included.",
        "",
        *_table(
            ("records", "took s", "µs a key", "p99 before µs", "p99 during µs", "client extra",
             "control packets", "agent memory", "of the data", "errors", "violations"),
            [
                (
                    f"{size.keys:,}",
                    f"{size.seconds:.2f}",
                    f"{size.cpu_per_key:.1f}",
                    f"{size.p99_before:,.0f}",
                    f"{size.p99:,.0f}",
                    f"{size.client_extra:.3f} %",
                    f"{size.server_control:.3f} %",
                    f"{size.agent_bytes / 1e6:.1f} MB",
                    f"{size.memory_share:.1f} %",
                    f"{size.errors:.0f}",
                    f"{size.violations:.0f}",
                )
                for size in sizes
            ],
            left=0,
        ),
        "",
    ]  # fmt: skip


def _problems(runs: Sequence[Run]) -> list[str]:
    bad = [run for run in runs if run.problem]
    if not bad:
        return []
    lines = [
        f"- {run.case.protocol}, {run.case.writes} % writes, {run.case.loop} loop, source CPU "
        f"{run.case.budget} %, {run.case.label}: {run.problem}"
        for run in bad
    ]
    return ["## Runs that do not count", "", *lines, ""]
