"""Migrations in which clients ask the source themselves, between two real agents and stores; what
holds for every protocol is in test_migration.py."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from controller.partitions import ranges_of
from hosts.agent.emigration.mover import Status
from hosts.agent.protocols import Protocol
from hosts.agent.table import State
from hosts.wire import GROUPS, Flags, Moving, Op, group_of
from tests.agent.harness import (
    Answer,
    Client,
    Pair,
    Store,
    agent,
    assign,
    bulk,
    local,
    until,
)
from tests.agent.test_migration import named
from tests.agent.test_precopy import PART, fill

AUTH, NOTHING = Flags.AUTHORITATIVE, Moving()


@pytest.fixture(autouse=True)
def fulva(two: Pair) -> None:
    """All by fulva."""
    two.protocol = Protocol.FULVA


def moving(answer: Answer) -> tuple[bytes, Moving]:
    """Return the payload of a reply, and what it says of groups on the move."""
    assert answer.flags & Flags.MOVING
    return answer.payload[:-12], Moving.unpack(answer.header.pack() + answer.payload)


async def begin(two: Pair, names: list[str], throttle: int = 100_000) -> Any:
    """Fill the first store, begin to move PART, wait until it is the second agent's."""
    fill(two, names)
    mover = two.start(0, 1, [PART], throttle=throttle)
    await until(lambda: two.agents[1].table.counts()["ABSENT"] == GROUPS - len(PART))
    return mover


async def test_the_destination_names_the_source(two: Pair, client: Client) -> None:
    """Not here yet, and where to ask; what the source says then is the frozen copy."""
    names = named("key", 3000)
    await begin(two, names)
    name = max(names, key=lambda n: group_of(n.encode()))
    answer = await client.ask(two.server(1), Op.READ, "GET", name, flags=Flags.MOVING)
    assert answer.flags == Flags.MOVING
    payload, told = moving(answer)
    assert payload == b""
    source = two.server(0)
    assert (told.migration, told.address, told.port) == (1, 0x7F000001, source.udp_port)
    assert PART.start <= told.first <= group_of(name.encode()) <= told.last == PART[-1]
    answer = await client.ask(
        source, Op.READ, "GET", name, flags=Flags.DOUBLE, migration=told.migration
    )
    assert (answer.flags, answer.payload) == (Flags.FROM_SOURCE | Flags.FOUND, bulk(b"0"))
    assert two.agents[1].counters["sent_to_source"] == 1
    assert two.agents[1].counters["priority_pulls"] == 0


async def test_replies_tell_how_far_it_is(two: Pair, client: Client) -> None:
    """The range shrinks from below as groups arrive, and nothing is left at the end."""
    names = sorted(named("key", 3000), key=lambda n: group_of(n.encode()))
    mover = await begin(two, names, 1_000_000)
    seen = [PART.start]
    done = two.agents[1].immigrations.known[1].done
    while seen[-1] < PART[100]:
        await asyncio.sleep(0.01)
        before = set(done)
        answer = await client.ask(two.server(1), Op.READ, "GET", names[0], flags=Flags.MOVING)
        _, told = moving(answer)
        assert told.last == PART[-1]
        assert told.first not in before
        assert all(group in done for group in range(PART.start, told.first))
        seen.append(told.first)
    assert seen == sorted(seen)
    answer = await client.ask(two.server(1), Op.READ, "GET", names[0], flags=Flags.MOVING)
    assert answer.flags & AUTH
    assert moving(answer)[0] == bulk(b"0")
    # nobody who does not ask is told
    answer = await client.ask(two.server(1), Op.READ, "GET", names[0])
    assert (answer.flags, answer.payload) == (AUTH | Flags.FOUND, bulk(b"0"))
    mover.set_throttle(0)
    await until(lambda: mover.status is Status.DONE)
    for name in (names[0], names[-1]):
        answer = await client.ask(two.server(1), Op.READ, "GET", name, flags=Flags.MOVING)
        assert answer.flags & AUTH
        assert moving(answer) == (bulk(b"0"), NOTHING)


async def test_a_client_that_asked_the_source_in_vain(two: Pair, client: Client) -> None:
    """It says so; then the key is fetched ahead."""
    names = named("key", 3000)
    await begin(two, names)
    name = max(names, key=lambda n: group_of(n.encode()))
    client.send(two.server(1), Op.READ, "GET", name, flags=Flags.RETRY, seq=1)
    assert (await client.answer()).flags == Flags.RETRY
    answer = await client.ask(two.server(1), Op.READ, "GET", name, flags=Flags.RETRY, seq=1)
    assert (answer.flags & AUTH, answer.payload) == (AUTH, bulk(b"0"))
    assert two.agents[1].counters["priority_pulls"] == 1


async def test_writes_are_the_destination_s(two: Pair, client: Client) -> None:
    """Blind ones at once, others when the key is there; then the destination knows better."""
    names = sorted(named("key", 3000), key=lambda n: group_of(n.encode()))
    await begin(two, names)
    blind, read_modify_write = names[-2:]
    client.send(two.server(1), Op.WRITE, "SET", blind, "new")
    assert (await client.answer()).flags & AUTH
    client.send(two.server(1), Op.WRITE, "INCR", read_modify_write, seq=50)
    assert (await client.answer()).flags == Flags.RETRY
    answer = await client.ask(two.server(1), Op.WRITE, "INCR", read_modify_write, seq=50)
    assert answer.payload == b":1\r\n"
    for name, value in ((blind, b"new"), (read_modify_write, b"1")):
        answer = await client.ask(two.server(1), Op.READ, "GET", name, flags=Flags.MOVING)
        assert answer.flags & AUTH
        assert moving(answer)[0] == bulk(value)


async def test_keys_of_which_some_are_here(two: Pair, client: Client) -> None:
    """No one agent has them all: the rest is fetched ahead."""
    tag = next(n for n in named("key", 3000) if group_of(n.encode()) > PART[-50])
    here, there = f"{{{tag}}}1", f"{{{tag}}}2"
    await begin(two, [*named("key", 3000), here, there])
    await client.ask(two.server(1), Op.WRITE, "SET", here, "1")
    client.send(two.server(1), Op.READ, "MGET", here, there, flags=Flags.MOVING)
    answer = await client.answer()
    assert answer.flags == Flags.RETRY | Flags.MOVING
    await client.ask(two.server(1), Op.READ, "GET", there, flags=Flags.RETRY)
    assert two.agents[1].counters["priority_pulls"] == 1
    answer = await client.ask(two.server(1), Op.READ, "MGET", here, there)
    assert answer.payload == b"*2\r\n" + bulk(b"1") + bulk(b"0")


@pytest.mark.parametrize("room", [11, 12])
async def test_a_reply_without_room_is_whole(two: Pair, client: Client, room: int) -> None:
    """Of a value that fills the datagram nothing is cut off."""
    name = next(n for n in named("key", 3000) if group_of(n.encode()) < PART[50])
    value = b"v" * (1472 - 28 - len(b"$1400\r\n\r\n") - room)
    two.stores[0].client.set(name, value)
    fill(two, named("other", 3000))
    two.start(0, 1, [PART], throttle=300_000)
    await until(lambda: group_of(name.encode()) in two.agents[1].table.those(State.OWNED))
    answer = await client.ask(two.server(1), Op.READ, "GET", name, flags=Flags.MOVING)
    assert answer.flags & AUTH
    payload = answer.payload if room < 12 else moving(answer)[0]
    assert payload == bulk(value)


async def test_an_old_hint_ends_in_an_ordinary_answer(two: Pair, client: Client) -> None:
    """A copy to a former source, of this migration or an earlier one."""
    names = named("key", 500)
    fill(two, names)
    await two.migrate(0, 1, [PART])
    answer = await client.ask(
        two.server(0), Op.READ, "GET", names[0], flags=Flags.DOUBLE, migration=1
    )
    assert answer.flags == Flags.GONE
    await two.migrate(1, 0, [PART])
    await two.migrate(0, 1, [PART])
    for number in (1, 2):
        answer = await client.ask(
            two.server(0), Op.READ, "GET", names[0], flags=Flags.DOUBLE, migration=number
        )
        assert (answer.flags & AUTH, answer.payload) == (AUTH, bulk(b"0"))


async def test_says_of_which_migration_it_speaks(two: Pair, client: Client) -> None:
    """A copy that was doubled for an earlier migration is late: "not here yet" is about this one,
    so that nobody joins it with what the source of the earlier one said."""
    names = named("key", 3000)
    fill(two, names)
    await two.migrate(0, 1, [PART])
    await two.migrate(1, 0, [PART])
    two.start(0, 1, [PART], throttle=100_000)
    name = max(names, key=lambda n: group_of(n.encode()))
    states = two.agents[1].table.states
    await until(lambda: states[group_of(name.encode())] == State.IMMIGRATING)
    for number in (0, 1, 2):
        client.send(two.server(1), Op.READ, "GET", name, flags=Flags.DOUBLE, migration=number)
        answer = await client.answer()
        assert answer.flags == Flags.MOVING
        assert answer.header.migration == moving(answer)[1].migration == 3


async def test_a_source_that_was_restarted_serves_its_copy(
    running: list[Store], tmp_path: Path, client: Client
) -> None:
    """What it has given away is still frozen; and the migration goes on from there."""
    for store in running[:2]:
        store.client.flushall()
    names = sorted(named("key", 3000), key=lambda n: group_of(n.encode()))
    own, other = local(1), local(2)

    async def double(name: str) -> Answer:
        return await client.ask(own, Op.READ, "GET", name, flags=Flags.DOUBLE, migration=1)

    async with agent(other, running[1], tmp_path / "2") as destination:
        async with agent(own, running[0], tmp_path / "1", 60) as source:
            assign([source, destination])
            both = Pair([source, destination], running[:2], protocol=Protocol.FULVA)
            await begin(both, names)
            await client.ask(other, Op.WRITE, "SET", names[-1], "new")
        async with agent(own, running[0], tmp_path / "1") as source:
            for name in names[-2:]:
                answer = await double(name)
                assert (answer.flags, answer.payload) == (
                    Flags.FROM_SOURCE | Flags.FOUND, bulk(b"0"),
                )  # fmt: skip
            left = source.table.those(State.EMIGRATING)
            ranges = [range(each.first, each.last + 1) for each in ranges_of(left)]
            mover = source.emigrations.start(1, other, ranges, 1, 0, Protocol.FULVA)
            await until(lambda: mover.status is Status.DONE)
            answer = await double(names[-1])
            assert answer.flags == Flags.GONE
            answer = await client.ask(own, Op.READ, "GET", names[-1])
            assert (answer.flags & AUTH, answer.payload) == (AUTH, bulk(b"new"))
