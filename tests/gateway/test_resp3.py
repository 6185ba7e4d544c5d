"""RESP3 replies of the gateway, byte for byte those of the store itself."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.agent.harness import Store, resp

SETUP = (
    "SET s text",
    "HSET h a 1 b 2",
    "SADD t x",
    "SADD {t}2 x y",
    "ZADD z 1 one 2.5 two",
    "RPUSH l a b",
    "GEOADD g 13.361389 38.115556 Palermo",
    "XADD x 1-1 field value",
    "XGROUP CREATE x group 0",
    "SET {l}1 ohmytext",
    "SET {l}2 mynewtext",
)
COMMANDS = (
    "GET s",
    "GET none",
    "STRLEN s",
    "MGET s {s}none",
    "GET l",
    "HGETALL h",
    "HGETALL none",
    "HMGET h a none",
    "HRANDFIELD h 2 WITHVALUES",
    "SMEMBERS t",
    "SMEMBERS none",
    "SINTER t {t}2",
    "SPOP none",
    "SPOP t 1",
    "LRANGE l 0 -1",
    "LPOP none 2",
    "ZSCORE z two",
    "ZSCORE z none",
    "ZMSCORE z one none",
    "ZINCRBY z 1.5 one",
    "ZADD z INCR 2 one",
    "ZADD z NX INCR 2 one",
    "ZRANGE z 0 -1",
    "ZRANGE z 0 -1 WITHSCORES",
    "ZRANGEBYSCORE z 0 100 WITHSCORES",
    "ZRANK z two",
    "ZRANDMEMBER z 2 WITHSCORES",
    "ZPOPMIN z",
    "ZPOPMAX z 1",
    "ZPOPMIN z",
    "ZMPOP 1 z MIN",
    "GEOPOS g Palermo none",
    "XRANGE x - +",
    "XREAD STREAMS x 0",
    "XREAD STREAMS x 9",
    "XREADGROUP GROUP group one STREAMS x >",
    "XINFO GROUPS x",
    "XINFO STREAM x",
    "LCS {l}1 {l}2",
    "LCS {l}1 {l}2 IDX",
    "EVAL return{1,false,'x'} 1 s",
    "GEOSEARCH g FROMLONLAT 13 38 BYRADIUS 100 km WITHCOORD WITHDIST WITHHASH",
    "GEOSEARCH g FROMLONLAT 13 38 BYRADIUS 100 km WITHDIST",
    "GEORADIUS g 13 38 100 km WITHCOORD",
)
NEWER = (
    "HEXPIRE h 4000000000 FIELDS 2 a none",
    "HTTL h FIELDS 2 b none",
    "HTTL none FIELDS 1 a",
    "HGETEX h FIELDS 2 a none",
    "HSETEX h FIELDS 1 c 3",
    "HGETDEL h FIELDS 2 c none",
    "DIGEST s",
    "SET s text IFEQ other GET",
    "INCREX n BYINT 2",
    "INCREX f BYFLOAT 1.5",
    "XREADGROUP GROUP group one CLAIM 0 STREAMS x >",
    "VADD v VALUES 2 1 2 one",
    'VADD v VALUES 2 1 3 two SETATTR {"a":1}',
    "VADD v VALUES 2 1 3 two",
    "VSIM v ELE one",
    "VSIM v ELE one WITHSCORES",
    "VSIM v ELE one WITHATTRIBS",
    "VSIM v ELE one WITHSCORES WITHATTRIBS",
    "VSIM none ELE one WITHSCORES",
    "VEMB v one",
    "VEMB v one RAW",
    "VEMB v none",
    "VLINKS v one",
    "VLINKS v one WITHSCORES",
    "VISMEMBER v one",
    "VISMEMBER none one",
    "VGETATTR v two",
    "VSETATTR v two x",
    "VREM v one",
    "VCARD v",
    "ARSET a 1 x",
    "ARGET a 0",
    "ARMGET a 0 1",
    "ARINFO a FULL",
)


@asynccontextmanager
async def connected(
    opened: "asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]",
) -> AsyncIterator["Raw"]:
    reader, writer = await opened
    raw = Raw(reader, writer)
    assert (await raw.ask("HELLO 3")).startswith(b"%")
    try:
        yield raw
    finally:
        writer.close()


class Raw:
    """A connection whose replies are seen as bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, *commands: str) -> bytes:
        """Send commands; the PING behind them shows where their replies end."""
        for command in (*map(str.split, commands), ("PING", "the end")):
            self._writer.write(resp(*command))
        reply = await self._reader.readuntil(b"$7\r\nthe end\r\n")
        return reply.removesuffix(b"$7\r\nthe end\r\n")


async def replies_are_those_of_the_store(port: int, store: Store, commands: Sequence[str]) -> None:
    """Ask the gateway and the store."""
    loop = asyncio.get_running_loop()
    ours = loop.create_task(asyncio.open_connection("127.0.0.1", port))
    theirs = loop.create_task(asyncio.open_unix_connection(str(store.path)))
    async with connected(ours) as gateway, connected(theirs) as straight:
        answers: list[dict[str, bytes]] = []
        for raw in (gateway, straight):
            store.client.flushall()
            for command in SETUP:
                assert not (await raw.ask(command)).startswith(b"-"), command
            answers.append({command: await raw.ask(command) for command in commands})
        for command in commands:
            if "RAND" not in command and "SPOP" not in command:
                assert answers[0][command] == answers[1][command], command
            assert len(answers[0][command]) == len(answers[1][command])


async def test_replies_are_those_of_the_store(port: int, store: Store) -> None:
    await replies_are_those_of_the_store(port, store, COMMANDS)


async def test_replies_to_newer_commands_are_those_of_the_store(port: int, store: Store) -> None:
    known = [command for command in NEWER if not store.lacks(command.split(maxsplit=1)[0])]
    if store.lacks("HGETEX"):
        pytest.skip("the store has none of the commands that came after Redis 7.0")
    await replies_are_those_of_the_store(port, store, known)


async def test_a_transaction_has_each_commands_shape(port: int, store: Store) -> None:
    opened = asyncio.get_running_loop().create_task(asyncio.open_connection("127.0.0.1", port))
    async with connected(opened) as gateway:
        await gateway.ask("HSET {a}h f 1")
        await gateway.ask("ZADD {a}z 1.5 m")
        commands = ("MULTI", "HGETALL {a}h", "ZSCORE {a}z m", "GET {a}none", "INCR {a}n", "EXEC")
        assert await gateway.ask(*commands) == b"+OK\r\n" + 4 * b"+QUEUED\r\n" + (
            b"*4\r\n%1\r\n$1\r\nf\r\n$1\r\n1\r\n,1.5\r\n_\r\n:1\r\n"
        )


@pytest.mark.parametrize("protocol", ["4", "x"])
async def test_other_protocols_are_refused(port: int, protocol: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(resp("HELLO", protocol))
    assert (await reader.readline()).startswith(b"-NOPROTO")
    writer.close()
