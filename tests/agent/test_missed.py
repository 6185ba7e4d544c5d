"""Keys that are missing at a destination which was given all groups at once: clients are told to
ask again, one pull is under way at a time, and what it brings is there at once."""

import asyncio
import struct

import pytest
import pytest_asyncio

from hosts.agent import frames
from hosts.agent.agent import Agent
from hosts.agent.frames import Kind
from hosts.agent.immigration import pulls
from hosts.agent.protocols import Protocol
from hosts.agent.table import State
from hosts.wire import Flags, Op
from tests.agent.harness import Client, Peer, Store, bulk, until
from tests.agent.test_restoring import (
    AUTH,
    END,
    FIRST,
    GROUP,
    MORE,
    NUMBER,
    arriving,
    standing,
    string,
)


@pytest_asyncio.fixture
async def destination(alone: Agent, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> Agent:
    """An agent at which the group of `k` is IMMIGRATING by rocksteady, and which is patient."""
    monkeypatch.setattr(pulls, "_LOST", 10.0)
    return await arriving(alone, peer, Protocol.ROCKSTEADY)


async def pulled_next(peer: Peer) -> list[bytes]:
    """Return the keys of the next PULL."""
    number, body = frames.read_migration(await peer.frame(Kind.PULL))
    wanted = frames.read_pull(body)
    assert (number, list(wanted)) == (NUMBER, [GROUP])
    return frames.read_keys(wanted[GROUP])


async def test_one_pull_at_a_time(destination: Agent, peer: Peer, client: Client) -> None:
    """What is missed meanwhile goes with the next, none of it twice."""
    own = destination.settings.own
    for names in (["k"], ["{k}2", "{k}3", "{k}2", "k"]):
        for name in names:
            client.send(own, Op.READ, "GET", name)
            answer = await client.answer()
            assert answer.flags == Flags.RETRY
            assert int.from_bytes(answer.payload) >= 100
        await asyncio.sleep(0)
    assert await pulled_next(peer) == [b"k"]
    with pytest.raises(asyncio.TimeoutError):
        await peer.frame(Kind.PULL, 0.05)
    peer.send(Kind.PULLED, frames.migration(NUMBER), MORE, string("k", b"old"))
    assert await pulled_next(peer) == [b"{k}2", b"{k}3"]
    answer = await client.ask(own, Op.READ, "GET", "k")
    assert (answer.flags & AUTH, answer.payload) == (AUTH, bulk(b"old"))
    assert destination.counters["priority_pulls"] == 3
    assert destination.counters["slow"] == 0  # the core has answered all of them


async def test_what_has_come_meanwhile_is_not_pulled(
    destination: Agent, peer: Peer, client: Client
) -> None:
    own = destination.settings.own
    for name in ("k", "{k}2", "{k}3"):
        client.send(own, Op.READ, "GET", name)
        assert (await client.answer()).flags == Flags.RETRY
    assert await pulled_next(peer) == [b"k"]
    peer.send(Kind.KEYS, frames.migration(NUMBER), FIRST, string("{k}2", b"old"))
    await until(lambda: destination.counters["keys_applied"] > 0)
    peer.send(Kind.PULLED, frames.migration(NUMBER), MORE, string("k", b"old"))
    assert await pulled_next(peer) == [b"{k}3"]


async def test_a_key_that_comes_with_its_group_too(
    destination: Agent, peer: Peer, store: Store
) -> None:
    """Of what is just being written with its group, a pull says nothing before that is done."""
    here: dict[int, set[bytes] | bool | None] = {GROUP: set()}
    with standing(store):
        peer.send(Kind.KEYS, frames.migration(NUMBER), FIRST, string("k", b"old"))
        await until(lambda: destination.core.restoring(GROUP, b"k"))
        assert destination.core.restore(MORE + string("k", b"old"), here) == (0, 1, [])
        assert here == {GROUP: set()}
    await until(lambda: destination.node.bulk.idle)
    assert destination.core.restore(MORE + string("{k}2", b"old"), here) == (1, 0, [])
    assert here == {GROUP: {b"{k}2"}}
    assert store.client.mget("k", "{k}2") == [b"old", b"old"]


async def test_the_newer_value_stays(
    destination: Agent, peer: Peer, store: Store, client: Client
) -> None:
    """A client writes what is being pulled."""
    own = destination.settings.own
    client.send(own, Op.READ, "GET", "k")
    assert (await client.answer()).flags == Flags.RETRY
    assert await pulled_next(peer) == [b"k"]
    assert (await client.ask(own, Op.WRITE, "SET", "k", "new")).payload == b"+OK\r\n"
    peer.send(Kind.PULLED, frames.migration(NUMBER), MORE, string("k", b"old"))
    await until(lambda: destination.counters["keys_dropped"] > 0)
    peer.send(Kind.KEYS, frames.migration(NUMBER), FIRST, string("k", b"old"), END)
    await peer.frame(Kind.ARRIVED)
    assert store.client.get("k") == b"new"


async def test_what_the_store_does_not_take(destination: Agent, peer: Peer, store: Store) -> None:
    """The source is told, and no part of it counts."""
    bad = struct.pack("!BI", 1, 3) + b"{k}" + struct.pack("!QI", 0, 8) + b"nonsense"
    peer.send(Kind.PULLED, frames.migration(NUMBER), MORE, bad, string("{k}2", b"old"))
    assert b"payload" in bytes(await peer.frame(Kind.HINDERED))
    assert destination.table.states[GROUP] == State.IMMIGRATING
    assert destination.immigrations.known[NUMBER].here[GROUP] == set()


async def test_without_a_store(destination: Agent, peer: Peer, store: Store) -> None:
    """The source is told that it passes; what it sends again is taken."""
    hidden = store.path.with_name("hidden")
    store.path.rename(hidden)
    store.client.client_kill_filter(_type="normal", skipme=True)
    try:
        peer.send(Kind.PULLED, frames.migration(NUMBER), MORE, string("k", b"old"))
        await peer.frame(Kind.HINDERED)
    finally:
        hidden.rename(store.path)
    assert destination.immigrations.known[NUMBER].here[GROUP] == set()
    peer.send(Kind.KEYS, frames.migration(NUMBER), FIRST, string("k", b"old"), END)
    await peer.frame(Kind.ARRIVED)
    assert store.client.get("k") == b"old"
