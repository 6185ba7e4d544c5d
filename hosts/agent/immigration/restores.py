"""Bodies of KEYS frames on their way into the store: in order, few at a time."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from hosts.agent._core import StoreError, check_body
from hosts.agent.bulk import Bulk, Failed

_AT_ONCE: Final = 2
_FULL: Final = 1 << 20

Done: TypeAlias = Callable[[tuple[int, int, list[int]]], None]


@dataclass(frozen=True, slots=True)
class _Body:
    content: memoryview
    here: Mapping[int, set[bytes] | bool | None]
    done: Done
    failed: Failed
    copies: bool


class Restores:
    """A queue of bodies. The keys of those that were begun keep queries waiting, so few are."""

    def __init__(self, bulk: Bulk) -> None:
        self._bulk = bulk
        self.drained: Callable[[], None] | None = None  # called when it is not full any more
        self._queue: deque[_Body | Callable[[], None]] = deque()
        self._begun = 0
        self._bytes = 0  # in the queue
        self._copies = 0  # bodies of copies that are not done, and what waits for them

    @property
    def full(self) -> bool:
        """Whether no more should come for now."""
        return self._bytes > _FULL

    def add(
        self,
        body: memoryview,
        here: Mapping[int, set[bytes] | bool | None],
        done: Done,
        failed: Failed,
        *,
        copies: bool = False,
    ) -> None:
        """Apply a body (core/restore.c); ValueError if it is malformed. `copies`: nothing of it is
        the truth yet."""
        check_body(body)
        one = _Body(body, here, done, failed, copies)
        self._copies += copies
        self._bytes += len(body)
        self._queue.append(one)
        self._begin()

    def after_copies(self, then: Callable[[], None]) -> None:
        """Call `then` when all copies that have come are in the store."""
        if self._copies:
            self._copies += 1
            self._queue.append(then)
        else:
            then()

    def _begin(self) -> None:
        while self._begun < _AT_ONCE and self._queue:
            one = self._queue[0]
            if not isinstance(one, _Body) and self._begun:
                return  # it waits for them
            self._queue.popleft()
            if not isinstance(one, _Body):
                self._copies -= 1
                one()
                continue
            was_full = self.full
            self._bytes -= len(one.content)
            self._begun += 1
            try:
                self._bulk.restore(
                    one.content, one.here, partial(self._done, one), partial(self._failed, one)
                )
            except (StoreError, ConnectionError) as error:
                self._ended(one)
                one.failed(error)
            if was_full and not self.full and self.drained:
                self.drained()

    def _done(self, one: _Body, result: tuple[int, int, list[int]]) -> None:
        self._ended(one)
        one.done(result)
        self._begin()

    def _failed(self, one: _Body, error: Exception) -> None:
        self._ended(one)
        one.failed(error)
        self._begin()

    def _ended(self, one: _Body) -> None:
        self._begun -= 1
        self._copies -= one.copies
