"""What every part of one agent shares."""

import ipaddress
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hosts.agent import frames
from hosts.agent._core import Core, Query
from hosts.agent.bulk import Bulk
from hosts.agent.channel import Link, Server
from hosts.agent.counters import Counters
from hosts.agent.frames import Kind
from hosts.agent.handshake import Secret
from hosts.agent.table import Table

HOPS = 4


def address(ip: str) -> int:
    """Return an IPv4 address as a number."""
    return int(ipaddress.IPv4Address(ip))


def _unheard(_: int) -> None:
    pass


@dataclass(slots=True)
class Node:
    """This server, its table, its core, the other way to its store, and its links to the others."""

    own: Server
    table: Table
    core: Core
    bulk: Bulk
    counters: Counters
    grace: float
    connect: Callable[[], socket.socket]  # one more connection to the store
    vip: tuple[int, int] | None = None
    servers: dict[int, Server] = field(default_factory=dict)
    secret: Secret | None = None
    links: dict[int, Link] = field(default_factory=dict)
    link_up: Callable[[int], None] = _unheard
    link_writable: Callable[[int], None] = _unheard
    """Told of a link that is new, or takes bulk data again. Nobody knows of servers, and so of
    links, before all parts of the agent are there."""

    def know(self, server: Server) -> None:
        """Remember where a server is, and connect to it; a changed address gets a new link."""
        if self.servers.get(server.index) == server:
            return
        self.servers[server.index] = server
        if old := self.links.pop(server.index, None):
            old.close()
        self.links[server.index] = Link(
            self.own.index, server, self.secret, self.link_up, self.link_writable
        )

    def link(self, server: int) -> Link:
        """Return the link to a server; KeyError if its address is not known."""
        return self.links[server]

    def with_records(self, groups: list[int]) -> bytes:
        """Return groups and their completion records, as PREPARE and TAKE carry them."""
        records = {group: self.core.records(group) for group in self.core.recorded(groups)}
        return frames.groups_with_records(groups, records)

    def hand(self, server: int, queries: Iterable[Query], counter: str) -> None:
        """Hand queries to another server's agent, which answers the client itself."""
        items: list[frames.Handed] = []
        for query in queries:
            if query.hops >= HOPS:
                self.counters.add("dropped_hops")
            else:
                items.append((query.ip, query.port, query.hops + 1, query.datagram))
        if not items:
            return
        if self.link(server).swamped:
            self.counters.add("dropped_full", len(items))
            return
        size = self.link(server).send(Kind.HANDOVER, frames.handed(items))
        self.counters.add(counter if size else "dropped_unreachable", len(items))
        self.counters.add("channel_handover_bytes", size)
