"""The keys of many groups, listed and cut into chunks as they are wanted."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from hosts.agent.chunks import Chunks
from hosts.agent.node import Node
from hosts.agent.store import keys_of
from hosts.agent.throttle import Throttle

_LISTED_AT_ONCE: Final = 16

Section: TypeAlias = tuple[int, list[bytes], bool]
"""A group, some of its keys, and whether they are the last: what the core dumps."""


@dataclass(slots=True)
class _Listed:
    """Keys of a group; the first `sent` of them have been taken."""

    group: int
    keys: list[bytes]
    sent: int = 0


class Stream:
    """Groups, in the order they were added, until all their keys are taken."""

    def __init__(self, node: Node, throttle: Throttle) -> None:
        self.chunks = Chunks(throttle)
        self._node = node
        self._to_list: deque[int] = deque()
        self._to_send: deque[_Listed] = deque()
        self._listed = 0  # keys that are listed and not taken

    def __bool__(self) -> bool:
        return bool(self._to_send or self._to_list)

    def add(self, groups: Iterable[int]) -> None:
        """Every key of these groups is to go."""
        self._to_list.extend(groups)

    def add_keys(self, group: int, keys: list[bytes]) -> None:
        """Just these keys are to go."""
        self._to_send.append(_Listed(group, keys))
        self._listed += len(keys)

    def clear(self) -> None:
        """Forget what has not been taken."""
        self._to_list.clear()
        self._to_send.clear()
        self._listed = 0

    def take(self) -> tuple[list[Section], int]:
        """Return the next chunk and how many keys it has; raises what the store raises."""
        room = self.chunks.keys
        if self._listed < room:
            self._list()
        sections: list[Section] = []
        count = 0
        while self._to_send and count < room:
            first = self._to_send[0]
            keys = first.keys[first.sent : first.sent + room - count]
            first.sent += len(keys)
            count += len(keys)
            last = first.sent == len(first.keys)
            sections.append((first.group, keys, last))
            if last:
                self._to_send.popleft()
        self._listed -= count
        return sections, count

    def _list(self) -> None:
        groups = [self._to_list.popleft() for _ in range(min(_LISTED_AT_ONCE, len(self._to_list)))]
        if groups:
            for group, keys in zip(groups, keys_of(self._node.core, groups), strict=True):
                self.add_keys(group, keys)
