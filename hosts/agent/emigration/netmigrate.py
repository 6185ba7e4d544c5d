"""The source's side of a migration (docs/protocol.md): lanes that each move one batch at a time.

A batch is some neighbouring groups for which one START and one COMPLETE speak. Its keys are read
before it leaves, so that it is on the move for little more than it takes to send them.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Final

import numpy as np

from hosts.agent._core import Query, StoreError
from hosts.agent.channel import Link
from hosts.agent.emigration.lanes import Lane, Signals
from hosts.agent.emigration.mover import FINAL, Emigrated, Order, Status
from hosts.agent.emigration.postcopy import Postcopy
from hosts.agent.emigration.prefetch import Prefetch
from hosts.agent.emigration.throttle import OVERDRAFT
from hosts.agent.node import Node
from hosts.agent.protocols import Protocol
from hosts.agent.table import State
from hosts.wire import Op

MAX_LANES: Final = 64
_PREPARING: Final = (0.001, 0.03)  # seconds that PREPARE is taken to need, at least and at most
_AHEAD: Final = 2  # batches that are read before they leave


class Emigration(Postcopy):
    """Sends groups to a destination, a few batches at a time."""

    protocol = Protocol.NETMIGRATE

    def __init__(
        self,
        node: Node,
        order: Order,
        emigrated: Emigrated,
        *,
        lanes: int,
        batch: int,
    ) -> None:
        super().__init__(node, order, emigrated)
        self.lanes = [Lane(index) for index in range(lanes)]
        self.batch = batch
        firsts = self._hottest_first([first for groups in self.ranges for first in groups[::batch]])
        # begun before this agent was restarted: these go first, and are finished whatever is asked
        begun = [first for first in firsts if self._is_begun(first)]
        self._begun, known = len(begun), set(begun)
        self._todo = deque([*begun, *(first for first in firsts if first not in known)])
        self._moving: dict[int, Lane] = {}  # by the first group of its batch
        self._idle = list(reversed(self.lanes))
        self._prefetch = Prefetch(
            node, self.throttle, batch, self._values, self._kick, self.store_failed
        )
        self._signals = Signals(
            node, self.number, self.destination, self._moving, lambda: self._frozen
        )
        self._preparing = _PREPARING[0]  # seconds that PREPARE took of late
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

    def _is_prepared(self, group: int) -> bool:
        lane = self._lane(group)
        return lane is not None and group not in lane.unprepared

    def _lane(self, group: int) -> Lane | None:
        return self._moving.get(group & -self.batch)

    def pending(self) -> Iterable[int]:
        """The groups that this migration may still touch."""
        if self.status in FINAL:
            return ()
        firsts = (*self._moving, *self._prefetch.firsts, *self._todo)
        return (group for first in firsts for group in range(first, first + self.batch))

    def _go_on(self) -> None:
        for lane in self._moving.values():
            lane.due = 0.0
        super()._go_on()

    def _check_end(self) -> None:
        if self._moving or self.status not in (Status.RUNNING, Status.STOPPING):
            return
        if not self._todo and not self._prefetch:
            self._set(Status.DONE)
        elif self._begun:
            return  # the link, or a lane that is free, brings it on
        elif self.status is Status.STOPPING:
            self._give_back()
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

    # --- the passes -------------------------------------------------------------------------------

    def _step(self) -> None:
        link = self._node.link(self.destination.index)
        if link.ready:
            try:
                # A batch that is under way goes quickly; the throttle is paid back before the next
                # one is begun.
                self._take_keys(OVERDRAFT)
                self._send_piece(link, self._values, OVERDRAFT)
                self._start_batches(link)
                self._read_ahead()
            except (StoreError, ConnectionError) as error:
                self.store_failed(error)
                return
        self._signals.watch()
        self._check_end()

    @property
    def _ending(self) -> bool:
        """Whether nothing new is to leave."""
        return self._pausing or self.status is Status.STOPPING

    def _read_ahead(self) -> None:
        """Read the batches that leave next, which are more where nothing waits for a throttle."""
        most = _AHEAD if self.throttle.rate else max(_AHEAD, len(self.lanes))
        if self._ending:
            most = self._begun
        while self._todo and len(self._prefetch) < most:
            self._prefetch.add(self._todo.popleft())
        self._prefetch.read_on()

    def _give_back(self) -> None:
        """Nothing is read ahead any more."""
        self._todo.extendleft(reversed(self._prefetch.give_back()))

    def _interrupted(self) -> None:
        """What was read is read again, perhaps in another way."""
        self._give_back()
        for lane in self._moving.values():
            lane.read = None

    def _may_leave(self) -> bool:
        """Whether it is time for the next batch. Throttled, it goes as late as keeps the stream
        from running dry while PREPARE is under way: in flight, a group costs the clients something.
        """
        if self._ending:
            return self._begun > 0
        if not self.throttle.rate:
            return True
        unsent = sum(len(lane.read.body) for lane in self._moving.values() if lane.read)
        early = self.throttle.wait() + 8 * unsent / self.throttle.rate - self._preparing
        if early > 0:
            self._kick_in(early)
        return early <= 0

    def _start_batches(self, link: Link) -> None:
        """Steps 1 and 2 for free lanes."""
        chosen: list[int] = []
        while self._idle and self._prefetch.ready and self._may_leave():
            read = self._prefetch.take()
            lane = self._idle.pop()
            lane.begin(read)
            self._moving[lane.batch.start] = lane
            self._begun = max(0, self._begun - 1)
            chosen += lane.batch
        if chosen:
            self._leave(chosen)
            self._prepare(link, chosen)

    def _prepared(self, groups: Iterable[int]) -> None:
        """Step 2 is acknowledged: when this is so for a whole batch, the keys and START; then hand
        over what was held."""
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
        for lane in lanes:
            self._send_read(lane)
        self._node.link(self.destination.index).flush()
        # reads are doubled from START on, so it goes no earlier than the keys
        self._signals.send(lanes, Op.GROUP_START)
        # behind the keys, which then are on their way into the store and need not be pulled
        self._node.hand(self.destination.index, held, "handed_over")
        self._kick()

    def _send_read(self, lane: Lane) -> None:
        """Step 4, of what was read ahead; the rest is to be read now."""
        read, lane.read = lane.read, None
        if read is None or self._frozen or self.hindered:
            self._stream.add(lane.batch)
            return
        self._stream.add(read.unread)
        if read.body:
            self._send_keys(read.keys, read.body)

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
        self._signals.send(lanes, Op.GROUP_COMPLETE)

    def acknowledged(self, acks: Sequence[tuple[int, int, int, int, int]]) -> None:
        """Take GROUP_ACKs: (group, lane, sequence, ip, port)."""
        complete: list[Lane] = []
        finished = False
        for lane in self._signals.acknowledged(acks):
            if lane.started:
                self._finish(list(lane.batch))
                del self._moving[lane.batch.start]
                self._idle.append(lane)
                finished = True
            else:
                lane.started = True
                if not lane.unarrived:
                    complete.append(lane)
        self._signals.send(complete, Op.GROUP_COMPLETE)
        if finished:
            self._kick()

    def resend(self) -> None:
        """The channel is new: what was not answered is sent again, idempotently."""
        if self.status in FINAL:
            return
        self._forget_sent()
        unprepared: list[int] = []
        for lane in self._moving.values():
            unprepared += sorted(lane.unprepared)
            if not lane.unprepared:
                self._stream.add(sorted(lane.unarrived))
        self._prepare(self._node.link(self.destination.index), unprepared)
        self._kick()

    def close(self) -> None:
        """The agent ends."""
        super().close()
        self._signals.close()
        self._prefetch.give_back()
