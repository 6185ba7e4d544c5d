"""Following one migration at its source until it has ended, whatever restarts meanwhile."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller import slices
from controller.agents import Agents, UnknownMigrationError
from controller.errors import ControllerError, UnreachableError
from controller.model import Migration, Protocol, State, Totals
from controller.partitions import Range, mask_of, ranges_of
from controller.recovery import Recovery
from controller.slices import Cleaner
from controller.store import Store
from controller.switch import Switch
from hosts.agent import agent_pb2 as pb

log = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 1.0
_OWNED: Final = 1
_EMIGRATING: Final = 2
"""In an agent's GroupTable."""
_FINAL: Final = (pb.STOPPED, pb.DONE, pb.FAILED)


@dataclass(frozen=True, slots=True)
class Parts:
    """What every migration works with."""

    store: Store
    agents: Agents
    switch: Switch
    recovery: Recovery
    cleaner: Cleaner


class Follower:
    """One active migration. The store says what is wanted, the source says what is."""

    def __init__(
        self,
        migration: Migration,
        parts: Parts,
        follow: Callable[[Migration], object],
    ) -> None:
        self.number = migration.id
        self.progress: pb.MigrationProgress | None = None
        self.note = ""
        """What keeps the migration from going on, if anything does."""
        self._store = parts.store
        self._agents = parts.agents
        self._switch = parts.switch
        self._recovery = parts.recovery
        self._cleaner = parts.cleaner
        self._follow = follow
        self._saved = 0.0
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """The user has changed the stored state: look again."""
        self._wake.set()

    async def run(self) -> None:
        """Follow until the migration has ended."""
        while True:
            try:
                migration = self._store.migration(self.number)
                if not migration.state.is_active:
                    return
                await self._step(migration)
                self._set_note("")
            except ControllerError as error:
                self._set_note(str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    def _set_note(self, note: str) -> None:
        if note and note != self.note:
            log.warning("migration %d: %s", self.number, note)
        self.note = note

    async def _step(self, migration: Migration) -> None:
        self._wake.clear()
        if self.number in self._recovery.pending:
            await self._recovery.restore_late(migration)
        match migration.state:
            case State.STARTING:
                await self._resolve(migration)
            case State.STALLED:
                await self._wake.wait()
            case _:
                try:
                    await self._watch(migration)
                except UnknownMigrationError as error:
                    log.warning("migration %d: to begin anew: %s", self.number, error)
                    await self._start_again(migration)

    async def _resolve(self, migration: Migration) -> None:
        """Find out whether a migration that was to start has started.

        A source that knows nothing of it was never told, or was told and has been restarted since:
        then groups may have left. What it still has begins to move once it is watched.
        """
        try:
            await self._agents.truth(migration)
        except UnknownMigrationError:
            states = await self._states_at_source(migration)
            if _those(states, migration.groups, _OWNED) == list(migration.groups):
                if migration.can_be_undone:
                    await self.undo(migration, "the source was never told to start")
                    return
                await self.launch(migration)
        self._store.set_state(migration, State.RUNNING)

    async def launch(self, migration: Migration) -> None:
        """Prepare the switch and the destination, then let the source begin.

        The switch first: with an empty slice it steers as before.
        """
        with self._switch.reporting():
            if not migration.can_be_undone:
                await slices.fill(self._switch.registers, migration, None)
        await self._switch.update()
        await self._agents.accept(migration)
        await self._agents.start(migration)

    async def _start_again(self, migration: Migration) -> None:
        """Let a source that was restarted begin anew, with what it still has.

        It has forgotten the migration, but not its groups. Its lanes count from 1 again, and groups
        that it had on the move are started once more. What is left may need smaller batches.
        """
        if migration.state is State.STOPPING:
            await self._finish_in_flight(migration)
            return
        states = await self._states_at_source(migration)
        remaining = _those(states, migration.groups, _OWNED, _EMIGRATING)
        if not remaining:
            await self._finish(migration)
            return
        self._begin_with(remaining, migration.group_count - _count(remaining))
        migration = self._store.migration(self.number)
        with self._switch.reporting():
            await slices.fill(self._switch.registers, migration, None)
        await self._switch.update()
        await self._agents.accept(migration)
        await self._agents.start(migration)
        await self._steer(migration)

    async def _finish_in_flight(self, migration: Migration) -> None:
        """Before what was moved can come back, let a restarted source finish what it had begun.

        Of pre-copy that is everything: only the source can tell the destination that copies which
        it has of groups that the source still serves are not wanted.
        """
        copies = migration.settings.protocol is Protocol.SOURCE
        states = await self._states_at_source(migration)
        left = _those(states, migration.groups, _OWNED, _EMIGRATING)
        begun = left if copies else _those(states, left, _EMIGRATING)
        if not begun:
            await self._take_back(migration)
            return
        self._begin_with(begun, migration.group_count - _count(left))
        migration = self._store.migration(self.number)
        await self._agents.accept(migration)
        await self._agents.start(migration)
        if copies:
            await self._agents.stop(migration)

    def _begin_with(self, remaining: Sequence[Range], arrived: int) -> None:
        self._store.set_groups(self._store.migration(self.number), remaining, arrived)
        self.progress = None

    async def _states_at_source(self, migration: Migration) -> NDArray[np.uint8]:
        """Return the state that each group is in at the source."""
        table = await self._agents.groups(migration.source)
        return np.frombuffer(table.states, np.uint8)

    async def _steer(self, migration: Migration) -> None:
        """Tell the source what has become of its migration while it knew nothing of it."""
        match self._store.migration(self.number).state:
            case State.PAUSED:
                await self._agents.pause(migration, drain=True)
            case State.STOPPING:
                await self._agents.stop(migration)

    async def undo(self, migration: Migration, why: str) -> None:
        """Take back the preparations of a migration that did not start."""
        self._store.undo(migration, why)
        await self.settle()

    async def settle(self) -> None:
        """Bring the switch in line after an end; if it is away, that comes with its return."""
        try:
            await self._switch.update()
        except UnreachableError as error:
            log.warning("migration %d has ended, but %s", self.number, error)
        self._cleaner.wake()

    async def _watch(self, migration: Migration) -> None:
        """Follow the source's progress to its end, or until the source ends the stream."""
        async for progress in self._agents.watch(migration):
            self.progress = progress
            self._set_note(progress.error)
            self._save(migration, progress)
            migration = self._store.migration(self.number)
            if progress.state in _FINAL:
                self._store.set_totals(migration, migration.before + totals(progress))
                await self._end(migration, progress)
                return
            if self._paused_itself(migration, progress):
                self._store.set_state(migration, State.PAUSED, progress.error)
            elif self._goes_on_by_itself(migration, progress):
                self._store.set_state(migration, State.RUNNING)
            elif self._paused_by_nobody(migration, progress):
                await self._recovery.release(migration)
        raise UnreachableError(f"agent of {migration.source} ended the stream of progress")

    def _paused_itself(self, migration: Migration, progress: pb.MigrationProgress) -> bool:
        """A store has no memory left, say: the user is to help, and to resume it."""
        paused = progress.state == pb.PAUSED and bool(progress.error)
        return paused and migration.state is State.RUNNING

    def _goes_on_by_itself(self, migration: Migration, progress: pb.MigrationProgress) -> bool:
        """What the source said of its pause was said before it was resumed."""
        paused = migration.state is State.PAUSED and bool(migration.error)
        return paused and progress.state == pb.RUNNING

    def _paused_by_nobody(self, migration: Migration, progress: pb.MigrationProgress) -> bool:
        frozen = self.number in self._recovery.frozen
        return progress.state == pb.PAUSED and migration.state is not State.PAUSED and not frozen

    def _save(self, migration: Migration, progress: pb.MigrationProgress) -> None:
        if time.monotonic() - self._saved >= 1.0:
            self._store.set_totals(migration, migration.before + totals(progress))
            self._saved = time.monotonic()

    async def _end(self, migration: Migration, progress: pb.MigrationProgress) -> None:
        if progress.state == pb.FAILED:
            self._store.set_state(migration, State.STALLED, progress.error)
        elif progress.state == pb.DONE and migration.state is not State.STOPPING:
            await self._finish(migration)
        else:
            await self._take_back(migration)

    async def _finish(self, migration: Migration) -> None:
        self._store.finish(migration)
        log.info("migration %d: done", self.number)
        await self.settle()

    async def _take_back(self, migration: Migration) -> None:
        """After an abort: begin the migration that moves back what was moved."""
        stayed = await self._states_at_source(migration) == _OWNED
        moved = ranges_of(np.flatnonzero(mask_of([migration.extent]) & ~stayed).tolist())
        if moved:
            if migration.slice is not None:
                await self._cleaner.wait_for_free(_RETRY_SECONDS)
            back = self._store.begin_moving_back(migration, moved)
            self._follow(back)
        else:
            self._store.abort(migration)
            await self.settle()


def _those(states: NDArray[np.uint8], among: Sequence[Range], *wanted: int) -> list[Range]:
    """Return those of the groups `among` that are in such a state."""
    return ranges_of(np.flatnonzero(np.isin(states, wanted) & mask_of(among)).tolist())


def _count(groups: Sequence[Range]) -> int:
    return sum(len(each) for each in groups)


def totals(progress: pb.MigrationProgress) -> Totals:
    """Return what a source has done since it was told to start."""
    return Totals(
        groups=progress.groups_done,
        keys=progress.keys_sent,
        bytes=progress.bytes_sent,
        seconds=progress.seconds,
        rounds=progress.rounds,
        downtime=progress.downtime,
    )
