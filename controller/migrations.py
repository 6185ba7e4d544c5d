"""What a user may do with migrations. Each request is checked first and then done whole."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable
from typing import Final

from controller.agents import UnknownMigrationError
from controller.config import Config
from controller.errors import (
    ControllerError,
    InvalidError,
    RefusedError,
    StorageError,
    UnreachableError,
)
from controller.follow import Follower, Parts
from controller.model import (
    DEFAULT_LANES,
    MAX_LANES,
    UNTHROTTLED_LANES,
    Migration,
    Partition,
    Protocol,
    Settings,
    State,
)
from controller.partitions import Range
from hosts.agent import agent_pb2 as pb
from hosts.wire import MAX_BATCH, is_batch

log = logging.getLogger(__name__)

_BATCH_BYTES: Final = 128 * 1024
"""What a batch shall take of the store's memory, about: some 60 kB to send."""
_BATCH_SECONDS: Final = 0.027
"""It shall be less than that where a throttle needs so long for as many bytes."""
_CHOSEN_BATCH: Final = 64
"""The most groups that the controller puts into a batch by itself."""
_SLICE_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 60.0


class Migrations:
    """All migrations of this controller, each with its follower while it is active."""

    def __init__(self, config: Config, parts: Parts) -> None:
        self._config = config
        self._parts = parts
        self._store = parts.store
        self._agents = parts.agents
        self._followers: dict[int, Follower] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def follow_active(self) -> None:
        """After a start of the controller: pick up whatever has not ended."""
        for migration in self._store.migrations(active=True):
            log.info("migration %d: picked up, %s", migration.id, migration.state)
            self._follow(migration)

    def _follow(self, migration: Migration) -> Follower:
        follower = self._track(migration)
        self._run(follower)
        return follower

    def _track(self, migration: Migration) -> Follower:
        follower = Follower(migration, self._parts, self._follow)
        self._followers[migration.id] = follower
        return follower

    def _run(self, follower: Follower) -> None:
        task = asyncio.create_task(follower.run(), name=f"migration {follower.number}")
        self._tasks[follower.number] = task
        task.add_done_callback(lambda done: self._ended(follower.number, done))

    def _ended(self, number: int, task: asyncio.Task[None]) -> None:
        del self._tasks[number]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("migration %d: no longer followed", number, exc_info=error)

    async def close(self) -> None:
        """Stop following; the agents go on."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def get(self, number: int) -> Migration:
        """Return migration `number`; 0 means the only active one."""
        if number:
            return self._store.migration(number)
        active = self._store.migrations(active=True)
        if len(active) == 1:
            return active[0]
        if not active:
            raise RefusedError("no migration is running")
        running = ", ".join(f"{each.id} ({each.partition})" for each in active)
        raise InvalidError(f"which migration? running are {running}")

    def progress(self, number: int) -> tuple[pb.MigrationProgress | None, str]:
        """Return the last progress heard from the source, and what holds the migration up."""
        follower = self._followers.get(number)
        return (follower.progress, follower.note) if follower else (None, "")

    # Requests

    async def migrate(
        self,
        what: str,
        destination: str,
        throttle: int,
        lanes: int,
        group_batch: int,
        protocol: str,
        stop_bytes: int,
        *,
        pull_reads: bool,
    ) -> Migration:
        """Begin to move a partition, or the range of groups `what` names, to `destination`."""
        wanted = _protocol(protocol)
        _check(lanes, group_batch, wanted, pull_reads=pull_reads)
        lanes = lanes or (DEFAULT_LANES if throttle else UNTHROTTLED_LANES)
        self._config.server_named(destination)
        partition, _ = self._movable(what, destination)
        self._parts.switch.session()
        source, _ = [await self._ready(server) for server in (partition.server, destination)]
        batch = group_batch or _fitting_batch(source, throttle)
        settings = Settings(lanes, throttle, batch, wanted, stop_bytes, pull_reads)
        if wanted.is_followed:
            await self._parts.cleaner.wait_for_free(_SLICE_SECONDS)
        # The world may have changed meanwhile; from here to the store's record nothing else runs.
        partition, piece = self._movable(what, destination)
        migration = self._store.begin(partition, piece, destination, settings)
        follower = self._track(migration)
        try:
            await self._launch(follower, migration)
        except (UnreachableError, StorageError) as error:
            # The source may have got the word all the same: the follower finds out, and undoes.
            self._run(follower)
            raise RefusedError(f"migration {migration.id} did not start: {error}") from None
        except ControllerError as error:
            raise RefusedError(f"migration {migration.id} did not start: {error}") from None
        with contextlib.suppress(StorageError):  # otherwise the follower does it
            self._store.set_state(migration, State.RUNNING)
        log.info("migration %d: %s, %s to %s", migration.id, partition.name, piece, destination)
        self._run(follower)
        return self._store.migration(migration.id)

    async def _launch(self, follower: Follower, migration: Migration) -> None:
        """Start it; what refuses is undone, unless the store cannot take that now."""
        try:
            await follower.launch(migration)
        except UnreachableError:
            raise
        except ControllerError as error:
            await follower.undo(migration, str(error))
            raise

    def _movable(self, what: str, destination: str) -> tuple[Partition, Range]:
        """Return the partition that `what` names or lies in, and the groups to move."""
        piece = Range.parse(what)
        partition = (
            self._store.partition(what) if piece is None else self._store.partition_around(piece)
        )
        groups = partition.groups if piece is None else piece
        for other in self._store.migrations(active=True):
            if other.extent.overlaps(partition.groups):
                raise RefusedError(
                    f"partition {partition.name} is already moving: "
                    f"migration {other.id} from {other.source} to {other.destination}"
                )
        if partition.server == destination:
            raise RefusedError(f"partition {partition.name} is on {destination} already")
        return partition, groups

    async def _ready(self, server: str) -> pb.AgentStatus:
        status = await self._agents.status(server)
        if status.service != self._config.service.id:
            raise RefusedError(
                f"{server} serves {f'service {status.service}' if status.service else 'nothing'}, "
                f"not service {self._config.service.id} ({self._config.service.name})"
            )
        return status

    async def pause(self, number: int) -> Migration:
        """Let the groups in flight finish and start no more."""
        migration = self._require(number, State.RUNNING, to="be paused")
        await self._change(migration, State.PAUSED, self._agents.pause(migration, drain=True))
        return self._store.migration(migration.id)

    async def resume(self, number: int) -> Migration:
        """Go on after a pause, or try again after the source had to give up."""
        migration = self._require(number, State.PAUSED, State.STALLED, to="be resumed")
        await self._change(migration, State.RUNNING, self._let_go_on(migration))
        return self._store.migration(migration.id)

    async def _let_go_on(self, migration: Migration) -> None:
        """Tell the source; one that has been restarted hears it from the migration's follower."""
        with contextlib.suppress(UnknownMigrationError):
            await self._agents.resume(migration)

    async def set_throttle(self, number: int, throttle: int) -> Migration:
        """Change the throttle while running."""
        states = (State.RUNNING, State.PAUSED, State.STALLED, State.STARTING)
        migration = self._require(number, *states, to="be throttled")
        await self._agents.set_throttle(migration, throttle)
        self._store.set_throttle(migration, throttle)
        return self._store.migration(migration.id)

    async def abort(self, number: int) -> Migration:
        """Stop a migration and move back what was moved; return what came of it."""
        states = (State.RUNNING, State.PAUSED, State.STALLED)
        migration = self._require(number, *states, to="be aborted")
        if migration.moves_back is not None:
            raise RefusedError(
                f"migration {migration.id} takes back migration {migration.moves_back} and cannot "
                "be aborted itself: let it end, then migrate again"
            )
        task = self._tasks.get(migration.id)
        await self._change(migration, State.STOPPING, self._agents.stop(migration))
        if task is not None:
            await asyncio.wait([task], timeout=_STOP_SECONDS)
        for other in self._store.migrations():
            if other.moves_back == migration.id:
                return other
        return self._store.migration(migration.id)

    def _require(self, number: int, *states: State, to: str) -> Migration:
        migration = self.get(number)
        if migration.state not in states:
            raise RefusedError(
                f"migration {migration.id} is {migration.state}: to {to} it must be "
                f"{' or '.join(states)}"
            )
        return migration

    async def _change(self, migration: Migration, state: State, request: Awaitable[None]) -> None:
        """Record what the user wants, then ask the agent; a refusal puts the record back."""
        self._store.set_state(migration, state)
        try:
            await request
        except ControllerError:
            self._store.set_state(migration, migration.state, migration.error)
            raise
        self._followers[migration.id].wake()


def _check(lanes: int, group_batch: int, protocol: Protocol, *, pull_reads: bool) -> None:
    """Check what a user asked for; 0 leaves the choice to us."""
    if lanes > MAX_LANES:
        raise InvalidError(f"lanes {lanes}: expected 1 to {MAX_LANES}")
    if group_batch and not is_batch(group_batch):
        raise InvalidError(f"group batch {group_batch}: expected a power of two, 1 to {MAX_BATCH}")
    if pull_reads and not protocol.is_followed:
        raise InvalidError(f"pull reads: only protocol {Protocol.NETMIGRATE} can, not {protocol}")


def _fitting_batch(source: pb.AgentStatus, throttle: int) -> int:
    """Return how many of the source's groups make a batch of the size that we want."""
    group_bytes = source.store_memory / max(1, source.groups.get("OWNED", 0))
    wanted = min(_BATCH_BYTES, throttle / 8 * _BATCH_SECONDS) if throttle else _BATCH_BYTES
    fitting = int(wanted / max(1.0, group_bytes))
    return 1 << max(1, min(fitting, _CHOSEN_BATCH)).bit_length() - 1


def _protocol(name: str) -> Protocol:
    try:
        return Protocol(name or Protocol.NETMIGRATE)
    except ValueError:
        known = ", ".join(Protocol)
        raise InvalidError(f"protocol {name!r}: there are {known}") from None
