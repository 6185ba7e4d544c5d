"""Deletes copies of a group that an earlier migration left here, before it comes (again)."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from hosts.agent._core import StoreError
from hosts.agent.node import Node
from hosts.agent.store import count_of, keys_of, some_keys_of, unlink

_AT_ONCE: Final = 512


class Purger:
    """Few keys are deleted at once; many bit by bit, so that queries do not notice."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._busy: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def busy(self, group: int) -> bool:
        """Whether the group is being purged."""
        return group in self._busy

    def purge(
        self,
        groups: Sequence[int],
        later: Callable[[list[int]], None],
        failed: Callable[[object], None],
    ) -> list[int]:
        """Return the groups that are clean now; `later` is told of the others, one by one.

        Raises what the store raises; `failed` is told if that happens later.
        """
        commands = [[b"CLUSTER", b"COUNTKEYSINSLOT", b"%d" % group] for group in groups]
        counts = [count_of(reply) for reply in self._node.core.call(commands)] if groups else []
        few: list[int] = []
        many: list[int] = []
        left = _AT_ONCE
        for group, count in zip(groups, counts, strict=True):
            left -= count
            if count:
                (few if left >= 0 else many).append(group)
        if few:
            self._delete([key for keys in keys_of(self._node.core, few) for key in keys])
        if many:
            self._busy.update(many)
            task = asyncio.create_task(self._purge_many(many, later, failed))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return [group for group in groups if group not in self._busy]

    def keep_only(self, keys: Mapping[int, set[bytes]]) -> None:
        """Delete every key of these groups but those, at once; raises what the store raises."""
        groups = list(keys)
        for first in range(0, len(groups), _AT_ONCE):
            some = groups[first : first + _AT_ONCE]
            for group, found in zip(some, keys_of(self._node.core, some), strict=True):
                self._delete([key for key in found if key not in keys[group]])

    def _delete(self, keys: list[bytes]) -> None:
        unlink(self._node.core, [[key] for key in keys])
        self._node.counters.add("keys_purged", len(keys))

    async def _purge_many(
        self,
        groups: list[int],
        later: Callable[[list[int]], None],
        failed: Callable[[object], None],
    ) -> None:
        try:
            for group in groups:
                while keys := some_keys_of(self._node.core, [group], _AT_ONCE)[0]:
                    self._delete(keys)
                    await asyncio.sleep(0)
                later([group])
        except (StoreError, ConnectionError) as error:
            failed(error)
        finally:
            self._busy.difference_update(groups)

    def close(self) -> None:
        """The agent ends."""
        for task in self._tasks:
            task.cancel()
