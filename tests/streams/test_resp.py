"""Redis clients, unchanged, at an agent."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from hosts.agent.agent import Agent, Settings
from hosts.agent.protocols import Protocol
from hosts.agent.streams import Tcp
from hosts.gateway.room import FREE
from tests.agent.harness import Pair, Store, assign, bulk, local, resp, until

BIG = bytes(range(256)) * (10 << 12)  # 10 MiB
SLOW = 20_000_000
PATIENT = 60.0


def redis(to: Agent) -> Redis:
    """Return redis-py's client."""
    return Redis(port=to.streams.port, socket_timeout=PATIENT)


async def test_redis_py(two: Pair) -> None:
    """At the owner of everything, and at an agent that has nothing."""
    for agent in two.agents:
        async with redis(agent) as client:
            assert await client.ping()
            assert await client.set("s", "1")
            assert await client.incr("s") == 2
            assert await client.hset("h", mapping={"a": "1", "b": b"\0\r\n"}) in (0, 2)
            assert await client.hgetall("h") == {b"a": b"1", b"b": b"\0\r\n"}
            assert await client.mset({"{t}1": "a", "{t}2": "b"})
            assert await client.mget("{t}1", "{t}2", "{t}3") == [b"a", b"b", None]
            assert await client.eval("return {KEYS[1], ARGV[1]}", 1, "k", "v") == [b"k", b"v"]
            pipe = client.pipeline(transaction=True)
            pipe.set("{t}1", 5)
            pipe.incr("{t}1")
            assert await pipe.execute() == [True, 6]
            assert (await client.info())["connected_clients"] == 1
            assert await client.set("big", BIG)
            assert await client.get("big") == BIG
            for command in (("MGET", "a", "b"), ("MSET", "a", 1, "b", 2), ("DEL", "a", "b")):
                with pytest.raises(ResponseError, match="hash to the same slot") as caught:
                    await client.execute_command(*command)  # type: ignore[no-untyped-call]
                assert caught.value.status_code == "CROSSSLOT" or "CROSSSLOT" in repr(caught.value)
            with pytest.raises(ResponseError, match="no key"):
                await client.execute_command("KEYS", "*")  # type: ignore[no-untyped-call]


async def test_no_error_and_no_redirect_while_groups_move(each_two: Pair) -> None:
    """Two clients, one at each agent, and their counters are right in the end."""
    precopy = each_two.protocol is Protocol.SOURCE
    count = 0
    moving = each_two.start(0, 1, throttle=0 if precopy else SLOW)

    async def work(agent: Agent, name: str) -> int:
        turns = 0
        async with redis(agent) as client:
            while moving.status.name == "RUNNING" or turns < 20:
                turns += 1
                pipe = client.pipeline(transaction=False)
                for number in range(20):
                    pipe.incr(f"{{{number}}}n")
                    pipe.append(f"{{{number}}}{name}", f"{turns},")
                    pipe.get(f"{{{number}}}{name}")
                pipe.set(f"long{turns % 5}", BIG[:200_000])
                pipe.get(f"long{turns % 5}")
                replies = await pipe.execute()
                log = "".join(f"{turn}," for turn in range(1, turns + 1)).encode()
                assert replies[2:-2:3] == [log] * 20
                assert replies[-1] == BIG[:200_000]
        return turns

    works = asyncio.gather(work(each_two.agents[0], "a"), work(each_two.agents[1], "b"))
    count = sum(await works)
    await until(lambda: moving.status.name in ("DONE", "FAILED"))
    assert moving.status.name == "DONE", moving.error
    async with redis(each_two.agents[0]) as client:
        for number in range(20):
            assert await client.get(f"{{{number}}}n") == b"%d" % count


async def test_redis_benchmark_during_a_migration(two: Pair) -> None:
    """It ends at the first error."""
    tool = shutil.which("redis-benchmark")
    assert tool is not None
    moving = two.start(0, 1, throttle=SLOW)
    for agent in two.agents:
        benchmark = await asyncio.create_subprocess_exec(
            *(tool, "-p", str(agent.streams.port), "-c", "10", "-n", "2000", "-P", "8"),
            *("-r", "1000", "-t", "set,get,incr,lpush", "--csv"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await benchmark.communicate()
        assert benchmark.returncode == 0, output.decode()
        assert b"MOVED" not in output
    await until(lambda: moving.status.name == "DONE")


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"*1\r\n+OK\r\n", b"Protocol error: expected '$'"),
        (b"*1\r\n$999999999999\r\n", b"Protocol error: invalid bulk length"),
        (b"*2\r\n$3\r\nGET\r\n$1\r\n", b"cut short"),
        (b"N", b"cut short"),
        (b"\x00\xff" * 40_000, b"too big inline request"),
    ],
)
async def test_rubbish_ends_one_connection(alone: Agent, sent: bytes, says: bytes) -> None:
    """With an error, and without a trace for others."""
    async with redis(alone) as good:
        assert await good.set("k", "v")
        reader, writer = await asyncio.open_connection("127.0.0.1", alone.streams.port)
        writer.write(sent)
        writer.write_eof()
        said = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert says in said or sent == b"N"
        assert await good.get("k") == b"v"


async def test_replies_come_also_to_who_has_said_all(alone: Agent) -> None:
    """As with Redis, `printf … | nc` works."""
    reader, writer = await asyncio.open_connection("127.0.0.1", alone.streams.port)
    writer.write(resp("SET", "k", BIG) + resp("GET", "k") + b"PING\r\n")
    writer.write_eof()
    said = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert said == b"+OK\r\n" + bulk(BIG) + b"+PONG\r\n"


@pytest.fixture
async def small(store: Store, tmp_path: Path) -> AsyncIterator[Agent]:
    """An agent with little room for clients by TCP."""
    tcp = Tcp(connections=3, room=1 << 20)
    one = await Agent(Settings(local(1), store.url, tmp_path, tcp=tcp)).start()
    assign([one])
    yield one
    await one.stop()


async def test_too_many_connections(small: Agent) -> None:
    """The next one is told so, as Redis would; when one ends there is room again."""
    connections = [await asyncio.open_connection("127.0.0.1", small.streams.port) for _ in range(3)]
    for reader, writer in connections:
        writer.write(b"PING\r\n")
        assert await reader.readline() == b"+PONG\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", small.streams.port)
    assert await reader.read() == b"-ERR max number of clients reached\r\n"
    writer.close()
    connections[0][1].close()

    async def admitted() -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", small.streams.port)
        writer.write(b"PING\r\n")
        said = await reader.readline()
        writer.close()
        return said == b"+PONG\r\n"

    while not await admitted():
        await asyncio.sleep(0.01)
    for _, writer in connections[1:]:
        writer.close()


async def test_who_holds_memory_and_does_nothing(
    small: Agent, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a request, or a reply that is not read: in the end its room is for others. Who holds
    nothing may stay."""
    monkeypatch.setattr("hosts.gateway.room.PATIENCE", 0.5)
    half = BIG[: 900 << 10]
    store.client.set("k", half)
    idle, _ = await asyncio.open_connection("127.0.0.1", small.streams.port)
    for count, sent in enumerate((resp("SET", "k2", BIG)[: 500 << 10], resp("GET", "k")), 1):
        reader, writer = await asyncio.open_connection("127.0.0.1", small.streams.port, limit=1)
        writer.write(sent)
        async with asyncio.timeout(30):
            while small.counters["stuck_connections"] < count:
                await asyncio.sleep(0.05)
                if count == 2:  # until no socket buffer takes more replies
                    writer.write(sent)
        assert small.core.room == 1 << 20
        with contextlib.suppress(ConnectionResetError):
            while await asyncio.wait_for(reader.read(1 << 16), 5):
                pass
        writer.close()
    assert not idle.at_eof()


async def test_too_much_memory(small: Agent, store: Store) -> None:
    """Who sends too much is told so and ends; a reply that is too much is an error; small commands
    work all the time; and the room comes back."""
    store.client.set("k", BIG)
    async with redis(small) as good:
        assert await good.set("s", "v")
        reader, writer = await asyncio.open_connection("127.0.0.1", small.streams.port)
        writer.write(resp("SET", "k2", BIG)[: 2 << 20])
        said = await asyncio.wait_for(reader.read(), 5)
        assert b"as much memory here as they may" in said
        writer.close()
        with pytest.raises(ResponseError, match="longer than"):
            await good.get("k")
        assert await good.get("s") == b"v"
        half = BIG[: 700 << 10]
        assert await good.set("half", half)
        assert await good.get("half") == half
        begun = []
        for _ in range(2):
            begun.append(await asyncio.open_connection("127.0.0.1", small.streams.port))
            begun[-1][1].write(resp("SET", "k3", BIG)[: FREE + (400 << 10)])
        await until(lambda: small.core.room < 300 << 10)
        with pytest.raises(ResponseError, match="longer than"):
            await good.get("half")
        assert await good.get("s") == b"v"
        for _, writer in begun:
            writer.close()
    await until(lambda: small.core.room == 1 << 20)
