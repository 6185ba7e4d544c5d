"""The source's side of a migration (docs/protocol.md): lanes that each move one batch at a time.

A batch is some neighbouring groups for which one START and one COMPLETE speak. All lanes advance
together: one pass handles whatever is due for all of them, with one frame on the channel and one
round trip to the store, because a group is small and per-group costs add up.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

import numpy as np

from hosts.agent import frames
from hosts.agent._core import Query, StoreError
from hosts.agent.channel import Link, Server
from hosts.agent.emigration.fetch import Fetch
from hosts.agent.emigration.mover import FINAL, Mover, Status
from hosts.agent.emigration.stream import Chunk, Stream
from hosts.agent.frames import Kind
from hosts.agent.held import Held
from hosts.agent.node import Node, address
from hosts.agent.pieces.frame import Pieced
from hosts.agent.pieces.outgoing import Outgoing
from hosts.agent.protocols import Protocol
from hosts.agent.table import State
from hosts.wire import Control, Header, Op

MAX_LANES: Final = 64
_RESEND: Final = (0.02, 0.5)
_TICK: Final = 0.01
_PREPARING: Final = (0.001, 0.03)  # seconds that PREPARE is taken to need, at least and at most
_OVERDRAFT: Final = 0.05  # seconds by which a batch may run ahead of the throttle


@dataclass(slots=True)
class Lane:
    """One sender. `sequence` numbers its control packets; a resend keeps its number."""

    index: int
    sequence: int = 0
    acknowledged: int = 0
    batch: range = range(0)
    unprepared: set[int] = field(default_factory=set)  # the destination is not yet their owner
    unarrived: set[int] = field(default_factory=set)  # it has not applied their every key
    unsent: int = 0  # groups of which not every key has been sent
    begun: float = 0.0
    started: bool = False  # START is acknowledged
    packet: bytes = b""  # the control packet that is not acknowledged yet
    due: float = 0.0
    delay: float = 0.0

    def begin(self, batch: range) -> None:
        """Take a batch to move."""
        self.batch = batch
        self.unprepared = set(batch)
        self.unarrived = set(batch)
        self.unsent = len(batch)
        self.begun = monotonic()
        self.started = False


class Emigration(Mover):
    """Sends groups to a destination, a few batches at a time."""

    protocol = Protocol.NETMIGRATE

    def __init__(
        self,
        node: Node,
        *,
        number: int,
        destination: Server,
        ranges: Sequence[range],
        lanes: int,
        throttle: int,
        batch: int,
        emigrated: Callable[[Sequence[int]], None],
    ) -> None:
        super().__init__(
            node, number=number, destination=destination, ranges=ranges, throttle=throttle
        )
        self.lanes = [Lane(index) for index in range(lanes)]
        self.batch = batch
        self._peer = (address(destination.ip), destination.udp_port)
        self._emigrated = emigrated
        firsts = self._hottest_first([first for groups in ranges for first in groups[::batch]])
        # begun before this agent was restarted: these go first, and are finished whatever is asked
        begun = [first for first in firsts if self._is_begun(first)]
        self._begun, known = len(begun), set(begun)
        self._todo = deque([*begun, *(first for first in firsts if first not in known)])
        self._moving: dict[int, Lane] = {}  # by the first group of its batch
        self._idle = list(reversed(self.lanes))
        self._stream = Stream(node, self.throttle, self._kick, self._dumped, self.store_failed)
        self._values = Outgoing(node, number, self._stream)  # the big ones
        self._fetch = Fetch(
            node, number, destination.index, self._values, self._kick, self.store_failed
        )
        self._held = Held(node)
        self._told = 0  # watermarks told to the destination, by the core's clock
        self._preparing = _PREPARING[0]  # seconds that PREPARE took of late
        self._ticking: asyncio.TimerHandle | None = None
        self._kick()

    @property
    def ongoing(self) -> list[int]:
        """The groups whose START is acknowledged and whose COMPLETE is not."""
        return [group for lane in self._moving.values() if lane.started for group in lane.batch]

    @property
    def lane_sequences(self) -> list[int]:
        """The last acknowledged control sequence of each lane."""
        return [lane.acknowledged for lane in self.lanes]

    def moves(self, group: int) -> bool:
        """Whether the group is in flight."""
        return self._lane(group) is not None

    def _lane(self, group: int) -> Lane | None:
        return self._moving.get(group & -self.batch)

    def pending(self) -> Iterable[int]:
        """The groups that this migration may still touch."""
        if self.status in FINAL:
            return ()
        firsts = (*self._moving, *self._todo)
        return (group for first in firsts for group in range(first, first + self.batch))

    def _go_on(self) -> None:
        for lane in self._moving.values():
            lane.due = 0.0
        super()._go_on()

    def _check_end(self) -> None:
        if self._moving or self.status not in (Status.RUNNING, Status.STOPPING):
            return
        if not self._todo:
            self._set(Status.DONE)
        elif self._begun:
            return  # the link, or a lane that is free, brings it on
        elif self.status is Status.STOPPING:
            self._set(Status.STOPPED)
        elif self._pausing:
            self._set(Status.PAUSED)

    def _hottest_first(self, firsts: list[int]) -> list[int]:
        """Return the batches in the order to move them: what relieves the source most goes first,
        and what nobody asks for follows in the order of the groups."""
        asked = np.frombuffer(self._node.core.asked(), np.uint32).reshape(-1, self.batch).sum(1)
        return sorted(firsts, key=lambda first: -int(asked[first // self.batch]))

    def _is_begun(self, first: int) -> bool:
        states = self._node.table.states[first : first + self.batch]
        return bool((states == State.EMIGRATING).any())

    # --- queries of groups in flight --------------------------------------------------------------

    def query(self, query: Query) -> None:
        """A query for an EMIGRATING group that is not a double read: the destination's, once it
        has acknowledged PREPARE."""
        lane = self._lane(query.group)
        if lane is not None and query.group not in lane.unprepared:
            self._node.hand(self.destination.index, [query], "handed_over")
        else:
            self._held.hold(query)

    # --- the passes -------------------------------------------------------------------------------

    def _step(self) -> None:
        link = self._node.link(self.destination.index)
        if link.ready:
            try:
                self._take_keys()
                self._send_piece(link, self._values, _OVERDRAFT)
            except (StoreError, ConnectionError) as error:
                self.store_failed(error)
                return
            self._start_batches(link)
        if self._moving and self._ticking is None:
            self._ticking = asyncio.get_running_loop().call_later(_TICK, self._tick)
        self._check_end()

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
            raise frames.FrameError(f"{kind.name} is not expected here")

    def _wanted(self) -> int:
        """How many batches to start now. Throttled, as late and as few as keep the stream from
        running dry while PREPARE is under way: in flight, a group costs the clients something."""
        if self._pausing or self.status is Status.STOPPING:
            return self._begun
        if not self.throttle.rate:
            return len(self.lanes)
        if not self.done:  # the first batch tells how big they are
            return 1 - len(self._moving)
        per_group = (
            8 * (self.bytes_sent - self._values.bytes_sent) / len(self.done) / self.throttle.rate
        )  # in seconds
        unsent = sum(lane.unsent for lane in self._moving.values())
        early = self.throttle.wait() + unsent * per_group - self._preparing
        if early > 0:
            self._kick_in(early)
            return 0
        return 1 + int(-early / (self.batch * per_group))

    def _start_batches(self, link: Link) -> None:
        """Steps 1 and 2 for free lanes."""
        chosen: list[int] = []
        table = self._node.table
        for _ in range(min(self._wanted(), len(self._idle), len(self._todo))):
            lane = self._idle.pop()
            first = self._todo.popleft()
            self._begun = max(0, self._begun - 1)
            lane.begin(range(first, first + self.batch))
            self._moving[first] = lane
            groups = list(lane.batch)
            table.moving[groups] = self.number
            table.set(groups, State.EMIGRATING, self.destination.index)
            chosen += groups
        self._prepare(link, chosen)

    def _prepare(self, link: Link, groups: list[int]) -> None:
        if not groups:
            return
        clock, marks = self._node.core.watermarks(self._told)
        size = link.send(Kind.WATERMARKS, marks) if marks else 0
        self._told = clock
        body = self._node.with_records(groups)
        size += link.send(Kind.PREPARE, frames.migration(self.number), body)
        self._node.counters.add("channel_other_bytes", size)

    def _prepared(self, groups: Iterable[int]) -> None:
        """Step 2 is acknowledged: hand over what was held, then, when this is so for its whole
        batch, START and the keys."""
        lanes: list[Lane] = []
        held: list[Query] = []
        for group in groups:
            lane = self._lane(group)
            if lane is None or group not in lane.unprepared:
                continue
            lane.unprepared.discard(group)
            held += self._held.release([group])
            if not lane.unprepared:
                took = max(_PREPARING[0], min(monotonic() - lane.begun, _PREPARING[1]))
                self._preparing += (took - self._preparing) / 8
                lanes.append(lane)
                self._control(lane, Op.GROUP_START)
                self._stream.add(lane.batch)
        self._node.hand(self.destination.index, held, "handed_over")
        self._transmit(lanes)
        self._kick()

    def _take_keys(self) -> None:
        """Step 4: chunks of keys, each of as many groups as it takes. A batch that is under way
        goes quickly; the throttle is paid back before the next one is begun."""
        while self._begin_chunk(self._stream, _OVERDRAFT):
            pass

    def _dumped(self, chunk: Chunk) -> None:
        for group in chunk.ended:
            if (lane := self._lane(group)) is not None:
                lane.unsent -= 1
        link = self._node.link(self.destination.index)
        self._sent(chunk.keys, link.send(Kind.KEYS, frames.migration(self.number), chunk.body))
        self._kick()

    def _arrived(self, groups: Iterable[int]) -> None:
        """The destination has every key of these: COMPLETE, when this is so for a whole batch and
        its START is acknowledged."""
        lanes: list[Lane] = []
        for group in groups:
            lane = self._lane(group)
            if lane is not None and group in lane.unarrived:
                lane.unarrived.discard(group)
                if not lane.unarrived and lane.started:
                    lanes.append(lane)
        self._complete(lanes)

    def _complete(self, lanes: Sequence[Lane]) -> None:
        for lane in lanes:
            self._control(lane, Op.GROUP_COMPLETE)
        self._transmit(lanes)

    def _finish(self, lane: Lane) -> None:
        """Step 6: the batch is the destination's."""
        groups = list(lane.batch)
        self._node.table.set(groups, State.ABSENT, self.destination.index, former=True)
        self.done.update(groups)
        self._node.counters.add("groups_sent", len(groups))
        self._node.core.drop_records(groups)
        self._values.forget(groups)
        self._emigrated(groups)
        del self._moving[groups[0]]
        self._idle.append(lane)

    # --- control packets --------------------------------------------------------------------------

    def _control(self, lane: Lane, op: Op) -> None:
        lane.sequence += 1
        service = self._node.core.service
        header = Header(op, service=service, group=lane.batch.start, migration=self.number)
        lane.packet = header.pack() + Control(lane.index, lane.sequence).pack()
        lane.due, lane.delay = 0.0, _RESEND[0]

    def _transmit(self, lanes: Iterable[Lane]) -> None:
        """Send the lanes' control packets now, unless everything stands still."""
        if self._frozen or self._node.vip is None:
            return
        packets: list[bytes] = []
        now = monotonic()
        for lane in lanes:
            lane.due = now + lane.delay
            lane.delay = min(2 * lane.delay, _RESEND[1])
            packets.append(lane.packet)
        self._node.core.send(packets, *self._node.vip)
        self._node.counters.add("control_sent", len(packets))

    def _tick(self) -> None:
        self._ticking = None
        if self._frozen:
            return
        now = monotonic()
        due = [lane for lane in self._moving.values() if lane.packet and lane.due <= now]
        if due:
            self._node.counters.add("control_resent", len(due))
            self._transmit(due)
        if self._moving:
            self._ticking = asyncio.get_running_loop().call_later(_TICK, self._tick)

    def acknowledged(self, acks: Iterable[tuple[int, int, int, int, int]]) -> None:
        """GROUP_ACKs: (group, lane, sequence, ip, port). Frozen, the truth must not change under
        the controller; the destination acknowledges the resend again."""
        complete: list[Lane] = []
        finished = False
        for group, index, sequence, ip, port in acks:
            lane = self._moving.get(group)
            if (
                self._frozen
                or lane is None
                or lane.index != index
                or lane.sequence != sequence
                or not lane.packet
                or (ip, port) != self._peer
            ):
                self._node.counters.add("control_ignored")
                continue
            lane.packet = b""
            lane.acknowledged = sequence
            if lane.started:
                self._finish(lane)
                finished = True
            else:
                lane.started = True
                if not lane.unarrived:
                    complete.append(lane)
        self._complete(complete)
        if finished:
            self._kick()

    # --- the channel broke, or a key is wanted at once --------------------------------------------

    def resend(self) -> None:
        """The channel is new: what was not answered is sent again, idempotently."""
        if self.status in FINAL:
            return
        link = self._node.link(self.destination.index)
        self._told = 0
        self._stream.clear()
        self._values.clear()
        unprepared: list[int] = []
        for lane in self._moving.values():
            unprepared += sorted(lane.unprepared)
            if not lane.unprepared:
                self._stream.add(sorted(lane.unarrived))
                lane.unsent = len(lane.unarrived)
        self._prepare(link, unprepared)
        self._kick()

    def _pulled(self, wanted: dict[int, bytes]) -> None:
        """A priority pull. What has arrived in the meantime, the destination will see."""
        for group, keys in wanted.items():
            lane = self._lane(group)
            if lane is not None and group not in lane.unprepared:
                self._fetch.add(group, keys)

    def close(self) -> None:
        """The agent ends."""
        super().close()
        if self._ticking is not None:
            self._ticking.cancel()
