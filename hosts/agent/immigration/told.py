"""What a destination tells clients of groups on the move (docs/protocols.md, fulva)."""

from collections.abc import Container
from dataclasses import replace

from hosts.agent._core import Core
from hosts.agent.channel import Server
from hosts.agent.node import address
from hosts.wire import Moving


class Told:
    """Which groups of one range may still be at the source: from the first to the last of those
    that have not arrived. Groups arrive in ascending order, nearly."""

    def __init__(self, core: Core, number: int, source: Server, groups: range) -> None:
        self._core = core
        self._groups = groups
        self._says = Moving(
            number, address(source.ip), source.udp_port, groups.start, groups.stop - 1
        )
        self._bytes = bytearray(self._says.pack())
        core.tell(groups.start, groups.stop - 1, self._bytes)

    def arrived(self, done: Container[int]) -> bool:
        """Take note that `done` are all groups that have arrived; return whether any is left."""
        first, last = self._says.first, self._says.last
        while first <= last and first in done:
            first += 1
        while first <= last and last in done:
            last -= 1
        if first > last:
            self._core.tell(self._groups.start, self._groups.stop - 1, None)
            return False
        if (first, last) != (self._says.first, self._says.last):
            self._says = replace(self._says, first=first, last=last)
            self._bytes[:] = self._says.pack()
        return True
