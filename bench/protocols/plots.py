"""The figures of the report."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np

from bench.protocols.compare import Comparison, Row
from bench.protocols.forms import seconds
from bench.protocols.run import AS_LONG_AS_STOCK, LOOPS, Case, Run

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib import ticker
from matplotlib.lines import Line2D

_COLOURS: Final = {
    "netmigrate": "#1f5fa8",
    "source": "#c0392b",
    "rocksteady": "#3a923a",
    "fulva": "#8e5bb5",
    "reshard": "#d98a1f",
    "valkey-migrateslots": "#17a2a2",
    "redis-migration": "#6b6b6b",
}
_SHADE: Final = "#f5c26b"


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


_MEAN: Final[Mapping[str, Any]] = {"color": "#555555", "ls": (0, (5, 1)), "lw": 0.8}
_AROUND: Final = 1.0
"""Seconds shown before and after a migration."""
_ALIKE: Final = 2.0
"""Migrations that differ by this factor at most share a time axis."""


def over_time(runs: Sequence[Run], path: Path) -> None:
    """One row a way to migrate, the migration shaded: throughput in the closed loop, latency in the
    open one. Time begins with the request to migrate, and each panel has an axis of its own where
    some migrations are so long that others would vanish beside them."""
    ways = {(run.case.protocol, run.case.settings): run.case.name for run in runs}
    figure, panels = plt.subplots(
        len(ways), 2, sharey="col", squeeze=False, layout="constrained",
        figsize=(11, 1.0 + 1.6 * len(ways)),
    )  # fmt: skip
    for column, (loop, draw) in enumerate(zip(LOOPS, (_throughput, _latency), strict=True)):
        at = {(r.case.protocol, r.case.settings): r for r in runs if r.case.loop == loop}
        times = [_seconds(run) for run in at.values()]
        common = max(times) if times and max(times) <= _ALIKE * min(times) else None
        for row, way in enumerate(ways):
            panel = panels[row, column]
            panel.set_title(ways[way], fontsize=10, loc="left")
            if run := at.get(way):
                draw(panel, run, _COLOURS[run.case.protocol])
                _migration(panel, run, common)
            else:
                panel.set_axis_off()
    _linear(panels[0, 0])  # the axes of a column are one
    _logarithmic(panels[0, 1].yaxis, (1.0,))
    for panel in panels[-1]:
        panel.set_xlabel("seconds since the request to migrate (shaded: until its end)")
    lines = [Line2D([], [], color="#333333", ls=style, lw=1.2) for _, _, style in _QUANTILES]
    names = [label for _, label, _ in _QUANTILES]
    lines.append(Line2D([], [], **_MEAN))
    figure.legend(
        lines, [*names, "mean throughput before"], loc="outside upper center", ncols=4, fontsize=9
    )
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _seconds(run: Run) -> float:
    begin, end = run.migration
    return end - begin


def _migration(panel: Any, run: Run, common: float | None) -> None:
    """Shade it; the axis is as long as it needs, or as one that lasts `common` seconds does."""
    took = _seconds(run)
    panel.axvspan(0, took, color=_SHADE, alpha=0.35, lw=0)
    panel.set_xlim(-_AROUND, (common or took) + _AROUND)
    panel.set_title(f"{run.case.name}: {seconds(took)}", fontsize=10, loc="left")
    panel.grid(alpha=0.3)


def _throughput(panel: Any, run: Run, colour: str) -> None:
    """Thousands of operations per second; dashed: the mean before."""
    line = run.timeline
    panel.plot(line["seconds"] - run.migration[0], line["throughput"] / 1000, color=colour, lw=1.2)
    if "throughput_before" in run.figures:
        panel.axhline(run.figures["throughput_before"] / 1000, **_MEAN)
    panel.set_ylabel("thousand op/s\nclosed loop", fontsize=8)


_QUANTILES: Final = (("p50", "p50", "-"), ("p99", "p99", "--"), ("p999", "p99.9", ":"))


def _latency(panel: Any, run: Run, colour: str) -> None:
    """p50, p99 and p99.9 in milliseconds."""
    line = run.timeline
    for name, label, style in _QUANTILES:
        panel.plot(
            line["seconds"] - run.migration[0], line[name] / 1000, style, label=label, lw=1.2,
            color=colour,
        )  # fmt: skip
    panel.set_ylabel("latency, ms\nopen loop", fontsize=8)


_MEASURES: Final = (
    ("closed", "throughput", "thousand op/s during, closed loop"),
    ("open", "p50", "p50 during, ms, open loop"),
    ("open", "p99", "p99 during, ms, open loop"),
)


def by(
    rows: Sequence[Row],
    of: Callable[[Case], int],
    name: Callable[[int], str],
    axis: str,
    path: Path,
) -> None:
    """Throughput, p50 and p99 during the migration, by what `of` gives; whiskers: the spread.

    Points, not bars: on a logarithmic axis the length of a bar says nothing.
    """
    figure, panels = plt.subplots(1, len(_MEASURES), figsize=(11, 3.3), layout="constrained")
    protocols = list(dict.fromkeys(row.case.protocol for row in rows))
    places = sorted({of(row.case) for row in rows})
    width = 0.3 / len(protocols)
    for panel, (loop, figure_of, title) in zip(panels, _MEASURES, strict=True):
        for number, protocol in enumerate(protocols):
            shown = [
                row
                for row in rows
                if row.case.protocol == protocol
                and row.case.loop == loop
                and figure_of in row.figures
            ]
            middle, least, most = (
                np.array([getattr(row.figures[figure_of], part) / 1000 for row in shown])
                for part in ("median", "least", "most")
            )
            shift = (number - (len(protocols) - 1) / 2) * width
            panel.errorbar(
                [places.index(of(row.case)) + shift for row in shown], middle,
                yerr=[middle - least, most - middle], fmt="o-", capsize=3, ms=5, lw=1.0,
                label=protocol, color=_COLOURS[protocol],
            )  # fmt: skip
        if loop == "closed":
            _linear(panel)
        else:
            _logarithmic(panel.yaxis)
        panel.set_xlim(-0.5, len(places) - 0.5)
        panel.set_xticks(range(len(places)), [name(place) for place in places])
        panel.set_xlabel(axis)
        panel.set_title(title, fontsize=10)
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
        ("closed", "throughput_ratio", "throughput during / before, closed loop", 1.0, True),
        ("open", "p99", "p99 during, ms, open loop", 1000.0, False),
    )
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    protocols = list(dict.fromkeys(row.case.protocol for row in comparison.rows))
    for panel, (loop, name, title, unit, most) in zip(panels, measures, strict=True):
        for protocol in protocols:
            found = [row for row in comparison.at(loop, protocol) if not math.isnan(row[name])]
            colour = _COLOURS[protocol]
            panel.scatter(
                [row["migration_seconds"] for row in found], [row[name] / unit for row in found],
                s=28, color=colour, label=protocol, alpha=0.85, lw=0,
            )  # fmt: skip
            best = comparison.best(loop, protocol, name, most=most)
            for row in found:
                at = row["migration_seconds"], row[name] / unit
                if row is best:
                    panel.scatter(*at, s=130, facecolors="none", edgecolors=colour, lw=1.6)
                if row is best or row.case.settings in _NAMED:
                    _name(panel, row, at, colour)
        panel.set_xlabel("migration time, s")
        panel.set_title(title, fontsize=10)
        panel.grid(alpha=0.3)
        _logarithmic(panel.xaxis)
        panel.margins(x=0.25)  # room for the labels
        if most:
            _linear(panel)
            panel.set_ylim(top=1.1 * panel.get_ylim()[1])
        else:
            _logarithmic(panel.yaxis)
            panel.margins(y=0.15)
    _legend(figure, panels[0])
    figure.savefig(path, dpi=110)
    plt.close(figure)


_NAMED: Final = (AS_LONG_AS_STOCK, (("throttle", 0),))


def _name(panel: Any, row: Row, at: tuple[float, float], colour: str) -> None:
    """Write a point's settings beside it: on the left what ends a little earlier than a reshard, so
    that the two do not meet."""
    left = row.case.settings == AS_LONG_AS_STOCK
    panel.annotate(
        row.case.label, at, xytext=(-9 if left else 9, 0), textcoords="offset points",
        fontsize=7.5, color=colour, ha="right" if left else "left", va="center",
    )  # fmt: skip
