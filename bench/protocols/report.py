"""From the measured migrations to `report.md` and its plots."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import matplotlib as mpl

from bench.protocols.measure import Plan, Run

mpl.use("Agg")
from matplotlib import pyplot as plt

_COLOURS: Final = {"netmigrate": "#1f5fa8", "source": "#c0392b", "rocksteady": "#3a923a"}


def _value(run: Run, name: str) -> float:
    """Return one figure of a run."""
    summary = run.summary
    sizes = summary["bytes"]
    match name:
        case "throughput":
            return float(summary["throughput"]["during"])
        case "throughput_ratio":
            rates = summary["throughput"]
            return float(rates["during"] / max(1.0, rates["before"]))
        case "p50" | "p99" | "p999":
            return float(summary["latency_us"]["during"][name] or 0.0)
        case "client_extra":
            return float(100 * sizes["client_extra"] / max(1, sizes["client"]))
        case "server_bytes":
            return float(sizes["server"])
        case _:
            return float(summary[name])


FIGURES: Final = (
    "throughput",
    "throughput_ratio",
    "p50",
    "p99",
    "p999",
    "migration_seconds",
    "downtime_seconds",
    "client_extra",
    "server_bytes",
    "errors",
    "violations",
)


def _alike(found: Iterable[Run]) -> dict[tuple[int, int, str, str], list[Run]]:
    groups: dict[tuple[int, int, str, str], list[Run]] = {}
    for run in found:
        groups.setdefault((run.budget, run.writes, run.loop, run.protocol), []).append(run)
    return groups


def medians(found: Iterable[Run]) -> list[dict[str, Any]]:
    """Return, for each combination, the median of every figure, and its least and greatest."""
    rows: list[dict[str, Any]] = []
    for (budget, writes, loop, protocol), runs in _alike(found).items():
        row: dict[str, Any] = {
            "budget": budget,
            "writes": writes,
            "loop": loop,
            "protocol": protocol,
        }
        for name in FIGURES:
            values = [_value(run, name) for run in runs]
            row[name] = {"median": median(values), "least": min(values), "most": max(values)}
        rows.append(row)
    return rows


def write(plan: Plan, found: Sequence[Run], output: Path) -> None:
    """Write `report.md`, `throughput.png`, `latency.png` and `writes.png`."""
    _over_time(found, "closed", ("throughput",), "op/s", output / "throughput.png")
    _over_time(found, "open", ("p50", "p99"), "µs", output / "latency.png")
    _bars(found, output / "writes.png")
    (output / "report.md").write_text(_text(plan, found))


def _over_time(
    found: Sequence[Run], loop: str, names: Sequence[str], unit: str, path: Path
) -> None:
    """One panel a protocol: its last run with the fewest writes that are some."""
    shown = {run.protocol: run for run in found if run.loop == loop and run.writes in (0, 5)}
    if not shown:
        return
    figure, panels = plt.subplots(
        len(shown), 1, sharex=True, sharey=True, squeeze=False, layout="constrained",
        figsize=(8, 1 + 1.7 * len(shown)),
    )  # fmt: skip
    for panel, (protocol, run) in zip(panels[:, 0], shown.items(), strict=True):
        for name, style in zip(names, ("-", "--"), strict=False):
            panel.plot(
                run.timeline["seconds"], run.timeline[name], style, label=name,
                color=_COLOURS.get(protocol),
            )  # fmt: skip
        panel.axvspan(*run.migration, color="#f5c26b", alpha=0.35, lw=0)
        panel.set_title(f"{protocol}, {run.writes} % writes", fontsize=10)
        panel.set_ylabel(unit)
        panel.grid(alpha=0.3)
        if unit == "µs":
            panel.set_yscale("log")
            panel.legend(loc="upper right", fontsize=8)
    panels[-1, 0].set_xlabel("seconds")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _bars(found: Sequence[Run], path: Path) -> None:
    """Throughput in the closed loop and p99 in the open loop, over the share of writes."""
    rows = medians(found)
    budget = max(row["budget"] for row in rows)
    figure, panels = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    for panel, (loop, name, unit) in zip(
        panels, (("closed", "throughput", "op/s"), ("open", "p99", "µs")), strict=True
    ):
        picked = [row for row in rows if row["loop"] == loop and row["budget"] == budget]
        shares = sorted({row["writes"] for row in picked})
        protocols = list(dict.fromkeys(row["protocol"] for row in picked))
        width = 0.8 / max(1, len(protocols))
        for place, protocol in enumerate(protocols):
            values = {row["writes"]: row[name] for row in picked if row["protocol"] == protocol}
            middle = [values[share]["median"] for share in shares]
            spread = [
                [values[s]["median"] - values[s]["least"] for s in shares],
                [values[s]["most"] - values[s]["median"] for s in shares],
            ]
            at = [i + (place - (len(protocols) - 1) / 2) * width for i in range(len(shares))]
            panel.bar(
                at, middle, width, yerr=spread, capsize=2, label=protocol,
                color=_COLOURS.get(protocol),
            )  # fmt: skip
        panel.set_xticks(range(len(shares)), [f"{share} %" for share in shares])
        panel.set_xlabel("writes")
        panel.set_ylabel(f"{name} during the migration ({unit})")
        panel.grid(axis="y", alpha=0.3)
    panels[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _text(plan: Plan, found: Sequence[Run]) -> str:
    lines = [
        "# Migration protocols side by side",
        "",
        f"{plan.keys:,} records of 64 bytes, throttle {plan.throttle / 1e6:g} Mbit/s, medians of "
        f"{plan.repeat}; closed loop: {plan.outstanding} outstanding, open loop: {plan.rate:,} "
        "op/s. All figures are of the time from the request to migrate to its end.",
        "",
        "![throughput](throughput.png) ![latency](latency.png) ![by writes](writes.png)",
        "",
        "| CPU | writes | loop | protocol | op/s | of before | p50 µs | p99 µs | p99.9 µs "
        "| took s | stop ms | extra client bytes | bytes between servers | errors | violations |",
        "|" + " ---: |" * 2 + " --- | --- |" + " ---: |" * 11,
    ]
    for row in medians(found):
        cell = {name: row[name]["median"] for name in FIGURES}
        lines.append(
            f"| {row['budget']} % | {row['writes']} % | {row['loop']} | {row['protocol']} "
            f"| {cell['throughput']:,.0f} | {cell['throughput_ratio']:.2f} | {cell['p50']:,.0f} "
            f"| {cell['p99']:,.0f} | {cell['p999']:,.0f} | {cell['migration_seconds']:.2f} "
            f"| {1000 * cell['downtime_seconds']:.1f} | {cell['client_extra']:.3f} % "
            f"| {cell['server_bytes']:,.0f} | {cell['errors']:.0f} | {cell['violations']:.0f} |"
        )
    return "\n".join(lines) + "\n"
