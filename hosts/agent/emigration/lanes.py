"""START and COMPLETE, the control packets of a migration's lanes: each is sent through the switch
until the destination acknowledges it."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

from hosts.agent.channel import Server
from hosts.agent.emigration.prefetch import Batch
from hosts.agent.node import Node, address
from hosts.wire import Control, Header, Op

_RESEND: Final = (0.02, 0.5)
_TICK: Final = 0.01


@dataclass(slots=True)
class Lane:
    """One sender. `sequence` numbers its control packets; a resend keeps its number."""

    index: int
    sequence: int = 0
    acknowledged: int = 0
    batch: range = range(0)
    unprepared: set[int] = field(default_factory=set)  # the destination is not yet their owner
    unarrived: set[int] = field(default_factory=set)  # it has not applied their every key
    read: Batch | None = None  # what is to be sent when it is prepared
    begun: float = 0.0
    started: bool = False  # START is acknowledged
    packet: bytes = b""  # the control packet that is not acknowledged yet
    due: float = 0.0
    delay: float = 0.0

    def begin(self, read: Batch) -> None:
        """Take a batch to move."""
        self.batch = batch = read.groups
        self.unprepared = set(batch)
        self.unarrived = set(batch)
        self.read = read
        self.begun = monotonic()
        self.started = False


class Signals:
    """Speaks for the lanes in `moving`, which are listed by the first group of their batch."""

    def __init__(
        self,
        node: Node,
        number: int,
        destination: Server,
        moving: Mapping[int, Lane],
        frozen: Callable[[], bool],
    ) -> None:
        self._node = node
        self._number = number
        self._peer = (address(destination.ip), destination.udp_port)
        self._moving = moving
        self._frozen = frozen
        self._ticking: asyncio.TimerHandle | None = None

    def send(self, lanes: Iterable[Lane], op: Op) -> None:
        """Say START or COMPLETE for the batches of these lanes."""
        lanes = list(lanes)
        for lane in lanes:
            lane.sequence += 1
            service, first = self._node.core.service, lane.batch.start
            header = Header(op, service=service, group=first, migration=self._number)
            lane.packet = header.pack() + Control(lane.index, lane.sequence).pack()
            lane.due, lane.delay = 0.0, _RESEND[0]
        self._transmit(lanes)

    def _transmit(self, lanes: Iterable[Lane]) -> None:
        """Send the lanes' control packets now, unless everything stands still."""
        if self._frozen() or self._node.vip is None:
            return
        packets: list[bytes] = []
        now = monotonic()
        for lane in lanes:
            lane.due = now + lane.delay
            lane.delay = min(2 * lane.delay, _RESEND[1])
            packets.append(lane.packet)
        self._node.core.send(packets, *self._node.vip)
        self._node.counters.add("control_sent", len(packets))

    def watch(self) -> None:
        """Send again what is due, as long as anything is on the move."""
        if self._moving and self._ticking is None:
            self._ticking = asyncio.get_running_loop().call_later(_TICK, self._tick)

    def _tick(self) -> None:
        self._ticking = None
        if self._frozen():
            return
        now = monotonic()
        due = [lane for lane in self._moving.values() if lane.packet and lane.due <= now]
        if due:
            self._node.counters.add("control_resent", len(due))
            self._transmit(due)
        self.watch()

    def acknowledged(self, acks: Iterable[tuple[int, int, int, int, int]]) -> list[Lane]:
        """Return the lanes that GROUP_ACKs are for: (group, lane, sequence, ip, port). Frozen, the
        truth must not change under the controller; the destination acknowledges the resend again.
        """
        lanes: list[Lane] = []
        for group, index, sequence, ip, port in acks:
            lane = self._moving.get(group)
            if (
                self._frozen()
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
            lanes.append(lane)
        return lanes

    def close(self) -> None:
        """The agent ends."""
        if self._ticking is not None:
            self._ticking.cancel()
