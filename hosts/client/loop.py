"""A session on an asyncio loop: whatever is started in one turn of the loop leaves in one batch."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from hosts.client import _core

Finished: TypeAlias = tuple[int, int, Any, int, int]
"""Of `_core.Session.poll`: token, status, value, flags, tries."""


class Started(NamedTuple):
    """A request that is out."""

    token: int
    seq: int


class LoopSession:
    """Sends, receives and resends as the running loop allows, and calls back; to be closed."""

    def __init__(self, session: _core.Session) -> None:
        self.session = session
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, Callable[[Finished], None]] = {}
        self._next_token = 0
        self._turn: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = float("inf")
        self._loop.add_reader(session.fd, self._advance)

    @property
    def room(self) -> int:
        """How many requests may be started now."""
        return self.session.room

    @property
    def outstanding(self) -> int:
        """How many requests have no reply yet."""
        return self.session.outstanding

    def start(
        self, op: int, group: int, command: tuple[bytes, ...], done: Callable[[Finished], None]
    ) -> Started:
        """Send a command at the end of this turn; `done` hears how it ended."""
        token = self._next_token
        started = Started(token, self.session.start(op, group, command, token))
        self._next_token += 1
        self._waiting[token] = done
        if self._turn is None:
            self._turn = self._loop.call_soon(self._advance)
        return started

    def abandon(self, request: Started) -> None:
        """Forget a request, if it has not ended yet; `done` is not called."""
        if self._waiting.pop(request.token, None) is not None:
            self.session.abandon(request.seq)

    def close(self) -> None:
        """Close the socket; nobody is called back any more."""
        if self.session.fd < 0:
            return
        self._loop.remove_reader(self.session.fd)
        for handle in (self._turn, self._timer):
            if handle is not None:
                handle.cancel()
        self._waiting.clear()
        self.session.close()

    def _advance(self) -> None:
        """Send, receive, resend; whatever woke us."""
        self._turn = None
        for finished in self.session.poll(0):
            done = self._waiting.pop(finished[0], None)
            if done is not None:
                done(finished)
        if self.session.fd >= 0:
            self._arm()

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
