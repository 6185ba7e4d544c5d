"""Migrations that begin with the handover (docs/protocols.md): the destination owns everything
first, and the data follows it.

The destination serves what it has. What it is asked for and has not, it fetches ahead, and tells
the client to ask again meanwhile. With `Protocol.FULVA` it tells the client of a read to ask the
source too, which serves double reads from its copy (core/judge.c); the rest is the same.
"""

from collections.abc import Iterable
from typing import Final

from hosts.agent._core import StoreError
from hosts.agent.channel import Link
from hosts.agent.emigration.mover import FINAL, Emigrated, Order, Status
from hosts.agent.emigration.postcopy import Postcopy
from hosts.agent.emigration.stream import Chunk
from hosts.agent.node import Node
from hosts.agent.protocols import Protocol

_AT_ONCE: Final = 512  # groups of one PREPARE; twice as many are on their way at most


class Handoff(Postcopy):
    """Gives all groups away, then sends their keys."""

    def __init__(
        self,
        node: Node,
        order: Order,
        emigrated: Emigrated,
        *,
        protocol: Protocol,
    ) -> None:
        super().__init__(node, order, emigrated)
        self.protocol = protocol
        self._left = {group for groups in self.ranges for group in groups}
        self._ours = sorted(self._left)  # of those, what has not been given away
        self._unprepared = set(self._left)  # what the destination may not own yet
        self._kick()

    # --- what the controller asks -----------------------------------------------------------------

    @property
    def ongoing(self) -> list[int]:
        """None: the switch steers by the partition as a whole."""
        return []

    def moves(self, group: int) -> bool:
        """Whether the group has not arrived."""
        return group in self._left

    def pending(self) -> Iterable[int]:
        """The groups that have not arrived."""
        return () if self.status in FINAL else self._left

    def _is_prepared(self, group: int) -> bool:
        return group not in self._unprepared

    # --- the passes -------------------------------------------------------------------------------

    def _step(self) -> None:
        link = self._node.link(self.destination.index)
        if not link.ready:
            return
        if self._ours:
            self._give_away(link)
        elif not self._pausing:
            try:
                self._take_keys()
                self._send_piece(link, self._values)
            except (StoreError, ConnectionError) as error:
                self.store_failed(error)

    def _give_away(self, link: Link) -> None:
        """Steps 1 and 2 of docs/protocol.md, for the next groups. While they pass nobody serves
        them, so they are few; what the switch sends there before they do is handed back to us."""
        if len(self._unprepared) - len(self._ours) > _AT_ONCE:
            return  # PREPARED wakes us
        groups, self._ours = self._ours[:_AT_ONCE], self._ours[_AT_ONCE:]
        self._leave(groups)
        self._prepare(link, groups)
        self._kick()

    def _dumped(self, chunk: Chunk) -> None:
        super()._dumped(chunk)
        self._check_end()

    # --- answers ----------------------------------------------------------------------------------

    def _prepared(self, groups: Iterable[int]) -> None:
        groups = [group for group in groups if group in self._left]
        self._unprepared.difference_update(groups)
        self._stream.add(groups)
        self._node.hand(self.destination.index, self._held.release(groups), "handed_over")
        self._kick()

    def _arrived(self, groups: Iterable[int]) -> None:
        groups = [group for group in groups if group in self._left]
        self._left.difference_update(groups)
        self._unprepared.difference_update(groups)
        self._finish(groups)
        self._node.hand(self.destination.index, self._held.release(groups), "handed_over")
        if not self._left and self.status not in FINAL:
            self._set(Status.DONE)

    def resend(self) -> None:
        """The channel is new: everything that has not arrived is sent again."""
        if self.status in FINAL:
            return
        self._forget_sent()
        given = sorted(self._left.difference(self._ours))
        for first in range(0, len(given), _AT_ONCE):
            link = self._node.link(self.destination.index)
            self._prepare(link, given[first : first + _AT_ONCE])
        self._kick()

    def _check_end(self) -> None:
        quiet = not self._stream.under_way
        if self._pausing and quiet and self.status is Status.RUNNING:
            self._set(Status.PAUSED)
