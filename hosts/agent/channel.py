"""The TCP connections between agents: one outgoing link a peer, any number of incoming ones."""

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final, cast

from hosts.agent import frames
from hosts.agent.frames import FrameError, Kind

log = logging.getLogger("netmigrate.agent")

HIGH_WATER: Final = 1 << 20
_QUEUE: Final = 1 << 20
_SLICE_SECONDS: Final = 0.001
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
        self, own: int, peer: Server, up: Callable[[int], None], writable: Callable[[int], None]
    ) -> None:
        self.peer = peer
        self._own = own
        self._up = up
        self._writable = writable
        self._transport: asyncio.Transport | None = None
        self._lost = asyncio.Event()
        self._out: list[bytes] = []
        self._full = False
        self._task = asyncio.create_task(self._keep_connected())

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        delay = _RETRY[0]
        while True:
            self._lost.clear()
            try:
                await loop.create_connection(lambda: self, self.peer.ip, self.peer.channel_port)
            except OSError:
                await asyncio.sleep(delay)
                delay = min(2 * delay, _RETRY[1])
                continue
            await self._lost.wait()
            delay = _RETRY[0]
            await asyncio.sleep(delay)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say HELLO, and let those who wait for answers send again."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(HIGH_WATER)
        notice_death(self._transport)
        self._transport.write(frames.hello(self._own))
        self._full = False
        self._up(self.peer.index)

    def connection_lost(self, exc: Exception | None) -> None:
        """Connect again."""
        self._transport = None
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
        return self._transport is not None

    @property
    def ready(self) -> bool:
        """Whether bulk data may be sent now."""
        return self._transport is not None and not self._full

    def send(self, kind: Kind, *parts: bytes) -> int:
        """Send one frame; return its length, 0 without a connection."""
        if self._transport is None:
            return 0
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        data = frames.frame(kind, *parts)
        self._out.append(data)
        return len(data)

    def _flush(self) -> None:
        if self._transport is not None and self._out:
            self._transport.writelines(self._out)
        self._out.clear()

    def close(self) -> None:
        """Stop for good."""
        self._task.cancel()
        self._flush()
        if self._transport is not None:
            self._transport.close()


class Incoming(asyncio.Protocol):
    """Frames from one peer. They are handled in order, a millisecond's worth at a time, so that
    queries are not kept waiting."""

    def __init__(
        self,
        hello: Callable[[int], None],
        handle: Callable[[int, Kind, memoryview], None],
        malformed: Callable[[], None],
    ) -> None:
        self._hello = hello
        self._handle = handle
        self._malformed = malformed
        self._peer = 0
        self._splitter = frames.Splitter()
        self._queue: deque[tuple[Kind, bytes]] = deque()
        self._queued = 0
        self._scheduled = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for HELLO."""
        self._transport = cast(asyncio.Transport, transport)
        notice_death(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """What has arrived is still handled; the peer sends again what was not answered."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Queue the frames that are complete."""
        try:
            for kind, body in self._splitter.feed(data):
                self._queue.append((kind, body))
                self._queued += len(body)
        except FrameError as error:
            self._refuse(error)
        if self._transport is not None and self._queued > _QUEUE:
            self._transport.pause_reading()
        if self._queue and not self._scheduled:
            self._scheduled = True
            self._run()

    def _run(self) -> None:
        self._scheduled = False
        end = monotonic() + _SLICE_SECONDS
        while self._queue:
            kind, body = self._queue.popleft()
            self._queued -= len(body)
            try:
                self._take(kind, memoryview(body))
            except ValueError as error:
                self._refuse(error)
                return
            if monotonic() >= end:
                break
        if self._queue:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run)
        if self._transport is not None and self._queued <= _QUEUE:
            self._transport.resume_reading()

    def _take(self, kind: Kind, body: memoryview) -> None:
        if kind is Kind.HELLO:
            self._peer = frames.read_hello(body)
            self._hello(self._peer)
        elif not self._peer:
            raise FrameError("the first frame is not HELLO")
        else:
            self._handle(self._peer, kind, body)

    def _refuse(self, error: ValueError) -> None:
        address = self._transport and self._transport.get_extra_info("peername")
        log.warning("channel from %s (server %d) closed: %s", address, self._peer, error)
        self._malformed()
        self.close()

    def close(self) -> None:
        """Take nothing more."""
        self._queue.clear()
        self._queued = 0
        if self._transport is not None:
            self._transport.abort()
