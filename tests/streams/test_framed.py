"""Queries by TCP as in datagrams, of any length."""

import asyncio
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.agent.agent import Agent
from hosts.agent.protocols import Protocol
from hosts.agent.table import State
from hosts.wire import Flags, Header, Op, WireError, group_of
from hosts.wire.stream import MAX_STREAM, StreamReader, frame_head
from tests.agent.harness import SERVICE, Pair, Store, bulk, resp, until
from tests.streams.framed import Framed

BIG = bytes(range(256)) * (10 << 12)  # 10 MiB
SLOW = 20_000_000  # bits a second: BIG takes four seconds


async def test_ten_megabytes(alone: Agent) -> None:
    """There and back, and all of the room is given back."""
    room = alone.core.room
    async with Framed.open(alone) as client:
        assert await client.ask(Op.WRITE, 1, "SET", "k", BIG) == b"+OK\r\n"
        assert await client.ask(Op.READ, 2, "GET", "k") == bulk(BIG)
        await until(lambda: alone.core.room == room)


async def test_pipelined(alone: Agent) -> None:
    """Small and big ones, any number."""
    async with Framed.open(alone) as client:
        for seq in range(1, 301):
            client.send(Op.WRITE, seq, "SET", f"k{seq}", b"x" * (seq * 100))
        got = {found[0].seq: found[1] for _ in range(300) if (found := await client.answer())}
        assert got == dict.fromkeys(range(1, 301), b"+OK\r\n")


async def test_to_the_owner_and_back(two: Pair) -> None:
    """An agent that owns nothing hands on what it is asked, whatever its length."""
    async with Framed.open(two.agents[1]) as client:
        assert await client.ask(Op.WRITE, 1, "SET", "k", BIG) == b"+OK\r\n"
        client.send(Op.READ, 2, "GET", "k")
        found = await client.answer()
        assert found is not None
        assert found[0].flags == Flags.AUTHORITATIVE | Flags.FOUND | Flags.FORWARDED
        assert found[1] == bulk(BIG)
    room = 1 << 30
    await until(lambda: all(agent.core.room == room for agent in two.agents))


async def test_a_resend_by_another_connection(two: Pair) -> None:
    """A long write is executed once, whichever agent is asked, also behind a handover."""
    async with Framed.open(two.agents[0]) as first, Framed.open(two.agents[1]) as second:
        second.client = first.client
        assert await first.ask(Op.WRITE, 1, "APPEND", "k", BIG) == b":%d\r\n" % len(BIG)
        assert await second.ask(Op.WRITE, 1, "APPEND", "k", BIG) == b":%d\r\n" % len(BIG)
        assert await first.ask(Op.WRITE, 2, "GETDEL", "k") == bulk(BIG)
        assert await second.ask(Op.WRITE, 2, "GETDEL", "k") == bulk(BIG)
        await two.migrate(0, 1)
        assert await first.ask(Op.WRITE, 2, "GETDEL", "k") == bulk(BIG)
        assert await second.ask(Op.READ, 3, "EXISTS", "k") == b":0\r\n"


async def test_long_ones_of_groups_on_the_move(each_two: Pair) -> None:
    """Reads and writes of any length, at both agents, in every protocol."""
    keys = [f"k{number}" for number in range(8)]
    for key in keys:
        each_two.stores[0].client.set(key, BIG[: 1 << 20])
    precopy = each_two.protocol is Protocol.SOURCE  # its groups move when all is copied
    moving = each_two.start(0, 1, throttle=0 if precopy else SLOW)
    states = each_two.agents[0].table.states
    await until(lambda: np.count_nonzero(states != State.OWNED))
    async with Framed.open(each_two.agents[0]) as one, Framed.open(each_two.agents[1]) as other:
        for seq, key in enumerate(keys):
            for client in (one, other):
                told = await client.ask(Op.WRITE, 3 * seq + 1, "APPEND", key, BIG[:100_000])
                assert told.startswith(b":"), told[:100]
                value = await client.ask(Op.READ, 3 * seq + 2, "GET", key)
                assert len(value) > 1 << 20, value[:100]
            value = await one.ask(Op.READ, 3 * seq + 3, "GET", key)
            assert value == bulk(BIG[: 1 << 20] + 2 * BIG[:100_000])
    moving.set_throttle(0)
    await until(lambda: moving.status.name in ("DONE", "FAILED"))
    assert moving.status.name == "DONE", moving.error


async def test_a_broken_channel_only_delays(two: Pair) -> None:
    """The agent that was asked sends again what was on its way."""
    async with Framed.open(two.agents[1]) as client:
        assert await client.ask(Op.WRITE, 1, "SET", "n", 0) == b"+OK\r\n"
        for seq in range(2, 12):
            client.send(Op.WRITE, seq, "INCRBY", "n", 1)
            client.send(Op.WRITE, 100 + seq, "APPEND", "long", b"x" * 100_000)
            await asyncio.sleep(0.01)
            for agent in two.agents:
                for link in agent.node.links.values():
                    if link._transport is not None:
                        link._transport.abort()
        answers = [await client.answer() for _ in range(20)]
        numbers = sorted(int(found[1][1:]) for found in answers if found and found[0].seq < 100)
        assert numbers == list(range(1, 11))
        assert await client.ask(Op.READ, 200, "STRLEN", "long") == b":1000000\r\n"


async def test_an_owner_that_is_gone(two: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the end there is an error that says so."""
    monkeypatch.setattr("hosts.agent.streams.queries._PATIENCE", 0.5)
    two.agents[1].node.links[1].close()
    async with Framed.open(two.agents[1]) as client:
        client.send(Op.WRITE, 1, "SET", "k", 1)
        found = await client.answer()
        assert found is not None
        assert found[0].flags == Flags.ERROR
        assert b"no answer from the owner" in found[1]
        assert b"may have taken effect" in found[1]


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b"NMgarbage" * 10, b"version"),
        (frame_head(Header(Op.READ, service=SERVICE).pack(), 1 << 31), b"at most"),
        (frame_head(Header(Op.GROUP_START, service=SERVICE).pack(), 0), b"not expected"),
        (frame_head(Header(Op.READ, service=SERVICE).pack(), 100) + b"*1", b"ends within a query"),
        (Header(Op.READ, service=SERVICE).pack()[:9], b"ends within a query"),
    ],
)
async def test_rubbish_ends_one_connection(alone: Agent, sent: bytes, says: bytes) -> None:
    """With words, and without a trace for others."""
    async with Framed.open(alone) as good, Framed.open(alone) as bad:
        assert await good.ask(Op.WRITE, 1, "SET", "k", 1) == b"+OK\r\n"
        bad.send_raw(sent)
        bad.end()
        found = await bad.answer()
        assert found is not None
        assert found[0].flags == Flags.ERROR
        assert says in found[1]
        assert await bad.answer() is None
        assert await good.ask(Op.READ, 2, "GET", "k") == bulk(b"1")


async def test_what_is_refused_goes_on(alone: Agent) -> None:
    """A bad query in a good frame is an error like by datagram."""
    async with Framed.open(alone) as client:
        header = Header(Op.READ, Flags.NONE, SERVICE, 5, client=client.client, seq=1).pack()
        payload = resp("GET", "k")
        client.send_raw(frame_head(header, len(payload)) + payload)
        found = await client.answer()
        assert found is not None
        assert b"but the header says 5" in found[1]
        assert b"writes" in await client.ask(Op.READ, 2, "SET", "k", 1)
        assert await client.ask(Op.WRITE, 3, "SET", "k", 1) == b"+OK\r\n"


async def test_where_long_requests_go(alone: Agent) -> None:
    """By TCP, too, an agent says where it listens."""
    async with Framed.open(alone) as client:
        header = Header(Op.READ, Flags.LONG, SERVICE, client=client.client, seq=1).pack()
        client.send_raw(frame_head(header, 0))
        found = await client.answer()
        assert found is not None
        assert found[1] == bytes((127, 0, 0, 1)) + struct.pack("!H", alone.streams.port)


async def test_a_client_that_goes_away(alone: Agent, store: Store) -> None:
    """In the middle of a long query, or of its reply: nothing is left behind."""
    room = alone.core.room
    store.client.set("k", BIG)
    header = Header(Op.WRITE, Flags.NONE, SERVICE, group_of(b"k"), client=1, seq=1).pack()
    async with Framed.open(alone) as client:
        client.send_raw(frame_head(header, len(BIG)) + BIG[:5_000_000])
        await until(lambda: alone.core.room < room)
    async with Framed.open(alone) as client:
        client.send(Op.READ, 1, "GET", "k")
        await until(lambda: alone.counters["streamed"])
    await until(lambda: alone.core.room == room)


FRAMES = st.lists(
    st.tuples(st.sampled_from([Op.READ, Op.WRITE]), st.integers(0, 2**32 - 1), st.binary()),
    max_size=5,
)


@given(FRAMES, st.data())
def test_frames_survive_any_cut(sent: list[tuple[Op, int, bytes]], data: st.DataObject) -> None:
    """What goes in comes out."""
    headers = [Header(op, group=7, seq=seq) for op, seq, _ in sent]
    pieces = [payload for _, _, payload in sent]
    stream = b"".join(
        frame_head(header.pack(), len(payload)) + payload
        for header, payload in zip(headers, pieces, strict=True)
    )
    reader, at = StreamReader(Op.READ, Op.WRITE), 0
    found: list[tuple[Header, bytes]] = []
    while at < len(stream):
        step = data.draw(st.integers(1, len(stream) - at))
        reader.feed(stream[at : at + step])
        while (frame := reader.next()) is not None:
            found.append(frame)
        at += step
    assert found == list(zip(headers, pieces, strict=True))
    assert reader.held == 0


@given(st.lists(st.binary(max_size=80), max_size=8), st.booleans())
def test_rubbish_is_frames_or_one_error(pieces: list[bytes], begins_well: bool) -> None:
    """Never anything else, and never more than was sent."""
    reader = StreamReader(Op.READ, Op.WRITE)
    if begins_well:
        reader.feed(frame_head(Header(Op.READ).pack(), 3) + b"abc")
    for piece in pieces:
        reader.feed(piece)
        try:
            while (frame := reader.next()) is not None:
                assert len(frame[1]) <= MAX_STREAM
        except WireError as error:
            assert str(error)
            return
