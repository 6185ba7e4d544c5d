"""From runs to medians with their spread, and what netmigrate's are of each other's."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from bench.peers.ways import SETTINGS as PEERS
from bench.protocols.run import AS_LONG_AS_STOCK, FIGURES, LOOPS, Case, Run
from controller.model import Protocol

OURS: Final = str(Protocol.NETMIGRATE)
STOCK: Final = "reshard"
"""The way that every user of Redis and Valkey has."""
SIMILAR: Final = 1.25
"""A migration is of similar time as ours if it takes at most so many times as long."""


@dataclass(frozen=True)
class Spread:
    """The median of some runs, and the least and the most of them."""

    median: float
    least: float
    most: float


@dataclass(frozen=True)
class Row:
    """All runs of one case together."""

    case: Case
    runs: int
    figures: Mapping[str, Spread]

    def __getitem__(self, name: str) -> float:
        """Return the median of a figure; NaN where no run has it."""
        return self.figures[name].median if name in self.figures else math.nan


def rows(runs: Iterable[Run]) -> list[Row]:
    """Return one row a case, in the order of their first runs; runs with a problem do not count."""
    alike: dict[Case, list[Run]] = {}
    for run in runs:
        if not run.problem:
            alike.setdefault(run.case, []).append(run)
    return [Row(case, len(found), _spreads(found)) for case, found in alike.items()]


def _spreads(runs: Sequence[Run]) -> dict[str, Spread]:
    found: dict[str, Spread] = {}
    for name in FIGURES:
        values = [float(run.figures[name]) for run in runs if name in run.figures]
        if values:
            found[name] = Spread(median(values), min(values), max(values))
    return found


@dataclass(frozen=True)
class Comparison:
    """The rows at the point that the goals are about, ours at its plain settings.

    `point` is (writes, budget).
    """

    rows: Sequence[Row]
    point: tuple[int, int]
    plain: tuple[tuple[str, int], ...]

    def at(self, loop: str, protocol: str = "") -> list[Row]:
        """Return the rows of a loop at the point, of one protocol or of all."""
        return [
            row
            for row in self.rows
            if (row.case.writes, row.case.budget) == self.point
            and row.case.loop == loop
            and protocol in ("", row.case.protocol)
        ]

    def ours(self, loop: str) -> Row | None:
        """Return our own row at the plain settings."""
        return next((r for r in self.at(loop, OURS) if r.case.settings == self.plain), None)

    def is_plain(self, row: Row) -> bool:
        """Return whether a row is no part of the sweep; a peer has settings of its own."""
        same = [each.case.settings for each in self.rows if each.case.protocol == row.case.protocol]
        return row.case.settings == (self.plain if self.plain in same else same[0])

    def shown(self) -> list[Row]:
        """Return the rows of plots and tables: none of the sweep; ours in a reshard's time is
        beside the reshard."""
        found: list[Row] = []
        for loop in LOOPS:
            rows = self.at(loop)
            slow = [row for row in rows if row.case.settings == AS_LONG_AS_STOCK]
            for row in filter(self.is_plain, rows):
                found += [row, *slow] if row.case.protocol == STOCK else [row]
        return found

    def others(self, loop: str) -> list[str]:
        """Return the other protocols, in the order of their first runs."""
        names = dict.fromkeys(row.case.protocol for row in self.at(loop))
        return [name for name in names if name != OURS and name not in PEERS]

    def best(self, loop: str, protocol: str, figure: str, *, most: bool = False) -> Row | None:
        """Return a protocol's best row, of least (or `most`) `figure`, of those as quick as ours.

        Where it is never that quick, its quickest row.
        """
        found = [row for row in self.at(loop, protocol) if not math.isnan(row[figure])]
        ours = self.ours(loop)
        if not found or ours is None:
            return None
        limit = SIMILAR * ours["migration_seconds"]
        quick = [row for row in found if row["migration_seconds"] <= limit]
        if not quick:
            return min(found, key=lambda row: row["migration_seconds"])
        return (max if most else min)(quick, key=lambda row: row[figure])


def ratios(comparison: Comparison) -> list[dict[str, object]]:
    """Return what ours is of each other's, figure by figure, wherever all but the protocol agrees.

    The stores' own ways have settings of their own: ours is at its plain ones there. A ratio to
    nothing is left out.
    """
    ours = {_point(row.case): row for row in comparison.rows if row.case.protocol == OURS}
    result: list[dict[str, object]] = []
    for row in comparison.rows:
        case = row.case
        if case.protocol in PEERS:
            case = replace(case, settings=comparison.plain)
        mine = ours.get(_point(case))
        if row.case.protocol == OURS or mine is None:
            continue
        result.append(
            {
                "to": row.case.protocol,
                "writes": row.case.writes,
                "budget": row.case.budget,
                "loop": row.case.loop,
                "settings": dict(row.case.settings),
                "ratios": {
                    name: mine[name] / row[name]
                    for name in FIGURES
                    if row[name] and not math.isnan(mine[name] / row[name])
                },
            }
        )
    return result


def _point(case: Case) -> tuple[object, ...]:
    return case.writes, case.budget, case.loop, case.settings
