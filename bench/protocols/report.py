"""`report.md`: one page with the goals, the figures and the tables."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.protocols import glance, machine, pictures
from bench.protocols.compare import SIMILAR, Comparison, Row
from bench.protocols.forms import ms, number
from bench.protocols.goals import Goal
from bench.protocols.plan import Plan
from bench.protocols.run import PARTS, Run
from bench.protocols.sizes import Size


def write(
    plan: Plan, comparison: Comparison, runs: Sequence[Run], sizes: Sequence[Size],
    goals: Sequence[Goal], output: Path,
) -> None:  # fmt: skip
    """Write `report.md` and its figures."""
    text = [
        *_head(plan, comparison),
        *_glance(comparison),
        *_goals(goals),
        *_service(comparison, pictures.write(comparison, runs, output)),
        *_network(comparison),
        *_processors(comparison),
        *_sizes(sizes),
        *_problems(runs),
    ]
    (output / "report.md").write_text("\n".join(text) + "\n")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Return a Markdown table; the first `left` columns are text."""
    rules = ["---"] * left + ["---:"] * (len(columns) - left)
    lines = [columns, rules, *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _head(plan: Plan, comparison: Comparison) -> list[str]:
    writes, budget = comparison.point
    throttle = dict(comparison.plain)["throttle"]
    limit = "no limit to" if budget == 100 else f"{budget} % of a core for"
    about = machine.about(plan.peers)
    return [
        "# Migration protocols side by side",
        "",
        f"{plan.keys:,} records of 64 bytes move under YCSB load of {writes} % writes, with "
        f"{limit} the source's host, {_throttled(throttle)}, unless said otherwise. "
        f"Closed loop: {plan.outstanding} outstanding; open loop: {plan.rate:,} op/s. Medians of "
        f"{plan.repeat}, taken by turns. During: from the request to migrate to its end; before: "
        f"the {plan.before:g} s before the request. `protocols.json` has all figures with their "
        "units and spread, `timelines.csv` every 100 ms.",
        "",
        "; ".join(f"{name}: {value}" for name, value in about.items()) + ".",
        "",
    ]


def _throttled(throttle: int) -> str:
    return f"throttled to {throttle / 1e6:g} Mbit/s" if throttle else "unthrottled"


def _glance(comparison: Comparison) -> list[str]:
    header, *lines = glance.table(comparison, comparison.shown())
    return ["## At a glance", "", *_table(header, lines), ""]


def _goals(goals: Sequence[Goal]) -> list[str]:
    mark = {True: "met", False: "**missed**", None: ""}
    return [
        "## Goals",
        "",
        "Ours at its defaults, each other at the best of the settings tried that take at most "
        f"{SIMILAR} times as long; where none does, at its quickest.",
        "",
        *_table(
            ("goal", "wanted", "measured", ""),
            [(goal.name, goal.wanted, goal.measured, mark[goal.met]) for goal in goals],
            left=4,
        ),
        "",
        *_short(goals),
    ]


def _short(goals: Sequence[Goal]) -> list[str]:
    """Return what was measured with each goal that was missed."""
    lines: list[str] = []
    for goal in goals:
        if goal.met is False:
            lines.append(f"- **{goal.name}** ({goal.wanted}): {goal.measured}")
            lines += [f"  - {why}" for why in goal.why]
    heading = "### Where it falls short, and what was measured with it"
    return [heading, "", *lines, ""] if lines else []


def _service(comparison: Comparison, plots: Sequence[str]) -> Iterator[str]:
    yield from ("## What clients feel", "", *plots)
    yield (
        "Longest: the operation that took longest of those that began during the migration; nobody "
        "served: between the owners, as the controller knows it. Redirects, what was sent again "
        "for want of a reply, errors and violations are those of the whole load: clients learn "
        "where the slots are after the migration, too."
    )
    yield ""
    yield from _table(
        (
            *("loop", "protocol", "op/s", "of before", "p50 ms", "p99 ms", "p99.9 ms"),
            *("longest ms", "p50 before ms", "p99 before ms", "took s", "nobody served ms"),
            *("redirects", "sent again", "errors", "violations"),
        ),
        [
            (
                row.case.loop,
                row.case.name,
                number(row["throughput"]),
                number(row["throughput_ratio"], ".2f"),
                *(ms(row[name]) for name in ("p50", "p99", "p999", "longest")),
                *(ms(row[name]) for name in ("p50_before", "p99_before")),
                number(row["migration_seconds"], ".2f"),
                ms(1e6 * row["downtime_seconds"]),
                number(row["redirects"]),
                number(row["resent"]),
                number(row["errors"], ".0f"),
                number(row["violations"], ".0f"),
            )
            for row in comparison.shown()
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
        "the agents', in per cent of the data. Extra bytes of a stock cluster: redirects, ASKING "
        "and commands sent again, in per cent of what passed until the end of the load.",
        "",
        *_table(
            ("protocol", "client bytes", "extra", "between servers", "data", "control packets",
             "pulled, handed on", "copied again", "double reads", "asked again"),
            [
                (
                    row.case.name,
                    number(row["client_bytes"]),
                    number(row["client_extra"], ".3f", " %"),
                    number(row["server_bytes"]),
                    number(row["moved_bytes"]),
                    number(row["server_control"], ".4f", " %"),
                    number(row["server_handed"], ".2f", " %"),
                    number(row["server_again"], ".2f", " %"),
                    number(row["double_reads"]),
                    number(row["retries"]),
                )
                for row in comparison.shown()
                if row.case.loop == "open"
            ],
        ),
        "",
    ]  # fmt: skip


def _cores(row: Row, parts: Sequence[str]) -> str:
    during, before = (sum(row[f"cpu_{part}{phase}"] for part in parts) for phase in ("", "_before"))
    return f"{number(during, '.2f')} ({number(before, '.2f')})"


def _all(row: Row) -> str:
    return _cores(row, [part for part in PARTS if f"cpu_{part}" in row.figures])


def _processors(comparison: Comparison) -> list[str]:
    rows = [
        (row.case.loop, row.case.name, *(_cores(row, [part]) for part in PARTS), _all(row))
        for row in comparison.shown()
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
            ("records", "took s", "µs a key", "p99 before ms", "p99 during ms", "client extra",
             "control packets", "agent memory", "of the data", "errors", "violations"),
            [
                (
                    f"{size.keys:,}",
                    f"{size.seconds:.2f}",
                    f"{size.cpu_per_key:.1f}",
                    ms(size.p99_before),
                    ms(size.p99),
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
