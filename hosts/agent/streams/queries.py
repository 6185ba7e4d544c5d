"""Queries that came by TCP and have no answer yet.

They go through the core like datagrams: executed here, held, or handed to the owner of their group.
What is lost when a channel between agents breaks is sent again, with the same client and seq, so a
write is executed once and its client sees only that it takes longer.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Final, TypeAlias

from hosts.agent._core import BATCH, Query
from hosts.agent.node import Node
from hosts.agent.streams.answers import Answers
from hosts.wire import HEADER_LENGTH, Flags, Header, Op, session_of

Done: TypeAlias = Callable[[Flags, bytes, bytes], None]
"""Takes an answer's flags, header and RESP reply."""

_AT_ONCE: Final = 1 << 20  # bytes of one batch, beyond its first query: others wait for it
_SLICE_SECONDS: Final = 0.002
_RESEND: Final = (1.0, 8.0)
_PATIENCE: Final = 30.0
_SLOWEST: Final = 1_000_000  # bytes a second between agents, for what patience is worth
_LOOK_SECONDS: Final = 0.25
_FINAL: Final = Flags.AUTHORITATIVE | Flags.ERROR | Flags.LONG


@dataclass(slots=True)
class _Waiting:
    """One query; times of time.monotonic()."""

    header: Header
    datagram: bytes
    done: Done
    expires: float
    again: float
    interval: float = _RESEND[0]
    due: bool = False  # it is among those that go to the core next


class Queries:
    """Asks until there is an answer, or no hope of one."""

    def __init__(self, node: Node, slow: Callable[[Iterable[Query]], None]) -> None:
        """`slow` takes what the core cannot finish alone."""
        self._node = node
        self._slow = slow
        self.answers = Answers(node, self._answered)
        self._waiting: dict[tuple[int, int], _Waiting] = {}
        self._due: deque[_Waiting] = deque()
        self._scheduled = False
        self._running = False
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, header: Header, payload: bytes, done: Done) -> None:
        """Ask in this turn. Of two with the same client and seq the newer one gets the answer."""
        now = monotonic()
        slow = len(payload) / _SLOWEST
        waiting = _Waiting(
            header, header.pack() + payload, done, now + _PATIENCE + slow, now + _RESEND[0] + slow
        )
        self._waiting[header.client, header.seq] = waiting
        self._send(waiting)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look)

    def forget(self, client: int, seq: int, done: Done) -> None:
        """Nobody waits for this answer any longer."""
        waiting = self._waiting.get((client, seq))
        if waiting is not None and waiting.done == done:
            del self._waiting[client, seq]

    def resend(self) -> None:
        """A channel is new: what went through an older one may be lost."""
        for waiting in self._waiting.values():
            self._send(waiting)

    def close(self) -> None:
        """Answer nobody any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._waiting.clear()
        self._due.clear()

    # --- to the core ------------------------------------------------------------------------------

    def _send(self, waiting: _Waiting) -> None:
        if waiting.due:
            return
        waiting.due = True
        self._due.append(waiting)
        if not self._scheduled and not self._running:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """Serve what is due, and what its answers make clients ask, for a while."""
        self._scheduled, self._running = False, True
        end = monotonic() + _SLICE_SECONDS
        try:
            while self._due and monotonic() < end:
                slow, _ = self._node.core.given(self._batch())
                if slow:
                    self._slow(slow)
                self.answers.deliver()
        finally:
            self._running = False
        if self._due:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _batch(self) -> list[tuple[int, int, int, bytes]]:
        batch: list[tuple[int, int, int, bytes]] = []
        size = 0
        while self._due and len(batch) < BATCH and size < _AT_ONCE:
            waiting = self._due.popleft()
            waiting.due = False
            if self._waiting.get((waiting.header.client, waiting.header.seq)) is waiting:
                batch.append((self._node.own.index, 0, 0, waiting.datagram))
                size += len(waiting.datagram)
        return batch

    # --- answers ----------------------------------------------------------------------------------

    def _answered(self, header: bytes, reply: bytes) -> None:
        client, seq = session_of(header)
        flags = Flags(int.from_bytes(header[4:6]))
        waiting = self._waiting.get((client, seq))
        if waiting is None:
            return
        if flags & _FINAL:
            del self._waiting[client, seq]
            waiting.done(flags, header, reply)
        elif flags & Flags.RETRY and len(reply) == 4:
            after = int.from_bytes(reply) / 1e6
            asyncio.get_running_loop().call_later(after, self._once_more, waiting)

    def _once_more(self, waiting: _Waiting) -> None:
        if self._waiting.get((waiting.header.client, waiting.header.seq)) is waiting:
            self._send(waiting)

    def _look(self) -> None:
        """Send again what has waited for long, and give up what has waited for too long."""
        self._timer = None
        now = monotonic()
        for key, waiting in list(self._waiting.items()):
            if waiting.expires <= now:
                del self._waiting[key]
                self._give_up(waiting)
            elif waiting.again <= now:
                waiting.interval = min(2 * waiting.interval, _RESEND[1])
                waiting.again = now + waiting.interval + len(waiting.datagram) / _SLOWEST
                self._send(waiting)
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look)

    def _give_up(self, waiting: _Waiting) -> None:
        header = waiting.header
        outcome = "; it may have taken effect" if header.op is Op.WRITE else ""
        text = f"no answer from the owner of group {header.group} in {_PATIENCE:g} s{outcome}"
        answer = Header(
            Op.REPLY,
            Flags.ERROR,
            header.service,
            header.group,
            client=header.client,
            seq=header.seq,
        ).pack()
        assert len(answer) == HEADER_LENGTH
        waiting.done(Flags.ERROR, answer, f"-ERR netmigrate: {text}\r\n".encode())
