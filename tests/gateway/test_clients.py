"""Redis clients, unchanged, through the gateway."""

import asyncio
import shutil

import pytest
from redis.asyncio import Redis
from redis.exceptions import ExecAbortError, ResponseError

PIPELINED = 2_000


async def test_redis_py(port: int) -> None:
    async with Redis(port=port) as client:
        assert await client.ping()
        assert await client.set("s", "1", nx=True)
        assert await client.set("s", "2", nx=True) is None
        assert await client.incr("s") == 2
        assert await client.get("s") == b"2"
        assert await client.get("nothing") is None
        assert await client.hset("h", mapping={"a": "1", "b": b"\0\r\n"}) == 2
        assert await client.hgetall("h") == {b"a": b"1", b"b": b"\0\r\n"}
        assert await client.rpush("l", "a", "b", "c") == 3
        assert await client.lrange("l", 0, -1) == [b"a", b"b", b"c"]
        assert await client.zadd("z", {"x": 1.5}) == 1
        assert await client.zscore("z", "x") == 1.5
        assert await client.mset({"{t}1": "a", "{t}2": "b"})
        assert await client.mget("{t}1", "{t}2", "{t}3") == [b"a", b"b", None]
        assert await client.eval("return {KEYS[1], ARGV[1]}", 1, "k", "v") == [b"k", b"v"]
        assert await client.command_getkeys("GET", "a") == ["a"]
        assert (await client.info())["connected_clients"] == 1


async def test_a_pipeline_keeps_its_order_within_a_group(port: int) -> None:
    async with Redis(port=port) as client:
        pipe = client.pipeline(transaction=False)
        for number in range(PIPELINED):
            pipe.append("log", f"{number},")
            pipe.set(f"key{number}", number)
            pipe.get(f"key{number}")
        replies = await pipe.execute()
        assert replies[2::3] == [str(number).encode() for number in range(PIPELINED)]
        log = "".join(f"{number}," for number in range(PIPELINED)).encode()
        assert await client.getrange("log", -100, -1) == log[-100:]
        assert await client.strlen("log") == len(log)


async def test_a_transaction_of_one_group_is_whole(port: int) -> None:
    async with Redis(port=port) as client:
        await client.set("{a}text", "x")

        async def transfers() -> None:
            for _ in range(50):
                pipe = client.pipeline(transaction=True)
                pipe.decrby("{a}from", 1)
                pipe.incrby("{a}to", 1)
                pipe.get("{a}none")
                pipe.lpush("{a}text", "y")
                replies = await pipe.execute(raise_on_error=False)
                assert replies[2] is None
                assert isinstance(replies[3], ResponseError)

        async def watcher() -> None:
            for _ in range(100):
                before, after = await client.mget("{a}from", "{a}to")
                assert int(before or 0) + int(after or 0) == 0

        await asyncio.gather(transfers(), transfers(), watcher())
        assert await client.get("{a}to") == b"100"


async def test_small_and_big_keep_their_order(port: int) -> None:
    """Datagrams and TCP, pipelined, in one group and in several."""
    big = bytes(range(256)) * 4096
    async with Redis(port=port, socket_timeout=60) as client:
        pipe = client.pipeline(transaction=False)
        for number in range(30):
            pipe.append("{a}log", f"{number},")
            pipe.set(f"{{{number % 3}}}big", big)
            pipe.get(f"{{{number % 3}}}big")
            pipe.set("{a}log2", b"%d," % number * 1000)
            pipe.getdel("{a}log2")
            pipe.strlen("{a}log2")
        replies = await pipe.execute()
        assert replies[2::6] == [big] * 30
        assert replies[4::6] == [b"%d," % number * 1000 for number in range(30)]
        assert replies[5::6] == [0] * 30
        assert await client.get("{a}log") == b"".join(b"%d," % number for number in range(30))
        ten = big * 10
        assert await client.set("ten", ten)
        assert await client.get("ten") == ten
        pairs = {f"{{m}}{number}": f"{number}" for number in range(3000)}
        assert await client.mset(pairs)
        assert await client.mget(list(pairs)) == [value.encode() for value in pairs.values()]


async def test_what_is_not_possible_says_so(port: int) -> None:
    async with Redis(port=port) as client:
        for command, says in (
            (("MGET", "a", "b"), "same slot"),
            (("NOSUCH", "a"), "unknown command"),
            (("KEYS", "*"), "no key"),
            (("FLUSHALL",), "no"),
            (("CONFIG", "SET", "maxmemory", "1"), "administers"),
            (("BLPOP", "a", "0"), "waits"),
            (("GET",), "no key"),
            (("SET", "a"), "wrong number"),
            (("SELECT", "1"), "one database"),
            (("WATCH", "a"), "WATCH"),
            (("EXEC",), "without MULTI"),
        ):
            with pytest.raises(ResponseError, match=says):
                await client.execute_command(*command)  # type: ignore[no-untyped-call]
        pipe = client.pipeline(transaction=True)
        pipe.set("a", 1)
        pipe.set("b", 2)
        with pytest.raises((ExecAbortError, ResponseError)):
            await pipe.execute()
        assert await client.get("a") is None


async def test_redis_benchmark(port: int) -> None:
    tool = shutil.which("redis-benchmark")
    assert tool is not None
    for pipelined in ("1", "16"):
        benchmark = await asyncio.create_subprocess_exec(
            *(tool, "-p", str(port), "-c", "20", "-n", "2000", "-P", pipelined, "-r", "100"),
            *("-t", "set,get,incr,lpush,hset,mset" if pipelined == "1" else "set,get", "--csv"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await benchmark.communicate()
        text = output.decode()
        if pipelined == "16":
            assert benchmark.returncode == 0, text
            assert '"SET"' in text
        assert "Error from server" not in text or "same slot" in text, text


async def test_redis_cli(port: int) -> None:
    tool = shutil.which("redis-cli")
    assert tool is not None
    client = await asyncio.create_subprocess_exec(
        *(tool, "-p", str(port)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await client.communicate(b'SET k "two words"\nGET k\nPING\nINCR k\nQUIT\n')
    lines = output.decode().split("\n")
    assert lines[:3] == ["OK", "two words", "PONG"]
    assert "not an integer" in lines[3]
