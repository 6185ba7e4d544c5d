"""Big values move in pieces (docs/big-values.md): between two real agents and stores."""

import asyncio

import pytest

from hosts.agent.emigration.mover import Status
from hosts.agent.protocols import Protocol
from hosts.wire import Flags, Op, group_of
from tests.agent.big_values import STAGED, contents, fill, stream
from tests.agent.harness import Client, Pair, bulk, until
from tests.agent.test_hindered import little_memory

FROM_SOURCE = Flags.FROM_SOURCE | Flags.FOUND
GROUP = group_of(b"k")


async def test_every_type_is_rebuilt_exactly(each_two: Pair) -> None:
    """Value, expiry, and what a stream remembers beside its entries; nothing is left over."""
    one, other = each_two.stores
    fill(one)
    before = contents(one)
    emigration = await each_two.migrate(0, 1)
    assert contents(other) == before
    assert emigration.keys_sent >= len(before)
    sent = each_two.agents[0].counters
    assert sent["values_in_pieces"] >= len(before)
    assert sent["values_whole"] == 0
    await until(lambda: one.client.dbsize() == 0)
    assert other.client.keys(STAGED) == []


async def test_a_stream_that_commands_cannot_rebuild(each_two: Pair) -> None:
    """XCLAIM does not take an entry that was deleted while it was pending: the value goes whole."""
    one, other = each_two.stores
    stream(one)
    one.command("XDEL", "stream", "400-1")
    before = contents(one)
    await each_two.migrate(0, 1)
    assert contents(other) == before
    sent = each_two.agents[0].counters
    assert (sent["values_in_pieces"], sent["values_whole"]) >= (1, 1)


async def test_a_stream_with_entries_that_were_given_back(each_two: Pair) -> None:
    """They are pending and nobody's; and the stream has settings of its own (Redis >= 8.8)."""
    one, other = each_two.stores
    one.needs("XNACK", "XCFGSET")
    stream(one)
    one.command("XNACK", "stream", "readers", "FAIL", "IDS", 2, "8-2", "300-0")
    one.command("XNACK", "stream", "readers", "SILENT", "IDS", 1, "301-1", "RETRYCOUNT", 7)
    one.command("XCFGSET", "stream", "IDMP-DURATION", 50)
    before = contents(one)
    await each_two.migrate(0, 1)
    assert contents(other) == before
    assert each_two.agents[0].counters["values_whole"] == 0


async def test_a_stream_that_knows_what_producers_have_sent(two: Pair) -> None:
    """No command gives it that (Redis >= 8.6): the value goes whole, and knows it still."""
    one, other = two.stores
    one.needs("XIDMPRECORD")
    stream(one)
    again = ("XADD", "stream", "IDMP", "producer", "1", "*", "f", "v")
    number = one.command(*again)
    before = contents(one)
    await two.migrate(0, 1)
    assert contents(other) == before
    assert two.agents[0].counters["values_whole"] == 1
    assert other.command(*again) == number


async def test_other_queries_go_on_meanwhile(two: Pair, client: Client) -> None:
    """A value of 4 MB at 16 Mbit/s takes two seconds; nobody but those who want it notices."""
    two.stores[0].client.set("{k}big", b"x" * 4_000_000)
    two.stores[0].client.set("{k}small", "v")
    emigration = two.start(0, 1, [range(GROUP, GROUP + 1)], throttle=16_000_000)
    await until(lambda: two.agents[0].counters["pieces_sent"] > 1)
    waiting = await Client.open()
    waiting.send(two.server(1), Op.WRITE, "APPEND", "{k}big", "y")
    for number in range(1, 20):
        answer = await client.ask(two.server(1), Op.WRITE, "INCRBY", "{k}count", 1)
        assert answer.payload == b":%d\r\n" % number
        answer = await client.ask(
            two.server(0), Op.READ, "STRLEN", "{k}big", flags=Flags.DOUBLE, migration=1
        )
        assert (answer.payload, answer.flags) == (b":4000000\r\n", FROM_SOURCE)
    assert (await client.ask(two.server(1), Op.READ, "GET", "{k}small")).payload == bulk(b"v")
    assert emigration.status is Status.RUNNING
    assert waiting.answers.empty()
    emigration.set_throttle(0)
    assert (await waiting.answer()).payload == b":4000001\r\n"
    await until(lambda: emigration.status is Status.DONE)
    waiting.close()


async def test_who_is_waited_for_goes_first(two: Pair, client: Client) -> None:
    """A priority pull overtakes what is on its way."""
    for name in ("a", "b", "c"):
        two.stores[0].client.set(f"{{k}}{name}", name.encode() * 1_000_000)
    emigration = two.start(0, 1, [range(GROUP, GROUP + 1)], throttle=8_000_000)
    await until(lambda: two.agents[0].counters["pieces_sent"] == 1)
    last = two.stores[0].command("CLUSTER", "GETKEYSINSLOT", GROUP, 3)[-1]
    answer = await client.ask(two.server(1), Op.WRITE, "APPEND", last, "!")
    assert answer.payload == b":1000001\r\n"
    assert two.stores[1].client.keys("{k}*") == [last]
    emigration.set_throttle(0)
    await until(lambda: emigration.status is Status.DONE)
    assert two.stores[1].client.strlen("{k}b") >= 1_000_000


async def test_what_is_written_meanwhile_is_newer(two: Pair, client: Client) -> None:
    """A blind write ends the arrival of the value, whatever has come of it."""
    one, other = two.stores
    one.client.rpush("{k}list", *(b"%0100d" % number for number in range(50_000)))
    one.client.set("{k}string", b"x" * 5_000_000)
    emigration = two.start(0, 1, [range(GROUP, GROUP + 1)], throttle=8_000_000)
    await until(lambda: two.agents[0].counters["pieces_sent"] > 2)
    for name in ("list", "string"):
        await client.ask(two.server(1), Op.WRITE, "SET", f"{{k}}{name}", "new")
    answer = await client.ask(two.server(1), Op.WRITE, "DEL", "{k}list")
    assert answer.payload == b":1\r\n"
    await until(lambda: emigration.status is Status.DONE)
    assert emigration.bytes_sent < 4_000_000
    assert other.client.keys("*") == [b"{k}string"]
    assert other.client.get("{k}string") == b"new"


@pytest.mark.parametrize("end", [0, 1], ids=["source", "destination"])
async def test_a_channel_that_breaks(two: Pair, end: int) -> None:
    """The value begins again, from its first piece."""
    one, other = two.stores
    fill(one)
    before = contents(one)
    emigration = two.start(0, 1, throttle=40_000_000)
    for pieces in (5, 20, 40):
        while two.agents[0].counters["pieces_sent"] <= pieces:
            await asyncio.sleep(0.002)
        transport = two.agents[end].node.link(2 - end)._transport
        assert transport is not None
        transport.abort()
    emigration.set_throttle(0)
    await until(lambda: emigration.status is Status.DONE)
    assert contents(other) == before


async def test_expired_while_it_moves(each_two: Pair, client: Client) -> None:
    """At the source, in the middle; or between its last piece and the end."""
    one, other = each_two.stores
    one.client.rpush("{k}list", *(b"%0100d" % number for number in range(50_000)))
    one.client.set("{k}string", b"x" * 3_000_000)
    for name in ("list", "string"):
        one.client.pexpire(f"{{k}}{name}", 700)
    emigration = each_two.start(0, 1, [range(GROUP, GROUP + 1)], throttle=20_000_000)
    await until(lambda: emigration.status is Status.DONE)
    await until(lambda: other.client.dbsize() == 0)
    answer = await client.ask(each_two.server(1), Op.READ, "EXISTS", "{k}list", "{k}string")
    assert answer.payload == b":0\r\n"


@pytest.mark.parametrize("kind", ["list", "string"])
async def test_destination_out_of_memory(two: Pair, kind: str) -> None:
    """What has come of a value gives its memory back, and it begins again when there is more."""
    one, other = two.stores
    if kind == "list":
        one.client.rpush("{k}", *(b"%0100d" % number for number in range(50_000)))
    else:
        one.client.set("{k}", b"x" * 5_000_000)
    before = contents(one)
    with little_memory(other):
        emigration = two.start(0, 1)
        await until(lambda: emigration.status is Status.PAUSED)
        assert "OOM" in emigration.error
        await until(lambda: other.client.dbsize() == 0)
    emigration.resume()
    await until(lambda: emigration.status is Status.DONE)
    assert contents(other) == before


async def test_connections_to_the_store_that_end(two: Pair) -> None:
    """In the middle of values, at either side: the migration goes on by itself."""
    one, other = two.stores
    one.client.rpush("{k}list", *(b"%0100d" % number for number in range(50_000)))
    one.client.set("{k}string", b"x" * 5_000_000)
    before = contents(one)
    emigration = two.start(0, 1, [range(GROUP, GROUP + 1)], throttle=20_000_000)
    for pieces in (4, 12):
        while two.agents[0].counters["pieces_sent"] <= pieces:
            await asyncio.sleep(0.002)
        one.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        other.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await until(lambda: emigration.status is Status.DONE)
    assert contents(other) == before


async def test_precopy_of_values_that_are_written_meanwhile(two: Pair, client: Client) -> None:
    """They come again, once nobody writes them any more at the latest."""
    two.protocol = Protocol.SOURCE
    one, other = two.stores
    one.client.rpush("{k}list", *(b"%0100d" % number for number in range(50_000)))
    one.client.set("{k}string", b"x" * 3_000_000)
    emigration = two.start(0, 1, throttle=40_000_000)
    length, string = 50_000, bytearray(b"x" * 3_000_000)
    to = two.server(0)
    while emigration.status is Status.RUNNING:
        answer = await client.ask(to, Op.WRITE, "RPUSH", "{k}list", "y")
        length += 1
        assert answer.payload == b":%d\r\n" % length
        if length % 100 == 0:
            await client.ask(to, Op.WRITE, "SETRANGE", "{k}string", length, "y")
            string[length : length + 1] = b"y"
        await asyncio.sleep(0.001)
    assert emigration.status is Status.DONE
    numbers = [b"%0100d" % number for number in range(50_000)]
    assert other.client.lrange("{k}list", 0, -1) == numbers + [b"y"] * (length - 50_000)
    assert other.client.get("{k}string") == bytes(string)
    assert other.client.keys(STAGED) == []


async def test_precopy_of_a_value_that_becomes_small(two: Pair, client: Client) -> None:
    """And of one that is deleted, and one that becomes big."""
    two.protocol = Protocol.SOURCE
    one, other = two.stores
    for name in ("small", "gone"):
        one.client.rpush(f"{{k}}{name}", *(b"%0100d" % number for number in range(10_000)))
    one.client.set("{k}big", "x")
    one.client.set("{l}last", b"x" * 4_000_000)
    other.client.config_resetstat()
    emigration = two.start(0, 1, throttle=20_000_000)
    await until(lambda: two.agents[0].counters["values_in_pieces"] == 2)
    await client.ask(two.server(0), Op.WRITE, "SET", "{k}small", "y")
    await client.ask(two.server(0), Op.WRITE, "DEL", "{k}gone")
    await client.ask(two.server(0), Op.WRITE, "SETRANGE", "{k}big", 2_000_000, "y")
    await until(lambda: emigration.status is Status.DONE)
    assert other.client.info("memory")["lazyfreed_objects"] >= 2, "nothing was freed at once"
    assert other.client.strlen("{k}big") == 2_000_001
    assert other.client.get("{k}small") == b"y"
    assert other.client.dbsize() == 3
