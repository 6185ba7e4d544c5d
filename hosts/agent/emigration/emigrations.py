"""Which migrations from this server the controller ordered, and which of them a query, an answer of
the destination or an acknowledgement is for."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import numpy as np

from hosts.agent import frames, orders
from hosts.agent._core import Query
from hosts.agent.channel import Server
from hosts.agent.emigration.handoff import Handoff
from hosts.agent.emigration.mover import FINAL, Emigrated, Mover, Order
from hosts.agent.emigration.netmigrate import MAX_LANES, Emigration
from hosts.agent.emigration.precopy import SMALL_BYTES, Precopy
from hosts.agent.frames import Kind
from hosts.agent.node import Node
from hosts.agent.orders import NotReadyError
from hosts.agent.protocols import Protocol
from hosts.agent.table import State

_REMEMBERED: Final = 64  # migrations that are over
_STRANDED_MICROSECONDS: Final = 100_000


class Emigrations:
    """All migrations from this server; `emigrated` is told of groups that have gone."""

    def __init__(self, node: Node, emigrated: Emigrated) -> None:
        self._node = node
        self._emigrated = emigrated
        self.known: dict[int, Mover] = {}
        self._loss = ""  # of what was on its way from here when the store lost what it had

    def start(
        self,
        number: int,
        destination: Server,
        ranges: Sequence[range],
        lanes: int,
        throttle: int,
        protocol: Protocol = Protocol.NETMIGRATE,
        batch: int = 1,
        stop_bytes: int = 0,
    ) -> Mover:
        """Be the source of a migration. Idempotent while the migration is not over."""
        orders.check(self._node, destination, ranges, batch)
        if not 1 <= lanes <= MAX_LANES:
            raise ValueError(f"{lanes} lanes: 1 to {MAX_LANES} are possible")
        known = self.known.get(number)
        if known is not None and known.status not in FINAL:
            if known.destination == destination and known.ranges == list(ranges):
                return known
            raise NotReadyError(f"migration {number} is running with other groups or destination")
        self._check_free(destination, ranges)
        self._node.know(destination)
        movers: dict[Protocol, Callable[[Node, Order, Emigrated], Mover]] = {
            Protocol.NETMIGRATE: partial(Emigration, lanes=lanes, batch=batch),
            Protocol.SOURCE: partial(Precopy, stop_bytes=stop_bytes or SMALL_BYTES),
            Protocol.ROCKSTEADY: partial(Handoff, protocol=Protocol.ROCKSTEADY),
            Protocol.FULVA: partial(Handoff, protocol=Protocol.FULVA),
        }
        order = Order(number, destination, ranges, throttle)
        emigration = movers[protocol](self._node, order, self._emigrated)
        self.known.pop(number, None)
        self.known[number] = emigration
        if self._loss:
            emigration.fail(self._loss)
            self._loss = ""
        self._forget_old()
        return emigration

    def _check_free(self, destination: Server, ranges: Sequence[range]) -> None:
        """Raise NotReadyError unless all these groups are here, and in no other migration."""
        table = self._node.table
        moving = {group for one in self.known.values() for group in one.pending()}
        for groups in ranges:
            if shared := moving.intersection(groups):
                raise NotReadyError(f"group {min(shared)} is part of another migration")
            states = table.states[groups.start : groups.stop]
            owners = table.owners[groups.start : groups.stop]
            # left behind by an earlier run of this agent, on its way to the same destination
            stranded = (states == State.EMIGRATING) & (owners == destination.index)
            for place in np.flatnonzero((states != State.OWNED) & ~stranded)[:1]:
                name = State(states[place]).name
                group = groups.start + int(place)
                raise NotReadyError(f"group {group} is {name} here, it cannot be sent")

    def _forget_old(self) -> None:
        over = [old for old in self.known.values() if old.status in FINAL]
        for old in over[:-_REMEMBERED]:
            del self.known[old.number]

    def query(self, query: Query) -> None:
        """Take a query for an EMIGRATING group."""
        for emigration in self.known.values():
            if emigration.status not in FINAL and emigration.moves(query.group):
                emigration.query(query)
                return
        # It was leaving when this agent was restarted: the controller lets it go on.
        self._node.core.retry([(query, _STRANDED_MICROSECONDS)])

    def acknowledged(self, number: int, acks: list[tuple[int, int, int, int, int]]) -> None:
        """GROUP_ACKs of a migration: (group, lane, sequence, ip, port)."""
        if number in self.known:
            self.known[number].acknowledged(acks)
        else:
            self._node.counters.add("control_ignored", len(acks))

    def frame(self, peer: int, kind: Kind, body: memoryview) -> None:
        """Take what a destination answers, or complains of; ValueError if it is malformed."""
        number, body = frames.read_migration(body)
        emigration = self.known.get(number)
        if emigration is None or emigration.destination.index != peer:
            return  # of a migration that this agent knew before it was restarted
        if kind is Kind.FAILED:
            emigration.fail(bytes(body).decode(errors="replace"))
        elif kind is Kind.HINDERED:
            emigration.hinder(*frames.read_hindrance(body))
        else:
            emigration.frame(kind, body)

    def resend(self, peer: int) -> None:
        """The channel to a destination is new."""
        for emigration in self.known.values():
            if emigration.destination.index == peer:
                emigration.resend()

    def writable(self, peer: int) -> None:
        """The channel to a destination takes bulk data again."""
        for emigration in self.known.values():
            if emigration.destination.index == peer:
                emigration.writable()

    def fail_all(self, why: str) -> None:
        """The store has lost what it had: no migration may go on as if nothing had happened, nor
        be started anew so."""
        if self._node.table.those(State.EMIGRATING) and not self.known:
            self._loss = why
        for emigration in self.known.values():
            emigration.fail(why)

    def close(self) -> None:
        """The agent ends."""
        for emigration in self.known.values():
            emigration.close()
