"""Answers to queries that came by TCP: to the agent that has the client's connection."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from hosts.agent._core import SHORT
from hosts.agent.channel import HIGH_WATER
from hosts.agent.frames import FrameError, Kind
from hosts.agent.node import Node
from hosts.wire import HEADER_LENGTH

_MOST: Final = (
    1 << 16
)  # answers that wait for one peer; beyond, its clients' queries are sent again


class Answers:
    """Answers on their way. Long ones are taken from the core's room until they are delivered."""

    def __init__(self, node: Node, deliver: Callable[[bytes, bytes], None]) -> None:
        """`deliver` takes header and reply of a query whose client is here."""
        self._node = node
        self._deliver = deliver
        self._here: deque[tuple[bytes, bytes]] = deque()
        self._there: dict[int, deque[tuple[bytes, bytes]]] = {}
        self._scheduled = False

    def answered(self, server: int, header: bytes, reply: bytes) -> None:
        """Take an answer of the core's, which must not be called from here."""
        if server == self._node.own.index:
            self._here.append((header, reply))
        else:
            waiting = self._there.setdefault(server, deque())
            if len(waiting) < _MOST:
                waiting.append((header, reply))
            else:
                self._leave(reply)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        self.deliver()
        for server in list(self._there):
            self.send(server)

    def deliver(self) -> None:
        """Give what is for clients here to them."""
        while self._here:
            header, reply = self._here.popleft()
            self._leave(reply)
            self._deliver(header, reply)

    def send(self, server: int) -> None:
        """Send what is for another agent's clients, as fast as it takes it."""
        waiting = self._there.get(server)
        if waiting is None:
            return
        link = self._node.links.get(server)
        if link is None or not link.connected:
            self._node.counters.add("dropped_unreachable", len(waiting))
            for _, reply in waiting:
                self._leave(reply)
            waiting.clear()
        size = 0
        while waiting and link is not None and link.ready and size < HIGH_WATER:
            header, reply = waiting.popleft()
            self._leave(reply)
            size += link.send(Kind.ANSWER, header, reply)
        self._node.counters.add("channel_handover_bytes", size)
        if not waiting:
            del self._there[server]
        elif size:
            self._schedule()

    def arrived(self, body: memoryview) -> None:
        """Take ANSWER; FrameError if it is malformed."""
        if len(body) < HEADER_LENGTH:
            raise FrameError("ANSWER is cut short")
        self._deliver(bytes(body[:HEADER_LENGTH]), bytes(body[HEADER_LENGTH:]))

    def _leave(self, reply: bytes) -> None:
        if len(reply) > SHORT:
            self._node.core.room += len(reply)
