"""Queries that came by TCP for a group that is on its way, against a scripted other agent."""

import asyncio
from typing import Any

from hosts.agent import frames
from hosts.agent.agent import Agent
from hosts.agent.frames import Handed, Kind
from hosts.agent.table import State
from hosts.wire import Flags, Header, Op, group_of
from tests.agent.harness import SERVICE, Peer, bulk, resp, set_state, until
from tests.streams.framed import Framed

GROUP = group_of(b"k")
NUMBER = 7
BIG = bytes(range(256)) * 4096
FOUND = Flags.AUTHORITATIVE | Flags.FOUND


async def source(alone: Agent, peer: Peer) -> Any:
    """Begin to move the group of `k` to the peer, which has not acknowledged PREPARE yet."""
    servers = [alone.settings.own, peer.server]
    alone.service.assign(SERVICE, ("127.0.0.1", peer.server.udp_port), servers, [])
    await until(lambda: peer.connections == 1)
    await peer.connect(alone.settings.own)
    moving = alone.emigrations.start(NUMBER, peer.server, [range(GROUP, GROUP + 1)], 1, 0)
    await peer.frame(Kind.PREPARE)
    assert alone.table.states[GROUP] == State.EMIGRATING
    return moving


def answer(peer: Peer, handed: Handed, reply: bytes, flags: Flags = FOUND) -> None:
    """Answer what was handed over."""
    asked = Header.unpack(handed[3])
    header = Header(
        Op.REPLY, flags, SERVICE, asked.group, client=asked.client, seq=asked.seq
    ).pack()
    peer.send(Kind.ANSWER, header, reply)


async def test_held_until_somebody_owns_the_group(alone: Agent, peer: Peer) -> None:
    """Then handed over with the way back, and the client gets what the new owner says."""
    await source(alone, peer)
    async with Framed.open(alone) as client:
        client.send(Op.WRITE, 1, "SET", "k", BIG)
        client.send(Op.READ, 2, "GET", "k")
        await until(lambda: alone.counters["held"] == 2)
        while not peer.frames.empty():
            assert peer.frames.get_nowait()[0] is Kind.PREPARE
        peer.send(Kind.PREPARED, frames.groups(NUMBER, [GROUP]))
        handed: list[Handed] = []
        while len(handed) < 2:
            handed += frames.read_handed(await peer.frame(Kind.HANDOVER))
        assert [one[:3] for one in handed] == [(alone.settings.own.index, 0, 1)] * 2
        assert handed[0][3].endswith(resp("SET", "k", BIG))
        answer(peer, handed[1], bulk(BIG))
        answer(peer, handed[0], b"+OK\r\n")
        assert (await client.answer() or [None])[1:] == (bulk(BIG),)
        assert (await client.answer() or [None])[1:] == (b"+OK\r\n",)


async def test_the_owner_says_later(alone: Agent, peer: Peer) -> None:
    """RETRY is the agent's business: it asks again after that time."""
    await source(alone, peer)
    set_state(alone, GROUP, State.ABSENT, peer.server.index, former=True)
    async with Framed.open(alone) as client:
        client.send(Op.WRITE, 1, "INCR", "k")
        for _ in range(2):
            (handed,) = frames.read_handed(await peer.frame(Kind.HANDOVER))
            answer(peer, handed, (10_000).to_bytes(4), Flags.RETRY)
        (handed,) = frames.read_handed(await peer.frame(Kind.HANDOVER))
        answer(peer, handed, b":1\r\n")
        answer(peer, handed, b":2\r\n")  # what comes twice counts once
        found = await client.answer()
        assert found is not None
        assert (found[0].flags, found[1]) == (FOUND, b":1\r\n")
        client.send(Op.WRITE, 2, "INCR", "k")
        (handed,) = frames.read_handed(await peer.frame(Kind.HANDOVER))
        answer(peer, handed, b":3\r\n")
        assert (await client.answer() or [None])[1:] == (b":3\r\n",)


async def test_the_channel_breaks(alone: Agent, peer: Peer) -> None:
    """The same query, with the same client and seq, comes again when it is up again."""
    await source(alone, peer)
    set_state(alone, GROUP, State.ABSENT, peer.server.index, former=True)
    async with Framed.open(alone) as client:
        client.send(Op.WRITE, 1, "SET", "k", BIG)
        (lost,) = frames.read_handed(await peer.frame(Kind.HANDOVER))
        peer.break_connections()
        (again,) = frames.read_handed(await peer.frame(Kind.HANDOVER))
        assert again == lost
        answer(peer, again, b"+OK\r\n")
        assert (await client.answer() or [None])[1:] == (b"+OK\r\n",)
        await asyncio.sleep(0.05)
        assert alone.core.room == 1 << 30


async def test_of_another_agent_s_client(alone: Agent, peer: Peer) -> None:
    """The owner answers over the channel, long replies as fast as that takes them."""
    await source(alone, peer)
    peer.send(Kind.PREPARED, frames.groups(NUMBER, [GROUP]))
    other = "other"
    alone.core.call([[b"SET", other.encode(), BIG]])
    header = Header(Op.READ, Flags.NONE, SERVICE, group_of(other.encode()), client=5, seq=1)
    datagram = header.pack() + resp("GET", other)
    peer.send(Kind.HANDOVER, frames.handed([(peer.server.index, 0, 1, datagram)] * 20))
    for _ in range(20):
        body = await peer.frame(Kind.ANSWER)
        assert Header.unpack(bytes(body[:28])).flags == FOUND | Flags.FORWARDED
        assert body[28:] == bulk(BIG)
    # whose agent is not known here
    peer.send(Kind.HANDOVER, frames.handed([(77, 0, 1, datagram)]))
    await until(lambda: alone.counters["dropped_unreachable"] == 1)
    await until(lambda: alone.core.room == 1 << 30)
