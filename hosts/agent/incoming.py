"""The connections that other agents open, and how many strangers may hold one open."""

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Final, cast

from hosts.agent import frames, handshake
from hosts.agent.channel import notice_death
from hosts.agent.complaints import Complaints
from hosts.agent.frames import FrameError, Kind
from hosts.agent.handshake import Accepting, Secret, UntrustedError

STRANGERS: Final = 64
"""Connections that are not trusted yet. One more ends the oldest of them."""
CONNECTIONS: Final = 1024
"""All connections. One more is ended at once."""

_QUEUE: Final = 1 << 20
_SLICE_SECONDS: Final = 0.001


class Door:
    """Lets connections in: only who is trusted stays."""

    def __init__(
        self,
        own: int,
        secret: Secret | None,
        *,
        trusted: Callable[[int], None],
        handle: Callable[[int, Kind, memoryview], None],
        malformed: Callable[[], None],
        full: Callable[[], bool],
    ) -> None:
        self.trusted = trusted
        self.handle = handle
        self.full = full  # whether what has been handled still waits for the store
        self._own, self._secret = own, secret
        self._malformed = malformed
        self._complaints = Complaints()
        self._strangers: dict[Incoming, None] = {}  # the oldest first
        self._all: set[Incoming] = set()

    def enter(self) -> "Incoming":
        """Return the protocol of a new connection."""
        return Incoming(self, Accepting(self._own, self._secret))

    def opened(self, connection: "Incoming") -> bool:
        """Whether a new connection may stay for the moment."""
        if len(self._all) >= CONNECTIONS:
            self.complain(connection, "closed: there are too many")
            return False
        self._all.add(connection)
        self._strangers[connection] = None
        if len(self._strangers) > STRANGERS:
            next(iter(self._strangers)).refuse("too many others do not say who they are")
        return True

    def proven(self, connection: "Incoming") -> None:
        """It is no stranger any more."""
        self._strangers.pop(connection, None)
        self.trusted(connection.peer)

    def closed(self, connection: "Incoming") -> None:
        """It has ended."""
        self._all.discard(connection)
        self._strangers.pop(connection, None)

    def complain(self, connection: "Incoming", why: str) -> None:
        """Count and log what was wrong with a connection."""
        self._malformed()
        self._complaints.add(f"channel from {connection.name} {why}")

    def go_on(self) -> None:
        """There is room again."""
        for connection in self._all:
            connection.go_on()

    def close(self) -> None:
        """End all connections."""
        for connection in list(self._all):
            connection.close()


class Incoming(asyncio.Protocol):
    """Frames from one peer. They are handled in order, a millisecond's worth at a time, so that
    queries are not kept waiting."""

    def __init__(self, door: Door, handshake_: Accepting) -> None:
        self._door = door
        self._handshake = handshake_
        self._splitter = frames.Splitter(handshake.LONGEST)
        self._queue: deque[tuple[Kind, bytes]] = deque()
        self._queued = 0
        self._scheduled = False
        self._transport: asyncio.Transport | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._refused = False
        self.name = "?"

    @property
    def peer(self) -> int:
        """The server at the other end, 0 while it is not trusted."""
        return self._handshake.peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for HELLO."""
        self._transport = cast(asyncio.Transport, transport)
        address = transport.get_extra_info("peername")
        self.name = address[0] if address else "?"
        if not self._door.opened(self):
            self.close()
            return
        notice_death(self._transport)
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(handshake.SECONDS, self._lose_patience)

    def _lose_patience(self) -> None:
        if self._refused:  # it was told why
            self.close()
        else:
            self.refuse("it has not said who it is in time")

    def connection_lost(self, exc: Exception | None) -> None:
        """What has arrived is still handled; the peer sends again what was not answered."""
        self._transport = None
        self._forget()

    def _forget(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._door.closed(self)

    def data_received(self, data: bytes) -> None:
        """Queue the frames that are complete."""
        if self._refused:
            return
        try:
            for kind, body in self._splitter.feed(data):
                if not self.peer:
                    self._greet(kind, body)
                    continue
                self._queue.append((kind, body))
                self._queued += len(body)
        except UntrustedError as error:
            self._turn_away(str(error))
        except FrameError as error:
            self.refuse(str(error))
        if self._transport is not None and (self._queued > _QUEUE or self._door.full()):
            self._transport.pause_reading()
        if self._queue and not self._scheduled:
            self._scheduled = True
            self._run()

    def _greet(self, kind: Kind, body: bytes) -> None:
        answer = self._handshake.take(kind, body)
        if answer and self._transport is not None:
            self._transport.write(answer)
        if self.peer:
            if self._patience is not None:
                self._patience.cancel()
            self._splitter.longest = frames.LONGEST
            self.name = f"{self.name} (server {self.peer})"
            self._door.proven(self)

    def _run(self) -> None:
        self._scheduled = False
        end = monotonic() + _SLICE_SECONDS
        while self._queue:
            kind, body = self._queue.popleft()
            self._queued -= len(body)
            try:
                self._door.handle(self.peer, kind, memoryview(body))
            except ValueError as error:
                self.refuse(str(error))
                return
            if monotonic() >= end:
                break
        if self._queue:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run)
        self.go_on()

    def go_on(self) -> None:
        """Read on, if there is room."""
        if self._transport is not None and self._queued <= _QUEUE and not self._door.full():
            self._transport.resume_reading()

    def refuse(self, why: str) -> None:
        """End the connection and say why."""
        self._door.complain(self, f"closed: {why}")
        self.close()

    def _turn_away(self, why: str) -> None:
        """Tell the other end why and let it hang up: were it cut off, it might never hear that."""
        self._door.complain(self, f"refused: {why}")
        self._refused = True
        if self._transport is not None:
            self._transport.write(frames.frame(Kind.REFUSED, why.encode()))
            self._transport.write_eof()

    def close(self) -> None:
        """Take nothing more."""
        self._queue.clear()
        self._queued = 0
        self._forget()
        if self._transport is not None:
            self._transport.abort()
