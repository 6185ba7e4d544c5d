"""The client against a real store behind a real agent; the agent's address stands for the VIP."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hosts.client import AsyncClient, Client, ReplyError
from tests.agent.harness import SERVICE, Store, owner


@pytest.fixture
async def port(store: Store, tmp_path: Path) -> AsyncIterator[int]:
    async with owner(store, tmp_path) as one:
        yield one.settings.own.udp_port


async def test_commands_of_all_types(port: int) -> None:
    async with AsyncClient("127.0.0.1", port, service=SERVICE) as c:
        assert await c.get("s") is None
        assert await c.set("s", "1") is True
        assert await c.set("s", "2", nx=True) is None
        assert await c.set("s", "5", xx=True, get=True, ex=100) == b"1"
        assert 0 < await c.ttl("s") <= 100
        assert await c.persist("s") is True
        assert await c.incr("s") == 6
        assert await c.incrby("s", 4) == 10
        assert await c.decr("s", 3) == 7
        assert await c.incrbyfloat("s", 0.5) == 7.5
        assert await c.append("s", "x") == 4
        assert await c.getset("s", "new") == b"7.5x"
        assert await c.strlen("s") == 3
        assert await c.getrange("s", 0, 1) == b"ne"
        assert await c.setrange("s", 1, "il") == 3
        assert await c.getdel("s") == b"nil"
        assert await c.setnx("s", "1") is True
        assert await c.mset({"{t}1": "a", "{t}2": b"\0\r\n"}) is True
        assert await c.mget("{t}1", "{t}2", "{t}3") == [b"a", b"\0\r\n", None]
        assert await c.exists("{t}1", "{t}3") == 1
        assert await c.delete("{t}1", "{t}2") == 2

        assert await c.hset("h", {"a": 1, "b": 2.5}) == 2
        assert await c.hget("h", "a") == b"1"
        assert await c.hgetall("h") == {b"a": b"1", b"b": b"2.5"}
        assert await c.hmget("h", "b", "c") == [b"2.5", None]
        assert await c.hincrby("h", "a", 4) == 5
        assert await c.hdel("h", "a") == 1
        assert await c.hexists("h", "a") is False
        assert await c.hlen("h") == 1

        assert await c.rpush("l", "a", "b", "c") == 3
        assert await c.lpush("l", "z") == 4
        assert await c.lrange("l", 0, -1) == [b"z", b"a", b"b", b"c"]
        assert (await c.lpop("l"), await c.rpop("l"), await c.llen("l")) == (b"z", b"c", 2)

        assert await c.sadd("set", "a", "b") == 2
        assert await c.smembers("set") == {b"a", b"b"}
        assert await c.sismember("set", "a") is True
        assert await c.srem("set", "a") == 1
        assert await c.scard("set") == 1

        assert await c.zadd("z", {"one": 1, "two": 2.5}) == 2
        assert await c.zincrby("z", 3, "one") == 4.0
        assert await c.zrange("z", 0, -1) == [b"two", b"one"]
        assert await c.zrange("z", 0, -1, withscores=True) == [(b"two", 2.5), (b"one", 4.0)]
        assert await c.zscore("z", "two") == 2.5
        assert await c.zscore("z", "none") is None
        assert (await c.zrem("z", "two"), await c.zcard("z")) == (1, 1)

        assert await c.type("z") == b"zset"
        assert await c.expire("z", 100) is True
        assert await c.pexpire("none", 100) is False
        assert 0 < await c.pttl("z") <= 100_000
        assert await c.unlink("z") == 1
        assert await c.execute_command("OBJECT", "ENCODING", "h") == b"listpack"
        assert await c.execute_command("EVAL", "return ARGV[1]", 1, "k", "x") == b"x"
        assert await c.execute_command("XADD", "x", "1-1", "f", "v") == b"1-1"
        assert await c.execute_command("XREAD", "STREAMS", "x", 0) == [
            [b"x", [[b"1-1", [b"f", b"v"]]]]
        ]


async def test_errors_of_store_and_agent(port: int) -> None:
    async with AsyncClient("127.0.0.1", port, service=SERVICE) as c:
        await c.hset("h", {"a": 1})
        with pytest.raises(ReplyError, match=r"^WRONGTYPE "):
            await c.get("h")
        with pytest.raises(ReplyError, match=r"^WRONGTYPE "):
            await c.append("h", "x")
        with pytest.raises(ReplyError, match="wrong number of arguments"):
            await c.execute_command("GET", "a", "b")
        for i in range(30):
            await c.append("long", bytes([i]) * 100)
        assert await c.get("long") == b"".join(bytes([i]) * 100 for i in range(30))
        assert await c.strlen("long") == 3000
    async with AsyncClient("127.0.0.1", port, service=SERVICE + 1, timeout=0.5) as other:
        with pytest.raises((ReplyError, TimeoutError)):
            await other.get("h")


async def test_sync_client(port: int) -> None:
    def work() -> None:
        with Client("127.0.0.1", port, service=SERVICE) as c:
            pipeline = c.pipeline()
            for i in range(1000):
                pipeline.set(f"k{i}", i)
            assert pipeline.execute() == [True] * 1000
            replies = c.execute_many(("INCR", f"k{i}") for i in range(1000))
            assert replies == list(range(1, 1001))

    await asyncio.to_thread(work)


async def test_increments_in_flight(port: int) -> None:
    async with AsyncClient("127.0.0.1", port, service=SERVICE) as c:
        replies = await asyncio.gather(*(c.incr("n") for _ in range(3000)))
        assert sorted(replies) == list(range(1, 3001))
