"""A destination that ended in the middle of a group, against a scripted source."""

import contextlib
import socket
import struct
from pathlib import Path

import pytest

from hosts.agent import frames
from hosts.agent.agent import Agent
from hosts.agent.frames import Kind
from hosts.agent.protocols import Protocol
from hosts.agent.table import State
from hosts.wire import Flags, Op
from tests.agent.harness import (
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
from tests.agent.test_destination import (
    AUTH,
    GROUP,
    NUMBER,
    absent,
    control,
    dump,
    key,
    prepare,
    record,
    section,
    send_keys,
)

END = b"\3"


class Runs:
    """One agent after the other, on the same files."""

    def __init__(self, peer: Peer, store: Store, directory: Path) -> None:
        self.server = local(1)
        self._peer = peer
        self._store = store
        self._directory = directory

    def run(self) -> "Run":
        """The next one."""
        return Run(self)

    async def begin(self, protocol: Protocol = Protocol.NETMIGRATE) -> None:
        """The first one: it is told of the migration, and ends."""
        async with self.run() as one:
            assign([one])
            set_state(one, GROUP, State.ABSENT, 2)
            one.immigrations.accept(
                NUMBER, self._peer.server, [range(GROUP, GROUP + 1)], 1, protocol
            )


class Run:
    """An agent to which the peer connects anew. It ends without a word to its files."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self._context = agent(runs.server, runs._store, runs._directory)

    async def __aenter__(self) -> Agent:
        connections = self._runs._peer.connections
        one = await self._context.__aenter__()
        await self._runs._peer.connect(self._runs.server)
        if self._runs._peer.server.index in one.node.servers:
            await until(lambda: self._runs._peer.connections > connections)
        return one

    async def __aexit__(self, *error: object) -> None:
        await self._context.__aexit__(None, None, None)


@pytest.fixture
def runs(peer: Peer, store: Store, tmp_path: Path) -> Runs:
    """None yet."""
    return Runs(peer, store, tmp_path)


async def pulled(peer: Peer, *entries: bytes) -> None:
    """Answer a priority pull."""
    await peer.frame(Kind.PULL)
    peer.send(Kind.PULLED, frames.migration(NUMBER), section(), *entries)


async def test_newer_keys_stay_newer(runs: Runs, peer: Peer, client: Client, store: Store) -> None:
    """Blind writes, a deletion, and a change of what had been pulled; the rest comes again."""
    old = dump(store, "SET", "x", "1")
    copies = [key(name, old) for name in (b"k", b"{k}deleted", b"{k}counted", b"{k}read")]
    await runs.begin()
    async with runs.run():
        await prepare(peer)
        await client.ask(runs.server, Op.WRITE, "MSET", "k", "new", "{k}other", "new")
        await client.ask(runs.server, Op.WRITE, "SET", "{k}deleted", "new")
        await client.ask(runs.server, Op.WRITE, "DEL", "{k}deleted")
        seq = client.send(runs.server, Op.WRITE, "INCR", "{k}counted")
        await pulled(peer, copies[2])
        assert (await client.answer()).payload == b":2\r\n"
        client.send(runs.server, Op.READ, "GET", "{k}read")
        await pulled(peer, copies[3])
        assert (await client.answer()).payload == bulk(b"1")
    assert store.client.exists("{k}read")
    for _ in range(2):
        async with runs.run() as one:
            assert not store.client.exists("{k}read"), "it comes again"
            assert one.table.states[GROUP] == State.IMMIGRATING
            answer = await client.ask(
                runs.server, Op.READ, "GET", "{k}read", flags=Flags.DOUBLE, migration=NUMBER
            )
            assert (answer.flags, answer.payload) == (Flags.NONE, b""), "not here yet"
            again = await client.ask(runs.server, Op.WRITE, "INCR", "{k}counted", seq=seq)
            assert again.payload == b":2\r\n"
    async with runs.run() as one:
        await prepare(peer)
        await send_keys(peer, *copies)
        values = store.client.mget("k", "{k}other", "{k}deleted", "{k}counted", "{k}read")
        assert values == [b"new", b"new", None, b"2", b"1"]
        peer.send_control(runs.server, control(Op.GROUP_COMPLETE))
        await peer.datagram()
        assert one.table.states[GROUP] == State.OWNED
    async with runs.run() as one:
        assert await client.ask(runs.server, Op.READ, "GET", "k")
        peer.send_control(runs.server, control(Op.GROUP_COMPLETE))
        await peer.datagram()  # its acknowledgement was lost: again


async def test_a_write_without_an_answer_did_not_happen(
    runs: Runs, peer: Peer, client: Client, store: Store
) -> None:
    """What the store executed of it is gone, so it cannot show up later, whole or by half."""
    old = dump(store, "SET", "x", "old")
    await runs.begin()
    async with runs.run():
        await prepare(peer)
    store.client.mset({"k": "stray", "{k}none": "stray"})  # then the agent was killed
    async with runs.run():
        client.send(runs.server, Op.READ, "MGET", "k", "{k}none")
        await pulled(peer, key(b"k", old), absent(b"{k}none"))
        assert (await client.answer()).payload == b"*2\r\n" + bulk(b"old") + b"$-1\r\n"


async def test_all_had_arrived(runs: Runs, peer: Peer, client: Client, store: Store) -> None:
    """Then nothing is taken again, newer or not, and everything is answered at once."""
    old = dump(store, "SET", "x", "old")
    await runs.begin()
    async with runs.run():
        await prepare(peer)
        await send_keys(peer, key(b"k", old), key(b"{k}2", old))
        await client.ask(runs.server, Op.WRITE, "SET", "k", "new")
        await client.ask(runs.server, Op.WRITE, "DEL", "{k}2")
    async with runs.run() as one:
        script = "return redis.call('GET', KEYS[1])"
        answer = await client.ask(runs.server, Op.WRITE, "EVAL", script, "1", "k", group=GROUP)
        assert (answer.flags & AUTH, answer.payload) == (AUTH, bulk(b"new"))
        await send_keys(peer, key(b"k", old), key(b"{k}2", old))
        assert (store.client.get("k"), store.client.exists("{k}2")) == (b"new", 0)
        assert one.counters["keys_dropped"] == 2
        peer.send_control(runs.server, control(Op.GROUP_COMPLETE))
        await peer.datagram()
        assert one.table.states[GROUP] == State.OWNED


async def test_what_was_newer_in_an_earlier_migration_is_not(
    runs: Runs, peer: Peer, client: Client, store: Store
) -> None:
    """The group came, and went, and comes again."""
    old = dump(store, "SET", "x", "old")
    await runs.begin()
    async with runs.run() as one:
        await prepare(peer)
        await client.ask(runs.server, Op.WRITE, "SET", "k", "new")
        await send_keys(peer)
        peer.send_control(runs.server, control(Op.GROUP_COMPLETE))
        await peer.datagram()
        set_state(one, GROUP, State.ABSENT, 2, former=True)
        one.immigrations.accept(NUMBER, peer.server, [range(GROUP, GROUP + 1)])
        await prepare(peer)
    async with runs.run():
        await send_keys(peer, key(b"k", old))
        assert store.client.get("k") == b"old"


async def test_records_of_prepare(runs: Runs, peer: Peer, client: Client) -> None:
    """They and the watermarks are there after a restart."""
    await runs.begin()
    async with runs.run():
        records = record(client.client, 5, b":41\r\n") + record(client.client, 3, b":40\r\n")
        await prepare(peer, records, struct.pack("!QI", client.client, 2))
    async with runs.run():
        for seq, reply in ((5, b":41\r\n"), (3, b":40\r\n")):
            answer = await client.ask(runs.server, Op.WRITE, "INCR", "k", seq=seq)
            assert answer.payload == reply
        client.send(runs.server, Op.WRITE, "INCR", "k", seq=2)
        assert await client.silent(), "finished at the source"


def numbered(number: int, *body: bytes) -> tuple[bytes, ...]:
    """Return the body of a frame of pre-copy."""
    return (frames.migration(NUMBER), frames.number(number), *body)


async def test_precopy_goes_on(runs: Runs, peer: Peer, client: Client, store: Store) -> None:
    """What was cleared and copied counts; what was not cleared does not."""
    old = dump(store, "SET", "x", "old")
    await runs.begin(Protocol.SOURCE)
    async with runs.run():
        peer.send(Kind.CLEAR, *numbered(100, frames.group_list([GROUP])))
        await peer.frame(Kind.CLEARED)
        peer.send(Kind.COPY, *numbered(101, section(), key(b"k", old), END))
        await peer.frame(Kind.COPIED)
    async with runs.run() as one:
        peer.send(Kind.COPY, *numbered(102, section(), key(b"{k}2", old), END))
        await peer.frame(Kind.COPIED)
        taking = frames.groups_with_records([GROUP], {GROUP: record(client.client, 1, b"+OK\r\n")})
        peer.send(Kind.TAKE, *numbered(103, taking))
        await peer.frame(Kind.TAKEN)
        assert one.table.states[GROUP] == State.OWNED
        assert store.client.mget("k", "{k}2") == [b"old", b"old"]
    async with runs.run() as one:
        peer.send(Kind.TAKE, *numbered(104, taking))
        await peer.frame(Kind.TAKEN)
        set_state(one, GROUP, State.ABSENT, 2, former=True)
        one.immigrations.accept(NUMBER, peer.server, [range(GROUP, GROUP + 1)], 1, Protocol.SOURCE)
    async with runs.run():
        peer.send(Kind.COPY, *numbered(105, section(), key(b"k", old), END))
        assert b"not cleared" in bytes(await peer.frame(Kind.FAILED))


async def test_connections_of_a_killed_agent_end(runs: Runs, store: Store) -> None:
    """What it had written to the store and was not read yet is not executed any more."""
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as earlier:
        for connection in (other, earlier):
            connection.connect(str(store.path))
            connection.settimeout(5)
        earlier.sendall(resp("CLIENT", "SETNAME", "netmigrate-agent"))
        assert earlier.recv(100) == b"+OK\r\n"
        async with runs.run():
            with contextlib.suppress(BrokenPipeError):
                earlier.sendall(resp("SET", "k", "late"))
                assert earlier.recv(100) == b""
            other.sendall(resp("EXISTS", "k"))
            assert other.recv(100) == b":0\r\n"


async def test_a_source_whose_migration_is_not_known_yet(runs: Runs, client: Client) -> None:
    """Its clients ask again until the controller has told it to go on."""
    async with runs.run() as one:
        assign([one])
        set_state(one, GROUP, State.EMIGRATING, 2)
    async with runs.run():
        for op, *words in ((Op.READ, "GET", "k"), (Op.WRITE, "SET", "k", "v")):
            client.send(runs.server, op, *words)
            answer = await client.answer()
            assert answer.flags == Flags.RETRY
            assert 10_000 <= int.from_bytes(answer.payload) <= 1_000_000
