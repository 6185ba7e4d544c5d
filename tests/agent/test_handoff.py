"""Destination-based migrations between two real agents and stores; what holds for every protocol is
in test_migration.py."""

import asyncio

import pytest

from hosts.agent.emigration.mover import Status
from hosts.agent.protocols import Protocol
from hosts.agent.table import State
from hosts.wire import GROUPS, Flags, Op
from tests.agent.harness import Client, Pair, bulk, until
from tests.agent.test_migration import named
from tests.agent.test_precopy import PART, fill


@pytest.fixture(autouse=True)
def rocksteady(two: Pair) -> None:
    """All by rocksteady."""
    two.protocol = Protocol.ROCKSTEADY


async def test_misses_are_fetched_ahead(two: Pair, client: Client) -> None:
    """A key that is not here yet: ask again, and it is; asked twice, fetched once."""
    names = named("key", 3000)
    fill(two, names)
    mover = two.start(0, 1, [PART], throttle=100_000)
    await until(lambda: two.agents[1].table.counts()["ABSENT"] == GROUPS - len(PART))
    await until(lambda: mover.keys_sent > 0)
    name = names[-1]
    for seq in (1, 2):
        client.send(two.server(1), Op.READ, "GET", name, seq=seq)
    for _ in range(2):
        answer = await client.answer()
        assert answer.flags == Flags.RETRY
        assert 100 <= int.from_bytes(answer.payload) <= 20_000
    await until(lambda: two.agents[1].counters["keys_applied"] > 0)
    answer = await client.ask(two.server(1), Op.READ, "GET", name)
    assert (answer.flags & Flags.AUTHORITATIVE, answer.payload) == (4, bulk(b"0"))
    assert two.agents[1].counters["priority_pulls"] == 1
    mover.set_throttle(0)
    await until(lambda: mover.status is Status.DONE)


async def test_writes_go_to_the_destination(two: Pair, client: Client) -> None:
    """Blind ones at once, and the copy does not undo them; others when the key is here."""
    names = named("key", 2000)
    fill(two, names, "1")
    mover = two.start(0, 1, [PART], throttle=200_000)
    await until(lambda: two.agents[1].table.counts()["ABSENT"] == GROUPS - len(PART))
    blind, read_modify_write, scripted = names[-3:]
    client.send(two.server(1), Op.WRITE, "SET", blind, "new")
    assert (await client.answer()).flags & Flags.AUTHORITATIVE
    client.send(two.server(1), Op.WRITE, "INCR", read_modify_write, seq=50)
    assert (await client.answer()).flags == Flags.RETRY
    answer = await client.ask(two.server(1), Op.WRITE, "INCR", read_modify_write, seq=50)
    assert answer.payload == b":2\r\n"
    answer = await client.ask(two.server(1), Op.WRITE, "INCR", read_modify_write, seq=50)
    assert answer.payload == b":2\r\n"
    # whatever comes to the source is handed on
    answer = await client.ask(two.server(0), Op.WRITE, "INCR", scripted)
    assert answer.payload == b":2\r\n"
    mover.set_throttle(0)
    await until(lambda: mover.status is Status.DONE)
    assert two.stores[1].client.get(blind) == b"new"
    assert two.stores[1].client.get(read_modify_write) == b"2"
    assert two.agents[1].table.those(State.OWNED) == list(PART)


async def test_pauses(two: Pair, client: Client) -> None:
    """Nothing is sent ahead, and what is asked for still comes."""
    names = named("key", 2000)
    fill(two, names)
    mover = two.start(0, 1, [PART], throttle=200_000)
    await until(lambda: mover.keys_sent > 0)
    mover.pause(drain=True)
    await until(lambda: mover.status is Status.PAUSED)
    sent = mover.keys_sent
    answer = await client.ask(two.server(1), Op.READ, "GET", names[-1])
    assert answer.payload == bulk(b"0")
    await asyncio.sleep(0.1)
    assert mover.keys_sent == sent
    mover.resume()
    mover.set_throttle(0)
    await until(lambda: mover.status is Status.DONE)
    assert two.stores[1].client.dbsize() == 2000
