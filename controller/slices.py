"""The slices of the register arrays: filled from the agents' truth, read, and cleared."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import numpy as np

from controller import filters
from controller.errors import ControllerError
from controller.model import Migration
from controller.partitions import Range, mask_of
from controller.registers import Cells, Registers
from controller.store import Store
from controller.switch import Switch
from hosts.agent import agent_pb2 as pb

log = logging.getLogger(__name__)

SLICES: Final = filters.SLICES
"""How many migrations the switch can follow at once."""

_PIECE: Final = 256
_PAUSE_SECONDS: Final = 0.03


def slice_cells(name: str) -> int:
    """Return how many cells of register `name` one slice has."""
    if name == "ctrl_seq":
        return filters.LANES
    return filters.ONGOING_CELLS if name.startswith("ongoing") else filters.MIGRATED_CELLS


def _cells_of(number: int, groups: Range, batch: int) -> dict[str, tuple[Cells, Cells]]:
    """Return, for each filter register, the cells that batches of `groups` have in slice `number`.

    Both within the slice and within the array: no other cell of the slice is ever touched.
    """
    found: dict[str, tuple[Cells, Cells]] = {}
    members = np.arange(groups.first, groups.last + 1, batch, dtype=np.int64)
    for kind, hashes in (
        ("ongoing", filters.ongoing_hashes(members)),
        ("migrated", filters.migrated_hashes(members)),
    ):
        for i, row in enumerate(hashes):
            name = f"{kind}_{i}"
            cells = np.unique(row)
            found[name] = cells, number * slice_cells(name) + cells
    return found


def _lanes(number: int) -> Cells:
    return number * filters.LANES + np.arange(filters.LANES, dtype=np.int64)


async def fill(registers: Registers, migration: Migration, truth: pb.MigrationTruth | None) -> None:
    """Make the migration's slice say what the source knows; `truth` is None before it began.

    Groups of the partition that are not to move are where they shall be: they count as MIGRATED. A
    migration that the switch does not follow has no slice to fill.
    """
    if migration.slice is None:
        return
    migrated = mask_of([migration.extent]) & ~mask_of(migration.groups)
    ongoing: list[int] = []
    sequences = np.zeros(filters.LANES, dtype=np.int64)
    if truth is not None:
        migrated |= np.frombuffer(truth.migrated, dtype=np.uint8) != 0
        ongoing = list(truth.ongoing)
        sequences[: len(truth.lane_sequences)] = truth.lane_sequences
    contents = {
        "ongoing": filters.ongoing_contents(filters.firsts(ongoing, migration.batch)),
        "migrated": filters.migrated_contents(
            filters.firsts(np.flatnonzero(migrated), migration.batch)
        ),
    }
    extent, batch = migration.extent, migration.batch
    for name, (cells, indices) in _cells_of(migration.slice, extent, batch).items():
        kind, _, row = name.partition("_")
        await registers.put(name, indices, contents[kind][int(row)][cells])
    await registers.put("ctrl_seq", _lanes(migration.slice), sequences)


async def view(registers: Registers, migration: Migration) -> Cells:
    """Return the state the switch sees each group of the partition in (docs/dataplane.md)."""
    if migration.slice is None:
        raise ValueError(f"the switch does not follow migration {migration.id}")
    contents = {
        "ongoing": np.zeros((filters.HASHES, filters.ONGOING_CELLS), dtype=np.int64),
        "migrated": np.zeros((filters.HASHES, filters.MIGRATED_CELLS), dtype=np.int64),
    }
    extent, batch = migration.extent, migration.batch
    for name, (cells, indices) in _cells_of(migration.slice, extent, batch).items():
        kind, _, row = name.partition("_")
        contents[kind][int(row)][cells] = await registers.read(name, indices)
    members = np.arange(extent.first, extent.last + 1, dtype=np.int64)
    return filters.states(contents["ongoing"], contents["migrated"], members, batch)


async def clear(
    registers: Registers,
    number: int,
    groups: Range,
    batch: int,
    pause: Callable[[], float],
) -> None:
    """Zero what batches of `groups` may have set in slice `number`.

    In small pieces, with a `pause()` in seconds after each: the clients need the processor.
    """
    parts = {name: indices for name, (_, indices) in _cells_of(number, groups, batch).items()}
    parts["ctrl_seq"] = _lanes(number)
    for name, cells in parts.items():
        for start in range(0, len(cells), _PIECE):
            piece = cells[start : start + _PIECE]
            await registers.write(name, piece, np.zeros(len(piece), dtype=np.int64))
            await asyncio.sleep(pause())


class Cleaner:
    """Clears dirty slices off the critical path, so that they can be used again."""

    def __init__(self, store: Store, switch: Switch) -> None:
        self._store = store
        self._switch = switch
        self._wanted = asyncio.Event()
        self._cleaned = asyncio.Condition()

    def wake(self) -> None:
        """Look for dirty slices soon."""
        self._wanted.set()

    async def run(self) -> None:
        """Clear whatever becomes dirty, for ever."""
        while True:
            await self._switch.ready.wait()
            self._wanted.clear()
            for number, groups, batch in self._store.dirty_slices():
                try:
                    # Only when no partition entry names the slice any more may it be cleared.
                    await self._switch.update()
                    with self._switch.reporting():
                        await clear(self._switch.registers, number, groups, batch, self._pause)
                    self._store.set_clean(number)
                except ControllerError as error:
                    log.warning("slice %d: not cleared yet: %s", number, error)
                    await asyncio.sleep(1.0)
                    self._wanted.set()
                    break
                async with self._cleaned:
                    self._cleaned.notify_all()
            await self._wanted.wait()

    def _pause(self) -> float:
        """Take it easy, unless the next migration would have to wait for this slice."""
        return _PAUSE_SECONDS if "free" in self._store.slices().values() else 0.0

    async def wait_for_free(self, seconds: float) -> None:
        """Wait until a slice is free, if one is being cleared; at most `seconds`."""

        def settled() -> bool:
            states = self._store.slices().values()
            return "free" in states or "dirty" not in states

        async with self._cleaned:
            try:
                await asyncio.wait_for(self._cleaned.wait_for(settled), seconds)
            except TimeoutError:
                log.warning("no slice became free within %g s", seconds)
