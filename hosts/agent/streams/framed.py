"""A client's connection with queries as in datagrams (hosts/wire/stream.py)."""

from dataclasses import replace

from hosts.agent.streams.queries import Queries
from hosts.gateway.farewell import farewell
from hosts.gateway.flow import Flow
from hosts.gateway.room import Room
from hosts.wire import Flags, Header, Op, WireError, session_of
from hosts.wire.stream import StreamReader, frame_head


class Framed(Flow):
    """Queries in, replies out, as they come."""

    def __init__(self, queries: Queries, room: Room) -> None:
        super().__init__(room)
        self._queries = queries
        self._reader = StreamReader(Op.READ, Op.WRITE)
        self._open: dict[tuple[int, int], int] = {}  # bytes of each query without a reply
        self._asked = 0  # bytes of them all

    # --- asyncio.Protocol -------------------------------------------------------------------------

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

    def resume_writing(self) -> None:
        """The client reads its replies again: take what has waited for that."""
        super().resume_writing()
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
            while self._transport is not None and not (self._full or self._crowded()):
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
        self._asked -= self._open.pop(session_of(header), 0)
        if self._transport is None:
            return
        self._transport.writelines((frame_head(header, len(reply)), reply))
        self._account()
        if self._ended and not self._open:
            self._transport.close()
        elif self._paused:
            self._read()

    @property
    def _waiting(self) -> int:
        return len(self._open)

    @property
    def _holds(self) -> int:
        return self._reader.held + self._asked

    def _refuse(self, wrong: WireError) -> None:
        """Say what is wrong, and end the connection."""
        if self._transport is None:
            return
        reply = f"-ERR netmigrate: {wrong}\r\n".encode()
        header = Header(Op.REPLY, Flags.ERROR).pack()
        self._transport.writelines((frame_head(header, len(reply)), reply))
        farewell(self._transport)
        self.connection_lost(None)
