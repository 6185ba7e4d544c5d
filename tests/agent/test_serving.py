"""What an agent answers by the state of a group (docs/protocol.md); invariant 5."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from hosts.agent import frames
from hosts.agent.agent import Agent
from hosts.agent.frames import Kind
from hosts.agent.table import State
from hosts.wire import Flags, Header, Op, group_of
from tests.agent.harness import (
    SERVICE,
    Client,
    Peer,
    Store,
    agent,
    assign,
    bulk,
    local,
    resp,
    set_state,
    until,
)

AUTH = Flags.AUTHORITATIVE
GROUP = group_of(b"k")


async def test_owned_read_and_write(alone: Agent, client: Client) -> None:
    """OWNED: serve and execute, AUTHORITATIVE; nil is not FOUND."""
    own = alone.settings.own
    nothing = await client.ask(own, Op.READ, "GET", "k")
    assert (nothing.flags, nothing.payload) == (AUTH, b"$-1\r\n")
    written = await client.ask(own, Op.WRITE, "SET", "k", "v")
    assert (written.flags, written.payload) == (AUTH | Flags.FOUND, b"+OK\r\n")
    read = await client.ask(own, Op.READ, "GET", "k")
    assert (read.flags, read.payload) == (AUTH | Flags.FOUND, bulk(b"v"))
    assert (read.header.op, read.header.service, read.header.group) == (Op.REPLY, SERVICE, GROUP)


async def test_switch_flags_are_echoed(alone: Agent, client: Client) -> None:
    """DOUBLE and ONGOING come back; what a client sets of the agents' flags does not."""
    sent = Flags.DOUBLE | Flags.ONGOING | Flags.GONE | Flags.ERROR
    answer = await client.ask(alone.settings.own, Op.READ, "GET", "k", flags=sent)
    assert answer.header.flags == Flags.DOUBLE | Flags.ONGOING | AUTH


async def test_error_of_the_store_is_an_authoritative_outcome(alone: Agent, client: Client) -> None:
    """A command that fails in the store has been executed: final, without FOUND and ERROR."""
    own = alone.settings.own
    await client.ask(own, Op.WRITE, "SET", "k", "v")
    answer = await client.ask(own, Op.WRITE, "LPUSH", "k", "x")
    assert answer.flags == AUTH
    assert answer.payload.startswith(b"-WRONGTYPE")


@pytest.mark.parametrize(
    ("write", "read", "reply"),
    [
        (("HSET", "k", "f", "v"), ("HGETALL", "k"), b"*2\r\n$1\r\nf\r\n$1\r\nv\r\n"),
        (("ZADD", "k", "1.5", "m"), ("ZSCORE", "k", "m"), bulk(b"1.5")),
        (("XADD", "k", "1-1", "f", "v"), ("XLEN", "k"), b":1\r\n"),
        (
            ("XADD", "k", "1-1", "f", "v"),
            ("XREAD", "COUNT", "1", "STREAMS", "k", "2-0"),
            b"*-1\r\n",
        ),
        (("PFADD", "k", "a"), ("PFCOUNT", "k"), b":1\r\n"),
        (("GEOADD", "k", "1", "1", "m"), ("ZCARD", "k"), b":1\r\n"),
        (
            ("MSET", "{k}a", "1", "{k}b", "2"),
            ("MGET", "{k}a", "{k}b"),
            b"*2\r\n$1\r\n1\r\n$1\r\n2\r\n",
        ),
        (("ZADD", "{k}a", "1", "m"), ("ZUNION", "1", "{k}a"), b"*1\r\n$1\r\nm\r\n"),
        (("SET", "k", "v"), ("OBJECT", "ENCODING", "k"), bulk(b"embstr")),
        (("EVAL", "return redis.call('SET',KEYS[1],'s')", "1", "k"), ("GET", "k"), bulk(b"s")),
        (("SORT", "k", "STORE", "{k}s"), ("EXISTS", "{k}s"), b":0\r\n"),
    ],
)
async def test_any_command_of_one_group(
    alone: Agent,
    client: Client,
    write: tuple[str, ...],
    read: tuple[str, ...],
    reply: bytes,
) -> None:
    """Keys are found where the store says they are, subcommands and movable keys included."""
    own = alone.settings.own
    assert (await client.ask(own, Op.WRITE, *write, group=GROUP)).flags & AUTH
    answer = await client.ask(own, Op.READ, *read, group=GROUP)
    assert answer.payload == reply


async def test_duplicate_write_is_answered_not_executed(alone: Agent, client: Client) -> None:
    """Invariant 5: a resend gets the first reply."""
    own = alone.settings.own
    first = await client.ask(own, Op.WRITE, "INCR", "k", seq=1)
    again = await client.ask(own, Op.WRITE, "INCR", "k", seq=1)
    assert first == again
    assert alone.counters["duplicates"] == 1
    assert (await client.ask(own, Op.WRITE, "INCR", "k", seq=2)).payload == b":2\r\n"


async def test_duplicates_in_one_batch_execute_once(alone: Agent, client: Client) -> None:
    """All copies are in the socket before the agent looks."""
    own = alone.settings.own
    for _ in range(20):
        client.send(own, Op.WRITE, "INCR", "k", seq=1)
    await client.answer()
    assert (await client.ask(own, Op.READ, "GET", "k", seq=2)).payload == bulk(b"1")


async def test_late_duplicate_is_dropped(alone: Agent, client: Client) -> None:
    """A write that its client has finished with is never executed, and not answered."""
    own = alone.settings.own
    await client.ask(own, Op.WRITE, "INCR", "k", seq=1)
    client.acked = 1
    await client.ask(own, Op.READ, "GET", "k", seq=2)
    assert alone.core.memory()[1] == 0, "the record is dropped when its client has acknowledged"
    client.send(own, Op.WRITE, "INCR", "k", seq=1)
    assert await client.silent()
    assert alone.counters["late_duplicates"] == 1
    assert (await client.ask(own, Op.READ, "GET", "k", seq=3)).payload == bulk(b"1")


async def test_session_with_too_many_unfinished_writes(alone: Agent, client: Client) -> None:
    """Records are bounded; the refused write is not executed."""
    own = alone.settings.own
    for seq in range(1, 4097):
        client.send(own, Op.WRITE, "SET", "k", seq, seq=seq)
        if seq % 128 == 0:
            for _ in range(128):
                await client.answer()
    answer = await client.ask(own, Op.WRITE, "SET", "k", "no", seq=5000)
    assert answer.flags == Flags.ERROR
    assert b"unfinished writes" in answer.payload
    assert (await client.ask(own, Op.READ, "GET", "k", seq=5001)).payload == bulk(b"4096")
    client.acked = 4096
    assert (await client.ask(own, Op.WRITE, "SET", "k", "yes", seq=5002)).flags & AUTH


async def test_absent_and_nothing_known(alone: Agent, client: Client) -> None:
    """An error that says so."""
    set_state(alone, GROUP, State.ABSENT, 0)
    for op, words in ((Op.READ, ("GET", "k")), (Op.WRITE, ("SET", "k", "v"))):
        for flags in (Flags.NONE, Flags.DOUBLE):
            answer = await client.ask(alone.settings.own, op, *words, flags=flags)
            assert answer.flags == Flags.ERROR
            assert f"group {GROUP} is not served here".encode() in answer.payload


async def test_absent_double_read(alone: Agent, client: Client) -> None:
    """At a destination: not here yet. At a former source: GONE."""
    own = alone.settings.own
    set_state(alone, GROUP, State.ABSENT, 2)
    answer = await client.ask(own, Op.READ, "GET", "k", flags=Flags.DOUBLE)
    assert (answer.flags, answer.payload) == (Flags.NONE, b"")
    set_state(alone, GROUP, State.ABSENT, 2, former=True)
    answer = await client.ask(own, Op.READ, "GET", "k", flags=Flags.DOUBLE)
    assert (answer.flags, answer.payload) == (Flags.GONE, b"")


async def test_emigrating_double_read(alone: Agent, client: Client) -> None:
    """The source's own copy, not authoritative."""
    own = alone.settings.own
    await client.ask(own, Op.WRITE, "SET", "k", "v")
    set_state(alone, GROUP, State.EMIGRATING, 2)
    answer = await client.ask(own, Op.READ, "GET", "k", flags=Flags.DOUBLE)
    assert (answer.flags, answer.payload) == (Flags.FROM_SOURCE | Flags.FOUND, bulk(b"v"))


async def test_lost_store(tmp_path: Path, client: Client) -> None:
    """A store that is gone: an error for what was not executed."""
    place = tmp_path / "store"
    place.mkdir()
    own_store = Store(place).wait()
    try:
        async with agent(local(1), own_store, tmp_path / "agent") as one:
            assign([one])
            own = one.settings.own
            await client.ask(own, Op.WRITE, "SET", "k", "v")
            own_store.client.shutdown(nosave=True)
            own_store.process.wait()
            refused = await client.ask(own, Op.WRITE, "INCR", "n", seq=11)
            assert b"not reachable; nothing was executed" in refused.payload
            assert (await client.ask(own, Op.READ, "GET", "k")).flags == Flags.ERROR
    finally:
        own_store.stop()


async def test_store_that_has_just_started(tmp_path: Path, client: Client) -> None:
    """The agent is ready when its store is: no CLUSTERDOWN for the first queries."""
    young = Store(tmp_path)
    try:
        async with agent(local(1), young, tmp_path / "agent") as one:
            assign([one])
            answer = await client.ask(one.settings.own, Op.WRITE, "SET", "k", "v")
            assert answer.payload == b"+OK\r\n"
    finally:
        young.stop()


async def test_write_with_unknown_outcome_is_not_repeated(tmp_path: Path, client: Client) -> None:
    """The store dies in the middle: a resend gets the same error, and no second execution."""
    place = tmp_path / "store"
    place.mkdir()
    doomed = Store(place).wait()
    async with agent(local(1), doomed, tmp_path / "agent") as one:
        assign([one])
        own = one.settings.own
        await client.ask(own, Op.WRITE, "SET", "k", "1", seq=1)
        number = doomed.process.pid
        os.kill(number, signal.SIGSTOP)
        killer = subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -KILL {number}"])
        unknown = await client.ask(own, Op.WRITE, "INCR", "k", seq=2)
        assert unknown.flags == Flags.ERROR
        assert b"whether the write was executed is not known" in unknown.payload
        assert await client.ask(own, Op.WRITE, "INCR", "k", seq=2) == unknown
        assert one.counters["duplicates"] == 1
        killer.wait()
    doomed.stop()


async def test_idle_connection_closed_by_the_store(
    alone: Agent, store: Store, client: Client
) -> None:
    """It is noticed before anything is sent, so it costs no unknown outcome."""
    await client.ask(alone.settings.own, Op.WRITE, "SET", "k", "1")
    store.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert (await client.ask(alone.settings.own, Op.WRITE, "INCR", "k")).payload == b":2\r\n"


async def test_reply_beyond_a_datagram(alone: Agent, client: Client) -> None:
    """It is said where to have it by TCP. A write is executed once."""
    own = alone.settings.own
    where = bytes((127, 0, 0, 1)) + alone.streams.port.to_bytes(2)
    long = Flags.AUTHORITATIVE | Flags.FOUND | Flags.LONG
    await client.ask(own, Op.WRITE, "SET", "k", "x" * 1000)
    await client.ask(own, Op.WRITE, "APPEND", "k", "x" * 1000)
    read = await client.ask(own, Op.READ, "GET", "k")
    assert (read.flags, read.payload) == (long, where)
    write = await client.ask(own, Op.WRITE, "GETDEL", "k", seq=50)
    assert (write.flags, write.payload) == (long, where)
    assert await client.ask(own, Op.WRITE, "GETDEL", "k", seq=50) == write
    assert (await client.ask(own, Op.READ, "EXISTS", "k")).payload == b":0\r\n"


@pytest.mark.parametrize("size", [1439, 1440, 1000000])
async def test_reply_at_the_limit(alone: Agent, store: Store, client: Client, size: int) -> None:
    """1444 bytes of RESP fit, 1445 do not; a huge value does no harm to what follows."""
    value = b"x" * (size - len(b"$%d\r\n\r\n" % size) + 4)
    store.client.set("k", value)
    own = alone.settings.own
    answer = await client.ask(own, Op.READ, "GET", "k")
    assert bool(answer.flags & Flags.LONG) == (len(bulk(value)) > 1444)
    assert (await client.ask(own, Op.READ, "GET", "other")).payload == b"$-1\r\n"


async def test_query_for_a_group_elsewhere_is_forwarded(
    alone: Agent, peer: Peer, client: Client
) -> None:
    """ABSENT with an owner: handed on as it came, with where to answer."""
    own = alone.settings.own
    assign_with_peer(alone, peer)
    await until(lambda: peer.connections == 1)
    set_state(alone, GROUP, State.ABSENT, 2)
    client.send(own, Op.READ, "GET", "k")
    client.send(own, Op.WRITE, "SET", "k", "v")
    received: list[frames.Handed] = []
    while len(received) < 2:
        received += frames.read_handed(await peer.frame(Kind.HANDOVER))
    assert [hops for _, _, hops, _ in received] == [1, 1]
    assert received[1][3][28:] == resp("SET", "k", "v")
    assert alone.counters["forwarded"] == 2
    # what was handed on too often is dropped: the tables disagree for the moment
    ip, port, _, datagram = received[0]
    await peer.connect(own)
    peer.send(Kind.HANDOVER, frames.handed([(ip, port, 4, datagram)]))
    await until(lambda: alone.counters["dropped_hops"] == 1)


async def test_forwarded_query_is_answered_to_the_client(
    alone: Agent, peer: Peer, client: Client
) -> None:
    """The owner answers directly, with FORWARDED."""
    assign_with_peer(alone, peer)
    await peer.connect(alone.settings.own)
    assert client.transport is not None
    port = client.transport.get_extra_info("sockname")[1]
    header = Header(Op.WRITE, service=SERVICE, group=GROUP, client=client.client, seq=1)
    item = (0x7F000001, port, 1, header.pack() + resp("SET", "k", "v"))
    peer.send(Kind.HANDOVER, frames.handed([item, item]))
    answer = await client.answer()
    assert answer.flags == AUTH | Flags.FOUND | Flags.FORWARDED
    assert alone.counters["duplicates"] == 1


def assign_with_peer(one: Agent, peer: Peer) -> None:
    """Let the agent know where the peer is."""
    servers = [one.settings.own, peer.server]
    one.service.assign(SERVICE, ("127.0.0.1", peer.server.udp_port), servers, [])


async def test_ownership_outlives_the_process(store: Store, tmp_path: Path, client: Client) -> None:
    """Table and service are found again by the next run."""
    server = local(1)
    async with agent(server, store, tmp_path) as one:
        assign([one], [(range(100), 1), (range(100, 16384), 1)])
        set_state(one, 5, State.ABSENT, 1, former=True)
    async with agent(server, store, tmp_path) as one:
        assert one.table.those(State.ABSENT) == [5]
        assert (await client.ask(server, Op.WRITE, "SET", "k", "v")).flags & AUTH
