"""Source-based migration, also called pre-copy (docs/protocols.md): the source serves everything,
copies in rounds what is there and then what was written meanwhile, stops, copies the rest and hands
all groups over at once.
"""

import math
import time
from collections import deque
from collections.abc import Iterable, Sequence
from time import monotonic
from typing import Final

from hosts.agent import frames
from hosts.agent._core import Query, StoreError
from hosts.agent.bulk import Section
from hosts.agent.channel import Link
from hosts.agent.emigration.mover import FINAL, Emigrated, Mover, Order, Status
from hosts.agent.emigration.stream import Chunk, Stream
from hosts.agent.emigration.throttle import Throttle
from hosts.agent.frames import FrameError, Kind
from hosts.agent.held import Held
from hosts.agent.node import Node
from hosts.agent.pieces.copying import Copying
from hosts.agent.pieces.frame import Pieced
from hosts.agent.protocols import Protocol
from hosts.agent.table import State
from hosts.wire import Flags

_CLEARED_AHEAD: Final = 64
_TAKEN_AT_ONCE: Final = 2048
_UNANSWERED: Final = 64

# When to stop and hand over: the rest is small, does not shrink any more, or there were enough.
SMALL_BYTES: Final = 64 * 1024
_SHRINKS: Final = 0.8
_ROUNDS: Final = 30


class Precopy(Mover):
    """Copies while it serves; `downtime` is how long it then did not serve, in seconds."""

    protocol = Protocol.SOURCE
    _values: Copying

    def __init__(
        self,
        node: Node,
        order: Order,
        emigrated: Emigrated,
        *,
        stop_bytes: int = SMALL_BYTES,
    ) -> None:
        super().__init__(node, order, emigrated)
        self._stop_bytes = stop_bytes
        self._held = Held(node)
        self._left = {group for groups in self.ranges for group in groups}
        # numbers of frames only grow, even if this agent is started anew
        self._number = time.time_ns() // 1000
        self._written: dict[int, set[bytes] | None] = {}
        self._stopped = 0.0
        self.downtime = 0.0
        self._stream = self._new_stream(self.throttle)
        self._values = Copying(
            node, self.number, self._stream, self._written, self._next_number, self._send_whole
        )
        self._begin()

    def _begin(self) -> None:
        """Copy everything, from the start.

        Started anew, or failed while handing over, the source cannot know what it has still. The
        destination's answers to CLEAR say so: TAKEN, or CLEARED, and then it takes no earlier TAKE.
        """
        groups = sorted(self._left)
        self._serving = all(self._node.table.are(groups, State.OWNED))
        self._asking = not self._serving
        self._taking = False  # TAKE was sent: the destination may be the owner
        self._take_sent = False  # on this connection
        self.rounds = 0
        self._dirty = 0  # keys that the round before had to copy
        self._round_groups, self._round_sent = len(self._left), 0
        self._giving_up = False
        self._to_clear = deque(groups)
        self._clearing: set[int] = set()
        self._stream.clear()
        self._values.clear()
        self._apart = True
        self._serve_stream(self.throttle)
        self._unanswered: dict[int, list[Section]] = {}
        self._written.clear()
        self._track(self._written)
        if self._asking:
            self._stop_serving()
        self._kick()

    def _new_stream(self, throttle: Throttle) -> Stream:
        return Stream(self._node, throttle, self._kick, self._dumped, self.store_failed)

    def _serve_stream(self, throttle: Throttle) -> None:
        self._stream = self._new_stream(throttle)
        self._values.serve(self._stream)

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    def _track(self, written: dict[int, set[bytes] | None] | None) -> None:
        for groups in self.ranges:
            self._node.core.track(groups.start, groups.stop - 1, written)

    # --- what the controller asks -----------------------------------------------------------------

    @property
    def ongoing(self) -> list[int]:
        """None: the switch steers by the partition as a whole."""
        return []

    @property
    def share(self) -> float:
        """How much of this round has been sent, by groups."""
        return min(1.0, self._round_sent / max(1, self._round_groups))

    def moves(self, group: int) -> bool:
        """Whether the source has stopped serving the group and has it still."""
        return not self._serving and group in self._left

    def pending(self) -> Iterable[int]:
        """The groups that are not the destination's yet."""
        return () if self.status in FINAL else self._left

    def _go_on(self) -> None:
        if self.status is Status.FAILED or self.hindered:
            self._begin()  # what the destination still has of the copies is not known
        super()._go_on()

    def _interrupted(self) -> None:
        """Serve again unless it may be too late."""
        self._track(None)
        if not self._serving and not self._taking and not self._asking:
            self._serve_again()

    def _serve_again(self) -> None:
        self._node.table.set(list(self._left), State.OWNED, self._node.own.index)
        self._serving = True
        self._asking = False
        self._node.core.execute(self._held.release(sorted(self._left)), Flags.AUTHORITATIVE)
        self._kick()

    def query(self, query: Query) -> None:
        """Hold what comes while nobody serves the group."""
        self._held.hold(query)

    def close(self) -> None:
        """The agent ends."""
        super().close()
        self._track(None)

    # --- the passes -------------------------------------------------------------------------------

    def _step(self) -> None:
        link = self._node.link(self.destination.index)
        if self._stopping and self._serving and not self._giving_up:
            self._give_up()
        if link.ready:
            self._set_apart(link)
            self._clear(link)
            if self._giving_up:
                if not self._to_clear and not self._clearing:
                    self._end(Status.STOPPED)
                return
            if not self._to_clear and not self._clearing and self._asking:
                self._serve_again()
            try:
                self._copy()
                self._send_piece(link, self._values, self._early)
            except (StoreError, ConnectionError) as error:
                self.store_failed(error)
                return
            copying = self._stream or self._stream.under_way or self._values.busy
            if not (self._to_clear or self._clearing or copying):
                self._turn(link)

    def _give_up(self) -> None:
        """Nothing moves any more: have the copies deleted, and none sent after that. It ends when
        the destination says that they are gone."""
        self._giving_up = True
        self._track(None)
        self._stream.clear()
        self._values.clear()
        self._unanswered.clear()
        self._clearing.clear()
        self._to_clear = deque(sorted(self._left))

    def _end(self, status: Status) -> None:
        self._track(None)
        self._written.clear()
        self._set(status)

    def _set_apart(self, link: Link) -> None:
        """No piece counts that an earlier connection, or process, brings later than this."""
        if self._apart:
            self._apart = False
            self._send_clear(link, [])

    def _send_clear(self, link: Link, groups: Sequence[int]) -> None:
        body = frames.number(self._next_number()) + frames.group_list(groups)
        size = link.send(Kind.CLEAR, frames.migration(self.number), body)
        self._node.counters.add("channel_other_bytes", size)

    def _clear(self, link: Link) -> None:
        """Have left-over copies deleted, a little ahead of the first round."""
        if not self._to_clear or len(self._clearing) > _CLEARED_AHEAD // 2:
            return
        groups = [self._to_clear.popleft() for _ in range(min(_CLEARED_AHEAD, len(self._to_clear)))]
        self._clearing.update(groups)
        self._send_clear(link, groups)

    @property
    def _early(self) -> float:
        """How far ahead of the throttle to send; once nobody serves, it does not count."""
        return 0.0 if self._serving else math.inf

    def _copy(self) -> None:
        """Chunks of keys."""
        while len(self._unanswered) < _UNANSWERED:
            if not self._begin_chunk(self._stream, self._early):
                return

    def _dumped(self, chunk: Chunk) -> None:
        """Numbered as it is sent: what is sent in order is taken in order."""
        self._round_sent += len(chunk.ended)
        if chunk.keys:
            self._sent(chunk.keys, self._send_copy(chunk.sections, chunk.body))
        self._check_end()
        self._kick()

    def _send_copy(self, sections: list[Section], body: bytes) -> int:
        number = self._next_number()
        self._unanswered[number] = sections
        head = frames.migration(self.number) + frames.number(number)
        return self._node.link(self.destination.index).send(Kind.COPY, head, body)

    def _send_whole(self, group: int, key: bytes, body: bytes) -> int:
        return self._send_copy([(group, frames.key_list([key]), False, False)], body)

    def _turn(self, link: Link) -> None:
        """All that was to copy is on its way: another round, or the end."""
        if self._serving:
            self._next_round(link)
        elif not self._unanswered and not self._take_sent:
            self._hand_over(link)

    def _next_round(self, link: Link) -> None:
        if self._pausing:
            self._check_end()
            return
        dirty = sum(1 if keys is None else len(keys) for keys in self._written.values())
        before = self._dirty if self.rounds else self.keys_sent
        size = dirty * self.bytes_sent / max(1, self.keys_sent)
        self.rounds += 1
        self._dirty = dirty
        self._round_groups, self._round_sent = len(self._written), 0
        if size <= self._stop_bytes or dirty >= _SHRINKS * before or self.rounds >= _ROUNDS:
            self._stop_serving()
        for group, keys in self._written.items():
            if keys is None:  # among what a script did there may be deletions
                self._to_clear.append(group)
            else:
                self._values.withdraw(link, group, keys)
                self._stream.add_keys(group, frames.key_list(keys), len(keys))
        self._written.clear()
        self._values.clear()
        self._kick()

    def _stop_serving(self) -> None:
        self._serving = False
        self._stopped = monotonic()
        self._serve_stream(Throttle(0))
        groups = list(self._left)
        self._node.table.moving[groups] = self.number
        self._node.table.set(groups, State.EMIGRATING, self.destination.index)

    def _hand_over(self, link: Link) -> None:
        """Every key is at the destination, as it is here."""
        self._taking = self._take_sent = True
        _, marks = self._node.core.watermarks(0)
        size = link.send(Kind.WATERMARKS, marks) if marks else 0
        groups = sorted(self._left)
        for first in range(0, len(groups), _TAKEN_AT_ONCE):
            head = frames.migration(self.number) + frames.number(self._next_number())
            body = self._node.with_records(groups[first : first + _TAKEN_AT_ONCE])
            size += link.send(Kind.TAKE, head, body)
        self._node.counters.add("channel_other_bytes", size)

    # --- answers ----------------------------------------------------------------------------------

    def frame(self, kind: Kind, body: memoryview) -> None:
        """CLEARED, COPIED, PIECED or TAKEN."""
        if kind is Kind.CLEARED:
            groups = [group for group in frames.read_groups(body) if group in self._clearing]
            self._clearing.difference_update(groups)
            if not self._giving_up:
                self._stream.add(groups)
        elif kind is Kind.COPIED:
            number, _ = frames.read_number(body)
            self._unanswered.pop(number, None)
        elif kind is Kind.PIECED:
            self._values.answered(Pieced.read(body))
        elif kind is Kind.TAKEN:
            self._taken([group for group in frames.read_groups(body) if group in self._left])
        else:
            raise FrameError(f"{kind.name} is not expected here")
        self._kick()

    def _taken(self, groups: list[int]) -> None:
        """The groups are the destination's: what was held for them, too."""
        self._finish(groups)
        self._left.difference_update(groups)
        self._clearing.difference_update(groups)
        held = self._held.release(groups)
        self._node.hand(self.destination.index, held, "handed_over")
        if not self._left and self.status not in FINAL:
            self.downtime = monotonic() - self._stopped
            self._end(Status.DONE)

    def resend(self) -> None:
        """The channel is new: what was not answered is sent again, as it is now."""
        if self.status in FINAL:
            return
        self._to_clear.extendleft(sorted(self._clearing, reverse=True))
        self._clearing.clear()
        for sections in self._unanswered.values():
            for group, keys, _, _ in sections:
                self._stream.add_keys(group, keys, len(frames.read_keys(keys)))
        self._unanswered.clear()
        for group, key in self._values.left:
            self._stream.add_keys(group, frames.key_list([key]), 1)
        self._values.clear()
        self._apart = True
        self._take_sent = False
        self._kick()

    def _check_end(self) -> None:
        quiet = self._serving and not self._stream.under_way and not self._values.busy
        if quiet and self._pausing and self.status is Status.RUNNING:
            self._set(Status.PAUSED)
