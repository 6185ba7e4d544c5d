"""The controller's gRPC service, which the CLI talks to."""

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, NoReturn, TypeVar

import grpc
import numpy as np

from controller import controller_pb2 as pb
from controller.compare import Comparison
from controller.config import Config, Server
from controller.controller_pb2_grpc import ControllerServicer
from controller.counters import name_of
from controller.errors import ControllerError, InvalidError, UnknownNameError
from controller.follow import Parts, totals
from controller.migrations import Migrations
from controller.model import Migration, Totals
from controller.slices import SLICES, slice_cells
from hosts.agent import agent_pb2

log = logging.getLogger(__name__)

T = TypeVar("T")
Context = grpc.aio.ServicerContext[Any, Any]

_WATCH_SECONDS: Final = 0.2
_CELLS: Final = 65536


async def _abort(context: Context, error: ControllerError) -> NoReturn:
    """End a call with the status that fits `error`; its message is the whole story."""
    code = grpc.StatusCode.FAILED_PRECONDITION
    if isinstance(error, UnknownNameError):
        code = grpc.StatusCode.NOT_FOUND
    elif isinstance(error, InvalidError):
        code = grpc.StatusCode.INVALID_ARGUMENT
    await context.abort(code, str(error))
    raise AssertionError("abort raises")


def _unary(
    method: Callable[["Service", Any], Awaitable[T]],
) -> Callable[["Service", Any, Context], Awaitable[T]]:
    """Serve `method`; a client that goes away does not leave it half done."""

    @functools.wraps(method)
    async def serve(self: "Service", request: Any, context: Context) -> T:
        try:
            return await asyncio.shield(asyncio.ensure_future(method(self, request)))
        except ControllerError as error:
            await _abort(context, error)

    return serve


class Service(ControllerServicer):
    """Answers the CLI."""

    def __init__(self, config: Config, parts: Parts, migrations: Migrations) -> None:
        self._config = config
        self._store = parts.store
        self._agents = parts.agents
        self._switch = parts.switch
        self._migrations = migrations
        self._comparison = Comparison(config, parts.store, parts.agents, parts.switch)

    # Status

    @_unary
    async def GetStatus(self, request: pb.StatusRequest) -> pb.Status:
        """Return services, partitions, servers, active migrations, the switch."""
        service, device = self._config.service, self._config.device
        servers = await asyncio.gather(*(self._server(each) for each in self._config.servers))
        active = self._store.migrations(active=True)
        moving = {each.partition: each.id for each in active}
        packets = await self._packets()
        return pb.Status(
            services=[
                pb.Service(id=service.id, name=service.name, vip=service.vip, port=service.port)
            ],
            partitions=[
                pb.Partition(
                    name=each.name,
                    first=each.groups.first,
                    last=each.groups.last,
                    server=each.server,
                    migration=moving.get(each.name, 0),
                    packets=packets.get((each.groups.first, each.groups.prefix_length), 0),
                )
                for each in self._store.partitions()
            ],
            servers=servers,
            migrations=[self._migration(each) for each in active],
            device=pb.Device(
                name=device.name,
                address=device.address,
                target=device.target,
                connected=self._switch.ready.is_set(),
                error=self._switch.error,
            ),
            slices={number: str(state) for number, state in self._store.slices().items()},
        )

    async def _server(self, server: Server) -> pb.Server:
        found = pb.Server(name=server.name, index=server.index, ip=server.ip)
        try:
            status = await self._agents.status(server.name)
        except ControllerError as error:
            found.error = str(error)
            return found
        found.reachable = True
        found.store = status.store
        found.keys = status.keys
        found.store_memory = status.store_memory
        found.agent_memory = status.agent_memory
        found.groups_owned = status.groups.get("OWNED", 0)
        found.counters.update(status.counters)
        return found

    async def _packets(self) -> dict[tuple[int, int], int]:
        """Return how many packets the switch has sent for each prefix; none if it is away."""
        try:
            return await self._switch.partition_packets()
        except ControllerError:
            return {}

    def _migration(self, migration: Migration) -> pb.Migration:
        progress, note = self._migrations.progress(migration.id)
        found = pb.Migration(
            id=migration.id,
            partition=migration.partition,
            first=migration.extent.first,
            last=migration.extent.last,
            source=migration.source,
            destination=migration.destination,
            slice=migration.slice,
            state=migration.state,
            protocol=migration.settings.protocol,
            lanes=migration.settings.lanes,
            group_batch=migration.batch,
            pull_reads=migration.settings.pull_reads,
            throttle=migration.settings.throttle,
            groups_total=migration.group_count,
            share=migration.totals.groups / max(1, migration.group_count),
            seconds_left=0.0 if migration.ended else -1.0,
            created=migration.created,
            ended=migration.ended or 0.0,
            error=migration.error or note,
            moves_back=migration.moves_back or 0,
        )
        _set_totals(found, migration.totals)
        if progress is not None and migration.state.is_active:
            _add_progress(found, migration.before, progress)
        return found

    # Migrations

    @_unary
    async def Migrate(self, request: pb.MigrateRequest) -> pb.Migration:
        """Begin a migration."""
        return self._migration(
            await self._migrations.migrate(
                request.partition,
                request.destination,
                request.throttle,
                request.lanes,
                request.group_batch,
                request.protocol,
                request.stop_bytes,
                pull_reads=request.pull_reads,
            )
        )

    @_unary
    async def Pause(self, request: pb.MigrationRef) -> pb.Migration:
        """Pause after the groups in flight."""
        return self._migration(await self._migrations.pause(request.migration))

    @_unary
    async def Resume(self, request: pb.MigrationRef) -> pb.Migration:
        """Go on."""
        return self._migration(await self._migrations.resume(request.migration))

    @_unary
    async def SetThrottle(self, request: pb.ThrottleRequest) -> pb.Migration:
        """Change the throttle."""
        return self._migration(
            await self._migrations.set_throttle(request.migration, request.throttle)
        )

    @_unary
    async def Abort(self, request: pb.MigrationRef) -> pb.Migration:
        """Stop, and move back what was moved."""
        return self._migration(await self._migrations.abort(request.migration))

    async def Watch(
        self, request: pb.MigrationRef, context: Context
    ) -> AsyncIterator[pb.Migration]:
        """Stream progress until the migration has ended."""
        try:
            number = self._migrations.get(request.migration).id
            while True:
                migration = self._store.migration(number)
                yield self._migration(migration)
                if not migration.state.is_active:
                    return
                await asyncio.sleep(_WATCH_SECONDS)
        except ControllerError as error:
            await _abort(context, error)

    @_unary
    async def GetHistory(self, request: pb.HistoryRequest) -> pb.History:
        """Return all migrations, oldest first."""
        return pb.History(migrations=[self._migration(each) for each in self._store.migrations()])

    # The switch

    @_unary
    async def ListRegisters(self, request: pb.RegistersRequest) -> pb.Registers:
        """Return names and sizes of the register arrays."""
        registers = self._switch.registers
        return pb.Registers(
            registers=[
                pb.Register(
                    name=name, bits=registers.bits[name], size=size, slice_size=slice_cells(name)
                )
                for name, size in registers.sizes.items()
            ]
        )

    async def ReadRegister(
        self, request: pb.ReadRegisterRequest, context: Context
    ) -> AsyncIterator[pb.RegisterCells]:
        """Stream the cells of a register array, or of one slice of it."""
        try:
            registers = self._switch.registers
            first, last = 0, registers.size(request.name)
            if request.HasField("slice"):
                if request.slice >= SLICES:
                    raise InvalidError(f"slice {request.slice}: slices are 0 to {SLICES - 1}")
                first = request.slice * slice_cells(request.name)
                last = first + slice_cells(request.name)
            indices = np.arange(first, last, dtype=np.int64)
            with self._switch.reporting():
                values = (await registers.read(request.name, indices)).tolist()
            for start in range(0, len(values), _CELLS):
                yield pb.RegisterCells(first=first + start, values=values[start : start + _CELLS])
        except ControllerError as error:
            await _abort(context, error)

    @_unary
    async def ReadTables(self, request: pb.TablesRequest) -> pb.Tables:
        """Return the entries of all tables, or of one."""
        tables = await self._switch.tables(request.name)
        return pb.Tables(
            tables=[
                pb.Table(
                    name=name,
                    entries=[
                        pb.TableEntry(
                            match=row.match,
                            action=row.action,
                            is_default=row.is_default,
                            packets=row.packets,
                            bytes=row.bytes,
                        )
                        for row in rows
                    ],
                )
                for name, rows in tables.items()
            ]
        )

    @_unary
    async def ReadCounters(self, request: pb.CountersRequest) -> pb.Counters:
        """Return every cell of the indirect counters by name."""
        return pb.Counters(
            counters=[
                pb.Counter(name=name, cell=name_of(name, index), packets=packets, bytes=size)
                for name, cells in (await self._switch.counters()).items()
                for index, (packets, size) in enumerate(cells)
            ]
        )

    @_unary
    async def CompareGroups(self, request: pb.CompareRequest) -> pb.Comparison:
        """Return the switch's view beside the agents' truth."""
        views = await self._comparison.views(request.migration)
        return pb.Comparison(
            views=[
                pb.GroupView(
                    first=view.groups.first,
                    last=view.groups.last,
                    migration=view.migration,
                    switch_view=view.switch,
                    truth=view.truth,
                    match=view.match,
                )
                for view in views
            ],
            match=all(view.match for view in views),
        )


def _set_totals(found: pb.Migration, done: Totals) -> None:
    found.groups_done = done.groups
    found.keys = done.keys
    found.bytes = done.bytes
    found.seconds = done.seconds
    found.rounds = done.rounds
    found.downtime = done.downtime


def _add_progress(
    found: pb.Migration, before: Totals, progress: agent_pb2.MigrationProgress
) -> None:
    """Put what the source last said over what the store last kept."""
    _set_totals(found, before + totals(progress))
    found.groups_ongoing = progress.groups_ongoing
    found.error = found.error or progress.error
    if found.groups_total:
        left = found.groups_total - before.groups
        found.share = (before.groups + left * progress.share) / found.groups_total
    if progress.share and not progress.rounds:  # what a later round takes says little
        found.seconds_left = (1 - progress.share) * progress.seconds / progress.share
