"""Stores of different versions (docs/big-values.md): what one dumps, the other may not read."""

import itertools
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from hosts.agent import frames
from hosts.agent.agent import Agent
from hosts.agent.emigration.mover import Status
from hosts.agent.frames import Hindrance, Kind
from hosts.agent.pieces.frame import End, Outcome, Piece, Pieced, read_commands
from hosts.agent.protocols import Protocol
from hosts.agent.table import State
from hosts.wire import Flags, Op
from tests.agent.big_values import contents
from tests.agent.harness import Client, Pair, Peer, Store, bulk, pair, until
from tests.agent.test_destination import GROUP, NUMBER, destination, key, prepare, section
from tests.agent.test_migration import fill_every_type
from tests.agent.test_pieces import answered, push, send
from tests.agent.test_source import prepared, source, start

__all__ = ["destination", "source"]  # fixtures

AUTH = Flags.AUTHORITATIVE
_OF_NEWER_STREAMS = (b"idmp-", b"pids-", b"iids-", b"nacked-")
_VERSION = slice(-10, -8)  # of DUMP's format, in front of its checksum


def version(store: Store) -> int:
    """Return the version of what a store dumps."""
    store.client.set("x", "y")
    dumped = store.client.dump("x")
    store.client.delete("x")
    assert dumped is not None
    return int.from_bytes(dumped[_VERSION], "little")


@pytest.fixture(scope="module")
def different(
    running: list[Store], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Store]]:
    """The store that is tested, and another one of another version."""
    programs = filter(None, map(shutil.which, ("redis-server", "valkey-server")))
    for program in programs:
        other = Store(tmp_path_factory.mktemp("other"), executable=program).wait()
        try:
            if version(other) != version(running[0]):
                yield [running[0], other]
                return
        finally:
            other.stop()
    pytest.skip("needs two stores of different versions: STORE, and another one on PATH")


@pytest_asyncio.fixture(
    params=itertools.product((0, 1), Protocol),
    ids=lambda found: f"{'from' if found[0] else 'to'} the other, {found[1].name.lower()}",
)
async def mixed(
    different: list[Store], tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Pair]:
    """Agents of both, either as the source."""
    first, protocol = request.param
    async with pair([different[first], different[1 - first]], tmp_path) as found:
        found.protocol = protocol
        yield found


def known_to_all(store: Store) -> dict[bytes, tuple[Any, int]]:
    """Return what every store has: streams without what Redis >= 8.6 says of them."""
    found: dict[bytes, tuple[Any, int]] = contents(store)
    for name, (value, _) in found.items():
        if store.client.type(name) == b"stream":
            for fields in (value, *value[b"groups"]):
                for newer in [each for each in fields if each.startswith(_OF_NEWER_STREAMS)]:
                    del fields[newer]
    return found


async def test_between_different_versions(mixed: Pair) -> None:
    """Every type moves, whether the destination reads what the source dumps or not."""
    one, other = mixed.stores
    fill_every_type(one.client)
    before = known_to_all(one)
    await mixed.migrate(0, 1)
    assert known_to_all(other) == before
    await until(lambda: one.client.dbsize() == 0)


async def test_small_values_as_commands(each_two: Pair) -> None:
    """A destination that says so gets all that is no string as commands, exactly the same."""
    one, other = each_two.stores
    fill_every_type(one.client)
    before = contents(one)
    strings = sum(one.client.type(name) == b"string" for name in before)
    mover = each_two.start(0, 1, throttle=1_000_000)
    mover.hinder(Hindrance.COMMANDS, "the store of server2: it says that it cannot")
    assert (mover.status, mover.error) == (
        Status.RUNNING,
        "the store of server2: it says that it cannot",
    )
    mover.set_throttle(0)
    await until(lambda: mover.status is Status.DONE)
    assert mover.error == ""
    assert contents(other) == before
    sent = each_two.agents[0].counters
    assert sent["values_in_pieces"] >= len(before) - strings
    assert sent["values_whole"] == 0


async def test_a_dump_that_the_store_cannot_read(
    destination: Agent, peer: Peer, store: Store, client: Client
) -> None:
    """The source is told what to do; what comes as commands then is the value."""
    store.client.rpush("x", "old")
    dumped = bytearray(store.client.dump("x") or b"")
    store.client.delete("x")
    dumped[_VERSION] = b"\xff\xff"  # of a store to come
    await prepare(peer)
    body = frames.migration(NUMBER), section(), key(b"k", bytes(dumped)), b"\3"
    peer.send(Kind.KEYS, *body)
    number, rest = frames.read_migration(await peer.frame(Kind.HINDERED))
    what, why = frames.read_hindrance(rest)
    assert (number, what) == (NUMBER, Hindrance.COMMANDS)
    assert "the store of server1: ERR DUMP payload version" in why
    assert destination.table.states[GROUP] == State.IMMIGRATING
    client.send(destination.settings.own, Op.READ, "LRANGE", "k", 0, -1)
    send(peer, 0, push(b"a"))
    await answered(peer, 0, Outcome.TAKEN)
    send(peer, 1, end=End.COMPLETE)
    await answered(peer, 1, Outcome.TAKEN)
    assert (await client.answer()).payload == b"*1\r\n" + bulk(b"a")


def refuse(peer: Peer) -> None:
    """Say what a destination says whose store cannot read a dump."""
    why = "the store of server2: ERR Bad data format"
    peer.send(Kind.HINDERED, frames.hindrance(NUMBER, Hindrance.COMMANDS, why))


async def a_value(peer: Peer) -> list[Piece]:
    """Take a value that comes in pieces, and answer."""
    found: list[Piece] = []
    while not found or found[-1].end is End.MORE:
        _, body = frames.read_migration(await peer.frame(Kind.PIECE))
        found.append(Piece.read(body))
        answer = Pieced(found[-1].attempt, found[-1].number, Outcome.TAKEN)
        peer.send(Kind.PIECED, frames.migration(NUMBER), answer.pack())
    return found


async def test_what_no_command_builds_stays(source: Agent, peer: Peer, store: Store) -> None:
    """Of the other values of its group the commands come; then the migration says why not."""
    store.command("SET", "k", "v")
    store.command("RPUSH", "{k}list", "a")
    mover = start(source, peer)
    await prepared(peer)
    await peer.frame(Kind.KEYS)
    refuse(peer)
    refuse(peer)  # another frame was on its way
    value, last = await a_value(peer)
    assert (value.key, read_commands(value.data)) == (b"{k}list", [[b"RPUSH", b"a"]])
    assert last.end is End.COMPLETE
    assert (mover.status, mover.error) == (Status.RUNNING, "")
    store.command("XADD", "{k}stream", "1-1", "f", "v")
    store.command("XGROUP", "CREATE", "{k}stream", "readers", "0")
    store.command("XREADGROUP", "GROUP", "readers", "one", "STREAMS", "{k}stream", ">")
    store.command("XDEL", "{k}stream", "1-1")  # XCLAIM does not take what was deleted
    peer.send(Kind.PULL, frames.pull(NUMBER, {GROUP: [b"{k}stream"]}))
    assert (await a_value(peer))[-1].end is End.WHOLE
    await peer.frame(Kind.KEYS)
    assert mover.status is Status.RUNNING
    refuse(peer)
    await until(lambda: mover.status is Status.FAILED)
    assert mover.error == (
        "the store of server2: ERR Bad data format (no command builds this value, "
        "and the stores are of different versions)"
    )
    assert source.table.states[GROUP] == State.EMIGRATING
    assert store.client.dbsize() == 3
