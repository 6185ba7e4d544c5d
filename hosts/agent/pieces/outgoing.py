"""The source's side of big values: which are on their way, and whose piece is next."""

import time
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from hosts.agent import frames
from hosts.agent._core import StoreError
from hosts.agent.channel import Link
from hosts.agent.emigration.stream import Stream
from hosts.agent.frames import Kind
from hosts.agent.node import Node
from hosts.agent.pieces.frame import End, Outcome, Piece, Pieced
from hosts.agent.pieces.value import expires_at, pieces
from hosts.agent.table import State

_UNANSWERED: Final = 4  # pieces
_WAITING: Final = 1024  # values


@dataclass(slots=True)
class Value:
    """One that is on its way."""

    group: int
    key: bytes
    attempt: int
    pieces: Iterator[Piece]
    last: int = -1  # the number of its last piece, once that is sent
    unanswered: int = 0
    done: bool = False  # the destination has it, or has what is newer


class Outgoing:
    """The big values of one migration. They move one after the other, piece by piece; one that
    somebody waits for overtakes the others."""

    def __init__(self, node: Node, migration: int, stream: Stream) -> None:
        self.bytes_sent = 0
        self.piecewise = False
        """Whether small ones go in pieces, too: the destination's store reads no DUMP of ours."""
        self.sent_whole = False
        """Whether one that no commands can build went as a DUMP in spite of that."""
        self._node = node
        self._migration = frames.migration(migration)
        self._values: dict[int, dict[bytes, Value]] = {}  # by group, until it has arrived
        self._undone: Counter[int] = Counter()  # how many have not, by group: those with any
        self._queue: OrderedDict[int, Value] = OrderedDict()  # by attempt
        self._unanswered: dict[int, Value] = {}  # by attempt
        self._ending: set[int] = set()  # groups of which nothing else is left to send
        self._attempt = 0
        self.serve(stream)

    def serve(self, stream: Stream) -> None:
        """Take the big values of this stream."""
        self._stream = stream
        stream.values = self

    def urge(self, group: int, key: bytes) -> None:
        """Let a value go first that somebody waits for."""
        if self._node.table.states[group] != State.EMIGRATING:
            return  # it has arrived meanwhile
        value = self.add(group, key)
        if value.attempt in self._queue:
            self._queue.move_to_end(value.attempt, last=False)

    def add(self, group: int, key: bytes) -> Value:
        """Let a value go in pieces."""
        values = self._values.setdefault(group, {})
        if key not in values:
            attempt = self._number()
            reading = pieces(self._node.core.call, group, key, attempt)
            values[key] = Value(group, key, attempt, reading)
            self._queue[attempt] = values[key]
            self._undone[group] += 1
        return values[key]

    def _number(self) -> int:
        """Return a number that only grows, even if this agent is started anew."""
        self._attempt = max(self._attempt + 1, time.time_ns() // 1000)
        return self._attempt

    def end_later(self, group: int) -> None:
        """Nothing of the group is left to send but its big values, before which it cannot end."""
        if self.complete(group):  # somebody waited for them, so they went first
            self._stream.end(group)
        else:
            self._ending.add(group)

    def complete(self, group: int) -> bool:
        """Whether the destination has every big value of a group that is known."""
        return group not in self._undone

    def forget(self, groups: Iterable[int]) -> None:
        """These have arrived."""
        for group in groups:
            for value in self._values.pop(group, {}).values():
                self._unanswered.pop(value.attempt, None)
                self._queue.pop(value.attempt, None)
            del self._undone[group]
            self._ending.discard(group)

    def clear(self) -> None:
        """What is on its way is lost: it has to begin again."""
        self.forget(list(self._values))

    @property
    def ready(self) -> bool:
        """Whether there is a piece to send, and room for it on the way."""
        under_way = sum(value.unanswered for value in self._unanswered.values())
        return bool(self._queue) and under_way < _UNANSWERED

    @property
    def busy(self) -> bool:
        """Whether the destination has yet to take some of a value."""
        return bool(self._undone)

    @property
    def full(self) -> bool:
        """Whether enough values wait for their turn."""
        return len(self._queue) >= _WAITING

    def send(self, link: Link) -> tuple[int, int]:
        """Send the next piece; return how many values it ends, and its size. Raises what the store
        raises."""
        value = next(iter(self._queue.values()))
        piece = self._next(value)
        size = link.send(Kind.PIECE, self._migration, piece.pack())
        self._unanswered[value.attempt] = value
        value.unanswered += 1
        self.bytes_sent += size
        self._node.counters.add("pieces_sent")
        if piece.end is not End.MORE:
            del self._queue[value.attempt]
            value.last = piece.number
        if piece.end is End.COMPLETE:
            self._node.counters.add("values_in_pieces")
        if piece.end is End.WHOLE:
            self._node.counters.add("values_whole")
            self.sent_whole = self.piecewise
            size += self._send_whole(link, value.group, value.key)
        return piece.end is not End.MORE, size

    def _next(self, value: Value) -> Piece:
        return next(value.pieces)

    def _send_whole(self, link: Link, group: int, key: bytes) -> int:
        return link.send(Kind.KEYS, self._migration, self._dump(group, key))

    def _dump(self, group: int, key: bytes) -> bytes:
        """Return the body of a KEYS frame with a value that cannot go in pieces."""
        dumped, expiry, left = self._node.core.call(
            [[command, key] for command in (b"DUMP", b"PEXPIRETIME", b"PTTL")]
        )
        if dumped is not None and not isinstance(dumped, bytes):
            raise dumped if isinstance(dumped, StoreError) else StoreError(f"DUMP: {dumped!r}")
        return frames.one_key(group, key, dumped, expires_at(expiry, left))

    def answered(self, answer: Pieced) -> None:
        """Take an answer. A group that has nothing else left to send may end."""
        value = self._unanswered.get(answer.attempt)
        if value is None:
            return  # from an earlier connection
        value.unanswered -= 1
        if not value.unanswered:
            del self._unanswered[value.attempt]
        if not value.done and (answer.outcome is Outcome.ENOUGH or answer.number == value.last):
            value.done = True
            self._undone[value.group] -= 1
            if not self._undone[value.group]:
                del self._undone[value.group]
            self._queue.pop(value.attempt, None)
            if value.group in self._ending and self.complete(value.group):
                self._ending.discard(value.group)
                self._stream.end(value.group)
