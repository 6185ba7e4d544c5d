"""Queries and control packets: who takes what the core does not answer alone."""

from collections.abc import Iterable
from typing import Final

from hosts.agent import frames
from hosts.agent._core import BATCH, Query
from hosts.agent.emigration.emigrations import Emigrations
from hosts.agent.immigration import Arrival, Packet, Queries
from hosts.agent.node import Node
from hosts.agent.table import State
from hosts.wire import Flags, Op

_BATCHES: Final = 4
# Plain numbers: to look up a member of an enumeration takes longer than to compare it.
_OWNED, _EMIGRATING, _IMMIGRATING = map(int, (State.OWNED, State.EMIGRATING, State.IMMIGRATING))


class Datagrams:
    """Drains the agent's socket through the core."""

    def __init__(
        self, node: Node, emigrations: Emigrations, arriving: Queries, arrival: Arrival
    ) -> None:
        self._node = node
        self._emigrations = emigrations
        self._arriving = arriving
        self._arrival = arrival

    def readable(self) -> None:
        """Take what has come, a few batches at most: others wait for the loop, too."""
        for _ in range(_BATCHES):
            served = self._node.core.receive()
            if served is None:
                return
            slow, control = served
            if slow:
                self.slow(slow)
            if control:
                self._control(control)

    def handed(self, body: memoryview) -> None:
        """Take queries that another agent's clients sent there."""
        items = frames.read_handed(body)
        for first in range(0, len(items), BATCH):
            slow, _ = self._node.core.given(items[first : first + BATCH])
            self.slow(slow)

    def slow(self, queries: Iterable[Query]) -> None:
        """Queries whose group is not simply ours (docs/protocol.md, the life of a group)."""
        arriving: list[Query] = []
        elsewhere: dict[int, list[Query]] = {}
        core, table = self._node.core, self._node.table
        states, owners = table.states, table.owners
        for query in queries:
            state = states.item(query.group)
            if state == _IMMIGRATING:
                arriving.append(query)
            elif state == _EMIGRATING:
                self._emigrations.query(query)
            elif state == _OWNED:
                core.execute([query], Flags.AUTHORITATIVE)
            else:
                elsewhere.setdefault(owners.item(query.group), []).append(query)
        if arriving:
            self._arriving.take(arriving)
        for owner, those in elsewhere.items():
            if owner in self._node.servers:
                self._node.hand(owner, those, "forwarded")
            else:
                for query in those:
                    core.refuse(query, f"server {owner}, the group's owner, is not known here")

    def _control(self, packets: Iterable[Packet]) -> None:
        acks: dict[int, list[tuple[int, int, int, int, int]]] = {}
        others: list[Packet] = []
        for packet in packets:
            op, _service, group, number, lane, sequence, ip, port = packet
            if op == Op.GROUP_ACK:
                acks.setdefault(number, []).append((group, lane, sequence, ip, port))
            else:
                others.append(packet)
        for number, those in acks.items():
            self._emigrations.acknowledged(number, those)
        if others:
            self._arrival.control(others)
