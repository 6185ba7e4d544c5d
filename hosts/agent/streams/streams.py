"""The agent's TCP port for clients."""

import asyncio
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, cast
from weakref import WeakSet

from hosts.agent._core import Query
from hosts.agent.channel import notice_death
from hosts.agent.node import Node, address
from hosts.agent.streams.commands import Commands
from hosts.agent.streams.framed import Framed
from hosts.agent.streams.queries import Queries
from hosts.gateway.connection import Connection
from hosts.gateway.farewell import farewell
from hosts.gateway.local import error
from hosts.wire import MAGIC

CONNECTIONS: Final = 10_000
ROOM: Final = 1 << 30
_LOOK_SECONDS: Final = 1.0
_MAGIC: Final = MAGIC.to_bytes(2)


@dataclass(frozen=True, slots=True)
class Tcp:
    """What the command line says of clients by TCP."""

    port: int = 0
    """0: any that is free."""
    connections: int = CONNECTIONS
    room: int = ROOM
    """Bytes of requests and replies that all of them may have in memory."""


class Streams:
    """Listens, and gives each connection to who speaks its protocol."""

    def __init__(self, node: Node, settings: Tcp, slow: Callable[[Iterable[Query]], None]) -> None:
        self._node = node
        self._settings = settings
        self.queries = Queries(node, slow)
        self._commands = Commands(node, self.queries)
        self._server: asyncio.Server | None = None
        self._open: WeakSet[asyncio.Transport] = WeakSet()
        self._looking: asyncio.TimerHandle | None = None
        node.core.room = settings.room

    async def start(self) -> None:
        """Listen; OSError with one line that says why it cannot."""
        ip = self._node.own.ip
        loop = asyncio.get_running_loop()
        port = self._settings.port
        try:
            self._server = await loop.create_server(lambda: _Newcomer(self), ip, port)
        except OSError as wrong:
            reason = os.strerror(wrong.errno) if wrong.errno else str(wrong)
            raise OSError(f"TCP port {ip}:{port}: {reason}") from None
        self._look()
        self._node.core.streams(self.queries.answers.answered, address(ip), self.port)

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    def link_up(self, peer: int) -> None:
        """The channel to a peer is new."""
        self.queries.resend()
        self.queries.answers.send(peer)

    def admit(self, transport: asyncio.Transport) -> bool:
        """Whether one more connection may come."""
        most = self._settings.connections
        if len(self._open) >= most and sum(not one.is_closing() for one in self._open) >= most:
            transport.write(error("max number of clients reached"))
            farewell(transport)
            return False
        self._open.add(transport)
        return True

    def speaker(self, first: bytes) -> Connection | Framed | None:
        """Return who speaks the protocol of a connection that begins so; None: it is too early."""
        if not first.startswith(_MAGIC[:1]):
            return Connection(self._commands)
        if len(first) < len(_MAGIC):
            return None
        if first.startswith(_MAGIC):
            return Framed(self.queries, self._node.core)
        return Connection(self._commands)

    def _look(self) -> None:
        """End connections that keep to themselves what others could use."""
        self._looking = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look)
        for transport in list(self._open):
            speaker = transport.get_protocol()
            if isinstance(speaker, Connection | Framed) and speaker.share.stuck():
                self._node.counters.add("stuck_connections")
                transport.abort()

    def close(self) -> None:
        """Take nothing more."""
        if self._looking is not None:
            self._looking.cancel()
        if self._server is not None:
            self._server.close()
        for transport in list(self._open):
            if not transport.is_closing():
                transport.abort()
        self._node.core.streams(None, 0, 0)
        self.queries.close()


class _Newcomer(asyncio.Protocol):
    """A connection whose protocol is not known yet."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self._first = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first bytes."""
        transport = cast(asyncio.Transport, transport)
        if self._streams.admit(transport):
            notice_death(transport)
            self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """It has ended before it began."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """See what it is."""
        self._first += data
        speaker = self._streams.speaker(self._first)
        if speaker is None or self._transport is None:
            return
        transport, self._transport = self._transport, None
        transport.set_protocol(speaker)
        speaker.connection_made(transport)
        speaker.data_received(self._first)
