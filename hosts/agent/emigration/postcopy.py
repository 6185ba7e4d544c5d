"""Migrations in which a group is the destination's before its keys are there (post-copy): what all
of them do, in whatever order they give groups away."""

from abc import abstractmethod
from collections.abc import Iterable

from hosts.agent import frames
from hosts.agent._core import Query
from hosts.agent.channel import Link
from hosts.agent.emigration.fetch import Fetch
from hosts.agent.emigration.mover import Emigrated, Mover, Order
from hosts.agent.emigration.stream import Chunk, Stream
from hosts.agent.frames import FrameError, Kind
from hosts.agent.held import Held
from hosts.agent.node import Node
from hosts.agent.pieces.frame import Pieced
from hosts.agent.pieces.outgoing import Outgoing
from hosts.agent.table import State


class Postcopy(Mover):
    """Asks the destination to own groups, then sends their keys, and single ones if asked to."""

    def __init__(
        self,
        node: Node,
        order: Order,
        emigrated: Emigrated,
    ) -> None:
        super().__init__(node, order, emigrated)
        self._held = Held(node)
        self._stream = Stream(node, self.throttle, self._kick, self._dumped, self.store_failed)
        self._values = Outgoing(node, self.number, self._stream)  # the big ones
        to = self.destination.index
        self._fetch = Fetch(node, self.number, to, self._values, self._kick, self.store_failed)
        self._told = 0  # watermarks told to the destination, by the core's clock

    def query(self, query: Query) -> None:
        """The destination's, once it has acknowledged PREPARE."""
        if self._is_prepared(query.group):
            self._node.hand(self.destination.index, [query], "handed_over")
        else:
            self._held.hold(query)

    # --- steps of docs/protocol.md ----------------------------------------------------------------

    def _leave(self, groups: list[int]) -> None:
        """Step 1: execute no more writes for these."""
        self._node.table.moving[groups] = self.number
        self._node.table.set(groups, State.EMIGRATING, self.destination.index)

    def _prepare(self, link: Link, groups: list[int]) -> None:
        """Step 2: ask the destination to own these; it says of what has arrived that it has."""
        if not groups:
            return
        clock, marks = self._node.core.watermarks(self._told)
        size = link.send(Kind.WATERMARKS, marks) if marks else 0
        self._told = clock
        body = self._node.with_records(groups)
        size += link.send(Kind.PREPARE, frames.migration(self.number), body)
        self._node.counters.add("channel_other_bytes", size)

    def _take_keys(self, early: float = 0.0) -> None:
        """Step 4: chunks of keys, each of as many groups as it takes."""
        while self._begin_chunk(self._stream, early):
            pass

    def _dumped(self, chunk: Chunk) -> None:
        self._send_keys(chunk.keys, chunk.body)
        self._kick()

    def _send_keys(self, keys: int, body: bytes) -> None:
        """A body with so many keys."""
        link = self._node.link(self.destination.index)
        self._sent(keys, link.send(Kind.KEYS, frames.migration(self.number), body))

    def _finish(self, groups: list[int]) -> None:
        """Step 6."""
        super()._finish(groups)
        self._values.forget(groups)

    # --- answers ----------------------------------------------------------------------------------

    def frame(self, kind: Kind, body: memoryview) -> None:
        """PREPARED, ARRIVED, PULL or PIECED."""
        if kind is Kind.PREPARED:
            self._prepared(frames.read_groups(body))
        elif kind is Kind.ARRIVED:
            self._arrived(frames.read_groups(body))
        elif kind is Kind.PULL:
            self._pulled(frames.read_pull(body))
        elif kind is Kind.PIECED:
            self._values.answered(Pieced.read(body))
            self._kick()
        else:
            raise FrameError(f"{kind.name} is not expected here")

    def _pulled(self, wanted: dict[int, bytes]) -> None:
        """A priority pull. What has arrived in the meantime, the destination will see."""
        for group, keys in wanted.items():
            if self.moves(group) and self._is_prepared(group):
                self._fetch.add(group, keys)

    def _forget_sent(self) -> None:
        """The channel is new: what was in the old one may be lost."""
        self._told = 0
        self._stream.clear()
        self._values.clear()

    # --- what a protocol decides ------------------------------------------------------------------

    @abstractmethod
    def _is_prepared(self, group: int) -> bool:
        """Whether the destination has acknowledged PREPARE for a group in flight."""

    @abstractmethod
    def _prepared(self, groups: Iterable[int]) -> None:
        """The destination is the owner of these."""

    @abstractmethod
    def _arrived(self, groups: Iterable[int]) -> None:
        """The destination has every key of these."""
