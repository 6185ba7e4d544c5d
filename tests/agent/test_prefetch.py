"""Batches are read before they leave: against a scripted destination, with a real store."""

import struct
from collections.abc import Sequence

import pytest_asyncio

from hosts.agent import frames
from hosts.agent.agent import Agent
from hosts.agent.emigration.mover import Mover, Status
from hosts.agent.frames import Kind
from hosts.agent.table import State
from hosts.wire import Control, Header, Op, group_of
from tests.agent.harness import SERVICE, Client, Peer, Store, until

NUMBER = 7
FIRST = 4096


def named(group: int, count: int) -> list[str]:
    """Return names of keys of a group."""
    names = (f"{{{tag}}}" for tag in range(1_000_000) if group_of(b"%d" % tag) == group)
    tag = next(names)
    return [f"{tag}{index}" for index in range(count)]


ONE, TWO, THREE = (named(FIRST + place, 3) for place in range(3))


@pytest_asyncio.fixture
async def source(alone: Agent, peer: Peer, store: Store) -> Agent:
    """An agent that owns everything, whose VIP leads to the peer, with three keys in each group."""
    servers = [alone.settings.own, peer.server]
    alone.service.assign(SERVICE, ("127.0.0.1", peer.server.udp_port), servers, [])
    await until(lambda: peer.connections == 1)
    await peer.connect(alone.settings.own)
    for name in (*ONE, *TWO, *THREE):
        store.client.set(name, "old")
    return alone


async def start(source: Agent, peer: Peer, store: Store, **told: int) -> Mover:
    """Start sending three groups, and return when the first waits for its PREPARE to be
    acknowledged and the store has been asked for what is in all."""
    ranges = [range(FIRST, FIRST + 3)]
    store.client.config_resetstat()
    mover = source.emigrations.start(NUMBER, peer.server, ranges, 1, told.get("throttle", 0))
    await until(lambda: reads(store) >= told.get("reads", 9))
    assert source.table.those(State.EMIGRATING) == [FIRST]
    return mover


def reads(store: Store) -> int:
    """Return how many values the agent has asked its store for."""
    return int(store.client.info("commandstats").get("cmdstat_getrange", {}).get("calls", 0))


async def taken(source: Agent, peer: Peer) -> tuple[list[int], bytes]:
    """Play the destination of the next group to its end; return it, and what was sent of it."""
    _, body = frames.read_migration(await peer.frame(Kind.PREPARE))
    groups, _ = frames.read_groups_with_records(body)
    peer.send(Kind.PREPARED, frames.groups(NUMBER, groups))
    await acknowledge(source, peer, Op.GROUP_START)
    _, keys = frames.read_migration(await peer.frame(Kind.KEYS))
    peer.send(Kind.ARRIVED, frames.groups(NUMBER, groups))
    await acknowledge(source, peer, Op.GROUP_COMPLETE)
    return groups, bytes(keys)


async def acknowledge(source: Agent, peer: Peer, op: Op) -> None:
    """Take a control packet, repeats of others skipped."""
    while Header.unpack(packet := await peer.datagram()).op is not op:
        pass
    header = Header.unpack(packet)
    answer = Header(Op.GROUP_ACK, service=SERVICE, group=header.group, migration=header.migration)
    control = Control.unpack(packet)
    peer.send_control(source.settings.own, answer.pack() + control.pack())


def values(keys: bytes, names: Sequence[str]) -> list[bytes | None]:
    """Return what a KEYS body has of these keys, all of which are strings of three bytes."""
    found: list[bytes | None] = []
    for name in names:
        head = struct.pack("!BI", 4, len(name)) + name.encode() + struct.pack("!QI", 0, 3)
        at = keys.find(head)
        found.append(None if at < 0 else keys[at + len(head) :][:3])
    return found


async def test_what_nobody_writes_to_is_read_once(source: Agent, peer: Peer, store: Store) -> None:
    """Before it leaves: what changes behind the agent's back afterwards is not seen."""
    mover = await start(source, peer, store)
    store.client.set(TWO[0], "new")
    for group, names in ((FIRST, ONE), (FIRST + 1, TWO), (FIRST + 2, THREE)):
        groups, keys = await taken(source, peer)
        assert (groups, values(keys, names)) == ([group], [b"old"] * 3)
    await until(lambda: mover.status is Status.DONE)
    assert (reads(store), mover.keys_sent) == (9, 9)


async def test_what_is_written_meanwhile_is_read_again(
    source: Agent, peer: Peer, store: Store, client: Client
) -> None:
    """Also what is deleted, comes into being, or is a script's doing."""
    new = named(FIRST + 1, 4)[3]
    await start(source, peer, store)
    own = source.settings.own
    await client.ask(own, Op.WRITE, "SET", TWO[0], "two")
    await client.ask(own, Op.WRITE, "DEL", TWO[1])
    await client.ask(own, Op.WRITE, "SET", new, "new")
    script = "redis.call('set', KEYS[1], 'eva')"
    await client.ask(own, Op.WRITE, "EVAL", script, 1, THREE[2], group=FIRST + 2)
    assert values((await taken(source, peer))[1], ONE) == [b"old"] * 3
    assert values((await taken(source, peer))[1], [*TWO, new]) == [b"two", None, b"old", b"new"]
    assert values((await taken(source, peer))[1], THREE) == [b"old", b"old", b"eva"]


async def test_a_pause_does_not_end_the_notes(
    source: Agent, peer: Peer, store: Store, client: Client
) -> None:
    """What was read ahead waits as long as it takes."""
    mover = await start(source, peer, store)
    mover.pause(drain=True)
    await taken(source, peer)
    await until(lambda: mover.status is Status.PAUSED)
    await client.ask(source.settings.own, Op.WRITE, "SET", TWO[2], "new")
    mover.resume()
    assert values((await taken(source, peer))[1], TWO) == [b"old", b"old", b"new"]


async def test_a_stop_forgets_what_was_read(
    source: Agent, peer: Peer, store: Store, client: Client
) -> None:
    """The groups stay, and another migration reads them as they are then."""
    mover = await start(source, peer, store)
    mover.stop()
    await taken(source, peer)
    await until(lambda: mover.status is Status.STOPPED)
    assert source.table.those(State.EMIGRATING) == []
    await client.ask(source.settings.own, Op.WRITE, "SET", TWO[0], "new")
    store.client.set(TWO[1], "own")
    source.emigrations.start(NUMBER, peer.server, [range(FIRST + 1, FIRST + 3)], 1, 0)
    assert values((await taken(source, peer))[1], TWO) == [b"new", b"own", b"old"]


async def test_only_so_much_is_kept(source: Agent, peer: Peer, store: Store) -> None:
    """What is more is read when its group has left, and all of it arrives."""
    big = named(FIRST, 40)[3:]
    for name in big:
        store.client.set(name, b"x" * 5000)
    ranges = [range(FIRST, FIRST + 3)]
    mover = source.emigrations.start(NUMBER, peer.server, ranges, 1, 8_000_000)
    _, body = frames.read_migration(await peer.frame(Kind.PREPARE))
    groups, _ = frames.read_groups_with_records(body)
    assert groups == [FIRST]
    peer.send(Kind.PREPARED, frames.groups(NUMBER, groups))
    await acknowledge(source, peer, Op.GROUP_START)
    keys = b""
    while not keys.endswith(b"\3"):
        _, more = frames.read_migration(await peer.frame(Kind.KEYS))
        keys += bytes(more)
    assert keys.count(b"x" * 5000) == len(big)
    assert all(name.encode() in keys for name in (*ONE, *big))
    peer.send(Kind.ARRIVED, frames.groups(NUMBER, groups))
    await acknowledge(source, peer, Op.GROUP_COMPLETE)
    for names in (TWO, THREE):
        assert values((await taken(source, peer))[1], names) == [b"old"] * 3
    await until(lambda: mover.status is Status.DONE)
