"""Requests by TCP on an asyncio loop: any number on one connection an agent."""

import asyncio
import socket
from collections.abc import Callable
from time import monotonic
from typing import Final, TypeAlias, cast

from hosts.client import _core
from hosts.client.stream import SLOWEST, Address
from hosts.wire import Flags, Header, Op, WireError
from hosts.wire.stream import StreamReader, frame_head, stream_address

Done: TypeAlias = Callable[[int, bytes | None], None]
"""Takes a status of _core and the RESP reply, if there is one."""
Ask: TypeAlias = Callable[[int, Callable[[Address | None], None]], None]
"""Finds an agent for a group, and hands on where it is, or None."""

_AGAIN_SECONDS: Final = 0.05
_LOOK_SECONDS: Final = 0.25


class _Link(asyncio.Protocol):
    """A connection to one agent."""

    def __init__(self, lost: Callable[["_Link"], None]) -> None:
        self._lost = lost
        self._reader = StreamReader(Op.REPLY)
        self._transport: asyncio.Transport | None = None
        self._early: list[bytes] = []
        self.open: dict[int, Longer] = {}  # what waits for replies, by seq
        self.progress = monotonic()
        self._unsent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what has waited for this."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.writelines(self._early)
        self._early = []

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody is answered here any more."""
        self._transport = None
        self._lost(self)

    def send(self, longer: "Longer", *pieces: bytes) -> None:
        """Send a request; its reply, or the loss of the connection, is told to it."""
        if not self.open:
            self.progress = monotonic()
        self.open[longer.seq] = longer
        if self._transport is None:
            self._early += pieces
        else:
            self._transport.writelines(pieces)

    def data_received(self, data: bytes) -> None:
        """Take replies."""
        self.progress = monotonic()
        self._reader.feed(data)
        try:
            while (found := self._reader.next()) is not None:
                self._take(*found)
        except WireError:
            self.abort()

    def _take(self, header: Header, reply: bytes) -> None:
        longer = self.open.get(header.seq)
        if longer is not None and longer.client == header.client:
            del self.open[header.seq]
            longer.answered(header.flags, reply)
        elif header.client == 0 and Flags.ERROR in header.flags:  # its last words
            those, self.open = self.open, {}
            for one in those.values():
                one.answered(header.flags, reply)

    def stuck(self, now: float, patience: float) -> bool:
        """Whether nothing has moved for so many seconds."""
        unsent = self._transport.get_write_buffer_size() if self._transport is not None else 0
        if unsent < self._unsent:
            self.progress = now
        self._unsent = unsent
        return bool(self.open) and now - self.progress > patience

    def abort(self) -> None:
        """End it; what waits goes another way."""
        if self._transport is not None:
            self._transport.abort()
        else:
            self._lost(self)


class Longer:
    """One request on its way: where to, until when."""

    def __init__(
        self, all_: "Streams", header: Header, payload: bytes, done: Done, patience: float
    ) -> None:
        self.client, self.seq = header.client, header.seq
        self.header, self.payload = header, payload
        self.expires = monotonic() + patience + len(payload) / SLOWEST
        self._all, self._done = all_, done

    def answered(self, flags: Flags, reply: bytes) -> None:
        """An agent has answered."""
        good = Flags.AUTHORITATIVE in flags
        self._done(_core.DONE if good else _core.REFUSED, reply)

    def lost(self) -> None:
        """The connection is gone: ask once more, while there is time."""
        if monotonic() < self.expires:
            asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._all.find, self)
        else:
            self._done(_core.TIMED_OUT, None)


class Streams:
    """All connections to agents."""

    def __init__(self, timeout: float, ask: Ask) -> None:
        """`timeout`: seconds without progress, and until a request is given up."""
        self._timeout = timeout
        self._ask = ask
        self._links: dict[Address, _Link] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking: asyncio.TimerHandle | None = None
        self._closed = False

    def start(self, header: Header, payload: bytes, done: Done, to: Address | None) -> None:
        """Send a request to an agent; None: find one first."""
        longer = Longer(self, header, payload, done, self._timeout)
        if to is None:
            self.find(longer)
        else:
            self._send(longer, to)

    def find(self, longer: Longer) -> None:
        """Ask where the request goes, and send it there."""
        if self._closed:
            return

        def found(to: Address | None) -> None:
            if to is None:
                longer.lost()
            else:
                self._send(longer, to)

        self._ask(longer.header.group, found)

    def _send(self, longer: Longer, to: Address) -> None:
        link = self._links.get(to)
        if link is None:
            link = self._links[to] = _Link(self._lost)
            task = asyncio.get_running_loop().create_task(self._connect(link, to))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        link.send(longer, frame_head(longer.header.pack(), len(longer.payload)), longer.payload)
        if self._looking is None:
            self._look()

    async def _connect(self, link: _Link, to: Address) -> None:
        loop = asyncio.get_running_loop()
        ip = socket.inet_ntoa(to[0].to_bytes(4))
        try:
            async with asyncio.timeout(self._timeout):
                await loop.create_connection(lambda: link, ip, to[1])
        except OSError:  # also for a timeout
            self._lost(link)

    def _lost(self, link: _Link) -> None:
        for to in [to for to, one in self._links.items() if one is link]:
            del self._links[to]
        those, link.open = link.open, {}
        for longer in those.values():
            longer.lost()

    def _look(self) -> None:
        """End connections on which nothing moves."""
        self._looking = None
        now = monotonic()
        for link in list(self._links.values()):
            if link.stuck(now, self._timeout):
                link.abort()
        if any(link.open for link in self._links.values()):
            loop = asyncio.get_running_loop()
            self._looking = loop.call_later(_LOOK_SECONDS, self._look)

    def close(self) -> None:
        """Close all connections; nobody is called back any more."""
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
        for task in self._tasks:
            task.cancel()
        for link in list(self._links.values()):
            link.open.clear()
            link.abort()


def address_of(payload: object) -> Address | None:
    """Return what the value of BY_STREAM names."""
    return stream_address(payload) if isinstance(payload, bytes) else None
