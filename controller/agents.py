"""The agents, through gRPC: every call with an error that names the agent."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final

import grpc

from controller.config import Config, Server
from controller.errors import RefusedError, UnreachableError
from controller.model import Migration, Partition
from controller.partitions import Range
from hosts.agent import agent_pb2 as pb
from hosts.agent.agent_pb2_grpc import AgentStub
from hosts.credentials import Tls, handshake_trouble

log = logging.getLogger(__name__)

_TIMEOUT: Final = 5.0
_CHANNEL_OPTIONS: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_http_proxy", 0),
)
_SILENT: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


class UnknownMigrationError(RefusedError):
    """The agent has never heard of the migration."""


class Agents:
    """One channel to each server's agent; they connect when they are first needed."""

    def __init__(self, config: Config, tls: Tls | None) -> None:
        self._config = config
        self._tls = tls
        self._channels = {server.name: self._channel(server) for server in config.servers}
        self._stubs: dict[str, Any] = {
            name: AgentStub(channel) for name, channel in self._channels.items()
        }

    def _secure(self, server: Server) -> bool:
        """Whether there is a network between us."""
        return self._tls is not None and not server.agent.startswith("unix:")

    def _channel(self, server: Server) -> grpc.aio.Channel:
        if self._tls is None or not self._secure(server):
            return grpc.aio.insecure_channel(server.agent, options=_CHANNEL_OPTIONS)
        credentials = grpc.ssl_channel_credentials(self._tls.ca, self._tls.key, self._tls.chain)
        return grpc.aio.secure_channel(server.agent, credentials, options=_CHANNEL_OPTIONS)

    async def close(self) -> None:
        """Close all channels."""
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))

    def _name(self, server: str) -> str:
        return f"agent of {server} ({self._config.server_named(server).agent})"

    def _error(self, server: str, error: grpc.aio.AioRpcError) -> Exception:
        agent = self._name(server)
        details = error.details() or error.code().name
        # An agent that does answer is UNAVAILABLE only because its store is.
        if error.code() in _SILENT and "store" not in details:
            secure = self._secure(self._config.server_named(server))
            why = handshake_trouble(details, secure=secure) or "is netmigrate-agent running there?"
            return UnreachableError(f"{agent} does not answer: {why}")
        kind = UnknownMigrationError if error.code() == grpc.StatusCode.NOT_FOUND else RefusedError
        return kind(f"{agent}: {details}")

    async def _call(self, server: str, method: str, request: object) -> Any:
        try:
            return await getattr(self._stubs[server], method)(request, timeout=_TIMEOUT)
        except grpc.aio.AioRpcError as error:
            raise self._error(server, error) from None

    async def status(self, server: str) -> pb.AgentStatus:
        """Return how `server` is."""
        reply: pb.AgentStatus = await self._call(server, "GetStatus", pb.StatusRequest())
        return reply

    async def groups(self, server: str) -> pb.GroupTable:
        """Return what `server` knows of every group."""
        reply: pb.GroupTable = await self._call(server, "GetGroups", pb.GroupsRequest())
        return reply

    async def assign(self, server: str, partitions: Iterable[Partition]) -> None:
        """Tell `server` of the service, all servers, and where `partitions` live."""
        service = self._config.service
        request = pb.AssignRequest(
            service=service.id,
            vip=service.vip,
            port=service.port,
            servers=[_server(each) for each in self._config.servers],
            placements=[
                pb.Placement(
                    groups=_groups(each.groups),
                    server=self._config.server_named(each.server).index,
                )
                for each in partitions
            ],
        )
        await self._call(server, "AssignGroups", request)

    async def accept(self, migration: Migration) -> None:
        """Tell the destination what will come."""
        request = pb.AcceptRequest(
            migration=migration.id,
            source=_server(self._config.server_named(migration.source)),
            groups=[_groups(each) for each in migration.groups],
            group_batch=migration.batch,
            protocol=_protocol(migration),
        )
        await self._call(migration.destination, "AcceptMigration", request)

    async def start(self, migration: Migration) -> None:
        """Tell the source to begin."""
        request = pb.StartRequest(
            migration=migration.id,
            destination=_server(self._config.server_named(migration.destination)),
            groups=[_groups(each) for each in migration.groups],
            lanes=migration.settings.lanes,
            throttle=migration.settings.throttle,
            group_batch=migration.batch,
            protocol=_protocol(migration),
            stop_bytes=migration.settings.stop_bytes,
        )
        await self._call(migration.source, "StartMigration", request)

    async def pause(self, migration: Migration, *, drain: bool) -> None:
        """Pause at the source; `drain`: after the groups in flight."""
        request = pb.PauseRequest(migration=migration.id, drain=drain)
        await self._call(migration.source, "PauseMigration", request)

    async def resume(self, migration: Migration) -> None:
        """Let the source go on."""
        request = pb.MigrationRef(migration=migration.id)
        await self._call(migration.source, "ResumeMigration", request)

    async def set_throttle(self, migration: Migration, throttle: int) -> None:
        """Change the source's throttle."""
        request = pb.ThrottleRequest(migration=migration.id, throttle=throttle)
        await self._call(migration.source, "SetThrottle", request)

    async def stop(self, migration: Migration) -> None:
        """Let the source finish the groups in flight and then end."""
        request = pb.MigrationRef(migration=migration.id)
        await self._call(migration.source, "StopMigration", request)

    async def truth(self, migration: Migration) -> pb.MigrationTruth:
        """Return the source's exact view of a migration."""
        request = pb.MigrationRef(migration=migration.id)
        reply: pb.MigrationTruth = await self._call(migration.source, "GetMigration", request)
        return reply

    async def watch(self, migration: Migration) -> AsyncIterator[pb.MigrationProgress]:
        """Yield the source's progress until the migration ends there."""
        call = self._stubs[migration.source].WatchMigration(pb.WatchRequest(migration=migration.id))
        try:
            while True:
                progress = await asyncio.wait_for(call.read(), _TIMEOUT)
                if progress is grpc.aio.EOF:
                    return
                yield progress
        except grpc.aio.AioRpcError as error:
            raise self._error(migration.source, error) from None
        except TimeoutError:
            raise UnreachableError(f"{self._name(migration.source)} has fallen silent") from None
        finally:
            call.cancel()


async def place(agents: Agents, server: str, partitions: Sequence[Partition]) -> None:
    """First placement: tell `server` of the service, unless it has been told before."""
    if (await agents.status(server)).service == 0:
        await agents.assign(server, partitions)
        log.info("agent of %s: told of the service and %d partitions", server, len(partitions))


def _server(server: Server) -> pb.Server:
    return pb.Server(
        index=server.index,
        name=server.name,
        ip=server.ip,
        udp_port=server.udp_port,
        channel_port=server.channel_port,
    )


def _protocol(migration: Migration) -> pb.Protocol.ValueType:
    return pb.Protocol.Value(migration.settings.protocol.name)


def _groups(groups: Range) -> pb.GroupRange:
    return pb.GroupRange(first=groups.first, last=groups.last)
