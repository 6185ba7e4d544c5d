"""Queries for groups whose ownership is just passing to another server."""

from collections.abc import Iterable
from typing import Final

from hosts.agent._core import Query
from hosts.agent.node import Node

_PER_GROUP: Final = 4096


class Held:
    """What waits until somebody owns its group again. A resend waits once."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._queries: dict[int, dict[tuple[int, int], Query]] = {}

    def hold(self, query: Query) -> None:
        """Let a query wait. Too many, and it is dropped: the client resends."""
        held = self._queries.setdefault(query.group, {})
        if len(held) >= _PER_GROUP:
            self._node.counters.add("dropped_full")
            return
        held.setdefault((query.client, query.seq), query)
        self._node.counters.add("held")

    def release(self, groups: Iterable[int]) -> list[Query]:
        """Return what waited for these groups, in the order it came."""
        held = [group for group in groups if group in self._queries]
        return [query for group in held for query in self._queries.pop(group).values()]
