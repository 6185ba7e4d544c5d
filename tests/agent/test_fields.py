"""Fields of hashes that expire (Redis >= 7.4, Valkey >= 9): migrations keep when."""

import time
from typing import Any

import pytest

from hosts.agent.emigration.mover import Status
from hosts.wire import Flags, Op
from tests.agent.harness import Client, Pair, Store, bulk, until

AUTH = Flags.AUTHORITATIVE
_LATER = 4102444800123  # in ms since 1970


@pytest.fixture(autouse=True)
def store_with_fields(running: list[Store]) -> None:
    """Only for stores that know them."""
    running[0].needs("HPEXPIREAT", "HPEXPIRETIME")


def expire(store: Store, key: str, at: int, *fields: str) -> None:
    """Let fields expire at a time in ms since 1970."""
    replies = store.command("HPEXPIREAT", key, at, "FIELDS", len(fields), *fields)
    assert set(replies) == {1}


def expiries(store: Store, key: str) -> dict[Any, tuple[Any, int]]:
    """Return every field with its value and when it expires, -1: never."""
    found = store.client.hgetall(key)
    names = list(found)
    if not names:
        return {}
    times = store.command("HPEXPIRETIME", key, "FIELDS", len(names), *names)
    return {name: (found[name], at) for name, at in zip(names, times, strict=True)}


@pytest.mark.parametrize("count", [8, 20_000], ids=["as a dump", "in pieces"])
async def test_fields_keep_their_expiry(each_two: Pair, count: int) -> None:
    """Each its own, those without one too; the hash keeps its own besides."""
    one, other = each_two.stores
    for first in range(0, count, 1000):
        numbers = range(first, min(first + 1000, count))
        one.client.hset("hash", mapping={f"f{number}": f"v{number}" for number in numbers})
    one.command("PEXPIREAT", "hash", _LATER + 1_000_000)
    for number in range(0, count, 3):
        expire(one, "hash", _LATER + number % 7, f"f{number}")
    before = expiries(one, "hash")
    assert {at for _, at in before.values()} > {-1, _LATER}
    await each_two.migrate(0, 1)
    assert expiries(other, "hash") == before
    assert other.command("PEXPIRETIME", "hash") == _LATER + 1_000_000
    assert each_two.agents[0].counters["values_in_pieces"] == (count > 8)


@pytest.mark.parametrize("count", [2, 20_000], ids=["as a dump", "in pieces"])
async def test_fields_that_expire_on_the_way(each_two: Pair, client: Client, count: int) -> None:
    """Some of a hash, and all of another: what is left is what the source would have had."""
    one, other = each_two.stores
    for name in ("some", "all"):
        for first in range(0, count, 1000):
            numbers = range(first, min(first + 1000, count))
            one.client.hset(name, mapping={f"f{number}": "v" * 50 for number in numbers})
    soon = int(time.time() * 1000) + 1500
    for first in range(0, count, 1000):
        names = [f"f{number}" for number in range(first, min(first + 1000, count))]
        expire(one, "all", soon, *names)
        expire(one, "some", soon, *names[1:])
    mover = each_two.start(0, 1, throttle=8_000_000)
    await until(lambda: time.time() * 1000 > soon + 100)
    mover.set_throttle(0)
    await until(lambda: mover.status is Status.DONE)
    left = {b"f%d" % first: (b"v" * 50, -1) for first in range(0, count, 1000)}
    assert expiries(other, "some") == left
    assert expiries(other, "all") == {}
    answer = await client.ask(each_two.server(1), Op.READ, "HGET", "all", "f0")
    assert (answer.flags, answer.payload) == (AUTH, b"$-1\r\n")
    await until(lambda: other.client.hlen("all") == 0)


async def test_reads_and_writes(two: Pair, client: Client) -> None:
    """What the store says of its commands holds: none that writes is taken for a read."""
    to = two.server(0)
    reads = ("HTTL", "HPTTL", "HEXPIRETIME", "HPEXPIRETIME")
    assert (await client.ask(to, Op.WRITE, "HSET", "h", "f", "v")).payload == b":1\r\n"
    for name in reads:
        answer = await client.ask(to, Op.READ, name, "h", "FIELDS", 1, "f")
        assert answer.payload == b"*1\r\n:-1\r\n"
    for words in (
        ("HEXPIRE", "h", 100, "FIELDS", 1, "f"),
        ("HPEXPIRE", "h", 100_000, "FIELDS", 1, "f"),
        ("HEXPIREAT", "h", _LATER // 1000, "FIELDS", 1, "f"),
        ("HPEXPIREAT", "h", _LATER, "FIELDS", 1, "f"),
        ("HPERSIST", "h", "FIELDS", 1, "f"),
    ):
        refused = await client.ask(to, Op.READ, *words)
        assert b"writes: send it as WRITE" in refused.payload
        answer = await client.ask(to, Op.WRITE, *words)
        assert (answer.flags & AUTH, answer.payload) == (AUTH, b"*1\r\n:1\r\n")
    assert (await client.ask(to, Op.READ, "HGET", "h", "f")).payload == bulk(b"v")
