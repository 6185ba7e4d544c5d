"""A session on an asyncio loop: whatever is started in one turn of the loop leaves in one batch."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from hosts.client import _core
from hosts.client.errors import TooLarge
from hosts.client.longer import Streams, address_of
from hosts.client.stream import Address, payload_of
from hosts.wire import Header, Op

SPARE: Final = 64
"""Numbers kept for questions where requests go by TCP, while some do."""

Finished: TypeAlias = tuple[int, int, Any, int, int]
"""Of `_core.Session.poll`: token, status, value, flags, tries."""


class Started(NamedTuple):
    """A request that is out."""

    token: int
    seq: int


class _Request(NamedTuple):
    """What a request needs to go on by TCP."""

    op: int
    group: int
    command: tuple[bytes, ...]
    done: Callable[[Finished], None]
    seq: int


class LoopSession:
    """Sends, receives and resends as the running loop allows, and calls back; to be closed.

    What no datagram takes goes by TCP, and nobody notices."""

    def __init__(self, session: _core.Session, service: int, timeout: float) -> None:
        self.session = session
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, _Request] = {}
        self._longer: set[int] = set()  # tokens of what goes by TCP
        self._asking: dict[int, Callable[[Address | None], None]] = {}
        self._streams = Streams(timeout, self._ask)
        self._next_token = 0
        self._turn: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = float("inf")
        self._loop.add_reader(session.fd, self._advance)

    @property
    def room(self) -> int:
        """How many requests may be started now."""
        return self.session.room - SPARE if self._longer else self.session.room

    @property
    def outstanding(self) -> int:
        """How many requests have no reply yet."""
        return self.session.outstanding

    def start(
        self, op: int, group: int, command: tuple[bytes, ...], done: Callable[[Finished], None]
    ) -> Started:
        """Send a command at the end of this turn; `done` hears how it ended. TooLarge: it never
        does, nothing takes so long a command."""
        token = self._next_token
        try:
            seq = self.session.start(op, group, command, token)
        except TooLarge:
            payload = payload_of(command)
            seq = self.session.park()
            request = self._waiting[token] = _Request(op, group, command, done, seq)
            self._by_stream(token, request, payload, None)
        else:
            self._waiting[token] = _Request(op, group, command, done, seq)
        self._next_token += 1
        self._wake()
        return Started(token, seq)

    def _wake(self) -> None:
        if self._turn is None:
            self._turn = self._loop.call_soon(self._advance)

    def _by_stream(self, token: int, request: _Request, payload: bytes, to: Address | None) -> None:
        def done(status: int, reply: bytes | None) -> None:
            self._longer.discard(token)
            if self._waiting.pop(token, None) is None:
                return  # abandoned
            self.session.abandon(request.seq)
            value: Any = reply
            if reply is not None and not self.session.raw:
                try:
                    value = _core.decode(reply)
                except ValueError as wrong:
                    status, value = _core.REFUSED, str(wrong)
            request.done((token, status, value, 0, 1))

        self._longer.add(token)
        session = self.session
        header = Header(
            Op(request.op),
            service=self._service,
            group=request.group,
            client=session.client,
            seq=request.seq,
            acked=session.acked,
        )
        self._streams.start(header, payload, done, to)

    def _ask(self, group: int, found: Callable[[Address | None], None]) -> None:
        """Find an agent that takes requests of a group by TCP."""
        if not self.session.room:  # something must end first
            self._loop.call_later(0.05, found, None)
            return
        token = self._next_token
        self._next_token += 1
        self.session.ask(group, token)
        self._asking[token] = found
        self._wake()

    def abandon(self, request: Started) -> None:
        """Forget a request, if it has not ended yet; `done` is not called."""
        if (waiting := self._waiting.pop(request.token, None)) is not None:
            self.session.abandon(waiting.seq)

    def close(self) -> None:
        """Close the socket; nobody is called back any more."""
        if self.session.fd < 0:
            return
        self._loop.remove_reader(self.session.fd)
        for handle in (self._turn, self._timer):
            if handle is not None:
                handle.cancel()
        self._waiting.clear()
        self._asking.clear()
        self._streams.close()
        self.session.close()

    def _advance(self) -> None:
        """Send, receive, resend; whatever woke us."""
        self._turn = None
        for finished in self.session.poll(0):
            self._finish(finished)
        if self.session.fd >= 0:
            self._arm()

    def _finish(self, finished: Finished) -> None:
        token, status, value, _, _ = finished
        if (found := self._asking.pop(token, None)) is not None:
            found(address_of(value) if status == _core.BY_STREAM else None)
            return
        request = self._waiting.get(token)
        if request is None:
            return
        if status not in (_core.BY_STREAM, _core.TOO_LARGE):
            del self._waiting[token]
            request.done(finished)
            return
        to = address_of(value) if status == _core.BY_STREAM else None
        self._by_stream(token, request, payload_of(request.command), to)

    def _arm(self) -> None:
        """Wake up no later than the next resend; a timer that fires early finds nothing to do."""
        due = self.session.next_due()
        if due is None or due >= self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self._loop.call_later(max(0.0, due - time.monotonic()), self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer, self._due = None, float("inf")
        self._advance()
