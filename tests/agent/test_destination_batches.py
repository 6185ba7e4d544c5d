"""The destination's half of a batch's life, against a scripted source."""

import struct

import pytest_asyncio

from hosts.agent import frames
from hosts.agent.agent import Agent
from hosts.agent.frames import Kind
from hosts.agent.table import State
from hosts.wire import Control, Header, Op
from tests.agent.harness import SERVICE, Peer, set_state, until

NUMBER = 8
FIRST = 1024
BATCH = [*range(FIRST, FIRST + 4)]


@pytest_asyncio.fixture
async def destination(alone: Agent, peer: Peer) -> Agent:
    """An agent that accepts two batches of four groups, the first of them prepared."""
    groups = range(FIRST, FIRST + 8)
    for group in groups:
        set_state(alone, group, State.ABSENT, 0)
    alone.immigrations.accept(NUMBER, peer.server, [groups], 4)
    await until(lambda: peer.connections == 1)
    await peer.connect(alone.settings.own)
    await prepare(peer, BATCH)
    return alone


async def prepare(peer: Peer, groups: list[int]) -> None:
    """Send PREPARE and wait for its acknowledgement."""
    peer.send(Kind.PREPARE, frames.migration(NUMBER), frames.groups_with_records(groups, {}))
    _, body = frames.read_migration(await peer.frame(Kind.PREPARED))
    assert frames.read_groups(body) == groups


async def end(peer: Peer, *groups: int) -> list[int]:
    """Say that these groups have no more keys; return those that the destination has whole."""
    sections = (struct.pack("!BHB", 0, group, 3) for group in groups)
    peer.send(Kind.KEYS, frames.migration(NUMBER), *sections)
    _, body = frames.read_migration(await peer.frame(Kind.ARRIVED))
    return frames.read_groups(body)


def control(op: Op, group: int, sequence: int = 1) -> bytes:
    """Return a control packet."""
    header = Header(op, service=SERVICE, group=group, migration=NUMBER)
    return header.pack() + Control(3, sequence).pack()


async def test_a_batch_is_owned_as_one(destination: Agent, peer: Peer) -> None:
    """START and COMPLETE name it by its first group; they count when all of it is prepared, and
    when all of it has arrived."""
    own = destination.settings.own
    for ignored, packet in enumerate(
        (
            control(Op.GROUP_START, FIRST + 1),  # no batch begins there
            control(Op.GROUP_START, FIRST + 4),  # not prepared
            control(Op.GROUP_COMPLETE, FIRST),  # not arrived
        ),
        1,
    ):
        peer.send_control(own, packet)
        await until(lambda: destination.counters["control_ignored"] == ignored)  # noqa: B023
    peer.send_control(own, control(Op.GROUP_START, FIRST))
    assert Header.unpack(await peer.datagram()).group == FIRST
    assert await end(peer, *BATCH[1:]) == BATCH[1:]
    peer.send_control(own, control(Op.GROUP_COMPLETE, FIRST, 2))
    await until(lambda: destination.counters["control_ignored"] == 4)
    assert destination.table.those(State.IMMIGRATING) == BATCH
    assert await end(peer, FIRST) == [FIRST]
    for _ in range(2):
        peer.send_control(own, control(Op.GROUP_COMPLETE, FIRST, 2))
        assert Control.unpack(await peer.datagram()) == Control(3, 2)
    assert [int(destination.table.states[group]) for group in BATCH] == [State.OWNED] * 4
    assert destination.counters["groups_received"] == 4


async def test_a_source_that_was_restarted_sends_what_is_left(
    destination: Agent, peer: Peer
) -> None:
    """In smaller batches, where no larger ones fit; what is complete here is said to be so."""
    own = destination.settings.own
    assert await end(peer, *BATCH) == BATCH
    peer.send_control(own, control(Op.GROUP_COMPLETE, FIRST, 2))
    await peer.datagram()
    await prepare(peer, [FIRST + 4, FIRST + 5])
    left = [range(FIRST + 2, FIRST + 8)]  # it died before it knew that all of BATCH is here
    destination.immigrations.accept(NUMBER, peer.server, left, 2)
    await prepare(peer, [FIRST + 2, FIRST + 3])
    assert await end(peer, FIRST + 2, FIRST + 3) == [FIRST + 2, FIRST + 3]
    for op in (Op.GROUP_START, Op.GROUP_COMPLETE):
        peer.send_control(own, control(op, FIRST + 2))
        assert Header.unpack(await peer.datagram()).group == FIRST + 2
    await prepare(peer, [FIRST + 4, FIRST + 5])
    assert await end(peer, FIRST + 4, FIRST + 5) == [FIRST + 4, FIRST + 5]
    peer.send_control(own, control(Op.GROUP_COMPLETE, FIRST + 4))
    await peer.datagram()
    owned = destination.table.states[FIRST : FIRST + 8] == State.OWNED
    assert owned.tolist() == [True] * 6 + [False] * 2
