"""Pre-copy between two real agents and stores; what holds for every protocol is in
test_migration.py."""

import asyncio
import random
from pathlib import Path

import pytest

from hosts.agent.emigration.mover import Status
from hosts.agent.protocols import Protocol
from hosts.agent.table import State
from hosts.wire import GROUPS, Flags, Op, group_of
from tests.agent.harness import Client, Pair, Store, agent, assign, bulk, local, until
from tests.agent.test_migration import named

PART = range(4096, 6144)


@pytest.fixture(autouse=True)
def source(two: Pair) -> None:
    """All by pre-copy."""
    two.protocol = Protocol.SOURCE


def fill(two: Pair, names: list[str], value: str = "0") -> None:
    """Give every name a value at the first store."""
    pipe = two.stores[0].client.pipeline(transaction=False)
    for name in names:
        pipe.set(name, value)
    pipe.execute()


async def test_copies_what_was_written_meanwhile(two: Pair, client: Client) -> None:
    """The source serves everything; new, changed and deleted keys are in the copy at the end."""
    names = named("key", 4000)
    fill(two, names)
    model: dict[str, str | None] = dict.fromkeys(names, "0")
    mover = two.start(0, 1, [PART], throttle=10_000_000)
    chance = random.Random(7)
    seen: list[tuple[int, float]] = []
    while mover.status is Status.RUNNING:
        seen.append((mover.rounds, mover.share))
        name = chance.choice(names)
        client.acked = client.seq
        if chance.random() < 0.2:
            await client.ask(two.server(0), Op.WRITE, "DEL", name)
            model[name] = None
        else:
            value = str(chance.random())
            answer = await client.ask(two.server(0), Op.WRITE, "SET", name, value)
            assert answer.flags & Flags.AUTHORITATIVE
            model[name] = value
    assert mover.status is Status.DONE, mover.error
    assert mover.rounds > 0
    assert seen == sorted(seen)  # within a round, progress only grows
    assert any(0 < share < 1 for rounds, share in seen if rounds == 0)
    assert mover.share == 1
    assert 0 < mover.downtime < mover.seconds
    assert mover.keys_sent > len(names)
    for name in names:
        expected = model[name]
        held = two.stores[1].client.get(name)
        assert held == (None if expected is None else expected.encode()), name


@pytest.mark.parametrize(("stop_bytes", "rounds"), [(1 << 20, 1), (1, 2)])
async def test_stops_when_little_enough_is_left(
    two: Pair, client: Client, stop_bytes: int, rounds: int
) -> None:
    names = named("key", 4000)
    fill(two, names)
    mover = two.start(0, 1, [PART], throttle=2_000_000, stop_bytes=stop_bytes)
    for name in names[:50]:
        await client.ask(two.server(0), Op.WRITE, "SET", name, "new")
    assert mover.rounds == 0  # they came in the first round
    await until(lambda: mover.status is Status.DONE)
    assert mover.rounds == rounds


async def test_scripts(two: Pair, client: Client) -> None:
    """What a script deletes without naming it is deleted in the copy, too."""
    fill(two, [f"{{k}}{number}" for number in range(2000)])
    group = group_of(b"k")
    mover = two.start(0, 1, [range(group, group + 1)], throttle=2_000_000)
    await until(lambda: mover.keys_sent > 500)
    script = "for n = 0, 1999 do redis.call('del', '{k}' .. n) end return 1"
    answer = await client.ask(two.server(0), Op.WRITE, "EVAL", script, 1, "{k}0", group=group)
    assert answer.payload == b":1\r\n"
    mover.set_throttle(0)
    await until(lambda: mover.status is Status.DONE)
    assert two.stores[1].client.dbsize() == 0


@pytest.mark.parametrize("broken", [False, True])
async def test_given_up(two: Pair, client: Client, broken: bool) -> None:
    """Stopped, nothing has moved, and the copies are deleted: also if the channel just broke."""
    names = named("key", 3000)
    fill(two, names)
    mover = two.start(0, 1, [PART], throttle=1_000_000)
    await until(lambda: two.stores[1].client.dbsize() > 100)
    if broken:
        transport = two.agents[0].node.link(two.server(1).index)._transport
        assert transport is not None
        transport.abort()
        await asyncio.sleep(0)
    mover.stop()
    assert mover.status in (Status.STOPPING, Status.STOPPED)
    await until(lambda: mover.status is Status.STOPPED)
    assert two.stores[1].client.dbsize() == 0
    assert mover.done == set()
    assert two.agents[0].table.those(State.OWNED) == list(range(GROUPS))
    answer = await client.ask(two.server(1), Op.READ, "GET", names[0])
    assert answer.payload == bulk(b"0")


async def test_a_return_that_never_begins_leaves_no_old_copies(two: Pair) -> None:
    """Copies that were to be deleted soon stay for nobody only because the group may come back."""
    fill(two, named("key", 400))
    await two.migrate(0, 1, [PART])
    assert two.stores[0].client.dbsize() > 0
    two.agents[0].immigrations.accept(9, two.found(1), [PART], 1, Protocol.SOURCE)
    await until(lambda: two.stores[0].client.dbsize() == 0)


async def test_paused(two: Pair, client: Client) -> None:
    """Nothing is copied meanwhile; what is written then is copied afterwards."""
    names = named("key", 3000)
    fill(two, names)
    mover = two.start(0, 1, [PART], throttle=1_000_000)
    await until(lambda: mover.keys_sent > 100)
    mover.pause(drain=True)
    await until(lambda: mover.status is Status.PAUSED)
    sent = mover.keys_sent
    await client.ask(two.server(0), Op.WRITE, "SET", names[0], "new")
    await asyncio.sleep(0.1)
    assert mover.keys_sent == sent
    mover.resume()
    mover.set_throttle(0)
    await until(lambda: mover.status is Status.DONE)
    assert two.stores[1].client.get(names[0]) == b"new"
    assert two.stores[1].client.dbsize() == 3000


async def test_destination_out_of_memory(two: Pair, client: Client) -> None:
    """The migration pauses with the store's words, the source serves everything; after help it
    begins anew and loses nothing."""
    names = named("key", 3000)
    fill(two, names, "v" * 1000)
    limit = two.stores[1].client.info("memory")["used_memory"] + 1_000_000
    two.stores[1].client.config_set("maxmemory", limit)
    try:
        mover = two.start(0, 1, [PART])
        await until(lambda: mover.status is Status.PAUSED)
        assert "OOM" in mover.error
        answer = await client.ask(two.server(0), Op.WRITE, "SET", names[0], "new")
        assert answer.flags & Flags.AUTHORITATIVE
    finally:
        two.stores[1].client.config_set("maxmemory", 0)
    mover.resume()
    await until(lambda: mover.status is Status.DONE)
    assert two.stores[1].client.get(names[0]) == b"new"
    assert two.stores[1].client.dbsize() == 3000


@pytest.mark.parametrize("taken", [False, True])
async def test_source_restarted_while_handing_over(
    running: list[Store], tmp_path: Path, taken: bool
) -> None:
    """The new source asks the destination what it has: it serves again what was not taken, and
    hands on what comes for what was."""
    for store in running[:2]:
        store.client.flushall()
    names = named("key", 500)
    async with agent(local(2), running[1], tmp_path / "2") as other:
        first = local(1)
        async with agent(first, running[0], tmp_path / "1") as one:
            assign([one, other])
            for name in names:
                running[0].client.set(name, "0")
            other.immigrations.accept(1, first, [PART], protocol=Protocol.SOURCE)
            mover = one.emigrations.start(1, other.settings.own, [PART], 1, 0, Protocol.SOURCE)
            if taken:
                await until(lambda: mover.status is Status.DONE)
        if taken:  # as if its words had never come
            for group in PART:
                one.table.set(group, State.EMIGRATING, 2)
        else:
            for group in PART:
                one.table.set(group, State.EMIGRATING, 2)
            running[1].client.flushall()
            other.immigrations.known[1].done.clear()
            for group in PART:
                other.table.set(group, State.ABSENT, 1)
        async with agent(first, running[0], tmp_path / "1") as one:
            again = one.emigrations.start(1, other.settings.own, [PART], 1, 0, Protocol.SOURCE)
            await until(lambda: again.status is Status.DONE)
            assert other.table.those(State.OWNED) == list(PART)
            assert one.table.counts()["EMIGRATING"] == 0
            client = await Client.open()
            for name in names[:50]:
                for to in (one, other):
                    answer = await client.ask(to.settings.own, Op.READ, "GET", name)
                    assert answer.payload == bulk(b"0")
            client.close()
