"""The keys of the next batches, read while the source still serves them.

A group that is on the move costs its clients something, so it should not be for long, and what
takes longest is reading its keys. What clients write meanwhile is noted (core/written.c): a group
that was written to is read again when it has left, as is one with a value too big for a KEYS frame.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hosts.agent.bulk import Failed
from hosts.agent.emigration.stream import Chunk, Stream, Values
from hosts.agent.emigration.throttle import OVERDRAFT, Throttle
from hosts.agent.node import Node

_KEPT: Final = 64 * 1024, 1024 * 1024  # bytes, at least and at most


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that leaves: what is known of its keys, and the groups of which nothing is."""

    groups: range
    body: bytes  # of a KEYS frame
    keys: int  # in it
    unread: list[int]


@dataclass(slots=True)
class _Read:
    """What was read of a group."""

    body: bytes = b""
    keys: int = 0
    whole: bool = False


class _TooBig:
    """Takes the big values of a stream: they wait until their group has left."""

    full = False

    def __init__(self, values: Values, ended: Callable[[int], None]) -> None:
        self.groups: set[int] = set()
        self.end_later = ended
        self._values = values

    @property
    def piecewise(self) -> bool:
        """As for those that are sent."""
        return self._values.piecewise

    def add(self, group: int, key: bytes) -> None:
        """Nothing is sent of it yet."""
        self.groups.add(group)

    def complete(self, group: int) -> bool:
        """Nothing waits for them here."""
        return True


class Prefetch:
    """Batches of `batch` groups, in the order they were added. `wake` is called when there is more
    to do, `failed` when the store fails: then everything has to be given back.

    Of a batch that is too big to be sent at once, the rest is read when it has left.
    """

    def __init__(
        self,
        node: Node,
        throttle: Throttle,
        batch: int,
        values: Values,
        wake: Callable[[], None],
        failed: Failed,
    ) -> None:
        self._node = node
        self._throttle = throttle
        self._batch = batch
        self._wake = wake
        self._stream = Stream(node, Throttle(0), wake, self._dumped, failed)
        self._stream.values = self._too_big = _TooBig(values, self._end)
        self._firsts: deque[int] = deque()
        self._written: dict[int, set[bytes] | None] = {}
        self._read: dict[int, _Read] = {}
        self._left: dict[int, int] = {}  # groups that are not whole, by the first of their batch
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._firsts)

    @property
    def firsts(self) -> list[int]:
        """The first groups of the batches."""
        return list(self._firsts)

    @property
    def ready(self) -> bool:
        """Whether the next batch may leave."""
        return bool(self._firsts) and (not self._left[self._firsts[0]] or self._full)

    @property
    def _full(self) -> bool:
        least, most = _KEPT
        if self._throttle.rate:
            most = max(least, min(int(self._throttle.rate * OVERDRAFT / 8), most))
        return self._bytes >= most

    def add(self, first: int) -> None:
        """Read this batch, too."""
        self._firsts.append(first)
        # before its keys are listed, so that none that comes into being is missed
        self._node.core.track(first, first + self._batch - 1, self._written)
        self._begin(first)

    def _begin(self, first: int) -> None:
        groups = range(first, first + self._batch)
        self._left[first] = self._batch
        self._read.update((group, _Read()) for group in groups)
        self._stream.add(groups)

    def read_on(self) -> None:
        """Begin to read what there is room for. Raises ConnectionError without a store."""
        while self._stream and not self._full and self._stream.begin():
            pass

    def _dumped(self, chunk: Chunk) -> None:
        at = 0
        for (group, *_), (size, keys) in zip(chunk.sections, chunk.parts, strict=True):
            read = self._read[group]
            read.body += chunk.body[at : at + size]
            read.keys += keys
            at += size
        self._bytes += at
        for group in chunk.ended:
            self._end(group)
        self._wake()

    def _end(self, group: int) -> None:
        self._read[group].whole = True
        self._left[group & -self._batch] -= 1

    def take(self) -> Batch:
        """Return the next batch, which leaves now: nobody writes to it any more."""
        first = self._firsts.popleft()
        groups = range(first, first + self._batch)
        self._node.core.track(first, groups[-1], None)
        body: list[bytes] = []
        keys = 0
        unread: list[int] = []
        for group in groups:
            read = self._read.pop(group)
            self._bytes -= len(read.body)
            if read.whole and group not in self._written and group not in self._too_big.groups:
                body.append(read.body)
                keys += read.keys
            else:
                unread.append(group)
                self._written.pop(group, None)
                self._too_big.groups.discard(group)
        if self._left.pop(first):  # the others are behind what is left of it
            self._begin_anew()
        return Batch(groups, b"".join(body), keys, unread)

    def _begin_anew(self) -> None:
        self._forget()
        for first in self._firsts:
            self._begin(first)

    def _forget(self) -> None:
        self._stream.clear()
        self._read.clear()
        self._left.clear()
        self._too_big.groups.clear()
        self._bytes = 0

    def give_back(self) -> list[int]:
        """Forget all; return the first groups of the batches."""
        firsts = list(self._firsts)
        for first in firsts:
            self._node.core.track(first, first + self._batch - 1, None)
        self._firsts.clear()
        self._written.clear()
        self._forget()
        return firsts
