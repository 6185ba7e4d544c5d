"""The keys of many groups, listed and dumped in chunks as they are wanted."""

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from hosts.agent import frames
from hosts.agent.bulk import Dumped, Failed, Section
from hosts.agent.emigration.chunks import Chunks
from hosts.agent.emigration.throttle import Throttle
from hosts.agent.node import Node

_LISTED_AT_ONCE: Final = 16, 256  # groups, at least and at most


@dataclass(slots=True)
class _Listed:
    """Keys of a group that have not been taken."""

    group: int
    keys: bytes
    count: int
    first: bool = True  # the group begins with them
    last: bool = True  # and ends


@dataclass(frozen=True, slots=True)
class Chunk:
    """What has been dumped of some groups: so many keys, in the body of a KEYS frame."""

    sections: list[Section]
    parts: list[tuple[int, int]]  # bytes and keys of each section
    keys: int
    body: bytes
    ended: list[int]  # groups that it ends


class Values(Protocol):
    """Takes the big values (hosts/agent/pieces/outgoing.py). A group ends after them."""

    @property
    def piecewise(self) -> bool:
        """Whether all but strings are big."""

    @property
    def full(self) -> bool:
        """Whether it takes no more for now."""

    def add(self, group: int, key: bytes) -> object:
        """This one goes in pieces."""

    def complete(self, group: int) -> bool:
        """Whether none that is known of the group is left to come."""

    def end_later(self, group: int) -> None:
        """Nothing else of the group is left: `Stream.end` when it is complete."""


class Stream:
    """Groups, in the order they were added, until all their keys are dumped.

    `wake` is called when there is more to begin, `dumped` for each chunk, in order. When the store
    fails, everything is forgotten, and `failed` is told.
    """

    values: Values  # whoever takes them says so

    def __init__(
        self,
        node: Node,
        throttle: Throttle,
        wake: Callable[[], None],
        dumped: Callable[[Chunk], None],
        failed: Failed,
    ) -> None:
        self.chunks = Chunks(throttle)
        self.under_way: deque[list[Section]] = deque()
        self._node = node
        self._throttle = throttle
        self._wake = wake
        self._tell = dumped
        self._tell_failed = failed
        self._to_list: deque[int] = deque()
        self._to_send: deque[_Listed] = deque()
        self._listed = 0  # keys that are listed and not taken
        self._listing = False
        self._per_group = 12.0  # keys of late
        self._age = 0  # what was begun before it was last cleared does not count

    def __bool__(self) -> bool:
        return bool(self._to_send or self._to_list or self._listing)

    def add(self, groups: Iterable[int]) -> None:
        """Every key of these groups is to go."""
        self._to_list.extend(groups)

    def add_keys(self, group: int, keys: bytes, count: int) -> None:
        """Just these keys are to go."""
        self._to_send.append(_Listed(group, keys, count))
        self._listed += count

    def end(self, group: int) -> None:
        """All of this group has been sent, and its end is to go."""
        self._to_send.append(_Listed(group, b"", 0, first=False))

    def clear(self) -> None:
        """Forget what has not been dumped."""
        self._age += 1
        self._to_list.clear()
        self._to_send.clear()
        self.under_way.clear()
        self._listed = 0
        self._listing = False

    def begin(self) -> list[Section]:
        """Begin to dump the next chunk, and return what is in it: nothing, if there is nothing to
        begin now. Raises ConnectionError without a store."""
        room = self.chunks.keys
        self._list(room)
        # a group that is cut goes on when its big keys are known: they come before its end
        cut = self.under_way and not self.under_way[-1][-1][3]
        if cut or self.values.full or len(self.under_way) >= (1 if self._throttle.rate else 2):
            return []
        sections, count = self._take(room)
        if sections:
            self._node.bulk.dump(
                sections,
                partial(self._dumped, self._age, count),
                partial(self._failed, self._age),
                piecewise=self.values.piecewise,
            )
            self.under_way.append(sections)
        return sections

    def _take(self, room: int) -> tuple[list[Section], int]:
        """Return the sections of a chunk, and how many keys they have."""
        sections: list[Section] = []
        count = 0
        while self._to_send:
            one = self._to_send[0]
            if count + one.count <= room:
                sections.append((one.group, one.keys, one.first, self._ends(one)))
                count += one.count
                self._to_send.popleft()
            elif count:
                break
            else:
                at = frames.end_of_keys(one.keys, room)
                sections.append((one.group, one.keys[:at], one.first, False))
                count += room
                one.keys, one.count, one.first = one.keys[at:], one.count - room, False
                break
        self._listed -= count
        return sections, count

    def _dumped(self, age: int, count: int, result: Dumped) -> None:
        if age != self._age:
            return
        body, big, parts = result
        sections = self.under_way.popleft()
        keys = count - len(big)
        unended = {group for group, _ in big}
        ended = [group for group, _, _, last in sections if last]
        for group, key in big:
            self.values.add(group, key)
        for group in unended.intersection(ended):
            self.values.end_later(group)
        self.chunks.learn(keys, len(body))
        ended = [group for group in ended if group not in unended]
        self._tell(Chunk(sections, parts, keys, body, ended))

    def _ends(self, one: _Listed) -> bool:
        if one.last and not self.values.complete(one.group):
            self.values.end_later(one.group)
            return False
        return one.last

    def _failed(self, age: int, error: Exception) -> None:
        if age == self._age:
            self.clear()
            self._tell_failed(error)

    def _list(self, room: int) -> None:
        """List a little ahead."""
        if self._listing or not self._to_list or self._listed >= 2 * room:
            return
        least, most = _LISTED_AT_ONCE
        wanted = max(least, min(most, int(2 * room / (self._per_group + 0.1))))
        groups = [self._to_list.popleft() for _ in range(min(wanted, len(self._to_list)))]
        self._node.bulk.list_keys(
            groups, partial(self._found, self._age), partial(self._failed, self._age)
        )
        self._listing = True

    def _found(self, age: int, listed: list[tuple[int, bytes, int]]) -> None:
        if age != self._age:
            return
        self._listing = False
        before = self._listed
        for group, keys, count in listed:
            self._to_send.append(_Listed(group, keys, count))
            self._listed += count
        self._per_group += ((self._listed - before) / len(listed) - self._per_group) / 4
        self._wake()
