"""The switch's view of every group beside the agents' truth."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from controller import slices
from controller.agents import Agents
from controller.config import Config
from controller.errors import RefusedError
from controller.model import Migration, Partition
from controller.partitions import Range, mask_of
from controller.store import Store
from controller.switch import Switch
from hosts.agent import agent_pb2 as pb
from hosts.wire import GROUPS

States = NDArray[np.uint8]
Texts = NDArray[np.object_]

_STATES: Final = ("NOT_MIGRATED", "ONGOING", "MIGRATED")
_OWNED: Final = 1
"""In an agent's GroupTable: the group is here and not on the move."""


@dataclass(frozen=True, slots=True)
class View:
    """Neighbouring groups that are seen alike. `migration` is 0 where none runs."""

    groups: Range
    migration: int
    switch: str
    truth: str
    match: bool


class Comparison:
    """Reads both sides and puts them beside each other."""

    def __init__(self, config: Config, store: Store, agents: Agents, switch: Switch) -> None:
        self._config = config
        self._store = store
        self._agents = agents
        self._switch = switch

    async def views(self, migration: int) -> list[View]:
        """Compare all groups, or those of one active migration's partition (0: all)."""
        if migration:
            found = self._store.migration(migration)
            if not found.state.is_active:
                raise RefusedError(
                    f"migration {migration} has ended ({found.state}): its registers are cleared; "
                    "compare without --migration"
                )
            return await self._of(found, await self._switch.served())
        active = {each.partition: each for each in self._store.migrations(active=True)}
        owners = await self._owners()
        served = await self._switch.served()
        views: list[View] = []
        for partition in self._store.partitions():
            if partition.name in active:
                views += await self._of(active[partition.name], served)
            else:
                views += self._resting(partition, served, owners)
        return views

    async def _owners(self) -> Texts:
        """Return, for each group, the server whose agent owns it."""
        owners = np.full(GROUPS, "nobody", dtype=object)
        for server in self._config.servers:
            table = await self._agents.groups(server.name)
            states = np.frombuffer(table.states, np.uint8)
            for group in np.flatnonzero(states == _OWNED):
                first = owners[group] == "nobody"
                owners[group] = server.name if first else f"{owners[group]}+{server.name}"
            owners[states > _OWNED] = f"on the move at {server.name}"
        return owners

    def _resting(
        self, partition: Partition, served: Mapping[tuple[int, int], int], owners: Texts
    ) -> list[View]:
        """A partition that is not moving: the table's server against the owning agents."""
        sees = self._server(served, partition.groups)
        return [
            View(groups, 0, sees, owner, owner == sees)
            for groups, (owner,) in _runs(partition.groups, owners)
        ]

    async def _of(self, migration: Migration, served: Mapping[tuple[int, int], int]) -> list[View]:
        if migration.slice is None:
            sees, extent = self._server(served, migration.extent), migration.extent
            wanted = migration.served_from
            return [View(extent, migration.id, sees, wanted, sees == wanted)]
        return await self._moving(migration)

    def _server(self, served: Mapping[tuple[int, int], int], groups: Range) -> str:
        """Return the server that the switch's table has for these groups."""
        index = served.get((groups.first, groups.prefix_length))
        names = {server.index: server.name for server in self._config.servers}
        return "no entry" if index is None else names.get(index, f"server index {index}")

    async def _moving(self, migration: Migration) -> list[View]:
        """A moving partition: the registers against the source's view.

        The migration goes on meanwhile: a group differs only if the switch saw it neither as the
        source did before nor as it did after, nor in between.
        """
        before = _states(migration, await self._agents.truth(migration))
        sees = before.copy()
        with self._switch.reporting():
            seen = await slices.view(self._switch.registers, migration)
        sees[migration.extent.first : migration.extent.last + 1] = seen
        after = _states(migration, await self._agents.truth(migration))
        truth = np.where((before <= sees) & (sees <= after), sees, after)
        return [
            View(groups, migration.id, _STATES[view], _STATES[true], bool(view == true))
            for groups, (view, true) in _runs(migration.extent, sees, truth)
        ]


def _states(migration: Migration, truth: pb.MigrationTruth) -> States:
    """Return the source's view as numbers in the order a group goes through them."""
    states = np.zeros(GROUPS, np.uint8)
    states[list(truth.ongoing)] = 1
    states[np.frombuffer(truth.migrated, np.uint8) != 0] = 2
    # What is not to move is where it shall be.
    states[~mask_of(migration.groups)] = 2
    return states


def _runs(extent: Range, *arrays: NDArray[Any]) -> Iterator[tuple[Range, tuple[Any, ...]]]:
    """Yield the ranges within `extent` in which no array changes, with their values there."""
    window = slice(extent.first, extent.last + 1)
    changes = np.zeros(len(extent), dtype=np.bool_)
    for array in arrays:
        part = array[window]
        changes[1:] |= part[1:] != part[:-1]
    starts = [0, *np.flatnonzero(changes).tolist()]
    for start, end in zip(starts, [*starts[1:], len(extent)], strict=True):
        first = extent.first + start
        yield Range(first, extent.first + end - 1), tuple(array[first] for array in arrays)
