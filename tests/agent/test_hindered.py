"""A store that takes nothing for a while: out of memory, or away."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hosts.agent.emigration.mover import Status
from hosts.agent.protocols import Protocol
from hosts.agent.table import State
from hosts.wire import Flags, Op, group_of
from tests.agent.conftest import WAYS
from tests.agent.harness import Client, Pair, Store, bulk, until

AUTH = Flags.AUTHORITATIVE
NAMES = [f"key{number}" for number in range(3000)]
VALUE = "v" * 1000
_LATE = 0.5  # seconds until all that was sent before a pause has been complained of


@contextmanager
def little_memory(store: Store) -> Iterator[None]:
    """Let a store have room for some of the keys only."""
    limit = store.client.info("memory")["used_memory"] + 1_000_000
    store.client.config_set("maxmemory", limit)
    try:
        yield
    finally:
        store.client.config_set("maxmemory", 0)


@pytest.mark.parametrize("way", [way for way in WAYS if WAYS[way][0] is not Protocol.SOURCE])
async def test_destination_out_of_memory(two: Pair, client: Client, way: str) -> None:
    """The migration pauses with the store's words. What has moved and what has not is served on;
    after help it goes on and loses nothing. Pre-copy is in test_precopy.py."""
    two.protocol, two.batch = WAYS[way]
    for name in NAMES:
        two.stores[0].client.set(name, VALUE)
    with little_memory(two.stores[1]):
        mover = two.start(0, 1)
        await until(lambda: mover.status is Status.PAUSED)
        await asyncio.sleep(_LATE)
        assert mover.error.startswith("the store of server2: OOM command not allowed")
        sent = mover.keys_sent
        states = [State(two.agents[1].table.states[group_of(name.encode())]) for name in NAMES]
        moved = NAMES[next(i for i, s in enumerate(states) if s is State.OWNED)]
        answer = await client.ask(two.server(1), Op.READ, "GET", moved)
        assert (answer.flags & AUTH, answer.payload) == (AUTH, bulk(VALUE.encode()))
        # there may be room for one key still, but not for a whole frame of them
        used = two.stores[1].client.info("memory")["used_memory"]
        two.stores[1].client.config_set("maxmemory", used // 2)
        answer = await client.ask(two.server(1), Op.WRITE, "SET", moved, VALUE)
        assert answer.payload.startswith(b"-OOM "), "the store's own words"
        if two.protocol is Protocol.NETMIGRATE:  # the others have given all groups away
            stayed = NAMES[next(i for i, s in enumerate(states) if s is State.ABSENT)]
            answer = await client.ask(two.server(0), Op.WRITE, "SET", stayed, VALUE)
            assert answer.flags & AUTH and answer.payload == b"+OK\r\n"
        if two.protocol is Protocol.NETMIGRATE:
            coming = NAMES[next(i for i, s in enumerate(states) if s is State.IMMIGRATING)]
            answer = await client.ask(two.server(1), Op.WRITE, "APPEND", coming, "x")
            assert b"OOM" in answer.payload, (
                "of a key that has no room, or in the store's own words"
            )
        mover.resume()
        await until(lambda: mover.status is Status.PAUSED)  # nobody has helped
        assert mover.keys_sent >= sent
        await asyncio.sleep(_LATE)
    mover.resume()
    assert mover.error == ""
    await until(lambda: mover.status is Status.DONE)
    assert two.stores[1].client.dbsize() == len(NAMES)
    assert all(two.stores[1].client.get(name) == VALUE.encode() for name in NAMES)


async def test_abort_while_out_of_memory(two: Pair) -> None:
    """It ends by itself as soon as there is room for the groups in flight."""
    for name in NAMES:
        two.stores[0].client.set(name, VALUE)
    with little_memory(two.stores[1]):
        mover = two.start(0, 1, batch=16)
        await until(lambda: mover.status is Status.PAUSED)
        mover.stop()
        assert mover.status is Status.STOPPING
        await until(lambda: "OOM" in mover.error)
        assert mover.status is Status.STOPPING
    await until(lambda: mover.status is Status.STOPPED)
    total = sum(store.client.dbsize() for store in two.stores)
    assert total >= len(NAMES)
