"""Keys that are just being written at the destination are neither here nor not here: queries wait.

The store stands still (SIGSTOP) while a body is on its way into it, so the agent can answer
nothing that needs the store; what would touch it blocks the agent, and with it the test.
"""

import asyncio
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import pytest_asyncio

from hosts.agent import frames
from hosts.agent.agent import Agent
from hosts.agent.frames import Kind
from hosts.agent.protocols import Protocol
from hosts.agent.table import State
from hosts.wire import Flags, Op, group_of
from tests.agent.harness import Client, Peer, Store, bulk, set_state, until

AUTH = Flags.AUTHORITATIVE
GROUP = group_of(b"k")
NUMBER = 7
FIRST, MORE = struct.pack("!BH", 0, GROUP), struct.pack("!BH", 5, GROUP)
END = b"\3"


def string(name: str, value: bytes, expiry: int = 0) -> bytes:
    """Return a KEYS entry of a string."""
    head = struct.pack("!BI", 4, len(name)) + name.encode()
    return head + struct.pack("!QI", expiry, len(value)) + value


async def arriving(alone: Agent, peer: Peer, protocol: Protocol = Protocol.NETMIGRATE) -> Agent:
    """Let the group of `k` be IMMIGRATING, or ready for copies, at an agent."""
    set_state(alone, GROUP, State.ABSENT, 2)
    alone.immigrations.accept(NUMBER, peer.server, [range(GROUP, GROUP + 1)], protocol=protocol)
    await until(lambda: peer.connections == 1)
    await peer.connect(alone.settings.own)
    if protocol is not Protocol.SOURCE:
        body = frames.groups_with_records([GROUP], {})
        peer.send(Kind.PREPARE, frames.migration(NUMBER), body)
        await peer.frame(Kind.PREPARED)
    return alone


@pytest_asyncio.fixture
async def destination(alone: Agent, peer: Peer) -> Agent:
    """An agent at which the group of `k` is IMMIGRATING."""
    return await arriving(alone, peer)


@contextmanager
def standing(store: Store) -> Iterator[None]:
    """Let the store do nothing, for a second at most."""
    store.process.send_signal(signal.SIGSTOP)
    go_on = threading.Timer(1.0, store.process.send_signal, [signal.SIGCONT])
    go_on.start()
    began = time.monotonic()
    try:
        yield
        assert time.monotonic() - began < 0.9, "the agent waited for the store"
    finally:
        go_on.cancel()
        store.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize(
    ("op", "words", "reply", "value"),
    [
        (Op.WRITE, ("SET", "k", "new"), b"+OK\r\n", b"new"),
        (Op.WRITE, ("MSET", "{k}other", "1", "k", "new"), b"+OK\r\n", b"new"),
        (Op.WRITE, ("APPEND", "k", "er"), b":5\r\n", b"older"),
        (Op.WRITE, ("DEL", "k"), b":1\r\n", None),
        (Op.READ, ("GET", "k"), bulk(b"old"), b"old"),
    ],
)
async def test_queries_wait(
    destination: Agent,
    peer: Peer,
    store: Store,
    client: Client,
    op: Op,
    words: tuple[str, ...],
    reply: bytes,
    value: bytes | None,
) -> None:
    """Neither answered nor executed nor pulled meanwhile; then they see what has come."""
    own = destination.settings.own
    for key in (b"k", b"{k}other"):
        assert not destination.core.restoring(GROUP, key)
    with standing(store):
        peer.send(Kind.KEYS, frames.migration(NUMBER), FIRST, string("k", b"old"))
        await until(lambda: destination.core.restoring(GROUP, b"k"))
        assert not destination.core.restoring(GROUP, b"{k}other")
        flags = Flags.NONE if op is Op.WRITE else Flags.DOUBLE
        client.send(own, op, *words, flags=flags, migration=NUMBER)
        assert await client.silent(0.1)
    answer = await client.answer()
    assert (answer.flags & AUTH, answer.payload) == (AUTH, reply)
    assert store.client.get("k") == value
    assert destination.counters["priority_pulls"] == 0
    peer.send(Kind.KEYS, frames.migration(NUMBER), FIRST, string("k", b"old"), END)
    await peer.frame(Kind.ARRIVED)
    assert store.client.get("k") == value


async def test_writes_during_a_large_body(
    destination: Agent, peer: Peer, store: Store, client: Client
) -> None:
    """More than the socket takes: the end of it reaches the store after what clients write. What
    they were told stays."""
    names = [f"{{k}}{number}" for number in range(150)]
    entries = [string(name, bytes(20000)) for name in names]
    store.process.send_signal(signal.SIGSTOP)
    threading.Timer(0.3, store.process.send_signal, [signal.SIGCONT]).start()
    peer.send(Kind.KEYS, frames.migration(NUMBER), FIRST, *entries, END)
    await until(lambda: not destination.node.bulk.idle)
    for name in names:
        client.send(destination.settings.own, Op.WRITE, "SET", name, "new")
    for _ in names:
        assert (await client.answer()).payload == b"+OK\r\n"
    await peer.frame(Kind.ARRIVED)
    assert set(store.client.mget(names)) == {b"new"}


async def test_a_copy_that_comes_twice(destination: Agent, peer: Peer, store: Store) -> None:
    """Pulled, and with its group, while both are on the way: it is written once, so nothing that a
    client does in between is overwritten. The store answers for two bodies at once here."""
    before = destination.counters["keys_applied"]
    with standing(store):
        peer.send(Kind.KEYS, frames.migration(NUMBER), FIRST, string("{k}2", b"1"))
        peer.send(Kind.KEYS, frames.migration(NUMBER), MORE, string("k", b"1"), END)
        peer.send(Kind.PULLED, frames.migration(NUMBER), MORE, string("k", b"1"))
        await until(lambda: destination.core.restoring(GROUP, b"k"))
        await asyncio.sleep(0.1)
    await peer.frame(Kind.ARRIVED)
    await until(lambda: destination.node.bulk.idle)
    assert destination.counters["keys_applied"] - before == 2
    assert destination.counters["keys_dropped"] == 1


async def test_the_connection_is_lost(
    destination: Agent, peer: Peer, store: Store, client: Client
) -> None:
    """The store has not read what was written: it never executes it. The source is told, what
    waited is judged anew."""
    with standing(store):
        peer.send(Kind.KEYS, frames.migration(NUMBER), FIRST, string("k", b"old"), END)
        await until(lambda: destination.core.restoring(GROUP, b"k"))
        client.send(destination.settings.own, Op.WRITE, "SET", "k", "new")
        assert await client.silent(0.05)
        with socket.socket(fileno=os.dup(destination.node.bulk.fd)) as connection:
            connection.shutdown(socket.SHUT_RDWR)
    assert b"the connection to the store was lost" in bytes(await peer.frame(Kind.HINDERED))
    assert (await client.answer()).payload == b"+OK\r\n"
    assert store.client.get("k") == b"new"
    assert destination.table.states[GROUP] == State.IMMIGRATING
    peer.send(Kind.KEYS, frames.migration(NUMBER), FIRST, string("k", b"old"), END)
    await peer.frame(Kind.ARRIVED)
    assert store.client.get("k") == b"new"


async def test_an_end_after_a_failure_does_not_count(
    destination: Agent, peer: Peer, store: Store
) -> None:
    """Of a group of which something could not be written not every key is here."""
    bad = struct.pack("!BI", 1, 1) + b"k" + struct.pack("!QI", 0, 8) + b"nonsense"
    peer.send(Kind.KEYS, frames.migration(NUMBER), FIRST, bad)
    await peer.frame(Kind.HINDERED)
    peer.send(Kind.KEYS, frames.migration(NUMBER), MORE, string("{k}2", b"v"), END)
    await until(lambda: store.client.exists("{k}2"))
    with pytest.raises(asyncio.TimeoutError):
        await peer.frame(Kind.ARRIVED, 0.2)
    for part in ([FIRST, string("k", b"v")], [MORE, string("{k}2", b"v"), END]):
        peer.send(Kind.KEYS, frames.migration(NUMBER), *part)
    await peer.frame(Kind.ARRIVED)
    assert store.client.mget("k", "{k}2") == [b"v", b"v"]


async def test_an_end_after_a_body_that_could_not_be_begun(
    destination: Agent, peer: Peer, store: Store
) -> None:
    """The store could not be reached when it came."""
    peer.send(Kind.KEYS, frames.migration(NUMBER), FIRST, string("k", b"v"))
    await until(lambda: store.client.exists("k") and destination.node.bulk.idle)
    hidden = store.path.with_name("hidden")
    with socket.socket(fileno=os.dup(destination.node.bulk.fd)) as connection:
        connection.shutdown(socket.SHUT_RDWR)
    await until(lambda: destination.node.bulk.fd < 0)
    store.path.rename(hidden)
    try:
        peer.send(Kind.KEYS, frames.migration(NUMBER), MORE, string("{k}2", b"v"))
        await peer.frame(Kind.HINDERED)
    finally:
        hidden.rename(store.path)
    peer.send(Kind.KEYS, frames.migration(NUMBER), MORE, string("{k}3", b"v"), END)
    await until(lambda: store.client.exists("{k}3"))
    with pytest.raises(asyncio.TimeoutError):
        await peer.frame(Kind.ARRIVED, 0.2)


async def test_copies_are_written_before_they_are_cleared(
    alone: Agent, peer: Peer, store: Store
) -> None:
    """CLEAR and TAKE come after every copy that came before them."""
    destination = await arriving(alone, peer, Protocol.SOURCE)

    def numbered(number: int, *parts: bytes) -> tuple[bytes, ...]:
        return frames.migration(NUMBER), frames.number(number), *parts

    entries = [string(f"{{k}}{number}", bytes(20000)) for number in range(200)]
    peer.send(Kind.CLEAR, *numbered(1, frames.group_list([GROUP])))
    await peer.frame(Kind.CLEARED)
    for number in range(2, 6):
        peer.send(Kind.COPY, *numbered(number, FIRST, *entries, END))
    peer.send(Kind.CLEAR, *numbered(6, frames.group_list([GROUP])))
    await peer.frame(Kind.CLEARED)
    assert store.client.dbsize() == 0
    peer.send(Kind.COPY, *numbered(7, FIRST, *entries, END))
    peer.send(Kind.TAKE, *numbered(8, frames.groups_with_records([GROUP], {})))
    await peer.frame(Kind.TAKEN)
    assert destination.table.states[GROUP] == State.OWNED
    assert not destination.core.restoring(GROUP, b"{k}1")
    assert store.client.dbsize() == 200


async def test_expiry_of_a_string(destination: Agent, peer: Peer, store: Store) -> None:
    """It keeps its time; one whose time has come is not there."""
    later = int(time.time() * 1000) + 123456
    entries = string("k", b"v", later), string("{k}2", b"v", 1), string("{k}3", b"")
    peer.send(Kind.KEYS, frames.migration(NUMBER), FIRST, *entries, END)
    await peer.frame(Kind.ARRIVED)
    assert store.client.mget("k", "{k}2", "{k}3") == [b"v", None, b""]
    assert store.command("PEXPIRETIME", "k") == later
