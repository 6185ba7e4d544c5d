"""One server's agent: it joins core, table, channel and migrations."""

import asyncio
import contextlib
import json
import logging
import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Self

import numpy as np

from hosts.agent import frames, store
from hosts.agent._core import BATCH, Core, Query, StoreError
from hosts.agent.bulk import Bulk
from hosts.agent.channel import Server
from hosts.agent.counters import Counters
from hosts.agent.emigration.handoff import Handoff
from hosts.agent.emigration.mover import FINAL, Mover
from hosts.agent.emigration.netmigrate import MAX_LANES, Emigration
from hosts.agent.emigration.precopy import SMALL_BYTES, Precopy
from hosts.agent.emigration.sweep import Sweeper
from hosts.agent.frames import Kind
from hosts.agent.handshake import Secret
from hosts.agent.immigration import Arrival, Immigrations, Packet, Queries
from hosts.agent.immigration.copies import Copies
from hosts.agent.incoming import Door
from hosts.agent.node import Node, address
from hosts.agent.pieces.arriving import Arriving
from hosts.agent.protocols import Protocol
from hosts.agent.streams import Streams, Tcp
from hosts.agent.table import State, Table
from hosts.agent.watch import Watch
from hosts.wire import GROUPS, MAX_BATCH, Flags, Op, is_batch

log = logging.getLogger("netmigrate.agent")

JOURNAL_BYTES: Final = 16 << 20
_BATCHES: Final = 4
_RECEIVE_BUFFER: Final = 8 << 20
_REMEMBERED: Final = 64  # migrations that are over
_IDLE_SECONDS: Final = 600
_STRANDED_MICROSECONDS: Final = 100_000
_HOUSEKEEPING_SECONDS: Final = 60.0
# Plain numbers: to look up a member of an enumeration takes longer than to compare it.
_OWNED, _EMIGRATING, _IMMIGRATING = map(int, (State.OWNED, State.EMIGRATING, State.IMMIGRATING))


class StartError(Exception):
    """The agent cannot start; the message is one line that says why and what to do."""


class NotReadyError(Exception):
    """What is asked needs something first, or contradicts what the agent knows."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says."""

    own: Server
    redis: str
    state: Path
    grace: float = 2.0
    login: store.Login | None = None
    secret: Secret | None = None
    tcp: Tcp = field(default_factory=Tcp)


class Agent:
    """Answers queries and moves groups. Everything runs on one thread."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        own = settings.own
        try:
            settings.state.mkdir(parents=True, exist_ok=True)
            self.table = Table.open(settings.state / "ownership")
        except (OSError, ValueError) as error:
            raise StartError(f"--state {settings.state}: {error}") from None
        self._socket = _bind(own.ip, own.udp_port)
        try:
            path = store.socket_path(settings.redis)
            self.core = Core(
                self._socket.fileno(),
                path,
                self.table.states.data,
                self.table.owners.data,
                self.table.former.data,
                self.table.moving.data,
            )
            self.store_version = store.check(self.core, path, settings.login)
        except (store.UnfitStore, ValueError) as error:
            self._socket.close()
            raise StartError(str(error)) from None
        remembered = self._remember()
        self.counters = Counters(self.core)
        self.emigrations: dict[int, Mover] = {}
        self.node = Node(
            own,
            self.table,
            self.core,
            Bulk(self.core, store.socket_path(settings.redis)),
            self.counters,
            settings.grace,
            self._link_up,
            self._writable,
            partial(store.connect, path, settings.login),
            secret=settings.secret,
        )
        self._door = Door(
            own.index,
            settings.secret,
            trusted=self._link_up,
            handle=self._frame,
            malformed=partial(self.counters.add, "channel_malformed"),
            full=lambda: self.immigrations.restores.full,
        )
        accepted = settings.state / "accepted.json"
        self.immigrations = Immigrations(self.node, accepted, self._door.go_on)
        self._arriving = Queries(self.node, self.immigrations)
        self._arrival = Arrival(self.node, self.immigrations, self._arriving)
        self._sweeper = Sweeper(self.node)
        self.copies = Copies(self.node, self.immigrations, self._sweeper.keep)
        self.streams = Streams(self.node, settings.tcp, self._slow)
        self._pieces = Arriving(self.node, self.immigrations, self._arriving)
        self._watch = Watch(self.node, settings.state / "store", self._store_lost)
        self._loss = ""  # of what was on its way from here when the store lost what it had
        self._server: asyncio.Server | None = None
        self._housekeeping: asyncio.TimerHandle | None = None
        self._restore(*remembered)

    async def start(self) -> Self:
        """Listen on UDP and TCP."""
        own = self.settings.own
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._door.enter, own.ip, own.channel_port)
        except OSError as error:
            self._socket.close()
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise StartError(f"TCP port {own.ip}:{own.channel_port}: {reason}") from None
        try:
            await self.streams.start()
        except OSError as error:
            self._server.close()
            self._socket.close()
            raise StartError(str(error)) from None
        for state in (State.EMIGRATING, State.IMMIGRATING):
            if stranded := self.table.those(state):
                log.warning("%d groups were %s when this agent ended", len(stranded), state.name)
        self._sweeper.add(self._left_behind())
        loop.add_reader(self._socket.fileno(), self._readable)
        with contextlib.suppress(ConnectionError):  # then the first who needs it tries again
            self.node.bulk.open()
        self._housekeep()
        self._watch.start()
        return self

    def _left_behind(self) -> list[int]:
        """Return groups of which an earlier process may have left copies: they went, or were to
        come and did not."""
        gone = (self.table.moving != 0) & (self.table.owners != 0)
        gone &= self.table.states == State.ABSENT
        gone[self.immigrations.cleared] = False
        return [int(group) for group in np.flatnonzero(gone)]

    def _housekeep(self) -> None:
        self.core.forget(_IDLE_SECONDS)
        loop = asyncio.get_running_loop()
        self._housekeeping = loop.call_later(_HOUSEKEEPING_SECONDS, self._housekeep)

    def _store_lost(self, why: str) -> None:
        """No migration may go on as if nothing had happened, nor be started anew so."""
        if self.table.those(State.EMIGRATING) and not self.emigrations:
            self._loss = why
        for emigration in self.emigrations.values():
            emigration.fail(why)
        self.immigrations.fail_all(why)

    async def stop(self) -> None:
        """Stop answering and close everything."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        if self._housekeeping is not None:
            self._housekeeping.cancel()
        for emigration in self.emigrations.values():
            emigration.close()
        self.streams.close()
        self.immigrations.close()
        self._sweeper.close()
        self._watch.close()
        self.node.bulk.close()
        for link in self.node.links.values():
            link.close()
        if self._server is not None:
            self._server.close()
        self._door.close()
        self._socket.close()

    # --- queries ----------------------------------------------------------------------------------

    def _readable(self) -> None:
        for _ in range(_BATCHES):
            served = self.core.receive()
            if served is None:
                return
            slow, control = served
            if slow:
                self._slow(slow)
            if control:
                self._control(control)

    def _slow(self, queries: Iterable[Query]) -> None:
        """Queries whose group is not simply ours (docs/protocol.md, the life of a group)."""
        arriving: list[Query] = []
        elsewhere: dict[int, list[Query]] = {}
        states, owners = self.table.states, self.table.owners
        for query in queries:
            state = states.item(query.group)
            if state == _IMMIGRATING:
                arriving.append(query)
            elif state == _EMIGRATING:
                self._leaving(query)
            elif state == _OWNED:
                self.core.execute([query], Flags.AUTHORITATIVE)
            else:
                elsewhere.setdefault(owners.item(query.group), []).append(query)
        if arriving:
            self._arriving.take(arriving)
        for owner, those in elsewhere.items():
            if owner in self.node.servers:
                self.node.hand(owner, those, "forwarded")
            else:
                for query in those:
                    self.core.refuse(query, f"server {owner}, the group's owner, is not known here")

    def _leaving(self, query: Query) -> None:
        for emigration in self.emigrations.values():
            if emigration.status not in FINAL and emigration.moves(query.group):
                emigration.query(query)
                return
        # It was leaving when this agent was restarted: the controller lets it go on.
        self.core.retry([(query, _STRANDED_MICROSECONDS)])

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
            if number in self.emigrations:
                self.emigrations[number].acknowledged(those)
            else:
                self.counters.add("control_ignored", len(those))
        if others:
            self._arrival.control(others)

    # --- the channel ------------------------------------------------------------------------------

    def _link_up(self, peer: int) -> None:
        """A connection to or from a peer is new: what was in the old one may be lost."""
        if peer not in self.node.servers or not self.node.link(peer).connected:
            return
        for emigration in self.emigrations.values():
            if emigration.destination.index == peer:
                emigration.resend()
        self.immigrations.resend(peer)
        self._arriving.resend(peer)
        self.streams.link_up(peer)

    def _writable(self, peer: int) -> None:
        for emigration in self.emigrations.values():
            if emigration.destination.index == peer:
                emigration.writable()
        self.streams.queries.answers.send(peer)

    def _frame(self, peer: int, kind: Kind, body: memoryview) -> None:
        if kind is Kind.HANDOVER:
            items = frames.read_handed(body)
            for first in range(0, len(items), BATCH):
                slow, _ = self.core.given(items[first : first + BATCH])
                self._slow(slow)
        elif kind is Kind.ANSWER:
            self.streams.queries.answers.arrived(body)
        elif kind is Kind.WATERMARKS:
            self.core.learn(body)
        elif kind in (Kind.PREPARE, Kind.KEYS, Kind.PULLED):
            self._arrival.handle(peer, kind, body)
        elif kind is Kind.PIECE:
            self._pieces.handle(peer, body)
        elif kind in (Kind.CLEAR, Kind.COPY, Kind.TAKE):
            self.copies.handle(peer, kind, body)
        else:
            number, body = frames.read_migration(body)
            emigration = self.emigrations.get(number)
            if emigration is None or emigration.destination.index != peer:
                return  # of a migration that this agent knew before it was restarted
            if kind is Kind.FAILED:
                emigration.fail(bytes(body).decode(errors="replace"))
            elif kind is Kind.HINDERED:
                why, passes = frames.read_hindrance(body)
                emigration.hinder(why, passes=passes)
            else:
                emigration.frame(kind, body)

    # --- what the controller asks -----------------------------------------------------------------

    def assign(
        self,
        service: int,
        vip: tuple[str, int],
        servers: Sequence[Server],
        placements: Sequence[tuple[range, int]],
    ) -> None:
        """First placement of a service's groups."""
        own = self.settings.own
        if self.core.service not in (0, service):
            raise NotReadyError(
                f"{own.name} serves service {self.core.service}, it cannot serve {service} too"
            )
        known = {server.index for server in servers}
        for _, owner in placements:
            if owner not in known:
                raise ValueError(f"server {owner} has groups but is not among the servers")
        try:
            self.table.assign(own.index, placements)
        except ValueError as error:
            raise NotReadyError(str(error)) from None
        self._configure(service, vip, servers)
        content = {"service": service, "vip": list(vip), "servers": [asdict(s) for s in servers]}
        path = self.settings.state / "service.json"
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(content))
        draft.replace(path)

    def _configure(self, service: int, vip: tuple[str, int], servers: Iterable[Server]) -> None:
        self.core.service = service
        self.node.vip = address(vip[0]), vip[1]
        for server in servers:
            if server.index != self.settings.own.index:
                self.node.know(server)

    def _restore(self, newer: Mapping[int, set[bytes] | bool], cleared: Mapping[int, int]) -> None:
        """What an earlier run knew of its service, and of the groups on their way here."""
        try:
            self._restore_service(self.settings.state / "service.json")
            self.immigrations.restore(newer, cleared)
        except (ValueError, StoreError, ConnectionError) as error:
            self._socket.close()
            help = ": remove --state and assign again" if isinstance(error, ValueError) else ""
            raise StartError(f"{error}{help}") from None

    def _restore_service(self, path: Path) -> None:
        if not path.exists():
            return
        try:
            content = json.loads(path.read_text())
            vip = content["vip"][0], int(content["vip"][1])
            servers = [Server(**server) for server in content["servers"]]
            self._configure(int(content["service"]), vip, servers)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged ({error})") from None

    def _remember(self) -> tuple[dict[int, set[bytes] | bool], dict[int, int]]:
        """Take over what an earlier run wrote down, and go on writing.

        Of each group that was IMMIGRATING: the keys that are newer here, True: every key is here;
        and by group for which migration copies may be written.
        """
        path = self.settings.state / "journal"
        try:
            remembered = self.core.remember(str(path), JOURNAL_BYTES)
        except (OSError, ValueError) as error:
            self._socket.close()
            help = ": remove --state and assign again" if isinstance(error, ValueError) else ""
            raise StartError(f"{error}{help}") from None
        arriving = self.table.those(State.IMMIGRATING)
        if remembered is None and arriving:
            self._socket.close()
            raise StartError(
                f"{path} is missing, which says what is newest of the {len(arriving)} groups that "
                "were arriving: remove --state and assign again"
            )
        return remembered or ({}, {})

    def accept(
        self,
        number: int,
        source: Server,
        ranges: Sequence[range],
        batch: int = 1,
        protocol: Protocol = Protocol.NETMIGRATE,
    ) -> None:
        """Be the destination of a migration."""
        self._ready()
        _check(ranges, batch)
        if source.index == self.settings.own.index:
            raise ValueError(f"{source.name} is this server itself")
        try:
            self.immigrations.accept(number, source, ranges, batch, protocol)
        except ValueError as error:
            raise NotReadyError(str(error)) from None

    def emigrate(
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
        self._ready()
        _check(ranges, batch)
        if not 1 <= lanes <= MAX_LANES:
            raise ValueError(f"{lanes} lanes: 1 to {MAX_LANES} are possible")
        if destination.index == self.settings.own.index:
            raise ValueError(f"{destination.name} is this server itself")
        known = self.emigrations.get(number)
        if known is not None and known.status not in FINAL:
            if known.destination == destination and known.ranges == list(ranges):
                return known
            raise NotReadyError(f"migration {number} is running with other groups or destination")
        moving = {group for one in self.emigrations.values() for group in one.pending()}
        for groups in ranges:
            if shared := moving.intersection(groups):
                raise NotReadyError(f"group {min(shared)} is part of another migration")
            states = self.table.states[groups.start : groups.stop]
            owners = self.table.owners[groups.start : groups.stop]
            # left behind by an earlier run of this agent, on its way to the same destination
            stranded = (states == State.EMIGRATING) & (owners == destination.index)
            for place in np.flatnonzero((states != State.OWNED) & ~stranded)[:1]:
                name = State(states[place]).name
                group = groups.start + int(place)
                raise NotReadyError(f"group {group} is {name} here, it cannot be sent")
        self.node.know(destination)
        movers: dict[Protocol, Callable[..., Mover]] = {
            Protocol.NETMIGRATE: partial(Emigration, lanes=lanes, batch=batch),
            Protocol.SOURCE: partial(Precopy, stop_bytes=stop_bytes or SMALL_BYTES),
            Protocol.ROCKSTEADY: partial(Handoff, protocol=Protocol.ROCKSTEADY),
            Protocol.FULVA: partial(Handoff, protocol=Protocol.FULVA),
        }
        emigration = movers[protocol](
            self.node,
            number=number,
            destination=destination,
            ranges=ranges,
            throttle=throttle,
            emigrated=self._sweeper.add,
        )
        self.emigrations.pop(number, None)
        self.emigrations[number] = emigration
        if self._loss:
            emigration.fail(self._loss)
            self._loss = ""
        self._forget_old()
        return emigration

    def _forget_old(self) -> None:
        over = [old for old in self.emigrations.values() if old.status in FINAL]
        for old in over[:-_REMEMBERED]:
            del self.emigrations[old.number]

    def _ready(self) -> None:
        if not self.core.service:
            raise NotReadyError(f"{self.settings.own.name} has no service yet: assign groups first")


def _check(ranges: Sequence[range], batch: int) -> None:
    if not is_batch(batch):
        raise ValueError(f"batches of {batch} groups: a power of two from 1 to {MAX_BATCH}")
    seen: set[int] = set()
    for groups in ranges:
        if groups.start % batch or groups.stop % batch:
            raise ValueError(
                f"groups {groups.start} to {groups.stop - 1} are not whole batches of {batch}"
            )
        if not 0 <= groups.start < groups.stop <= GROUPS:
            raise ValueError(f"groups {groups.start} to {groups.stop - 1}: 0 to {GROUPS - 1} exist")
        if not seen.isdisjoint(groups):
            raise ValueError(f"groups {groups.start} to {groups.stop - 1} are named twice")
        seen.update(groups)
    if not seen:
        raise ValueError("no groups are named")


def _bind(ip: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    for option, forced in (
        (socket.SO_RCVBUF, getattr(socket, "SO_RCVBUFFORCE", 33)),
        (socket.SO_SNDBUF, getattr(socket, "SO_SNDBUFFORCE", 32)),
    ):
        try:
            sock.setsockopt(socket.SOL_SOCKET, forced, _RECEIVE_BUFFER)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, option, _RECEIVE_BUFFER)
    try:
        sock.bind((ip, port))
    except OSError as error:
        sock.close()
        raise StartError(f"UDP port {ip}:{port}: {error.strerror}") from None
    return sock
