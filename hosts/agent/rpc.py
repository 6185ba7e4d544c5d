"""The agent's gRPC service (agent.proto): what the controller may ask."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc

from hosts.agent import agent_pb2 as pb
from hosts.agent import agent_pb2_grpc
from hosts.agent.agent import Agent
from hosts.agent.channel import Server
from hosts.agent.emigration.mover import FINAL, Mover, Status
from hosts.agent.orders import NotReadyError
from hosts.agent.protocols import Protocol
from hosts.agent.store import fields_of
from hosts.credentials import Tls, private
from hosts.wire import GROUPS

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_INTERVAL_MS = 200


def _server(message: pb.Server) -> Server:
    return Server(message.index, message.name, message.ip, message.udp_port, message.channel_port)


def _ranges(messages: Iterable[pb.GroupRange]) -> list[range]:
    return [range(message.first, message.last + 1) for message in messages]


def _progress(emigration: Mover) -> pb.MigrationProgress:
    return pb.MigrationProgress(
        migration=emigration.number,
        state=pb.MigrationState.ValueType(emigration.status),
        groups_total=emigration.total,
        groups_done=len(emigration.done),
        groups_ongoing=len(emigration.ongoing),
        keys_sent=emigration.keys_sent,
        bytes_sent=emigration.bytes_sent,
        seconds=emigration.seconds,
        throttle=emigration.throttle.rate,
        error=emigration.error or emigration.obstacle,
        lanes=len(emigration.lane_sequences),
        protocol=pb.Protocol.ValueType(emigration.protocol),
        rounds=emigration.rounds,
        downtime=emigration.downtime,
        share=emigration.share,
    )


@asynccontextmanager
async def _complaints(context: Context) -> AsyncIterator[None]:
    """Turn the agent's complaints into gRPC statuses."""
    try:
        yield
    except KeyError as error:
        await context.abort(grpc.StatusCode.NOT_FOUND, str(error.args[0]))
    except NotReadyError as error:
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
    except ValueError as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except ConnectionError as error:
        await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
    except OSError as error:  # what must outlive the process cannot be written down
        why = f"{error.filename or 'its files'}: {error.strerror}"
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, why)


class AgentService(agent_pb2_grpc.AgentServicer):
    """agent.proto, served on the agent's own event loop."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def _emigration(self, number: int) -> Mover:
        try:
            return self._agent.emigrations.known[number]
        except KeyError:
            name = self._agent.settings.own.name
            raise KeyError(f"{name} is not the source of a migration {number}") from None

    async def GetStatus(self, request: pb.StatusRequest, context: Context) -> pb.AgentStatus:
        """What this agent is and has."""
        async with _complaints(context):
            agent = self._agent
            keys, memory = agent.core.call([[b"DBSIZE"], [b"INFO", b"memory"]])
            return pb.AgentStatus(
                server=agent.settings.own.name,
                service=agent.core.service,
                keys=keys if isinstance(keys, int) else 0,
                store_memory=int(fields_of(memory).get("used_memory", 0)),
                agent_memory=_resident(),
                counters=agent.counters.all(),
                migrations=[
                    _progress(emigration) for emigration in agent.emigrations.known.values()
                ],
                store=agent.store_version,
                groups=agent.table.counts(),
            )

    async def GetGroups(self, request: pb.GroupsRequest, context: Context) -> pb.GroupTable:
        """State and known owner of every group."""
        table = self._agent.table
        return pb.GroupTable(
            states=table.states.tobytes(), owners=table.owners.astype(">u2").tobytes()
        )

    async def AssignGroups(self, request: pb.AssignRequest, context: Context) -> pb.AssignReply:
        """First placement."""
        async with _complaints(context):
            for placement in request.placements:
                if (
                    placement.groups.last >= GROUPS
                    or placement.groups.first > placement.groups.last
                ):
                    raise ValueError(f"groups {placement.groups.first} to {placement.groups.last}")
            if not 0 < request.service < 1 << 16:
                raise ValueError(f"service {request.service}: 1 to 65535 are possible")
            self._agent.service.assign(
                request.service,
                (request.vip, request.port),
                [_server(server) for server in request.servers],
                [
                    (range(placement.groups.first, placement.groups.last + 1), placement.server)
                    for placement in request.placements
                ],
            )
            return pb.AssignReply()

    async def AcceptMigration(self, request: pb.AcceptRequest, context: Context) -> pb.AcceptReply:
        """Be the destination."""
        async with _complaints(context):
            _check_number(request.migration)
            self._agent.immigrations.accept(
                request.migration,
                _server(request.source),
                _ranges(request.groups),
                request.group_batch or 1,
                _protocol(request.protocol),
            )
            return pb.AcceptReply()

    async def StartMigration(
        self, request: pb.StartRequest, context: Context
    ) -> pb.MigrationProgress:
        """Be the source."""
        async with _complaints(context):
            _check_number(request.migration)
            return _progress(
                self._agent.emigrations.start(
                    request.migration,
                    _server(request.destination),
                    _ranges(request.groups),
                    request.lanes,
                    request.throttle,
                    _protocol(request.protocol),
                    request.group_batch or 1,
                    request.stop_bytes,
                )
            )

    async def PauseMigration(
        self, request: pb.PauseRequest, context: Context
    ) -> pb.MigrationProgress:
        """Pause; with drain, the state is PAUSED once the groups in flight have arrived."""
        async with _complaints(context):
            emigration = self._emigration(request.migration)
            try:
                emigration.pause(request.drain)
            except ValueError as error:
                raise NotReadyError(str(error)) from None
            return _progress(emigration)

    async def ResumeMigration(
        self, request: pb.MigrationRef, context: Context
    ) -> pb.MigrationProgress:
        """Go on."""
        async with _complaints(context):
            emigration = self._emigration(request.migration)
            try:
                emigration.resume()
            except ValueError as error:
                raise NotReadyError(str(error)) from None
            return _progress(emigration)

    async def SetThrottle(
        self, request: pb.ThrottleRequest, context: Context
    ) -> pb.MigrationProgress:
        """Change the rate."""
        async with _complaints(context):
            emigration = self._emigration(request.migration)
            emigration.set_throttle(request.throttle)
            return _progress(emigration)

    async def StopMigration(
        self, request: pb.MigrationRef, context: Context
    ) -> pb.MigrationProgress:
        """Finish the groups in flight and start no more."""
        async with _complaints(context):
            emigration = self._emigration(request.migration)
            emigration.stop()
            return _progress(emigration)

    async def WatchMigration(
        self, request: pb.WatchRequest, context: Context
    ) -> AsyncIterator[pb.MigrationProgress]:
        """Progress until the migration is over, or has failed."""
        try:
            emigration = self._emigration(request.migration)
        except KeyError as error:
            await context.abort(grpc.StatusCode.NOT_FOUND, str(error.args[0]))
        interval = (request.interval_ms or _INTERVAL_MS) / 1000
        while True:
            # taken before the message goes out: meanwhile everything may change
            changed = emigration.changed
            over = emigration.status in FINAL or emigration.status is Status.FAILED
            yield _progress(emigration)
            if over:
                return
            try:
                await asyncio.wait_for(changed.wait(), interval)
            except TimeoutError:
                continue

    async def GetMigration(self, request: pb.MigrationRef, context: Context) -> pb.MigrationTruth:
        """The source's exact view."""
        async with _complaints(context):
            emigration = self._emigration(request.migration)
            migrated = bytearray(GROUPS)
            for group in emigration.done:
                migrated[group] = 1
            return pb.MigrationTruth(
                progress=_progress(emigration),
                groups=[
                    pb.GroupRange(first=groups.start, last=groups.stop - 1)
                    for groups in emigration.ranges
                ],
                ongoing=emigration.ongoing,
                migrated=bytes(migrated),
                lane_sequences=emigration.lane_sequences,
            )


def _check_number(number: int) -> None:
    if not 0 < number < 1 << 16:
        raise ValueError(f"migration {number}: 1 to 65535 are possible")


def _protocol(number: int) -> Protocol:
    try:
        return Protocol(number)
    except ValueError:
        raise ValueError(f"protocol {number} is not known here") from None


def _resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096


async def serve(agent: Agent, where: str, tls: Tls | None = None) -> grpc.aio.Server:
    """Serve the agent at `where`: unix:/path, for this user alone, or ip:port, for whoever has a
    certificate of the CA (without `tls`: for everybody)."""
    server = grpc.aio.server()
    agent_pb2_grpc.add_AgentServicer_to_server(AgentService(agent), server)
    if tls is None or where.startswith("unix:"):
        with private():
            server.add_insecure_port(where)
    else:
        server.add_secure_port(
            where,
            grpc.ssl_server_credentials(
                [(tls.key, tls.chain)], root_certificates=tls.ca, require_client_auth=True
            ),
        )
    await server.start()
    return server
