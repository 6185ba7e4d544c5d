"""Frames of the channel: laws, and random bytes."""

import asyncio
import contextlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.agent import frames
from hosts.agent.agent import Agent
from hosts.agent.frames import FrameError, Kind
from hosts.wire import Flags, Op
from tests.agent.harness import Client, until

GROUP = st.integers(0, 16383)
U16 = st.integers(0, 0xFFFF)
KINDS = st.sampled_from(list(Kind))
BODIES = st.binary(max_size=300)


@given(st.lists(st.tuples(KINDS, BODIES)), st.lists(st.integers(1, 50)))
def test_splitter_gives_back_what_was_framed(
    items: list[tuple[Kind, bytes]], cuts: list[int]
) -> None:
    """However the stream is cut."""
    stream = b"".join(frames.frame(kind, body) for kind, body in items)
    splitter = frames.Splitter()
    found: list[tuple[Kind, bytes]] = []
    for cut in cuts:
        found += splitter.feed(stream[:cut])
        stream = stream[cut:]
    found += splitter.feed(stream)
    assert found == items


@given(st.lists(GROUP), st.dictionaries(GROUP, BODIES))
def test_prepare(groups: list[int], records: dict[int, bytes]) -> None:
    """Groups and records."""
    body = frames.groups_with_records(groups, records)
    found, data = frames.read_groups_with_records(body_of(body))
    assert (found, {group: bytes(each) for group, each in data.items()}) == (groups, records)


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), U16, st.integers(1, 255), BODIES)))
def test_handover(items: list[frames.Handed]) -> None:
    """Who asked, and what."""
    assert frames.read_handed(body_of(frames.handed(items))) == items


@given(U16, st.dictionaries(GROUP, st.lists(BODIES)))
def test_pull(number: int, wanted: dict[int, list[bytes]]) -> None:
    """Groups and keys."""
    found, body = frames.read_migration(body_of(frames.pull(number, wanted)))
    pulled = {group: frames.read_keys(keys) for group, keys in frames.read_pull(body).items()}
    assert (found, pulled) == (number, wanted)


@given(U16, st.lists(GROUP))
def test_groups(number: int, groups: list[int]) -> None:
    """Migration and groups."""
    found, body = frames.read_migration(body_of(frames.groups(number, groups)))
    assert (found, frames.read_groups(body)) == (number, groups)


def body_of(data: bytes) -> memoryview:
    """Return what a reader gets."""
    return memoryview(data)


@given(BODIES)
def test_random_bodies_are_refused_or_read(data: bytes) -> None:
    """Never another exception."""
    body = memoryview(data)
    for read in (
        frames.read_hello,
        frames.read_migration,
        frames.read_groups,
        frames.read_groups_with_records,
        frames.read_handed,
        frames.read_pull,
    ):
        with contextlib.suppress(FrameError):
            read(body)


@pytest.mark.parametrize(
    "stream",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        frames.frame(Kind.PREPARED, b"\0\1\0\2"),
        frames.frame(Kind.HELLO, b"NMC9\0\2"),
        frames.frame(Kind.HELLO, b"short"),
        b"\0\0\0\0\1",
        b"\xff\xff\xff\xff\1",
        b"\0\0\0\1\xee",
        frames.hello(2) + frames.frame(Kind.HANDOVER, b"\0" * 5),
        frames.hello(2) + frames.frame(Kind.WATERMARKS, b"\0" * 5),
        frames.hello(2) + frames.frame(Kind.PREPARED, b"\0"),
    ],
)
async def test_what_is_no_channel_is_closed(alone: Agent, client: Client, stream: bytes) -> None:
    """And counted; the agent serves on."""
    own = alone.settings.own
    reader, writer = await asyncio.open_connection(own.ip, own.channel_port)
    writer.write(stream)
    await until(lambda: alone.counters["channel_malformed"] == 1)
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 2) == b""
    writer.close()
    assert (await client.ask(own, Op.READ, "GET", "k")).flags & Flags.AUTHORITATIVE


async def test_random_frames(alone: Agent, client: Client) -> None:
    """Of every kind, handled by a live agent."""
    chance = random.Random(7)
    for _ in range(3000):
        kind = chance.choice([kind for kind in Kind if kind is not Kind.HELLO])
        body = chance.randbytes(chance.randrange(40))
        with contextlib.suppress(ValueError):
            alone._door.handle(2, kind, memoryview(body))
    answer = await client.ask(alone.settings.own, Op.READ, "GET", "k")
    assert answer.flags & Flags.AUTHORITATIVE
    assert set(alone.table.states.tolist()) == {1}
