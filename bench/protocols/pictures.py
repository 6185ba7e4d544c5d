"""Which plots the report has, and what it says under each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.peers.ways import SETTINGS as PEERS
from bench.protocols import plots
from bench.protocols.compare import Comparison, Row
from bench.protocols.run import AS_LONG_AS_STOCK, Run

NAMES: Final = ("protocols", "peers", "writes", "budgets", "trade")


def write(comparison: Comparison, runs: Sequence[Run], output: Path) -> list[str]:
    """Draw what there is to draw; return the lines of the report that show it."""
    for name in NAMES:  # those of an earlier run may have no successor
        (output / f"{name}.png").unlink(missing_ok=True)
    plain = [
        row
        for row in comparison.rows
        if comparison.is_plain(row) and row.case.protocol not in PEERS
    ]
    shown = comparison.shown()
    alike = [row for row in shown if row in plain]
    peers = [row for row in shown if row not in plain]
    writes, budget = comparison.point
    at_budget = [row for row in plain if row.case.budget == budget]
    at_writes = [row for row in plain if row.case.writes == writes]
    lines: list[str] = []

    def show(name: str, caption: str) -> None:
        lines.extend((f"![{name}]({name}.png)", "", caption, ""))

    if alike:
        plots.over_time(_typical(runs, alike), output / "protocols.png")
        show("protocols", f"The protocols, throttled alike, over time: {_OVER_TIME}")
    if peers:
        plots.over_time(_typical(runs, peers), output / "peers.png")
        ours = any(row.case.settings == AS_LONG_AS_STOCK for row in peers)
        also = ", and ours throttled to be no longer than reshard," if ours else ""
        show(
            "peers", f"The stores' own ways at their own pace{also} over time: {_OVER_TIME} {_AXES}"
        )
    if len({row.case.writes for row in at_budget}) > 1:
        plots.by(
            at_budget, lambda case: case.writes, str, "writes, % of the operations",
            output / "writes.png",
        )  # fmt: skip
        show("writes", f"By the share of writes: {_SPREAD}")
    if len({row.case.budget for row in at_writes}) > 1:
        plots.by(
            at_writes, lambda case: case.budget, _limit,
            "limit to the source's host, % of a core", output / "budgets.png",
        )  # fmt: skip
        show("budgets", f"By the processor time that the source's host may use: {_SPREAD}")
    if comparison.rows:
        plots.trade(comparison, output / "trade.png")
        show("trade", _TRADE)
    return lines


_OVER_TIME: Final = (
    "one run of each, that nearest to the median. Throughput and latencies are of the operations "
    "that ended in each 100 ms."
)
_AXES: Final = "Where some last much longer than others each has a time axis of its own."
_SPREAD: Final = "medians, whiskers from the least to the most, the same throttle for all."
_TRADE: Final = (
    "What clients feel against the time it takes, a point for every setting tried. Ringed: each "
    "one's best of what is as quick as ours at its defaults; where nothing is, its quickest."
)


def _limit(budget: int) -> str:
    return "none" if budget == 100 else str(budget)


def _typical(runs: Sequence[Run], rows: Sequence[Row]) -> list[Run]:
    """Return for each row the run whose throughput is nearest to the median."""
    return [
        min(
            (run for run in runs if run.case == row.case and not run.problem),
            key=lambda run: abs(run.figures["throughput"] - row["throughput"]),
        )
        for row in rows
    ]
