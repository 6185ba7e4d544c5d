"""The source's side of big values: which are on their way, and whose piece is next."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hosts.agent import frames
from hosts.agent.channel import Link
from hosts.agent.frames import Kind
from hosts.agent.node import Node
from hosts.agent.pieces.frame import End, Outcome, Piece, Pieced
from hosts.agent.pieces.value import pieces
from hosts.agent.store import count_of
from hosts.agent.stream import Section, Stream

BIG_BYTES: Final = 256 * 1024
"""Of the store's memory. What is smaller blocks it for a millisecond or less."""

_UNANSWERED: Final = 4  # pieces


@dataclass(slots=True)
class _Value:
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
        self._node = node
        self._migration = frames.migration(migration)
        self._stream = stream
        self._values: dict[int, dict[bytes, _Value]] = {}  # by group, until it has arrived
        self._queue: deque[_Value] = deque()
        self._unanswered: dict[int, _Value] = {}  # by attempt
        self._ending: set[int] = set()  # groups of which nothing else is left to send
        self._attempt = 0

    def set_aside(self, sections: Sequence[Section]) -> list[Section]:
        """Take the big values out of a chunk. A group is not at its end before they are."""
        left: list[Section] = []
        for group, keys, last in sections:
            big = set(self._big(keys))
            for key in big:
                self._add(group, key)
            ends = last and self._complete(group)
            if last and not ends:
                self._ending.add(group)
            left.append((group, [key for key in keys if key not in big], ends))
        return left

    def urge(self, sections: Sequence[Section]) -> list[Section]:
        """Let the big values of these keys go first; return the others."""
        left: list[Section] = []
        for group, keys, last in sections:
            big = set(self._big(keys))
            for key in big:
                value = self._add(group, key)
                if value in self._queue:
                    self._queue.remove(value)
                    self._queue.appendleft(value)
            left.append((group, [key for key in keys if key not in big], last))
        return left

    def _big(self, keys: Sequence[bytes]) -> list[bytes]:
        sizes = self._node.core.call([[b"MEMORY", b"USAGE", key] for key in keys])
        known = [0 if size is None else count_of(size) for size in sizes]
        return [key for key, size in zip(keys, known, strict=True) if size > BIG_BYTES]

    def _add(self, group: int, key: bytes) -> _Value:
        values = self._values.setdefault(group, {})
        if key not in values:
            # numbers only grow, even if this agent is started anew
            self._attempt = max(self._attempt + 1, time.time_ns() // 1000)
            reading = pieces(self._node.core.call, group, key, self._attempt)
            values[key] = _Value(group, key, self._attempt, reading)
            self._queue.append(values[key])
        return values[key]

    def _complete(self, group: int) -> bool:
        return all(value.done for value in self._values.get(group, {}).values())

    def forget(self, groups: Iterable[int]) -> None:
        """These have arrived."""
        for group in groups:
            for value in self._values.pop(group, {}).values():
                self._unanswered.pop(value.attempt, None)
                if value in self._queue:
                    self._queue.remove(value)
            self._ending.discard(group)

    def clear(self) -> None:
        """What is on its way is lost: it has to begin again."""
        self.forget(list(self._values))

    @property
    def ready(self) -> bool:
        """Whether there is a piece to send, and room for it on the way."""
        under_way = sum(value.unanswered for value in self._unanswered.values())
        return bool(self._queue) and under_way < _UNANSWERED

    def send(self, link: Link) -> tuple[int, int]:
        """Send the next piece; return how many values it ends, and its size. Raises what the store
        raises."""
        value = self._queue[0]
        piece = next(value.pieces)
        size = link.send(Kind.PIECE, self._migration, piece.pack())
        self._unanswered[value.attempt] = value
        value.unanswered += 1
        self.bytes_sent += size
        self._node.counters.add("pieces_sent")
        if piece.end is not End.MORE:
            self._queue.popleft()
            value.last = piece.number
        if piece.end is End.COMPLETE:
            self._node.counters.add("values_in_pieces")
        if piece.end is End.DROPPED:
            self._node.counters.add("values_whole")
            body = self._node.core.dump([(value.group, [value.key], False)])
            size += link.send(Kind.KEYS, self._migration, body)
        return piece.end is not End.MORE, size

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
            if value in self._queue:
                self._queue.remove(value)
            if value.group in self._ending and self._complete(value.group):
                self._ending.discard(value.group)
                self._stream.add_keys(value.group, [])
