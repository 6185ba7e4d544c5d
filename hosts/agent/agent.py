"""One server's agent, from its start to its end: it joins core, table, channel and migrations."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Self

import numpy as np

from hosts.agent import store
from hosts.agent._core import Core, StoreError
from hosts.agent.bulk import Bulk
from hosts.agent.channel import Server
from hosts.agent.counters import Counters
from hosts.agent.datagrams import Datagrams
from hosts.agent.dispatch import Dispatch
from hosts.agent.emigration.emigrations import Emigrations
from hosts.agent.emigration.sweep import Sweeper
from hosts.agent.handshake import Secret
from hosts.agent.immigration import Arrival, Copies, Immigrations, Queries
from hosts.agent.incoming import Door
from hosts.agent.node import Node
from hosts.agent.pieces.arriving import Arriving
from hosts.agent.service import Service
from hosts.agent.streams import Streams, Tcp
from hosts.agent.table import State, Table
from hosts.agent.watch import Watch

log = logging.getLogger("netmigrate.agent")

JOURNAL_BYTES: Final = 16 << 20
_RECEIVE_BUFFER: Final = 8 << 20
_IDLE_SECONDS: Final = 600
_HOUSEKEEPING_SECONDS: Final = 60.0


class StartError(Exception):
    """The agent cannot start; the message is one line that says why and what to do."""


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
        self.node = Node(
            own,
            self.table,
            self.core,
            Bulk(self.core, store.socket_path(settings.redis)),
            self.counters,
            settings.grace,
            partial(store.connect, path, settings.login),
            secret=settings.secret,
        )
        self.service = Service(self.node, settings.state / "service.json")
        self._sweeper = Sweeper(self.node)
        self.emigrations = Emigrations(self.node, self._sweeper.add)
        self.immigrations = Immigrations(self.node, settings.state / "accepted.json")
        self._arriving = arriving = Queries(self.node, self.immigrations)
        arrival = Arrival(self.node, self.immigrations, arriving)
        self._datagrams = Datagrams(self.node, self.emigrations, arriving, arrival)
        self.streams = Streams(self.node, settings.tcp, self._datagrams.slow)
        dispatch = Dispatch(
            self.node,
            self._datagrams,
            self.streams,
            self.emigrations,
            arrival,
            Copies(self.node, self.immigrations, self._sweeper.keep),
            Arriving(self.node, self.immigrations, arriving),
        )
        self.node.link_up, self.node.link_writable = dispatch.link_up, dispatch.writable
        self._door = Door(
            own.index,
            settings.secret,
            trusted=dispatch.link_up,
            handle=dispatch.frame,
            malformed=partial(self.counters.add, "channel_malformed"),
            full=lambda: self.immigrations.restores.full,
        )
        self.immigrations.restores.drained = self._door.go_on
        self._watch = Watch(self.node, settings.state / "store", self._store_lost)
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
        loop.add_reader(self._socket.fileno(), self._datagrams.readable)
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
        self.emigrations.fail_all(why)
        self.immigrations.fail_all(why)

    async def stop(self) -> None:
        """Stop answering and close everything."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        if self._housekeeping is not None:
            self._housekeeping.cancel()
        self.emigrations.close()
        self.streams.close()
        self._arriving.close()
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

    def _restore(self, newer: Mapping[int, set[bytes] | bool], cleared: Mapping[int, int]) -> None:
        """What an earlier run knew of its service, and of the groups on their way here."""
        try:
            self.service.restore()
            self.immigrations.restore(newer, cleared)
        except (ValueError, StoreError, ConnectionError) as error:
            self._socket.close()
            help = ": remove --state and assign again" if isinstance(error, ValueError) else ""
            raise StartError(f"{error}{help}") from None

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
