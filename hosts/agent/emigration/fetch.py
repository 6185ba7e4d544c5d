"""Priority pulls at the source of a migration: single keys, ahead of their group's turn."""

import asyncio
from collections.abc import Callable

from hosts.agent import frames
from hosts.agent.bulk import Dumped, Failed
from hosts.agent.frames import Kind
from hosts.agent.node import Node
from hosts.agent.pieces.outgoing import Outgoing


class Fetch:
    """Answers PULL with PULLED; what is asked for in one turn of the loop is dumped at once."""

    def __init__(
        self,
        node: Node,
        migration: int,
        destination: int,
        values: Outgoing,
        wake: Callable[[], None],
        failed: Failed,
    ) -> None:
        self._node = node
        self._migration = migration
        self._destination = destination
        self._values = values  # the big ones go in pieces
        self._wake = wake
        self._failed = failed
        self._wanted: dict[int, bytes] = {}

    def add(self, group: int, keys: bytes) -> None:
        """A list of keys of a group is wanted."""
        if not self._wanted:
            asyncio.get_running_loop().call_soon(self._serve)
        self._wanted[group] = self._wanted.get(group, b"") + keys

    def _serve(self) -> None:
        wanted, self._wanted = self._wanted, {}
        sections = [(group, keys, False, False) for group, keys in wanted.items()]
        try:
            piecewise = self._values.piecewise
            self._node.bulk.dump(sections, self._send, self._failed, piecewise=piecewise)
            self._node.bulk.hurry()
        except ConnectionError as error:
            self._failed(error)

    def _send(self, result: Dumped) -> None:
        body, big, _ = result
        link = self._node.link(self._destination)
        size = link.send(Kind.PULLED, frames.migration(self._migration), body)
        link.flush()
        self._node.counters.add("channel_pull_bytes", size)
        for group, key in big:
            self._values.urge(group, key)
        self._wake()
