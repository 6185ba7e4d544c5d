"""A client's connection with queries as in datagrams (hosts/wire/stream.py)."""

import asyncio
from dataclasses import replace
from typing import Final, cast

from hosts.agent.streams.queries import Queries
from hosts.gateway.farewell import farewell
from hosts.gateway.room import Room, Share
from hosts.wire import Flags, Header, Op, WireError
from hosts.wire.stream import StreamReader, frame_head

_MOST: Final = 1024
"""Queries of a connection that may wait for their replies; then nothing more is read."""


class Framed(asyncio.Protocol):
    """Queries in, replies out, as they come."""

    def __init__(self, queries: Queries, room: Room) -> None:
        self._queries = queries
        self.share = Share(room)
        self._reader = StreamReader(Op.READ, Op.WRITE)
        self._open: dict[tuple[int, int], int] = {}  # bytes of each query without a reply
        self._asked = 0  # bytes of them all
        self._transport: asyncio.Transport | None = None
        self._full = False
        self._paused = False
        self._ended = False

    # --- asyncio.Protocol -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """What was sent is executed; its client asks again elsewhere if it wants to know."""
        self._transport = None
        for client, seq in self._open:
            self._queries.forget(client, seq, self._done)
        self.share.hold(0)

    def eof_received(self) -> bool:
        """The client sends nothing more, but may wait for replies."""
        self._ended = True
        if self._reader.held:
            self._refuse(WireError("the stream ends within a query"))
        return bool(self._open) and self._transport is not None

    def pause_writing(self) -> None:
        """The client does not read its replies."""
        self._full = True
        self._throttle()

    def resume_writing(self) -> None:
        """It does again."""
        self._full = False
        self._account()
        self._read()

    def data_received(self, data: bytes) -> None:
        """Take queries."""
        self._reader.feed(data)
        if not self._account():
            self._refuse(WireError("TCP clients hold as much memory here as they may"))
        self._read()

    # --- queries and replies ----------------------------------------------------------------------

    def _read(self) -> None:
        try:
            while self._transport is not None and not self._throttled():
                found = self._reader.next()
                if found is None:
                    break
                self._take(*found)
        except WireError as wrong:
            self._refuse(wrong)
        self._throttle()

    def _take(self, header: Header, payload: bytes) -> None:
        key = header.client, header.seq
        self._asked += len(payload) - self._open.get(key, 0)
        self._open[key] = len(payload)
        # nobody doubles a query by TCP; and a client that cannot ask a source is not sent there
        flags = Flags.RETRY if payload else header.flags & Flags.LONG
        self._queries.ask(replace(header, flags=flags), payload, self._done)

    def _done(self, flags: Flags, header: bytes, reply: bytes) -> None:
        key = int.from_bytes(header[12:20]), int.from_bytes(header[20:24])
        self._asked -= self._open.pop(key, 0)
        if self._transport is None:
            return
        self._transport.writelines((frame_head(header, len(reply)), reply))
        self._account()
        if self._ended and not self._open:
            self._transport.close()
        elif self._paused:
            self._read()

    def _account(self) -> bool:
        if self._transport is None:
            return True
        waiting = self._transport.get_write_buffer_size()
        return self.share.hold(self._reader.held + self._asked + waiting)

    def _throttled(self) -> bool:
        return self._full or len(self._open) >= _MOST

    def _throttle(self) -> None:
        paused = self._throttled()
        if self._transport is None or self._transport.is_closing() or paused == self._paused:
            return
        self._paused = paused
        (self._transport.pause_reading if paused else self._transport.resume_reading)()

    def _refuse(self, wrong: WireError) -> None:
        """Say what is wrong, and end the connection."""
        if self._transport is None:
            return
        reply = f"-ERR netmigrate: {wrong}\r\n".encode()
        header = Header(Op.REPLY, Flags.ERROR).pack()
        self._transport.writelines((frame_head(header, len(reply)), reply))
        farewell(self._transport)
        self.connection_lost(None)
