"""The connection that an agent opens to each of the others; incoming.py has the other end."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from hosts.agent import frames, handshake
from hosts.agent.frames import FrameError, Kind
from hosts.agent.handshake import Connecting, Secret

log = logging.getLogger("netmigrate.agent")

HIGH_WATER: Final = 1 << 20
SWAMPED: Final = 1 << 26
"""Bytes that may wait for a peer before queries for it are dropped."""

_RETRY: Final = (0.02, 1.0)


@dataclass(frozen=True, slots=True)
class Server:
    """A server as the others reach it."""

    index: int
    name: str
    ip: str
    udp_port: int
    channel_port: int


def notice_death(transport: asyncio.Transport) -> None:
    """Let the kernel give up on a peer that vanished without a word, within seconds."""
    sock: socket.socket = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        (socket.TCP_KEEPIDLE, 2),
        (socket.TCP_KEEPINTVL, 1),
        (socket.TCP_KEEPCNT, 3),
        (socket.TCP_USER_TIMEOUT, 5000),
    ):
        sock.setsockopt(socket.IPPROTO_TCP, option, value)


class Link(asyncio.Protocol):
    """Frames to one peer. While there is no connection they are lost: whoever needs an answer
    sends again when `up` is called."""

    def __init__(
        self,
        own: int,
        peer: Server,
        secret: Secret | None,
        up: Callable[[int], None],
        writable: Callable[[int], None],
    ) -> None:
        self.peer = peer
        self.complaint = ""
        """Why there is no connection, as far as that is known."""
        self._own = own
        self._secret = secret
        self._up = up
        self._writable = writable
        self._transport: asyncio.Transport | None = None
        self._handshake = Connecting(own, peer.index, secret)
        self._splitter = frames.Splitter(handshake.LONGEST)
        self._patience: asyncio.TimerHandle | None = None
        self._refused = False
        self._lost = asyncio.Event()
        self._out: list[bytes] = []
        self._full = False
        self._task = asyncio.create_task(self._keep_connected())

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        delay = _RETRY[0]
        while True:
            self._lost.clear()
            self._refused = False
            try:
                await loop.create_connection(lambda: self, self.peer.ip, self.peer.channel_port)
                await self._lost.wait()
            except OSError as error:
                self._refused = True
                # it may just be starting, so this is not logged
                self.complaint = os.strerror(error.errno) if error.errno else str(error)
            delay = min(2 * delay, _RETRY[1]) if self._refused else _RETRY[0]
            await asyncio.sleep(delay)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say HELLO."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(HIGH_WATER)
        notice_death(self._transport)
        self._handshake = Connecting(self._own, self.peer.index, self._secret)
        self._splitter = frames.Splitter(handshake.LONGEST)
        self._full = False
        self._transport.write(self._handshake.hello())
        if self.connected:
            self._up(self.peer.index)
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(handshake.SECONDS, self._lose_patience)

    def _lose_patience(self) -> None:
        """By now we must trust each other; without a secret: it would have refused us by now."""
        if self.connected:
            self.complaint = ""
        else:
            self._end("it does not show who it is: is that an agent?")

    def data_received(self, data: bytes) -> None:
        """The peer answers HELLO, or refuses us. Nothing else comes on this connection."""
        trusted = self._handshake.trusted
        try:
            for kind, body in self._splitter.feed(data):
                answer = self._handshake.take(kind, body)
                if self._transport is not None:
                    self._transport.write(answer)
        except FrameError as error:
            self._end(str(error))
            return
        if self.connected and not trusted:
            self.complaint = ""
            self._up(self.peer.index)

    def _end(self, why: str) -> None:
        self._refused = True
        self._complain(why)
        if self._transport is not None:
            self._transport.abort()

    def _complain(self, why: str) -> None:
        if why != self.complaint:
            name, ip, port = self.peer.name, self.peer.ip, self.peer.channel_port
            log.warning("no channel to %s (%s:%d): %s", name, ip, port, why)
        self.complaint = why

    def connection_lost(self, exc: Exception | None) -> None:
        """Connect again."""
        if not self.connected and not self._refused:
            self._refused = True
            self._complain("it closes the connection before it has shown who it is")
        self._transport = None
        if self._patience is not None:
            self._patience.cancel()
        self._out.clear()
        self._lost.set()

    def pause_writing(self) -> None:
        """The peer does not keep up."""
        self._full = True

    def resume_writing(self) -> None:
        """It does again."""
        self._full = False
        self._writable(self.peer.index)

    @property
    def connected(self) -> bool:
        """Whether a frame sent now has a chance."""
        return self._transport is not None and self._handshake.trusted

    @property
    def ready(self) -> bool:
        """Whether bulk data may be sent now."""
        return self.connected and not self._full

    @property
    def swamped(self) -> bool:
        """Whether so much waits already that a query had better be dropped: the client resends."""
        return self._transport is not None and self._transport.get_write_buffer_size() > SWAMPED

    def send(self, kind: Kind, *parts: bytes) -> int:
        """Send one frame; return its length, 0 without a connection."""
        if not self.connected:
            return 0
        if not self._out:
            asyncio.get_running_loop().call_soon(self.flush)
        data = frames.frame(kind, *parts)
        self._out.append(data)
        return len(data)

    def flush(self) -> None:
        """Let what was sent go now, rather than at the end of this turn of the loop."""
        if self._transport is not None and self._out:
            self._transport.writelines(self._out)
        self._out.clear()

    def close(self) -> None:
        """Stop for good."""
        self._task.cancel()
        if self._patience is not None:
            self._patience.cancel()
        self.flush()
        if self._transport is not None:
            self._transport.close()
