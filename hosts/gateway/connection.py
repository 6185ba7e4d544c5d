"""One Redis client's connection: its requests in, their replies out in the same order."""

import asyncio
from collections import deque

from hosts.client.errors import CommandError, CrossSlot, NoKey
from hosts.gateway import resp3
from hosts.gateway.farewell import farewell
from hosts.gateway.flow import Flow
from hosts.gateway.local import OK, Local, error
from hosts.gateway.requests import RequestError, Requests
from hosts.gateway.service import Service
from hosts.gateway.transaction import Transaction, Wanted
from hosts.wire import Op


class _Place:
    """A request's place in the order of replies."""

    __slots__ = ("reply", "size")

    def __init__(self, size: int) -> None:
        self.reply: bytes | None = None
        self.size = size  # bytes of the request, or of its reply


class Connection(Flow):
    """Commands of one group are sent one after the other, for datagrams may overtake each other;
    those of different groups need not wait."""

    def __init__(self, service: Service) -> None:
        super().__init__(service.room)
        self._service = service
        self._requests = Requests()
        self._local = Local(service.table, service.number(), service.info)
        self._transaction = Transaction(service.table)
        self._places: deque[_Place] = deque()
        self._groups: dict[int, deque[tuple[_Place, Op, Wanted]]] = {}
        self._flushing = False
        self._closing = False
        self._held = 0  # bytes of requests without a reply, and of replies that wait for others

    # --- asyncio.Protocol -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        super().connection_made(transport)
        self._service.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: what it has sent is executed, as Redis would."""
        self._transport = None
        self._service.connections -= 1
        self.share.hold(0)

    def eof_received(self) -> bool:
        """The client sends nothing more, but may wait for replies."""
        self._ended = True
        if self._requests.held:
            self._refuse("the last request is cut short")
        return bool(self._places)

    def data_received(self, data: bytes) -> None:
        """Take requests."""
        if self._closing:
            return
        self._requests.feed(data)
        if not self._account():
            self._refuse("clients hold as much memory here as they may")
        self._read()

    # --- requests ---------------------------------------------------------------------------------

    def _read(self) -> None:
        try:
            while not self._closing and not self._crowded():
                command = self._requests.next()
                if command is None:
                    break
                self._take(command)
        except RequestError as wrong:
            self._refuse(f"Protocol error: {wrong}")
        self._throttle()

    def _refuse(self, why: str) -> None:
        """What follows cannot be understood, or is too much: end the connection."""
        if not self._closing:
            self._closing = True
            self._requests = Requests()
            self._reply(self._place(0), error(why))

    @property
    def _waiting(self) -> int:
        return len(self._places)

    @property
    def _holds(self) -> int:
        return self._requests.held + self._held

    def _place(self, size: int) -> _Place:
        place = _Place(size)
        self._held += size
        self._places.append(place)
        return place

    def _take(self, command: tuple[bytes, ...]) -> None:
        self._service.commands += 1
        place = self._place(sum(map(len, command)))
        if command[0].upper() == b"QUIT":
            self._reply(place, OK)
            self._closing = True
            return
        wanted = self._transaction.take(command)
        if isinstance(wanted, bytes):
            self._reply(place, wanted)
        elif (answer := self._local.answer(wanted.command)) is not None:
            self._reply(place, answer)
        else:
            self._send(place, wanted)

    def _send(self, place: _Place, wanted: Wanted) -> None:
        try:
            route = self._service.table.route(wanted.command)
        except CrossSlot:
            text = "Keys in request don't hash to the same slot"
            self._reply(place, error(text, "CROSSSLOT"))
            return
        except (NoKey, CommandError) as wrong:
            self._reply(place, error(str(wrong)))
            return
        waiting = self._groups.get(route.group)
        if waiting is not None:
            waiting.append((place, route.op, wanted))
        else:
            self._groups[route.group] = deque()
            self._start(route.group, place, route.op, wanted)

    def _start(self, group: int, place: _Place, op: Op, wanted: Wanted) -> None:
        def done(reply: bytes) -> None:
            if self._local.protocol != 2:
                reply = resp3.convert(wanted, reply)
            self._reply(place, reply)
            waiting = self._groups[group]
            if waiting:
                self._start(group, *waiting.popleft())
            else:
                del self._groups[group]

        self._service.send(op, group, wanted.command, done)

    # --- replies ----------------------------------------------------------------------------------

    def _reply(self, place: _Place, reply: bytes) -> None:
        place.reply = reply
        self._held += len(reply) - place.size
        place.size = len(reply)
        if not self._flushing and self._places[0].reply is not None:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Write all replies that are due; then there may be room for more requests."""
        self._flushing = False
        ready: list[bytes] = []
        while self._places and (reply := self._places[0].reply) is not None:
            ready.append(reply)
            self._held -= self._places.popleft().size
        if self._transport is None:
            return
        self._transport.writelines(ready)
        self._account()
        if self._ended and not self._places:
            self._transport.close()
        elif self._closing and not self._places:
            farewell(self._transport)
            self.connection_lost(None)
        elif self._paused:
            self._read()
