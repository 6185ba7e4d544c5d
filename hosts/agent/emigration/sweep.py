"""Deletes the source's copies of groups that have gone, after the grace period (invariant 6)."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from itertools import islice
from time import monotonic
from typing import Final

from hosts.agent._core import StoreError
from hosts.agent.node import Node
from hosts.agent.store import some_keys_of, unlink
from hosts.agent.table import State

log = logging.getLogger("netmigrate.agent")

_RETRY_SECONDS: Final = 1.0
# of this agent's time, while queries come: with groups on the move, and without
_SHARES: Final = 0.02, 0.1
_PAUSE: Final = 0.0005  # seconds, at least
_GROUPS: Final = 16
_KEYS: Final = 16  # of each of them, at once


class Sweeper:
    """A queue of (due, group), worked off in small batches so that queries do not notice, and
    quickly when there are none. While other groups leave it all but waits: a server gives groups
    away because it has too much to do.

    Of a group that has come back and gone again only the latest entry counts, which `_due` has.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._queue: deque[tuple[float, int]] = deque()
        self._due: dict[int, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._received = 0  # queries, when a batch was last worked off

    def add(self, groups: Iterable[int]) -> None:
        """The groups have gone."""
        due = monotonic() + self._node.grace
        self._due.update((group, due) for group in groups)
        self._queue.extend((due, group) for group in groups)
        self._schedule()

    def keep(self, groups: Iterable[int]) -> None:
        """Nothing is left of these groups, and copies of them will come: do not delete those."""
        for group in groups:
            self._due.pop(group, None)

    def _schedule(self, pause: float = _PAUSE) -> None:
        if self._timer is None and self._queue:
            wait = max(pause, self._queue[0][0] - monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = monotonic()
        # a group that has come back, or is just coming, is not ours to delete from
        due = [
            group
            for at, group in islice(self._queue, _GROUPS)
            if at <= now
            and at == self._due.get(group)
            and self._node.table.states[group] == State.ABSENT
        ]
        again = now
        try:
            left = self._delete(due)
        except (StoreError, ConnectionError) as error:
            log.warning("copies that are not needed any more stay for now: %s", error)
            left, again = due, now + _RETRY_SECONDS
        for _ in range(min(_GROUPS, len(self._queue))):
            if self._queue[0][0] > now:
                break
            at, group = self._queue.popleft()
            if self._due.get(group) == at:
                del self._due[group]
        self._due.update((group, again) for group in left)
        self._queue.extendleft((again, group) for group in left)
        before, self._received = self._received, self._node.counters["received"]
        busy = self._received > before
        leaving = bool((self._node.table.states == State.EMIGRATING).any())
        share = _SHARES[0] if leaving else _SHARES[1]
        self._schedule((monotonic() - now) / share if busy else _PAUSE)

    def _delete(self, groups: list[int]) -> list[int]:
        """Delete some keys of each group; return the groups that may have more."""
        if not groups:
            return []
        listed = some_keys_of(self._node.core, groups, _KEYS)
        unlink(self._node.core, listed)
        self._node.counters.add("keys_deleted", sum(map(len, listed)))
        return [group for group, keys in zip(groups, listed, strict=True) if len(keys) == _KEYS]

    def close(self) -> None:
        """The agent ends."""
        if self._timer is not None:
            self._timer.cancel()
