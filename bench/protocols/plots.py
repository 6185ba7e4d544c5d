"""The figures of the report."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

from bench.protocols.compare import Comparison, Row
from bench.protocols.run import Run

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib import ticker

_COLOURS: Final = {
    "netmigrate": "#1f5fa8",
    "source": "#c0392b",
    "rocksteady": "#3a923a",
    "fulva": "#8e5bb5",
}
_OTHER_COLOURS: Final = ("#d98a1f", "#6b6b6b", "#17a2a2", "#b0679a")
_SHADE: Final = "#f5c26b"


def _colour(protocol: str, protocols: Sequence[str]) -> str:
    if protocol in _COLOURS:
        return _COLOURS[protocol]
    unknown = [each for each in protocols if each not in _COLOURS]
    return _OTHER_COLOURS[unknown.index(protocol) % len(_OTHER_COLOURS)]


def _logarithmic(panel: Any) -> None:
    """Scale the y axis by logarithms, with numbers that people read at 1, 2 and 5."""
    panel.set_yscale("log")
    panel.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 5.0), numticks=9))
    panel.yaxis.set_major_formatter(ticker.FuncFormatter(_readable))
    panel.yaxis.set_minor_formatter(ticker.NullFormatter())


def _linear(panel: Any) -> None:
    panel.set_ylim(bottom=0)
    panel.yaxis.set_major_formatter(ticker.FuncFormatter(_readable))


def _readable(value: float, _: object) -> str:
    return f"{value:,.6g}"


def over_time(
    runs: Sequence[Run], names: Sequence[str], unit: str, path: Path, *, log: bool = False
) -> None:
    """One panel a protocol, the migration shaded; one run for each."""
    if not runs:
        return
    figure, panels = plt.subplots(
        len(runs), 1, sharex=True, sharey=True, squeeze=False, layout="constrained",
        figsize=(7.5, 0.8 + 1.55 * len(runs)),
    )  # fmt: skip
    protocols = [run.case.protocol for run in runs]
    for panel, run in zip(panels[:, 0], runs, strict=True):
        for name, style in zip(names, ("-", ":"), strict=False):
            panel.plot(
                run.timeline["seconds"], run.timeline[name], style, label=name, lw=1.2,
                color=_colour(run.case.protocol, protocols),
            )  # fmt: skip
        begin, end = run.migration
        panel.axvspan(begin, end, color=_SHADE, alpha=0.35, lw=0)
        panel.set_title(f"{run.case.protocol}, {end - begin:.1f} s", fontsize=10, loc="left")
        panel.set_ylabel(unit)
        panel.grid(alpha=0.3)
        panel.margins(x=0)
        if log:
            _logarithmic(panel)
        else:
            _linear(panel)
        if len(names) > 1:
            panel.legend(loc="upper right", fontsize=8, ncols=len(names))
    panels[-1, 0].set_xlabel("seconds (shaded: the migration)")
    figure.savefig(path, dpi=110)
    plt.close(figure)


BARS: Final = (
    ("closed", "throughput", "op/s, closed loop"),
    ("open", "p50", "p50 (µs), open loop"),
    ("open", "p99", "p99 (µs), open loop"),
)


def bars(rows: Sequence[Row], of: Callable[[Row], int], axis: str, path: Path) -> None:
    """Throughput, p50 and p99 during the migration, by what `of` gives; whiskers: the spread."""
    if not rows:
        return
    figure, panels = plt.subplots(1, len(BARS), figsize=(11, 3.3), layout="constrained")
    protocols = list(dict.fromkeys(row.case.protocol for row in rows))
    places = sorted({of(row) for row in rows})
    width = 0.8 / len(protocols)
    for panel, (loop, name, unit) in zip(panels, BARS, strict=True):
        for number, protocol in enumerate(protocols):
            shown = [
                row
                for row in rows
                if row.case.protocol == protocol and row.case.loop == loop and name in row.figures
            ]
            spreads = [row.figures[name] for row in shown]
            shift = (number - (len(protocols) - 1) / 2) * width
            panel.bar(
                [places.index(of(row)) + shift for row in shown],
                [spread.median for spread in spreads],
                width,
                yerr=[
                    [spread.median - spread.least for spread in spreads],
                    [spread.most - spread.median for spread in spreads],
                ],
                capsize=2, label=protocol, color=_colour(protocol, protocols),
                error_kw={"lw": 0.8},
            )  # fmt: skip
        if name == "throughput":
            _linear(panel)
        else:
            _logarithmic(panel)
        panel.set_xticks(range(len(places)), [f"{place} %" for place in places])
        panel.set_xlabel(axis)
        panel.set_title(unit, fontsize=10)
        panel.grid(axis="y", alpha=0.3)
        panel.set_axisbelow(True)
    _legend(figure, panels[0])
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _legend(figure: Any, panel: Any) -> None:
    handles, labels = panel.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=9)


def trade(comparison: Comparison, path: Path) -> None:
    """Migration time against what clients feel, for every setting tried; each one's best ringed."""
    measures = (
        ("closed", "throughput_ratio", "throughput during / before, closed loop", True),
        ("open", "p99", "p99 during (µs), open loop", False),
    )
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    protocols = list(dict.fromkeys(row.case.protocol for row in comparison.rows))
    for panel, (loop, name, unit, most) in zip(panels, measures, strict=True):
        for protocol in protocols:
            found = [row for row in comparison.at(loop, protocol) if not math.isnan(row[name])]
            colour = _colour(protocol, protocols)
            panel.scatter(
                [row["migration_seconds"] for row in found], [row[name] for row in found],
                s=28, color=colour, label=protocol, alpha=0.85, lw=0,
            )  # fmt: skip
            best = comparison.best(loop, protocol, name, most=most)
            if best is not None:
                at = best["migration_seconds"], best[name]
                panel.scatter(*at, s=130, facecolors="none", edgecolors=colour, lw=1.6)
                panel.annotate(
                    best.case.label, at, xytext=(7, 7), textcoords="offset points", fontsize=7.5,
                    color=colour,
                )  # fmt: skip
        panel.set_xlabel("migration time (s)")
        panel.set_title(unit, fontsize=10)
        panel.grid(alpha=0.3)
        panel.set_xlim(0, 1.3 * panel.get_xlim()[1])  # room for the labels
        if most:
            _linear(panel)
            panel.set_ylim(top=1.1 * panel.get_ylim()[1])
        else:
            _logarithmic(panel)
            panel.margins(y=0.15)
    _legend(figure, panels[0])
    figure.savefig(path, dpi=110)
    plt.close(figure)
