"""What a run leaves for people: a table on the terminal, and the plots."""

from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from hosts.load.history import Status
from topology.summary import Phases

mpl.use("Agg")
from matplotlib import pyplot as plt

_BIN_SECONDS: Final = 0.25
_QUANTILES: Final = {"p50": 0.5, "p99": 0.99, "p999": 0.999}


def timeline(
    records: NDArray[Any], phases: Phases, seconds: float = _BIN_SECONDS
) -> dict[str, NDArray[np.float64]]:
    """Return per bin of that many seconds: the seconds since the start of its middle, operations
    per second that succeeded in it, and their p50, p99 and p999 in µs (NaN where there are none).
    """
    done = records[records["status"] == Status.OK]
    width = round(seconds * 1e9)
    count = max(1, (phases.ended - phases.started) // width)
    bins = (done["responded"] - phases.started) // width
    latency = (done["responded"] - done["intended"]) / 1000.0
    order = np.lexsort((latency, bins))
    bins, latency = bins[order], latency[order]
    edges = np.searchsorted(bins, np.arange(count + 1))
    marks = {name: np.full(count, np.nan) for name in _QUANTILES}
    for i, (first, last) in enumerate(pairwise(edges)):
        if last > first:
            for name, part in _QUANTILES.items():
                marks[name][i] = latency[first + int((last - first) * part)]
    return {
        "seconds": (np.arange(count) + 0.5) * seconds,
        "throughput": np.diff(edges) / seconds,
        **marks,
    }


def plot(records: NDArray[Any], phases: Phases, title: str, path: Path) -> None:
    """Draw throughput and latency over time, the migration shaded."""
    line = timeline(records, phases)
    begin, end = (
        (t - phases.started) / 1e9 for t in (phases.migration_started, phases.migration_ended)
    )
    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(9, 5.5), layout="constrained")
    above.plot(line["seconds"], line["throughput"] / 1000, color="#1f5fa8")
    above.set_ylabel("thousand op/s")
    above.set_ylim(0, 1.15 * max(line["throughput"].max() / 1000, 0.001))
    below.plot(line["seconds"], line["p50"], color="#3a923a", label="p50")
    below.plot(line["seconds"], line["p99"], color="#c0392b", label="p99")
    below.set_ylabel("latency (µs)")
    below.set_yscale("log")
    below.set_xlabel("seconds")
    below.legend(loc="upper right")
    for axes in (above, below):
        axes.axvspan(begin, end, color="#f5c26b", alpha=0.35, lw=0)
        axes.grid(alpha=0.3)
        axes.margins(x=0)
    above.text(
        (begin + end) / 2, 0.04, "migration", transform=above.get_xaxis_transform(), ha="center"
    )
    above.set_title(title)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def table(summary: dict[str, Any]) -> Table:
    """Return the figures of a run as a table."""
    found = Table(title=f"{summary['keys']} keys, YCSB-{summary['workload']}", title_justify="left")
    found.add_column("")
    for phase in ("before", "during", "after"):
        found.add_column(phase, justify="right")
    rate, latency = summary["throughput"], summary["latency_us"]
    phases = ("before", "during", "after")
    found.add_row("throughput (op/s)", *(f"{rate[p]:.0f}" for p in phases))
    for q, name in (("p50", "p50 (µs)"), ("p99", "p99 (µs)"), ("p999", "p99.9 (µs)")):
        values = (latency[p][q] for p in phases)
        found.add_row(name, *("–" if v is None else f"{v:.0f}" for v in values))
    return found


def facts(summary: dict[str, Any]) -> Table:
    """Return what is not per phase."""
    found = Table.grid(padding=(0, 2))
    size = summary["bytes"]
    rows = {
        "migrated": f"{summary['migrated_keys']} keys in {summary['migration_seconds']:.2f} s",
        "operations": f"{summary['operations']}, errors {summary['errors']}, "
        f"violations {summary['violations']}",
        "double reads": f"{summary['double_reads']}, priority pulls {summary['priority_pulls']}",
        "steered to the destination": f"{summary['redirected']}, "
        f"handed on by agents {summary['forwarded']}",
        "client bytes": f"{size['client']}, extra {share(size['client_extra'], size['client'])}",
        "server bytes": f"{size['server']}, extra {share(size['server_extra'], size['server'])}",
        "keys left at the source": f"{summary['source_keys_left']}, "
        f"at the destination {summary['destination_keys']}",
        "switch = agents": "yes" if summary["switch_registers_match"] else "NO",
    }
    for name, value in rows.items():
        found.add_row(name, value)
    return found


def share(part: int, whole: int) -> str:
    """Return `part` of `whole` in per cent."""
    return f"{part} ({100 * part / whole:.3f} %)" if whole else str(part)


def show(summary: dict[str, Any], failures: list[str], path: Path) -> None:
    """Print the report, and write the same to `path`."""
    with path.open("w") as file:
        for console in (Console(), Console(file=file, width=100)):
            console.print(table(summary))
            console.print(facts(summary))
            for failure in failures:
                console.print(f"[red]FAILED[/] {failure}", highlight=False)
            if not failures:
                console.print("[green]every check passed[/]")
