"""Taking over a switch: the first time, after a lost connection, and after it restarted empty.

A restarted switch has forgotten which groups moved (docs/dataplane.md): the running migrations are
frozen at their sources, the registers are written back from what the sources know, and only then
the switch steers again.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from controller import slices
from controller.agents import Agents, UnknownMigrationError
from controller.entries import Entity, Stage
from controller.errors import ControllerError, RefusedError
from controller.model import Migration, State
from controller.registers import Registers
from controller.store import Store
from controller.switch import Found, Session, Switch

log = logging.getLogger(__name__)


class Recovery:
    """Keeps the switch's registers true to the agents across restarts."""

    def __init__(
        self, store: Store, agents: Agents, switch: Switch, desired: Callable[[], Sequence[Entity]]
    ) -> None:
        self._store = store
        self._agents = agents
        self._switch = switch
        self._desired = desired
        self.frozen: set[int] = set()
        """Migrations that stand still at their source until the switch is restored."""
        self.pending: set[int] = set()
        """Migrations whose source did not answer when the switch was restored."""

    async def take_over(self, session: Session, found: Found) -> None:
        """Install everything on a switch just connected to."""
        if found.fresh:
            await session.update(self._desired(), [Stage.BASE])
            if found.pristine:
                for number, *_ in self._store.dirty_slices():
                    self._store.set_clean(number)
            self.pending.clear()
            active = [m for m in self._store.migrations(active=True) if m.slice is not None]
            await asyncio.gather(*(self._try_fill(session.registers, each) for each in active))
        await session.update(self._desired(), list(Stage))
        for number in list(self.frozen):
            await self._try_release(number)

    async def _try_fill(self, registers: Registers, migration: Migration) -> None:
        try:
            await self._fill(registers, migration)
        except ControllerError as error:
            log.warning("migration %d: registers not restored yet: %s", migration.id, error)
            self.pending.add(migration.id)

    async def _fill(self, registers: Registers, migration: Migration) -> None:
        """Freeze a migration and write its slice from what its source knows."""
        truth = None
        with contextlib.suppress(UnknownMigrationError):  # it was about to begin: nothing has moved
            await self._freeze(migration)
            truth = await self._agents.truth(migration)
        await slices.fill(registers, migration, truth)

    async def _freeze(self, migration: Migration) -> None:
        # Marked first: an agent may have heard us even if its answer is lost.
        self.frozen.add(migration.id)
        try:
            await self._agents.pause(migration, drain=False)
        except RefusedError:
            # It has ended, failed, or never begun: it stands still anyway.
            self.frozen.discard(migration.id)

    async def _try_release(self, number: int) -> None:
        try:
            await self.release(self._store.migration(number))
        except ControllerError as error:
            log.warning("migration %d: not resumed yet: %s", number, error)

    async def release(self, migration: Migration) -> None:
        """Let a frozen migration go on as the user wants it to."""
        await self._agents.resume(migration)
        match migration.state:
            case State.PAUSED:
                await self._agents.pause(migration, drain=True)
            case State.STOPPING:
                await self._agents.stop(migration)
            case State.STALLED:
                await self._agents.pause(migration, drain=False)
        self.frozen.discard(migration.id)

    async def restore_late(self, migration: Migration) -> None:
        """Do for one migration what could not be done when the switch was restored."""
        with self._switch.reporting():
            await self._fill(self._switch.registers, migration)
        self.pending.discard(migration.id)
        if migration.id in self.frozen:
            await self.release(migration)
