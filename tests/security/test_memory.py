"""What clients make an agent remember is bounded: beyond that it refuses or drops, and counts."""

import asyncio
import socket

import pytest

from hosts.agent import channel, held
from hosts.agent.agent import Agent
from hosts.agent.held import PER_GROUP
from hosts.agent.protocols import Protocol
from hosts.agent.table import State
from hosts.wire import Flags, Header, Op, group_of
from tests.agent.harness import SERVICE, Client, Pair, Peer, local, resp, set_state, until

GROUP = group_of(b"k")
SESSIONS = 1 << 17


def write(key: bytes, client: int, seq: int, value: bytes = b"v") -> bytes:
    """Return a datagram with a SET."""
    header = Header(Op.WRITE, service=SERVICE, group=group_of(key), client=client, seq=seq)
    return header.pack() + resp("SET", key, value)


class Flood:
    """Sends datagrams to an agent of this process, no faster than it takes them."""

    def __init__(self, to: Agent) -> None:
        own = to.settings.own
        self._agent = to
        self._where = own.ip, own.udp_port
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sent = 0
        self._before = to.counters["received"]

    async def send(self, datagram: bytes) -> None:
        """Send one."""
        self._socket.sendto(datagram, self._where)
        self._sent += 1
        if self._sent % 256 == 0:
            await self.taken()

    async def taken(self) -> None:
        """Wait until the agent has looked at all of them."""
        await until(lambda: self._agent.counters["received"] - self._before >= self._sent)


async def test_sessions(alone: Agent, client: Client) -> None:
    """Too many, and a new one is refused; the known ones go on, and the new one may still read."""
    await client.ask(alone.settings.own, Op.WRITE, "SET", "k", "known")
    flood = Flood(alone)
    for number in range(SESSIONS + 500):
        await flood.send(write(b"k", number + 1, 1))
    await flood.taken()
    assert alone.counters["refused_sessions"] >= 500
    late = await Client.open()
    answer = await late.ask(alone.settings.own, Op.WRITE, "SET", "k", "new")
    assert answer.flags == Flags.ERROR
    assert b"sessions" in answer.payload
    assert (await late.ask(alone.settings.own, Op.READ, "GET", "k")).flags & Flags.AUTHORITATIVE
    answer = await client.ask(alone.settings.own, Op.WRITE, "SET", "k", "known")
    assert answer.payload == b"+OK\r\n"
    late.close()


async def test_held_queries(alone: Agent, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one group, and of all groups of a migration that just change hands."""
    monkeypatch.setattr(held, "PER_MIGRATION", PER_GROUP + 100)
    alone.emigrations.start(1, peer.server, [range(16384)], 64, 0)
    await until(lambda: alone.table.those(State.EMIGRATING))  # the peer never answers
    ours = alone.table.those(State.EMIGRATING)
    keys = {group_of(b"%d" % number): b"%d" % number for number in range(200_000)}
    flood = Flood(alone)
    for number in range(PER_GROUP + 300):
        await flood.send(write(keys[ours[0]], 1, number + 1))
    await flood.taken()
    assert alone.counters["held"] == PER_GROUP
    assert alone.counters["dropped_full"] == 300
    for number in range(200):
        await flood.send(write(keys[ours[1]], 1, number + 1))
    await flood.taken()
    assert alone.counters["held"] == PER_GROUP + 100
    assert alone.counters["dropped_full"] == 400


async def test_names_of_keys_that_are_not_here_yet(two: Pair, client: Client) -> None:
    """A client asks a destination for ever other keys, each of which it has to pull."""
    two.protocol = Protocol.ROCKSTEADY
    two.stores[0].client.set("k", "x" * 1000)
    migration = two.start(0, 1, throttle=8)
    destination = two.agents[1]
    await until(lambda: len(destination.table.those(State.IMMIGRATING)) > 16000)
    immigration = destination.immigrations.known[migration.number]
    immigration.room = 100_000
    flood = Flood(destination)
    for number in range(1000):
        key = b"%d" % number
        header = Header(Op.READ, service=SERVICE, group=group_of(key), client=1, seq=number)
        await flood.send(header.pack() + resp("GET", key))
    await flood.taken()
    remembered = sum(len(wanted.pulled) for wanted in immigration.wanted.values())
    assert remembered == destination.counters["priority_pulls"] <= 100_000 // 257
    assert destination.counters["dropped_full"] > 500
    assert 0 <= immigration.room < 300
    migration.set_throttle(0)
    await until(lambda: migration.status.name == "DONE")
    assert immigration.room > 99_000
    answer = await client.ask(two.server(1), Op.READ, "GET", "999")
    assert answer.payload == b"$-1\r\n"


async def test_queries_for_a_server_that_takes_none(
    alone: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection stands, but nobody reads it: what waits for it stays bounded."""
    monkeypatch.setattr(channel, "SWAMPED", 1 << 20)
    stalled = local(2)
    with socket.create_server((stalled.ip, stalled.channel_port)):
        alone.node.know(stalled)
        link = alone.node.link(2)
        await until(lambda: link.connected)
        set_state(alone, GROUP, State.ABSENT, 2)
        flood = Flood(alone)
        while not alone.counters["dropped_full"]:
            await flood.send(write(b"k", 1, 1, b"v" * 1300))
        for _ in range(2560):
            await flood.send(write(b"k", 1, 1, b"v" * 1300))
        await flood.taken()
        assert link._transport is not None
        assert link._transport.get_write_buffer_size() < (1 << 20) + 4 * 256 * 1500
        assert alone.counters["dropped_full"] > 1000


async def test_garbage_makes_nothing_grow(alone: Agent, client: Client) -> None:
    """Datagrams that are no queries, or lie about what they hold."""
    flood = Flood(alone)
    payloads = (b"", b"*1000000\r\n", b"*2\r\n$3\r\nGET\r\n$999999999\r\nk\r\n", b"\xff" * 1400)
    before = alone.core.memory()
    for number in range(2000):
        header = Header(Op.WRITE, service=SERVICE, group=GROUP, client=number, seq=1)
        await flood.send(header.pack() + payloads[number % len(payloads)])
    await flood.taken()
    assert alone.core.memory() == before
    await asyncio.sleep(0)
    answer = await client.ask(alone.settings.own, Op.WRITE, "SET", "k", "v")
    assert answer.payload == b"+OK\r\n"
