"""The figures of the report."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl

from bench.protocols.compare import Comparison, Row
from bench.protocols.run import AS_LONG_AS_STOCK, LOOPS, Run

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


def _logarithmic(axis: Any, subs: tuple[float, ...] = (1.0, 2.0, 5.0)) -> None:
    """Scale an axis by logarithms, with numbers that people read at `subs` of each decade."""
    (axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale)("log")
    axis.set_major_locator(ticker.LogLocator(subs=subs, numticks=12))
    axis.set_major_formatter(ticker.FuncFormatter(_readable))
    axis.set_minor_formatter(ticker.NullFormatter())


def _linear(panel: Any) -> None:
    panel.set_ylim(bottom=0)
    panel.yaxis.set_major_formatter(ticker.FuncFormatter(_readable))


def _readable(value: float, _: object) -> str:
    return f"{value:,.6g}"


_AROUND: Final = 1.5
"""Seconds shown before and after a migration."""


def over_time(runs: Sequence[Run], path: Path) -> None:
    """One row a way to migrate, the migration shaded: throughput in the closed loop, latency in the
    open one. Each panel has a time axis of its own, which begins with the request to migrate."""
    ways = {(run.case.protocol, run.case.settings): run.case.name for run in runs}
    if not runs:
        return
    figure, panels = plt.subplots(
        len(ways), 2, sharey="col", squeeze=False, layout="constrained",
        figsize=(11, 1.0 + 1.6 * len(ways)),
    )  # fmt: skip
    protocols = [protocol for protocol, _ in ways]
    for row, way in zip(panels, ways, strict=True):
        colour = _colour(way[0], protocols)
        for panel, loop, draw in zip(row, LOOPS, (_throughput, _latency), strict=True):
            for run in runs:
                if (run.case.protocol, run.case.settings, run.case.loop) == (*way, loop):
                    draw(panel, run, colour)
                    _migration(panel, run, ways[way])
    _linear(panels[0, 0])  # the axes of a column are one
    _logarithmic(panels[0, 1].yaxis, (1.0,))
    for panel in panels[-1]:
        panel.set_xlabel("seconds since the request to migrate (shaded: until its end)")
    panels[0, 1].legend(loc="upper right", fontsize=8, ncols=3)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _migration(panel: Any, run: Run, name: str) -> None:
    begin, end = run.migration
    panel.axvspan(0, end - begin, color=_SHADE, alpha=0.35, lw=0)
    panel.set_xlim(-_AROUND, end - begin + _AROUND)
    panel.set_title(f"{name}: {end - begin:.1f} s", fontsize=10, loc="left")
    panel.grid(alpha=0.3)


def _throughput(panel: Any, run: Run, colour: str) -> None:
    """Thousands of operations per second; dashed: the mean before."""
    line = run.timeline
    panel.plot(line["seconds"] - run.migration[0], line["throughput"] / 1000, color=colour, lw=1.2)
    if "throughput_before" in run.figures:
        panel.axhline(run.figures["throughput_before"] / 1000, ls="--", lw=0.8, color="#555555")
    panel.set_ylabel("thousand op/s\nclosed loop", fontsize=8)


def _latency(panel: Any, run: Run, colour: str) -> None:
    """p50, p99 and p99.9 in milliseconds."""
    line = run.timeline
    for name, label, style in (("p50", "p50", "-"), ("p99", "p99", "--"), ("p999", "p99.9", ":")):
        panel.plot(
            line["seconds"] - run.migration[0], line[name] / 1000, style, label=label, lw=1.2,
            color=colour,
        )  # fmt: skip
    panel.set_ylabel("latency, ms\nopen loop", fontsize=8)


BARS: Final = (
    ("closed", "throughput", "op/s, closed loop"),
    ("open", "p50", "p50 (µs), open loop"),
    ("open", "p99", "p99 (µs), open loop"),
)


def bars(rows: Sequence[Row], of: Callable[[Row], int], axis: str, path: Path) -> None:
    """Throughput, p50 and p99 during the migration, by what `of` gives; whiskers: the spread.

    Points, not bars: on a logarithmic axis the length of a bar says nothing.
    """
    if not rows:
        return
    figure, panels = plt.subplots(1, len(BARS), figsize=(11, 3.3), layout="constrained")
    protocols = list(dict.fromkeys(row.case.protocol for row in rows))
    places = sorted({of(row) for row in rows})
    width = 0.3 / len(protocols)
    for panel, (loop, name, unit) in zip(panels, BARS, strict=True):
        for number, protocol in enumerate(protocols):
            shown = [
                row
                for row in rows
                if row.case.protocol == protocol and row.case.loop == loop and name in row.figures
            ]
            spreads = [row.figures[name] for row in shown]
            shift = (number - (len(protocols) - 1) / 2) * width
            panel.errorbar(
                [places.index(of(row)) + shift for row in shown],
                [spread.median for spread in spreads],
                yerr=[
                    [spread.median - spread.least for spread in spreads],
                    [spread.most - spread.median for spread in spreads],
                ],
                fmt="o-", capsize=3, ms=5, lw=1.0, label=protocol,
                color=_colour(protocol, protocols),
            )  # fmt: skip
        if name == "throughput":
            _linear(panel)
        else:
            _logarithmic(panel.yaxis)
        panel.set_xlim(-0.5, len(places) - 0.5)
        panel.set_xticks(range(len(places)), [f"{place} %" for place in places])
        panel.set_xlabel(axis)
        panel.set_title(unit, fontsize=10)
        panel.grid(axis="y", alpha=0.3)
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
            for row in found:
                if row is best or row.case.settings == AS_LONG_AS_STOCK:
                    panel.annotate(
                        row.case.label, (row["migration_seconds"], row[name]), xytext=(0, 9),
                        textcoords="offset points", fontsize=7.5, color=colour, ha="center",
                    )  # fmt: skip
        panel.set_xlabel("migration time, s")
        panel.set_title(unit, fontsize=10)
        panel.grid(alpha=0.3)
        _logarithmic(panel.xaxis)
        panel.margins(x=0.2)  # room for the labels
        if most:
            _linear(panel)
            panel.set_ylim(top=1.1 * panel.get_ylim()[1])
        else:
            _logarithmic(panel.yaxis)
            panel.margins(y=0.15)
    _legend(figure, panels[0])
    figure.savefig(path, dpi=110)
    plt.close(figure)
