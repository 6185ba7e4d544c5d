"""Whole migrations between two real agents and stores."""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from controller.partitions import batch_within, ranges_of
from hosts.agent.agent import Agent
from hosts.agent.emigration.mover import Status
from hosts.agent.table import State
from hosts.wire import GROUPS, Flags, Header, Op, group_of
from tests.agent.harness import (
    EVERY,
    Client,
    Pair,
    Relay,
    Store,
    agent,
    assign,
    bulk,
    local,
    pair,
    set_state,
    until,
)

AUTH = Flags.AUTHORITATIVE
PART = range(4096, 6144)


def named(prefix: str, count: int) -> list[str]:
    """Return that many names whose groups are in PART."""
    names = (f"{prefix}{number}" for number in itertools.count())
    return list(itertools.islice((n for n in names if group_of(n.encode()) in PART), count))


def fill_every_type(client: Any) -> dict[bytes, int]:
    """Write every type, with and without expiry; return the absolute expiry of each key."""
    soon = int(time.time() * 1000) + 1000000
    for ttl in (False, True):
        tag = "ttl" if ttl else "stay"
        client.set(f"{tag}:string", bytes(range(256)))
        client.set(f"{tag}:int", 12345)
        client.set(f"{tag}:empty", b"")
        client.rpush(f"{tag}:list", *range(1000))
        client.sadd(f"{tag}:intset", *range(50))
        client.sadd(f"{tag}:set", *(f"member{number}" for number in range(600)))
        client.hset(f"{tag}:hash", mapping={"f": "v", "g": b"\0\xff"})
        client.hset(f"{tag}:bighash", mapping={f"f{number}": number for number in range(600)})
        client.zadd(f"{tag}:zset", {"a": 1.5, "b": float("inf"), "c": -2})
        client.zadd(f"{tag}:bigzset", {f"m{number}": number / 3 for number in range(600)})
        client.xadd(f"{tag}:stream", {"f": "v"}, id="5-1")
        client.xadd(f"{tag}:stream", {"f": "w"}, id="5-2")
        client.xgroup_create(f"{tag}:stream", "readers", id="0")
        client.xreadgroup("readers", "one", {f"{tag}:stream": ">"}, count=1)
        client.setbit(f"{tag}:bits", 100, 1)
        client.pfadd(f"{tag}:hyperloglog", *range(1000))
        client.geoadd(f"{tag}:geo", (13.36, 38.11, "Palermo"))
    expiries = {}
    for index, key in enumerate(sorted(client.keys("ttl:*"))):
        expiries[key] = soon + index
        client.pexpireat(key, soon + index)
    return expiries


def contents(client: Any) -> dict[bytes, tuple[bytes, int]]:
    """Return every key with its dump and absolute expiry."""
    keys = client.keys("*")
    return {key: (client.dump(key), client.execute_command("PEXPIRETIME", key)) for key in keys}


async def test_every_type_and_expiry(each_two: Pair) -> None:
    """Type-true, with the absolute expiry; nothing else changes; the copies are deleted."""
    one, other = (store.client for store in each_two.stores)
    expiries = fill_every_type(one)
    counted = one.pfcount("ttl:hyperloglog")
    before = contents(one)
    emigration = await each_two.migrate(0, 1)
    assert emigration.keys_sent == len(before)
    after = contents(other)
    assert {key: expiry for key, (_, expiry) in after.items()} == {
        key: expiry for key, (_, expiry) in before.items()
    }
    assert {key: expiry for key, (_, expiry) in after.items() if expiry > 0} == expiries
    for key, (value, _) in before.items():
        assert after[key][0] == value or other.type(key) != b"string", key
    assert other.hgetall("ttl:hash") == {b"f": b"v", b"g": b"\0\xff"}
    assert other.lrange("stay:list", 0, -1) == [b"%d" % number for number in range(1000)]
    assert other.xpending("ttl:stream", "readers")["pending"] == 1
    assert other.zscore("stay:zset", "b") == float("inf")
    assert other.pfcount("ttl:hyperloglog") == counted
    assert each_two.agents[0].table.those(State.ABSENT) == list(EVERY)
    assert each_two.agents[1].table.those(State.OWNED) == list(EVERY)
    await until(lambda: one.dbsize() == 0)


async def test_empty_partition(each_two: Pair) -> None:
    """All groups, no key."""
    emigration = await each_two.migrate(0, 1, lanes=64)
    assert (emigration.keys_sent, len(emigration.done)) == (0, GROUPS)


async def test_a_batch_is_one_start_and_one_complete(two: Pair) -> None:
    """Whatever its size."""
    for source, batch in ((0, 1), (1, 16), (0, 1024)):
        emigration = await two.migrate(source, 1 - source, batch=batch)
        assert sum(emigration.lane_sequences) == 2 * GROUPS // batch


async def test_part_of_the_groups(each_two: Pair, client: Client) -> None:
    """What is not in the migration stays; queries find their way from either agent."""
    for number in range(300):
        each_two.stores[0].client.set(f"key{number}", number)
    ranges = [range(1024), range(8192, 9216)]
    await each_two.migrate(0, 1, ranges, lanes=8)
    moved = each_two.stores[1].client.dbsize()
    assert moved == sum(
        group_of(b"key%d" % number) in [*ranges[0], *ranges[1]] for number in range(300)
    )
    for number in range(300):
        for index in (0, 1):
            answer = await client.ask(each_two.server(index), Op.READ, "GET", f"key{number}")
            assert (answer.flags & AUTH, answer.payload) == (AUTH, bulk(b"%d" % number))


async def test_there_and_back(each_two: Pair) -> None:
    """An abort is a migration in the other direction; three times, grace period or not."""
    names = named("key", 500)
    for name in names:
        each_two.stores[0].client.set(name, "0")
    for turn in range(3):
        await each_two.migrate(0, 1, [PART])
        each_two.stores[1].client.set(names[0], f"turn {turn}")
        await each_two.migrate(1, 0, [PART])
        assert each_two.stores[0].client.get(names[0]) == f"turn {turn}".encode()
    assert each_two.stores[0].client.dbsize() == 500
    await until(lambda: each_two.stores[1].client.dbsize() == 0)
    await asyncio.sleep(0.5)
    assert each_two.stores[0].client.dbsize() == 500


async def test_copies_are_deleted_though_their_groups_were_to_return(
    running: list[Store], tmp_path: Path
) -> None:
    """The way back was aborted before it had begun."""
    async with pair(running, tmp_path, 2.0) as two:
        for name in named("key", 500):
            two.stores[0].client.set(name, "0")
        await two.migrate(0, 1, [PART])
        two.agents[0].immigrations.accept(two.number + 1, two.found(1), [PART])
        assert two.stores[0].client.dbsize() == 500
        await until(lambda: two.stores[0].client.dbsize() == 0)


async def test_a_group_that_leaves_again_has_a_grace_period_of_its_own(
    running: list[Store], tmp_path: Path
) -> None:
    grace = 1.5
    async with pair(running, tmp_path, grace) as two:
        two.stores[0].client.set(named("key", 1)[0], "0")
        await two.migrate(0, 1, [PART])
        await two.migrate(1, 0, [PART])
        await asyncio.sleep(grace / 2)
        left = time.monotonic()
        await two.migrate(0, 1, [PART])
        await until(lambda: two.stores[0].client.dbsize() == 0)
        assert time.monotonic() - left >= grace


@pytest.mark.parametrize("batch", [1, 32])
async def test_abort_in_the_middle(two: Pair, batch: int) -> None:
    """Stop, then send back what has moved."""
    for number in range(5000):
        two.stores[0].client.set(f"key{number}", number)
    emigration = two.start(0, 1, lanes=8, batch=batch)
    await until(lambda: len(emigration.done) > 2000)
    emigration.stop()
    await until(lambda: emigration.status is Status.STOPPED)
    moved = sorted(emigration.done)
    assert 2000 < len(moved) < GROUPS
    assert len(moved) == batch * len({group // batch for group in moved}), "whole batches"
    back = await two.migrate(
        1, 0, [range(group, group + batch) for group in moved[::batch]], batch=batch
    )
    assert len(back.done) == len(moved)
    assert two.agents[0].table.those(State.OWNED) == list(EVERY)
    assert two.stores[0].client.dbsize() == 5000


async def test_big_group(each_two: Pair) -> None:
    """All keys share one hash tag."""
    pipe = each_two.stores[0].client.pipeline(transaction=False)
    for number in range(20000):
        pipe.set(f"{{k}}{number}", number)
    pipe.execute()
    group = group_of(b"k")
    await each_two.migrate(0, 1, [range(group, group + 1)])
    assert each_two.stores[1].client.dbsize() == 20000
    await until(lambda: each_two.stores[0].client.dbsize() == 0)


@pytest.mark.parametrize("batch", [1, 4])
async def test_lost_repeated_and_late_control_packets(
    running: list[Store], tmp_path: Path, batch: int
) -> None:
    """Through a relay that loses a third and repeats a third."""
    chance = random.Random(5)
    async with two_agents(running, tmp_path) as agents:
        one, other = (found.settings.own for found in agents)
        relay = await Relay(one, other, lambda packet: chance.choice((0, 1, 3))).start()
        agents[0].node.vip = (0x7F000001, relay.port)
        # each knows the other by the relay's address
        source = type(one)(1, "server1", "127.0.0.1", relay.port, one.channel_port)
        destination = type(one)(2, "server2", "127.0.0.1", relay.port, other.channel_port)
        agents[1].immigrations.accept(1, source, [range(200)], batch)
        emigration = agents[0].emigrations.start(1, destination, [range(200)], 32, 0, batch=batch)
        await until(lambda: emigration.status is Status.DONE, 60)
        assert agents[1].table.those(State.OWNED) == list(range(200))
        assert agents[0].counters["control_resent"] > 0
        assert [lane.acknowledged for lane in emigration.lanes] == [
            lane.sequence for lane in emigration.lanes
        ]
        relay.close()


def two_agents(running: list[Store], tmp_path: Path) -> Any:
    """Two agents with fresh links."""
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def both() -> Any:
        for store in running[:2]:
            store.client.flushall()
        async with (
            agent(local(1), running[0], tmp_path / "1") as one,
            agent(local(2), running[1], tmp_path / "2") as other,
        ):
            assign([one, other])
            yield [one, other]

    return both()


async def test_begins_when_the_channel_is_there(each_two: Pair) -> None:
    """The source may be told to start before it has reached the destination."""
    each_two.stores[0].client.set("key", 1)
    node = each_two.agents[0].node
    node.servers.pop(2)
    node.links.pop(2).close()
    emigration = each_two.start(0, 1)
    assert not node.link(2).connected
    await until(lambda: emigration.status is Status.DONE)
    assert each_two.stores[1].client.get("key") == b"1"


async def test_channel_that_breaks(each_two: Pair) -> None:
    """Again and again, at any moment; nothing is lost."""
    for number in range(3000):
        each_two.stores[0].client.set(f"key{number}", number)
    emigration = each_two.start(0, 1, throttle=20_000_000)
    chance = random.Random(3)
    while emigration.status is Status.RUNNING:
        await asyncio.sleep(chance.uniform(0.02, 0.1))
        breaker = each_two.agents[chance.randrange(2)]
        for link in breaker.node.links.values():
            if link._transport is not None:
                link._transport.abort()
    assert emigration.status is Status.DONE, emigration.error
    assert each_two.stores[1].client.dbsize() == 3000


async def test_a_source_that_ends_in_the_middle_of_a_batch(
    running: list[Store], tmp_path: Path
) -> None:
    """Its table survives it. What it still has moves on in batches that fit, and every key is there
    once; a batch that it had given away by half is whole at the destination."""
    for store in running[:2]:
        store.client.flushall()
    for number in range(4000):
        running[0].client.set(f"key{number}", number)
    own, other = local(1), local(2)
    async with agent(other, running[1], tmp_path / "2") as destination:
        async with agent(own, running[0], tmp_path / "1", 60) as source:
            assign([source, destination])
            pair_of_them = Pair([source, destination], running[:2])
            emigration = pair_of_them.start(0, 1, throttle=3_000_000, lanes=4, batch=64)
            await until(lambda: len(emigration.done) > 2000 and emigration.ongoing)
        done = sorted(emigration.done)
        source.table.set(done[-32:], State.EMIGRATING, other.index)
        link = destination.node.links[1]
        assert link._transport is not None
        link._transport.abort()  # the rest of the old agent, which here lives on in this process
        async with agent(own, running[0], tmp_path / "1") as source:
            left = [*source.table.those(State.OWNED), *source.table.those(State.EMIGRATING)]
            batch = batch_within(ranges_of(left), 64)
            assert batch == 32
            ranges = [range(each.first, each.last + 1) for each in ranges_of(left)]
            source.node.vip = (0x7F000001, other.udp_port)
            destination.immigrations.accept(1, own, ranges, batch)
            again = source.emigrations.start(1, other, ranges, 4, 0, batch=batch)
            await until(lambda: again.status is Status.DONE, 30)
            assert len(done) - 32 + len(again.done) == GROUPS
            assert destination.table.those(State.OWNED) == list(EVERY)
            assert running[1].client.dbsize() == 4000
            client = await Client.open()
            for number in range(0, 4000, 41):
                answer = await client.ask(own, Op.READ, "GET", f"key{number}")
                assert (answer.flags & AUTH, answer.payload) == (AUTH, bulk(b"%d" % number))
            client.close()


async def test_copies_go_after_a_restart(running: list[Store], tmp_path: Path) -> None:
    """The source ended within the grace period: the next process deletes what was given away."""
    for store in running[:2]:
        store.client.flushall()
    for name in (names := named("key", 200)):
        running[0].client.set(name, "x")
    running[0].client.set("stays", "x")
    own, other = local(1), local(2)
    async with agent(other, running[1], tmp_path / "2") as destination:
        async with agent(own, running[0], tmp_path / "1", 60) as source:
            assign([source, destination])
            await Pair([source, destination], running[:2]).migrate(0, 1, [PART])
        assert running[0].client.dbsize() == 201
        async with agent(own, running[0], tmp_path / "1"):
            await until(lambda: running[0].client.dbsize() == 1)
    assert running[1].client.exists(*names[:1]) == 1
    assert running[1].client.dbsize() == 200


async def test_throttle(two: Pair) -> None:
    """Group data per second, changed while running."""
    for number in range(4000):
        two.stores[0].client.set(f"key{number}", "v" * 100)
    start = time.monotonic()
    emigration = two.start(0, 1, throttle=1_000_000)
    await until(lambda: emigration.bytes_sent * 8 > 500_000, 30)
    assert emigration.bytes_sent * 8 < 200_000 + (time.monotonic() - start) * 1_000_000
    assert emigration.status is Status.RUNNING
    emigration.set_throttle(0)
    await until(lambda: emigration.status is Status.DONE)


@pytest.mark.parametrize("batch", [1, 16])
async def test_pause_and_resume(two: Pair, batch: int) -> None:
    """Drained: nothing in flight; frozen: the truth stands still."""
    for number in range(5000):
        two.stores[0].client.set(f"key{number}", number)
    emigration = two.start(0, 1, throttle=4_000_000, batch=batch)
    await until(lambda: len(emigration.done) > 500)
    emigration.pause(drain=True)
    await until(lambda: emigration.status is Status.PAUSED)
    assert emigration.ongoing == []
    assert two.agents[0].table.counts()["EMIGRATING"] == 0
    seconds = emigration.seconds
    await asyncio.sleep(0.1)
    assert emigration.seconds == seconds
    emigration.resume()
    await until(lambda: len(emigration.done) > 1500)
    emigration.pause(drain=False)
    truth = (sorted(emigration.done), sorted(emigration.ongoing))
    await asyncio.sleep(0.3)
    assert truth == (sorted(emigration.done), sorted(emigration.ongoing))
    emigration.resume()
    emigration.set_throttle(0)
    await until(lambda: emigration.status is Status.DONE)
    assert two.stores[1].client.dbsize() == 5000


async def test_two_migrations_at_once(running: list[Store], tmp_path: Path) -> None:
    """One agent is source of two and destination of a third."""
    for store in running:
        store.client.flushall()
    async with (
        agent(local(1), running[0], tmp_path / "1") as one,
        agent(local(2), running[1], tmp_path / "2") as two,
        agent(local(3), running[2], tmp_path / "3") as three,
    ):
        agents: Sequence[Agent] = (one, two, three)
        assign(agents, [(range(8192), 1), (range(8192, GROUPS), 2)])
        for number in range(3000):
            group = group_of(b"key%d" % number)
            running[0 if group < 8192 else 1].client.set(f"key{number}", number)
        # the VIP routes by group, as the switch does: a relay per pair would do the same
        routes = [(one, two, range(4096)), (two, one, range(8192, 12288))]
        emigrations = []
        one.node.vip = (0x7F000001, two.settings.own.udp_port)
        two.node.vip = (0x7F000001, one.settings.own.udp_port)
        for number, (source, destination, groups) in enumerate(routes, 1):
            destination.immigrations.accept(number, source.settings.own, [groups])
            emigrations.append(
                source.emigrations.start(number, destination.settings.own, [groups], 16, 0)
            )
        await until(lambda: all(found.status is Status.DONE for found in emigrations), 60)
        three.immigrations.accept(3, two.settings.own, [range(4096)])
        two.node.vip = (0x7F000001, three.settings.own.udp_port)
        third = two.emigrations.start(3, three.settings.own, [range(4096)], 16, 0)
        await until(lambda: third.status is Status.DONE, 60)
        client = await Client.open()
        for number in range(0, 3000, 37):
            answer = await client.ask(one.settings.own, Op.READ, "GET", f"key{number}")
            assert answer.payload == bulk(b"%d" % number)
        client.close()
        await until(lambda: sum(store.client.dbsize() for store in running) == 3000)


async def counting_client(
    two: Pair, keys: list[str], done: Callable[[], bool], seed: int
) -> dict[str, int]:
    """INCR until `done`, sending to either agent at random, resending as the client library does;
    return the acknowledged increments of each key."""
    client = await Client.open()
    chance = random.Random(seed)
    counts = dict.fromkeys(keys, 0)
    while not done():
        key = chance.choice(keys)
        client.seq += 1
        seq = client.seq
        while True:
            client.send(two.server(chance.randrange(2)), Op.WRITE, "INCR", key, seq=seq)
            if chance.random() < 0.2:
                client.send(two.server(chance.randrange(2)), Op.WRITE, "INCR", key, seq=seq)
            try:
                answer = await client.answer(0.03)
            except TimeoutError:
                continue
            if answer.header.seq == seq and not answer.flags & Flags.RETRY:
                break
        assert answer.flags & AUTH, answer
        counts[key] += 1
        client.acked = seq
        if chance.random() < 0.1:  # a late duplicate of something finished
            client.send(two.server(chance.randrange(2)), Op.WRITE, "INCR", key, seq=seq)
    client.close()
    return counts


async def test_counters_are_exact(each_two: Pair) -> None:
    """Invariant 5: increments with resends and late duplicates, while everything goes there and
    back three times, and until one met a group that was leaving and one came late."""
    keys = named("counter", 20)
    groups = [range(group, group + 1) for group in {group_of(key.encode()) for key in keys}]

    def counted(name: str) -> int:
        return sum(found.counters[name] for found in each_two.agents)

    finished = False
    clients = [
        asyncio.create_task(counting_client(each_two, keys, lambda: finished, seed))
        for seed in range(8)
    ]
    for _ in range(3):
        await each_two.migrate(0, 1, [PART])
        await each_two.migrate(1, 0, [PART])
    while not (counted("handed_over") and counted("late_duplicates")):
        await each_two.migrate(0, 1, groups)
        await each_two.migrate(1, 0, groups)
    finished = True
    totals = dict.fromkeys(keys, 0)
    for counts in await asyncio.gather(*clients):
        for key, count in counts.items():
            totals[key] += count
    stored = {key: int(each_two.stores[0].client.get(key) or 0) for key in keys}
    assert stored == totals
    assert sum(totals.values()) > 100


async def switched(
    each_two: Pair, client: Client, moving: range, truth: Callable[[int], str]
) -> Callable[..., Awaitable[bytes]]:
    """Return a function that asks as the switch would route it: by the group's state."""

    async def ask(op: Op, *words: str) -> bytes:
        group = group_of(words[1].encode())
        for _ in range(200):
            state = truth(group) if group in moving else "NOT_MIGRATED"
            client.acked = client.seq
            client.seq += 1
            if state == "ONGOING" and op is Op.READ:
                seq, number = client.seq, each_two.number
                for to in (each_two.server(0), each_two.server(1)):
                    client.send(to, op, *words, flags=Flags.DOUBLE, seq=seq, migration=number)
                answers = [await answer_of(client), await answer_of(client)]
                for answer in answers:
                    if answer.flags & AUTH:
                        return bytes(answer.payload)
                for answer in answers:
                    if answer.flags & Flags.FROM_SOURCE:
                        return bytes(answer.payload)
                continue
            to = each_two.server(0 if state == "NOT_MIGRATED" else 1)
            answer = await client.ask(to, op, *words, seq=client.seq)
            assert answer.flags & AUTH, answer
            return bytes(answer.payload)
        raise AssertionError("the double reads found nothing")

    return ask


async def answer_of(client: Client) -> Any:
    """Return the next reply to the client's last query."""
    while True:
        answer = await client.answer()
        if answer.header.seq == client.seq:
            return answer


@pytest.mark.parametrize("batch", [1, 4])
async def test_reads_see_the_newest_value(two: Pair, batch: int) -> None:
    """One client that writes and reads through a switch's view of the states always reads what it
    wrote last, whatever state the group is in; deleted keys stay deleted."""
    groups = range(5000, 5100)
    found = (f"key{number}" for number in itertools.count())
    names = list(itertools.islice((n for n in found if group_of(n.encode()) in groups), 400))
    for name in names:
        two.stores[0].client.set(name, "0")
    model: dict[str, str | None] = dict.fromkeys(names, "0")
    emigration = two.start(0, 1, [groups], lanes=32, throttle=40_000, batch=batch)
    ongoing_reads = 0

    def truth(group: int) -> str:
        if group in emigration.done:
            return "MIGRATED"
        return "ONGOING" if group in emigration.ongoing else "NOT_MIGRATED"

    client = await Client.open()
    ask = await switched(two, client, groups, truth)
    chance = random.Random(11)
    turn = 0
    while emigration.status is Status.RUNNING:
        turn += 1
        hot = [name for name in names if truth(group_of(name.encode())) == "ONGOING"]
        name = chance.choice(hot if hot and turn % 2 else names)
        ongoing_reads += name in hot
        match chance.randrange(6):
            case 0:
                assert await ask(Op.WRITE, "SET", name, str(turn)) == b"+OK\r\n"
                model[name] = str(turn)
            case 1:
                expected = b":0\r\n" if model[name] is None else b":1\r\n"
                assert await ask(Op.WRITE, "DEL", name) == expected
                model[name] = None
            case 2:
                old = model[name] or ""
                length = b":%d\r\n" % (len(old) + 1)
                assert await ask(Op.WRITE, "APPEND", name, "x") == length
                model[name] = old + "x"
            case _:
                value = model[name]
                expected = b"$-1\r\n" if value is None else bulk(value.encode())
                assert await ask(Op.READ, "GET", name) == expected
    client.close()
    assert emigration.status is Status.DONE, emigration.error
    stored = {name: two.stores[1].client.get(name) for name in names}
    assert stored == {
        name: None if value is None else value.encode() for name, value in model.items()
    }
    assert ongoing_reads > 0


@pytest.mark.parametrize("flags", [Flags.NONE, Flags.DOUBLE])
async def test_misrouted_queries_during_a_migration(each_two: Pair, flags: Flags) -> None:
    """The switch is soft state: whatever it says, plain queries are answered by the owner."""
    for number in range(2000):
        each_two.stores[0].client.set(f"key{number}", number)
    emigration = each_two.start(0, 1, throttle=2_000_000)
    client = await Client.open()
    chance = random.Random(1)
    while emigration.status is Status.RUNNING:
        number = chance.randrange(2000)
        to = each_two.server(chance.randrange(2))
        answer = await client.ask(
            to, Op.READ, "GET", f"key{number}", flags=flags, migration=each_two.number
        )
        if answer.flags & (AUTH | Flags.FROM_SOURCE):
            assert answer.payload == bulk(b"%d" % number)
        else:
            assert flags is Flags.DOUBLE
            assert not answer.flags & Flags.ERROR
    client.close()
    assert emigration.status is Status.DONE


async def test_header_of_forwarded_queries(two: Pair, client: Client) -> None:
    """A reply that took the long way says so."""
    await two.migrate(0, 1, [range(group_of(b"k"), group_of(b"k") + 1)])
    answer = await client.ask(two.server(0), Op.WRITE, "SET", "k", "v")
    assert answer.flags == AUTH | Flags.FOUND | Flags.FORWARDED
    assert isinstance(answer.header, Header)


async def test_stop_finishes_what_an_earlier_run_had_begun(two: Pair) -> None:
    """The source was restarted with groups on their way, and is stopped before it takes them up."""
    set_state(two.agents[0], 7, State.EMIGRATING, 2)
    two.stores[0].client.set("k", "v")
    emigration = two.start(0, 1, [range(64)])
    emigration.stop()
    await until(lambda: emigration.status is Status.STOPPED)
    assert emigration.done == {7}
    assert two.agents[0].table.counts()["EMIGRATING"] == 0
    assert two.agents[1].table.states[7] == State.OWNED
