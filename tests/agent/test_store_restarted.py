"""A store that is killed and started again, with an append-only file and without."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.agent.agent import Agent
from hosts.agent.emigration.mover import Status
from hosts.agent.table import State
from hosts.wire import GROUPS, Flags, Op, group_of
from tests.agent.conftest import WAYS
from tests.agent.harness import Client, Pair, Store, agent, assign, bulk, local, pair, stores, until

AUTH = Flags.AUTHORITATIVE
NAMES = [f"key{number}" for number in range(2000)]
VALUE = "v" * 100
APPEND_ONLY = ("--appendonly", "yes", "--appendfsync", "always")
REFUSED = b"-ERR netmigrate: the store is not reachable; nothing was executed\r\n"


@pytest.fixture(params=[APPEND_ONLY, ()], ids=["append-only", "volatile"])
def restartable(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[list[Store]]:
    """Two stores of this test alone, of one kind."""
    with stores(tmp_path, 2, request.param) as running:
        yield running


lossless = pytest.mark.parametrize("restartable", [APPEND_ONLY], indirect=True, ids=["append-only"])
volatile = pytest.mark.parametrize("restartable", [()], indirect=True, ids=["volatile"])


async def restart(store: Store) -> None:
    """Kill it, leave it away for a while, and start it."""
    store.kill()
    await asyncio.sleep(0.2)
    store.start_again()
    await asyncio.to_thread(store.wait)


async def start_and_restart(two: Pair, way: str, index: int) -> Any:
    """Restart a store while a migration of many keys is under way; return its Mover."""
    two.protocol, two.batch = WAYS[way]
    for name in NAMES:
        two.stores[0].client.set(name, VALUE)
    mover = two.start(0, 1, throttle=1_000_000)
    await until(lambda: mover.keys_sent > 300)
    await restart(two.stores[index])
    return mover


@lossless
@pytest.mark.parametrize("index", [0, 1], ids=["source", "destination"])
@pytest.mark.parametrize("way", WAYS)
async def test_the_migration_goes_on(
    restartable: list[Store], tmp_path: Path, client: Client, way: str, index: int
) -> None:
    """By itself. What was acknowledged is there once; meanwhile queries are refused."""
    async with pair(restartable, tmp_path) as two:
        mover = await start_and_restart(two, way, index)
        assert mover.status is Status.RUNNING, mover.error
        mover.set_throttle(0)
        await until(lambda: mover.status is Status.DONE)
        assert mover.error == ""
        left = {name for name in NAMES if restartable[1].client.get(name) != VALUE.encode()}
        assert not left
        answer = await client.ask(two.server(1), Op.WRITE, "INCR", "n")
        assert answer.payload == b":1\r\n"


@lossless
async def test_a_refused_write_stays_so(
    restartable: list[Store], tmp_path: Path, client: Client
) -> None:
    """A late copy of it is not executed either, when the store is back."""
    async with pair(restartable, tmp_path) as two:
        assert (await client.ask(two.server(0), Op.WRITE, "INCR", "n")).payload == b":1\r\n"
        restartable[0].kill()
        refused = await client.ask(two.server(0), Op.WRITE, "INCR", "n")
        assert refused.payload == REFUSED
        restartable[0].start_again()
        while (found := await client.ask(two.server(0), Op.READ, "GET", "n")).payload == REFUSED:
            await asyncio.sleep(0.02)
        assert found.payload == bulk(b"1"), "never an error of a store that is loading"
        again = await client.ask(two.server(0), Op.WRITE, "INCR", "n", seq=refused.header.seq)
        assert again.payload == REFUSED
        assert (await client.ask(two.server(0), Op.WRITE, "INCR", "n")).payload == b":2\r\n"
        assert two.agents[0].counters["store_lost_data"] == 0


@volatile
@pytest.mark.parametrize("index", [0, 1], ids=["source", "destination"])
@pytest.mark.parametrize("way", WAYS)
async def test_data_that_is_lost_is_not_lost_in_silence(
    restartable: list[Store], tmp_path: Path, client: Client, way: str, index: int
) -> None:
    """The migration fails and says why; it never reports that all is done. What is there is served,
    and the user may let it go on."""
    async with pair(restartable, tmp_path) as two:
        mover = await start_and_restart(two, way, index)
        await until(lambda: mover.status is Status.FAILED)
        assert mover.error.startswith(f"the store of server{index + 1} was started again without")
        assert len(mover.done) < mover.total
        assert two.agents[index].counters["store_lost_data"] == 1
        mover.resume()
        await until(lambda: mover.status is Status.DONE)
        answer = await client.ask(two.server(1), Op.WRITE, "INCR", "n")
        assert answer.payload == b":1\r\n"


@volatile
async def test_an_idle_store(restartable: list[Store], tmp_path: Path, client: Client) -> None:
    """Nothing is asked of it before what it lost is noticed: not even a RESTORE."""
    async with pair(restartable, tmp_path) as two:
        restartable[0].client.set("k", VALUE)
        mover = two.start(0, 1, [range(group_of(b"k"), group_of(b"k") + 1)])
        await until(lambda: mover.status is Status.DONE)
        await restart(restartable[1])
        refused = await client.ask(two.server(1), Op.READ, "GET", "k")
        assert refused.payload == REFUSED
        await until(lambda: two.agents[1].counters["store_lost_data"] == 1)
        answer = await client.ask(two.server(1), Op.READ, "GET", "k")
        assert answer.payload == b"$-1\r\n", "what Redis itself promises"
        assert two.agents[1].table.states[group_of(b"k")] == State.OWNED


@lossless
async def test_what_a_silent_store_was_asked_is_not_executed_later(
    restartable: list[Store], tmp_path: Path
) -> None:
    """The connection that timed out is ended before the next one is used."""
    async with pair(restartable, tmp_path) as two:
        core = two.agents[0].core
        (own,) = core.call([[b"CLIENT", b"ID"]])
        core.call([[b"CONFIG", b"SET", b"timeout", b"0"]])
        restartable[0].process.send_signal(19)  # SIGSTOP
        with pytest.raises(ConnectionError):  # after the core's ten seconds
            await asyncio.to_thread(core.call, [[b"SET", b"late", b"1"]])
        restartable[0].process.send_signal(18)  # SIGCONT
        (other,) = core.call([[b"CLIENT", b"ID"]])
        assert own != other
        listed = restartable[0].client.client_list()
        assert str(own) not in {each["id"] for each in listed}


@volatile
@pytest.mark.parametrize("index", [0, 1], ids=["source", "destination"])
async def test_the_agent_ended_with_its_store(
    restartable: list[Store], tmp_path: Path, index: int
) -> None:
    """It knows by a file that the store is another one."""
    servers = [local(1), local(2)]

    def run(number: int) -> contextlib.AbstractAsyncContextManager[Agent]:
        return agent(servers[number], restartable[number], tmp_path / f"agent{number}")

    async with contextlib.AsyncExitStack() as stack:
        running = [run(0), run(1)]
        two = Pair([await one.__aenter__() for one in running], restartable)
        stack.push_async_callback(lambda: running[0].__aexit__(None, None, None))
        stack.push_async_callback(lambda: running[1].__aexit__(None, None, None))
        assign(two.agents)
        for name in NAMES:
            restartable[0].client.set(name, VALUE)
        mover = two.start(0, 1, throttle=1_000_000)
        await until(lambda: mover.keys_sent > 300)
        await running[index].__aexit__(None, None, None)
        await restart(restartable[index])
        running[index] = run(index)
        two.agents[index] = await running[index].__aenter__()
        if index == 0:  # the controller tells it what is left
            two.aim(0, 1)
            states = two.agents[0].table.states
            left = [range(group, group + 1) for group in range(GROUPS) if states[group]]
            mover = two.agents[0].emigrations.start(1, two.server(1), left, 16, 0)
        await until(lambda: mover.status is Status.FAILED)
        assert mover.error.startswith(f"the store of server{index + 1} was started again without")
        mover.resume()
        mover.set_throttle(0)
        await until(lambda: mover.status is Status.DONE)
