"""Queries for groups whose ownership is just passing to another server."""

from collections.abc import Iterable
from typing import Final

from hosts.agent._core import Query
from hosts.agent.node import Node

PER_GROUP: Final = 4096
PER_MIGRATION: Final = 1 << 15
"""Each may be a whole datagram: 48 MB."""


class Held:
    """What waits until somebody owns its group again. A resend waits once."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._queries: dict[int, dict[tuple[int, int], Query]] = {}
        self._count = 0

    def hold(self, query: Query) -> None:
        """Let a query wait. Too many, and it is dropped: the client resends."""
        held = self._queries.setdefault(query.group, {})
        if len(held) >= PER_GROUP or self._count >= PER_MIGRATION:
            self._node.counters.add("dropped_full")
            return
        self._count += (query.client, query.seq) not in held
        held.setdefault((query.client, query.seq), query)
        self._node.counters.add("held")

    def release(self, groups: Iterable[int]) -> list[Query]:
        """Return what waited for these groups, in the order it came."""
        held = [group for group in groups if group in self._queries]
        queries = [query for group in held for query in self._queries.pop(group).values()]
        self._count -= len(queries)
        return queries
