"""Pieces of big values at the destination, against a scripted source that sends what it likes."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.agent import frames
from hosts.agent.agent import Agent
from hosts.agent.frames import Kind
from hosts.agent.pieces.frame import (
    Command,
    End,
    Outcome,
    Piece,
    Pieced,
    pack_commands,
    read_commands,
)
from hosts.agent.pieces.staging import staging_key
from hosts.agent.table import State
from hosts.wire import GROUPS, Flags, Op, group_of
from tests.agent.big_values import STAGED
from tests.agent.harness import Client, Peer, Store, bulk, set_state
from tests.agent.test_destination import (
    AUTH,
    GROUP,
    NUMBER,
    destination,
    dumped,
    key,
    prepare,
    section,
    send_keys,
)
from tests.agent.test_restart import Runs, runs

__all__ = ["destination", "dumped", "runs"]  # fixtures


def send(peer: Peer, number: int, *commands: Command, attempt: int = 1, **more: int) -> None:
    """Send a piece of the value of `k`."""
    end = End(more.pop("end", End.MORE))
    data = pack_commands(commands)
    piece = Piece(GROUP, b"k", attempt, number, end, data=data, **more)
    peer.send(Kind.PIECE, frames.migration(NUMBER), piece.pack())


async def answered(peer: Peer, number: int, outcome: Outcome, attempt: int = 1) -> None:
    """Take the next answer and check it."""
    migration, body = frames.read_migration(await peer.frame(Kind.PIECED))
    assert (migration, Pieced.read(body)) == (NUMBER, Pieced(attempt, number, outcome))


def push(word: bytes) -> Command:
    """Return what adds an element to a list."""
    return [b"RPUSH", word]


async def test_a_value_is_there_at_once(
    destination: Agent, peer: Peer, store: Store, client: Client
) -> None:
    """Nobody sees a part of it: reads are not answered here, a write waits for all of it."""
    own = destination.settings.own
    await prepare(peer)
    client.send(own, Op.WRITE, "RPUSH", "k", "c")
    for number, word in enumerate((b"a", b"b")):
        send(peer, number, push(word))
        await answered(peer, number, Outcome.TAKEN)
        (staged,) = store.command("KEYS", "*")
        assert group_of(staged) == GROUP
        read = await client.ask(
            own, Op.READ, "LRANGE", "k", 0, -1, flags=Flags.DOUBLE, migration=NUMBER
        )
        assert read.flags == Flags.NONE, "not here yet"
    send(peer, 2, end=End.COMPLETE, expiry=4102444800123)
    await answered(peer, 2, Outcome.TAKEN)
    assert (await client.answer()).payload == b":3\r\n"
    assert store.client.keys("*") == [b"k"]
    assert store.command("PEXPIRETIME", "k") == 4102444800123
    send(peer, 0, push(b"late"), attempt=2)
    await answered(peer, 0, Outcome.ENOUGH, attempt=2)
    assert store.client.lrange("k", 0, -1) == [b"a", b"b", b"c"]


async def test_an_earlier_attempt_does_not_mix_in(
    destination: Agent, peer: Peer, store: Store
) -> None:
    """What an earlier connection delivers late is dropped without an answer."""
    await prepare(peer)
    send(peer, 0, push(b"old"), attempt=5)
    await answered(peer, 0, Outcome.TAKEN, attempt=5)
    send(peer, 0, push(b"a"), attempt=6)
    await answered(peer, 0, Outcome.TAKEN, attempt=6)
    send(peer, 1, push(b"old"), attempt=5)
    send(peer, 0, push(b"old"), attempt=5)
    send(peer, 2, push(b"not the next"), attempt=6)
    send(peer, 1, push(b"b"), attempt=6)
    await answered(peer, 1, Outcome.TAKEN, attempt=6)
    send(peer, 2, end=End.COMPLETE, attempt=6)
    await answered(peer, 2, Outcome.TAKEN, attempt=6)
    assert store.client.lrange("k", 0, -1) == [b"a", b"b"]
    assert store.client.dbsize() == 1


@pytest.mark.parametrize("end", [End.ABSENT, End.WHOLE])
async def test_a_value_that_does_not_come(
    destination: Agent, peer: Peer, store: Store, client: Client, dumped: bytes, end: End
) -> None:
    """It has expired, or it comes in a KEYS frame after all."""
    await prepare(peer)
    send(peer, 0, push(b"a"))
    send(peer, 1, end=end)
    await answered(peer, 0, Outcome.TAKEN)
    await answered(peer, 1, Outcome.TAKEN)
    assert store.client.dbsize() == 0
    await send_keys(peer, key(b"k", dumped))
    kept = end is End.WHOLE
    answer = await client.ask(destination.settings.own, Op.READ, "GET", "k")
    assert (answer.payload, answer.flags & AUTH) == (bulk(b"old") if kept else b"$-1\r\n", AUTH)


async def test_expired_when_it_is_complete(destination: Agent, peer: Peer, store: Store) -> None:
    """Then there is none, and what has come is freed in the background."""
    await prepare(peer)
    send(peer, 0, push(b"a"))
    send(peer, 1, end=End.COMPLETE, expiry=1000)
    await answered(peer, 0, Outcome.TAKEN)
    await answered(peer, 1, Outcome.TAKEN)
    assert store.client.dbsize() == 0


async def test_a_string_comes_as_one_set(destination: Agent, peer: Peer, store: Store) -> None:
    """Nothing of it is in the store before it is whole; too much or too little is an error."""
    await prepare(peer)

    def part(number: int, data: bytes, attempt: int = 1, end: End = End.MORE) -> None:
        piece = Piece(GROUP, b"k", attempt, number, end, 0, 10, data)
        peer.send(Kind.PIECE, frames.migration(NUMBER), piece.pack())

    part(0, b"hello")
    await answered(peer, 0, Outcome.TAKEN)
    assert store.client.dbsize() == 0
    part(1, b"", end=End.COMPLETE)
    assert b"shorter" in bytes(await peer.frame(Kind.FAILED))
    part(0, b"hello", attempt=2)
    part(1, b"longer than ten", attempt=2)
    assert b"longer" in bytes(await peer.frame(Kind.FAILED))
    for number, data in enumerate((b"hello", b"12345", b"")):
        part(number, data, attempt=3, end=End.MORE if data else End.COMPLETE)
    for number in range(3):
        await answered(peer, number, Outcome.TAKEN, attempt=3)
    assert store.client.get("k") == b"hello12345"


async def test_only_commands_that_build_a_value(
    destination: Agent, peer: Peer, store: Store
) -> None:
    """And only on the key that they are to build."""
    await prepare(peer)
    for attempt, command in enumerate(
        ([b"FLUSHALL"], [b"DEL", b"x"], [b"XGROUP", b"DESTROY", b"g"], []), 1
    ):
        send(peer, 0, command, attempt=attempt)
        assert b"no command that builds a value" in bytes(await peer.frame(Kind.FAILED))


async def test_malformed_pieces(destination: Agent, peer: Peer) -> None:
    """They end the connection, and nothing else."""
    whole = Piece(GROUP, b"k", 1, 0, End.MORE, data=pack_commands([[b"RPUSH", b"a"]])).pack()
    count = 0
    for body in (b"", whole[:20], whole[:30], whole[:-1], b"\xff" + whole[1:]):
        await peer.connect(destination.settings.own)
        await prepare(peer)
        peer.send(Kind.PIECE, frames.migration(NUMBER), body)
        await prepare_again(peer, destination, count := count + 1)


async def prepare_again(peer: Peer, destination: Agent, malformed: int) -> None:
    """On a new connection, the agent is well."""
    await peer.connect(destination.settings.own)
    await prepare(peer)
    assert destination.counters["channel_malformed"] == malformed


async def test_the_group_ends_without_the_value(
    destination: Agent, peer: Peer, store: Store
) -> None:
    """It expired at the source while the channel was broken, so nobody speaks of it again."""
    await prepare(peer)
    send(peer, 0, push(b"a"))
    await answered(peer, 0, Outcome.TAKEN)
    await send_keys(peer)
    assert store.client.dbsize() == 0


async def test_a_destination_that_was_killed(
    runs: Runs, peer: Peer, store: Store, client: Client
) -> None:
    """What it had staged goes; the value begins again."""
    await runs.begin()
    async with runs.run() as one:
        await prepare(peer)
        send(peer, 0, push(b"a"))
        await answered(peer, 0, Outcome.TAKEN)
        assert len(store.client.keys(STAGED)) == 1
        set_state(one, GROUP, State.ABSENT, 2)  # even where nothing else says what is left over
    async with runs.run() as again:
        assert store.client.dbsize() == 0
        set_state(again, GROUP, State.ABSENT, 2)
        await prepare(peer)
        send(peer, 1, push(b"b"))
        send(peer, 0, push(b"a"), attempt=2)
        await answered(peer, 0, Outcome.TAKEN, attempt=2)
        send(peer, 1, end=End.COMPLETE, attempt=2)
        await answered(peer, 1, Outcome.TAKEN, attempt=2)
        await send_keys(peer, section())
        answer = await client.ask(again.settings.own, Op.READ, "LRANGE", "k", 0, -1)
        assert answer.payload == b"*1\r\n" + bulk(b"a")


@given(
    st.builds(
        Piece,
        group=st.integers(0, GROUPS - 1),
        key=st.binary(),
        attempt=st.integers(0, (1 << 64) - 1),
        number=st.integers(0, (1 << 32) - 1),
        end=st.sampled_from(End),
        expiry=st.integers(0, (1 << 64) - 1),
        length=st.integers(0, (1 << 64) - 1),
        data=st.binary(),
    )
)
def test_pieces_are_read_as_they_were_written(piece: Piece) -> None:
    assert Piece.read(memoryview(piece.pack())) == piece


@given(st.lists(st.lists(st.binary(), min_size=1)))
def test_commands_are_read_as_they_were_written(commands: list[Command]) -> None:
    assert read_commands(pack_commands(commands)) == commands


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (Piece.read, Pieced.read, lambda body: read_commands(bytes(body))):
        with suppress(frames.FrameError):
            read(memoryview(data))


def test_every_group_has_a_staging_key() -> None:
    """RENAME takes both names from one slot."""
    assert [group_of(staging_key(group)) for group in range(GROUPS)] == list(range(GROUPS))
    assert staging_key(7) != staging_key(7)
