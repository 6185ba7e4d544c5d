"""Migrations that begin with the handover (docs/protocols.md): the destination owns everything
first, and the data follows it.

The destination serves what it has. What it is asked for and has not, it fetches ahead, and tells
the client to ask again meanwhile. With `Protocol.FULVA` it tells the client of a read to ask the
source too, which serves double reads from its copy (core/serve.c); the rest is the same.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from hosts.agent import frames
from hosts.agent._core import Query, StoreError
from hosts.agent.channel import Link, Server
from hosts.agent.emigration.fetch import Fetch
from hosts.agent.emigration.mover import FINAL, Mover, Status
from hosts.agent.emigration.stream import Chunk, Stream
from hosts.agent.frames import FrameError, Kind
from hosts.agent.held import Held
from hosts.agent.node import Node
from hosts.agent.pieces.frame import Pieced
from hosts.agent.pieces.outgoing import Outgoing
from hosts.agent.protocols import Protocol
from hosts.agent.table import State

_AT_ONCE: Final = 512  # groups of one PREPARE; twice as many are on their way at most


class Handoff(Mover):
    """Gives all groups away, then sends their keys."""

    def __init__(
        self,
        node: Node,
        *,
        protocol: Protocol,
        number: int,
        destination: Server,
        ranges: Sequence[range],
        throttle: int,
        emigrated: Callable[[Sequence[int]], None],
    ) -> None:
        super().__init__(
            node, number=number, destination=destination, ranges=ranges, throttle=throttle
        )
        self.protocol = protocol
        self._emigrated = emigrated
        self._held = Held(node)
        self._stream = Stream(node, self.throttle, self._kick, self._dumped, self.store_failed)
        self._values = Outgoing(node, number, self._stream)  # the big ones
        self._fetch = Fetch(
            node, number, destination.index, self._values, self._kick, self.store_failed
        )
        self._left = {group for groups in ranges for group in groups}
        self._ours = sorted(self._left)  # of those, what has not been given away
        self._unprepared = set(self._left)  # what the destination may not own yet
        self._told = 0  # watermarks told to the destination, by the core's clock
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

    def query(self, query: Query) -> None:
        """The destination's, once it has acknowledged PREPARE."""
        if query.group in self._unprepared:
            self._held.hold(query)
        else:
            self._node.hand(self.destination.index, [query], "handed_over")

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
        self._node.table.moving[groups] = self.number
        self._node.table.set(groups, State.EMIGRATING, self.destination.index)
        self._prepare(link, groups)
        self._kick()

    def _prepare(self, link: Link, groups: list[int]) -> None:
        """Ask the destination to own these; it says of what has arrived that it has."""
        clock, marks = self._node.core.watermarks(self._told)
        size = link.send(Kind.WATERMARKS, marks) if marks else 0
        for first in range(0, len(groups), _AT_ONCE):
            body = self._node.with_records(groups[first : first + _AT_ONCE])
            size += link.send(Kind.PREPARE, frames.migration(self.number), body)
        self._told = clock
        self._node.counters.add("channel_other_bytes", size)

    def _take_keys(self) -> None:
        while self._begin_chunk(self._stream):
            pass

    def _dumped(self, chunk: Chunk) -> None:
        link = self._node.link(self.destination.index)
        self._sent(chunk.keys, link.send(Kind.KEYS, frames.migration(self.number), chunk.body))
        self._check_end()
        self._kick()

    # --- answers ----------------------------------------------------------------------------------

    def frame(self, kind: Kind, body: memoryview) -> None:
        """PREPARED, ARRIVED, PULL or PIECED."""
        if kind is Kind.PREPARED:
            self._prepared([group for group in frames.read_groups(body) if group in self._left])
        elif kind is Kind.ARRIVED:
            self._arrived([group for group in frames.read_groups(body) if group in self._left])
        elif kind is Kind.PULL:
            self._pulled(frames.read_pull(body))
        elif kind is Kind.PIECED:
            self._values.answered(Pieced.read(body))
            self._kick()
        else:
            raise FrameError(f"{kind.name} is not expected here")

    def _prepared(self, groups: Sequence[int]) -> None:
        self._unprepared.difference_update(groups)
        self._stream.add(groups)
        self._node.hand(self.destination.index, self._held.release(groups), "handed_over")
        self._kick()

    def _arrived(self, groups: list[int]) -> None:
        """The destination has every key of these."""
        self._left.difference_update(groups)
        self._unprepared.difference_update(groups)
        self.done.update(groups)
        self._node.table.set(groups, State.ABSENT, self.destination.index, former=True)
        self._node.core.drop_records(groups)
        self._values.forget(groups)
        self._emigrated(groups)
        self._node.counters.add("groups_sent", len(groups))
        self._node.hand(self.destination.index, self._held.release(groups), "handed_over")
        if not self._left and self.status not in FINAL:
            self._set(Status.DONE)

    def _pulled(self, wanted: dict[int, bytes]) -> None:
        """A priority pull. What has arrived in the meantime, the destination will see."""
        for group, keys in wanted.items():
            if group in self._left and group not in self._unprepared:
                self._fetch.add(group, keys)

    def resend(self) -> None:
        """The channel is new: everything that has not arrived is sent again."""
        if self.status in FINAL:
            return
        self._stream.clear()
        self._values.clear()
        self._told = 0
        given = self._left.difference(self._ours)
        if given:
            self._prepare(self._node.link(self.destination.index), sorted(given))
        self._kick()

    def _check_end(self) -> None:
        quiet = not self._stream.under_way
        if self._pausing and quiet and self.status is Status.RUNNING:
            self._set(Status.PAUSED)
