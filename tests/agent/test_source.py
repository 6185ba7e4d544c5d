"""The source's half of a group's life, against a scripted destination."""

import random
import struct
from typing import Any

import pytest
import pytest_asyncio

from hosts.agent import frames
from hosts.agent.agent import Agent
from hosts.agent.emigration.mover import Status
from hosts.agent.frames import Kind
from hosts.agent.orders import NotReadyError
from hosts.agent.table import State
from hosts.wire import Control, Flags, Header, Op, group_of
from tests.agent.harness import SERVICE, Client, Peer, Store, bulk, resp, set_state, until

AUTH = Flags.AUTHORITATIVE
GROUP = group_of(b"k")
NUMBER = 7
OTHER = (GROUP + 1) % 16384
FIRST = GROUP - GROUP % 4
BATCH = [*range(FIRST, FIRST + 4)]


@pytest_asyncio.fixture
async def source(alone: Agent, peer: Peer) -> Agent:
    """An agent that owns everything, whose VIP leads to the peer."""
    servers = [alone.settings.own, peer.server]
    alone.service.assign(SERVICE, ("127.0.0.1", peer.server.udp_port), servers, [])
    await until(lambda: peer.connections == 1)
    await peer.connect(alone.settings.own)
    return alone


def start(source: Agent, peer: Peer, groups: int = 1, **options: Any) -> Any:
    """Start sending `groups` groups from that of `k` on."""
    ranges = [range(GROUP, GROUP + groups)]
    return source.emigrations.start(
        NUMBER, peer.server, ranges, options.get("lanes", 1), options.get("throttle", 0)
    )


async def prepared(peer: Peer, wait: bool = True) -> list[tuple[int, bytes]]:
    """Take PREPARE and acknowledge it; return its groups and records."""
    number, body = frames.read_migration(await peer.frame(Kind.PREPARE))
    assert number == NUMBER
    groups, records = frames.read_groups_with_records(body)
    found = [(group, bytes(records.get(group, b""))) for group in groups]
    if wait:
        peer.send(Kind.PREPARED, frames.groups(NUMBER, [group for group, _ in found]))
    return found


async def control(peer: Peer, op: Op) -> bytes:
    """Return the next control packet of a kind, repeats of others skipped."""
    while True:
        packet = await peer.datagram()
        if Header.unpack(packet).op is op:
            return packet


def ack(peer: Peer, source: Agent, packet: bytes) -> None:
    """Acknowledge a control packet."""
    header = Header.unpack(packet)
    answer = Header(Op.GROUP_ACK, service=SERVICE, group=header.group, migration=header.migration)
    peer.send_control(source.settings.own, answer.pack() + packet[28:])


def arrived(peer: Peer, *groups: int) -> None:
    """Tell that every key has been applied."""
    peer.send(Kind.ARRIVED, frames.groups(NUMBER, groups))


async def finish(peer: Peer, source: Agent) -> None:
    """Play a destination's part from START to the end."""
    ack(peer, source, await control(peer, Op.GROUP_START))
    arrived(peer, GROUP)
    ack(peer, source, await control(peer, Op.GROUP_COMPLETE))


async def test_the_life_of_a_group(source: Agent, peer: Peer, store: Store, client: Client) -> None:
    """Steps 1 to 6, in order, with the state after each."""
    own = source.settings.own
    await client.ask(own, Op.WRITE, "SET", "k", "v")
    emigration = start(source, peer)
    assert await prepared(peer, wait=False) != []
    assert source.table.states[GROUP] == State.EMIGRATING
    assert peer.datagrams.empty(), "START before PREPARE is acknowledged"
    peer.send(Kind.PREPARED, frames.groups(NUMBER, [GROUP]))
    begin = await control(peer, Op.GROUP_START)
    assert Header.unpack(begin).migration == NUMBER
    assert Control.unpack(begin) == Control(0, 1)
    number, body = frames.read_migration(await peer.frame(Kind.KEYS))
    string = struct.pack("!BI", 4, 1) + b"k" + struct.pack("!QI", 0, 1) + b"v"
    assert (number, bytes(body)) == (NUMBER, struct.pack("!BH", 0, GROUP) + string + b"\3")
    arrived(peer, GROUP)
    assert emigration.ongoing == []
    ack(peer, source, begin)
    end = await control(peer, Op.GROUP_COMPLETE)
    assert Control.unpack(end) == Control(0, 2)
    assert emigration.ongoing == [GROUP]
    assert source.table.states[GROUP] == State.EMIGRATING
    ack(peer, source, end)
    await until(lambda: emigration.status is Status.DONE)
    assert source.table.states[GROUP] == State.ABSENT
    assert source.table.owners[GROUP] == 2
    assert (emigration.ongoing, emigration.done) == ([], {GROUP})
    assert [lane.acknowledged for lane in emigration.lanes] == [2]
    gone = await client.ask(own, Op.READ, "GET", "k", flags=Flags.DOUBLE, migration=NUMBER)
    assert (gone.flags, gone.payload) == (Flags.GONE, b"")
    assert store.client.exists("k") == 1, "the copy stays for the grace period"
    await until(lambda: not store.client.exists("k"))


async def test_records_and_watermarks_go_with_prepare(
    source: Agent, peer: Peer, client: Client
) -> None:
    """Invariant 5: what is not acknowledged goes as a record, what is as a watermark."""
    own = source.settings.own
    for seq in (1, 2, 3):
        await client.ask(own, Op.WRITE, "INCR", "k", seq=seq)
    client.acked = 2
    await client.ask(own, Op.READ, "GET", "k")
    start(source, peer)
    marks = await peer.frame(Kind.WATERMARKS)
    assert bytes(marks) == struct.pack("!QI", client.client, 2)
    ((group, records),) = await prepared(peer)
    flags = AUTH | Flags.FOUND
    assert group == GROUP
    assert records == struct.pack("!QIHI", client.client, 3, flags, 4) + b":3\r\n"


async def test_control_packets_are_resent_until_acknowledged(source: Agent, peer: Peer) -> None:
    """With the same number, ever more slowly; wrong acknowledgements do not count."""
    emigration = start(source, peer)
    await prepared(peer)
    first = await control(peer, Op.GROUP_START)
    assert await control(peer, Op.GROUP_START) == first
    assert await control(peer, Op.GROUP_START) == first
    ack(peer, source, first[:-4] + struct.pack("!I", 9))
    ack(peer, source, first[:28] + struct.pack("!H", 5) + first[30:])
    await until(lambda: source.counters["control_ignored"] == 2)
    assert emigration.ongoing == []
    ack(peer, source, first)
    ack(peer, source, first)
    await until(lambda: emigration.ongoing == [GROUP])
    assert source.counters["control_resent"] >= 2


async def test_acknowledgement_from_elsewhere(source: Agent, peer: Peer, client: Client) -> None:
    """Only the destination may acknowledge."""
    emigration = start(source, peer)
    await prepared(peer)
    packet = await control(peer, Op.GROUP_START)
    header = Header(Op.GROUP_ACK, service=SERVICE, group=GROUP, migration=NUMBER)
    client.send_raw(source.settings.own, header.pack() + packet[28:])
    await until(lambda: source.counters["control_ignored"] == 1)
    assert emigration.ongoing == []


async def test_queries_while_emigrating(source: Agent, peer: Peer, client: Client) -> None:
    """Writes and plain reads are held until PREPARE is acknowledged, then handed over; double
    reads are served from the own copy all the time."""
    own = source.settings.own
    await client.ask(own, Op.WRITE, "SET", "k", "v", seq=1)
    start(source, peer)
    await prepared(peer, wait=False)
    client.send(own, Op.WRITE, "INCR", "k", seq=2)
    client.send(own, Op.WRITE, "INCR", "k", seq=2)
    client.send(own, Op.READ, "GET", "k", seq=3)
    double = await client.ask(own, Op.READ, "GET", "k", flags=Flags.DOUBLE, seq=4, migration=NUMBER)
    assert (double.flags, double.payload) == (Flags.FROM_SOURCE | Flags.FOUND, bulk(b"v"))
    assert await client.silent(0.05)
    assert peer.frames.empty()
    repeat = await client.ask(own, Op.WRITE, "SET", "k", "v", seq=1)
    assert repeat.payload == b"+OK\r\n", "a resend of what was executed here is still answered"
    peer.send(Kind.PREPARED, frames.groups(NUMBER, [GROUP]))
    handed = frames.read_handed(await peer.frame(Kind.HANDOVER))
    assert [item[3][28:] for item in handed] == [resp("INCR", "k"), resp("GET", "k")]
    assert all(item[2] == 1 for item in handed)
    client.send(own, Op.WRITE, "SET", "k", "w", seq=5)
    (late,) = frames.read_handed(await peer.frame(Kind.HANDOVER))
    assert late[3][28:] == resp("SET", "k", "w")
    assert source.counters["held"] == 3
    assert source.counters["handed_over"] == 3


async def test_queries_of_a_group_that_has_gone(source: Agent, peer: Peer, client: Client) -> None:
    """ABSENT with an owner: handed on, reads and writes."""
    start(source, peer)
    await prepared(peer)
    await finish(peer, source)
    await until(lambda: source.table.states[GROUP] == State.ABSENT)
    client.send(source.settings.own, Op.READ, "GET", "k")
    client.send(source.settings.own, Op.WRITE, "SET", "k", "v")
    items: list[frames.Handed] = []
    while len(items) < 2:
        items += frames.read_handed(await peer.frame(Kind.HANDOVER))
    assert source.counters["forwarded"] == 2


async def test_priority_pull(source: Agent, peer: Peer, store: Store) -> None:
    """Keys are answered from the frozen copy, absent ones as absent."""
    store.client.set("k", "v")
    start(source, peer, throttle=1)
    await prepared(peer)
    peer.send(Kind.PULL, frames.pull(NUMBER, {GROUP: [b"k", b"{k}no"]}))
    _, body = frames.read_migration(await peer.frame(Kind.PULLED))
    assert bytes(body[:3]) == struct.pack("!BH", 5, GROUP)
    assert bytes(body).endswith(struct.pack("!BI", 2, 5) + b"{k}no")


async def test_empty_group(source: Agent, peer: Peer) -> None:
    """It still goes through every step."""
    emigration = start(source, peer)
    await prepared(peer)
    _, body = frames.read_migration(await peer.frame(Kind.KEYS))
    assert bytes(body) == struct.pack("!BHB", 0, GROUP, 3)
    await finish(peer, source)
    await until(lambda: emigration.status is Status.DONE)
    assert emigration.keys_sent == 0


async def test_big_group_goes_in_chunks(source: Agent, peer: Peer, store: Store) -> None:
    """More keys than are listed at once; no frame is long."""
    pipe = store.client.pipeline(transaction=False)
    for number in range(2500):
        pipe.set(f"{{k}}{number}", "v" * 50)
    pipe.execute()
    emigration = start(source, peer)
    await prepared(peer)
    body = await peer.frame(Kind.KEYS)
    longest = 0
    while body[-1] != 3:
        longest = max(longest, len(body))
        body = await peer.frame(Kind.KEYS)
    assert emigration.keys_sent == 2500
    assert longest < 64 * 1024


async def test_big_values_go_alone(source: Agent, peer: Peer, store: Store) -> None:
    """Once it has seen how big they are, so that neither store is kept busy for long."""
    for number in range(200):
        store.client.set(f"{{k}}{number}", random.randbytes(60000))
    start(source, peer, groups=1)
    await prepared(peer)
    bodies = [await peer.frame(Kind.KEYS)]
    while sum(map(len, bodies)) < 200 * 60000:  # or no more frame comes
        bodies.append(await peer.frame(Kind.KEYS))
    assert max(map(len, bodies[1:])) < 130000


async def test_new_channel_repeats_what_was_not_answered(
    source: Agent, peer: Peer, store: Store
) -> None:
    """PREPARE if it was not acknowledged, all keys of a group that has not arrived."""
    store.client.set("k", "v")
    emigration = start(source, peer)
    first = await prepared(peer, wait=False)
    peer.break_connections()
    assert await prepared(peer) == first
    keys = bytes(await peer.frame(Kind.KEYS))
    peer.break_connections()
    assert bytes(await peer.frame(Kind.KEYS)) == keys
    await finish(peer, source)
    await until(lambda: emigration.status is Status.DONE)


async def test_freeze(source: Agent, peer: Peer, client: Client) -> None:
    """Everything stands still at once and the truth does not change, but service goes on."""
    own = source.settings.own
    emigration = start(source, peer, groups=2)
    await prepared(peer, wait=False)
    client.send(own, Op.WRITE, "SET", "k", "v")
    await until(lambda: source.counters["held"] == 1)
    emigration.pause(drain=False)
    assert emigration.status is Status.PAUSED
    peer.send(Kind.PREPARED, frames.groups(NUMBER, [GROUP]))
    await peer.frame(Kind.HANDOVER)
    assert peer.datagrams.empty()
    emigration.resume()
    packet = await control(peer, Op.GROUP_START)
    emigration.pause(drain=False)
    ack(peer, source, packet)
    await until(lambda: source.counters["control_ignored"] == 1)
    assert emigration.ongoing == []
    emigration.resume()
    assert await control(peer, Op.GROUP_START) == packet
    await finish_from(peer, source, packet)
    await until(lambda: GROUP in emigration.done)


async def finish_from(peer: Peer, source: Agent, packet: bytes) -> None:
    """The rest after a START that is at hand."""
    ack(peer, source, packet)
    arrived(peer, GROUP)
    ack(peer, source, await control(peer, Op.GROUP_COMPLETE))


@pytest.mark.parametrize(("how", "end"), [("pause", Status.PAUSED), ("stop", Status.STOPPED)])
async def test_drain_and_stop(source: Agent, peer: Peer, how: str, end: Status) -> None:
    """The group in flight is finished, no other is started."""
    emigration = start(source, peer, groups=2)
    await prepared(peer)
    if how == "pause":
        emigration.pause(drain=True)
    else:
        emigration.stop()
    assert emigration.status is not end
    await finish(peer, source)
    await until(lambda: emigration.status is end)
    assert source.table.states[GROUP] == State.ABSENT
    assert source.table.states[OTHER] == State.OWNED
    if how == "pause":
        emigration.resume()
        assert await prepared(peer) == [(OTHER, b"")]
    else:
        with pytest.raises(ValueError, match="STOPPED"):
            emigration.resume()


@pytest.mark.parametrize(("how", "end"), [("resume", Status.DONE), ("stop", Status.STOPPED)])
async def test_failure_and_help(
    source: Agent, peer: Peer, store: Store, how: str, end: Status
) -> None:
    """The destination complains: FAILED with its words; after help it goes on, or finishes what
    is in flight."""
    store.client.set("k", "v")
    emigration = start(source, peer, groups=1 if how == "resume" else 2)
    await prepared(peer)
    await peer.frame(Kind.KEYS)
    peer.send(Kind.FAILED, frames.migration(NUMBER), b"the store of server2: OOM")
    await until(lambda: emigration.status is Status.FAILED)
    assert emigration.error == "the store of server2: OOM"
    getattr(emigration, how)()
    await peer.frame(Kind.KEYS)
    await finish(peer, source)
    await until(lambda: emigration.status is end)
    assert emigration.error == ""


def start_batches(source: Agent, peer: Peer, batches: int = 1) -> Any:
    """Start sending that many batches of four groups with one lane, the first with that of `k`."""
    ranges = [range(FIRST, FIRST + 4 * batches)]
    return source.emigrations.start(NUMBER, peer.server, ranges, 1, 0, batch=4)


async def ended(peer: Peer, count: int) -> list[int]:
    """Return the next groups, all empty, that KEYS frames end."""
    found: list[int] = []
    while len(found) < count:
        _, body = frames.read_migration(await peer.frame(Kind.KEYS))
        for tag, group, end in struct.iter_unpack("!BHB", body):
            assert (tag, end) == (0, 3)
            found.append(group)
    return found


async def test_the_life_of_a_batch(source: Agent, peer: Peer, client: Client) -> None:
    """One START when the destination owns all of its groups, one COMPLETE when all have arrived;
    then all are given away at once."""
    own = source.settings.own
    emigration = start_batches(source, peer, 2)
    assert [group for group, _ in await prepared(peer, wait=False)] == BATCH
    assert source.table.those(State.EMIGRATING) == BATCH
    client.send(own, Op.WRITE, "SET", "k", "w")
    await until(lambda: source.counters["held"] == 1)
    peer.send(Kind.PREPARED, frames.groups(NUMBER, [GROUP]))
    await peer.frame(Kind.HANDOVER)  # its new owner is known: nothing else to wait for
    assert peer.datagrams.empty(), "START before the destination owns the whole batch"
    others = [group for group in BATCH if group != GROUP]
    peer.send(Kind.PREPARED, frames.groups(NUMBER, others))
    begin = await control(peer, Op.GROUP_START)
    assert Header.unpack(begin).group == FIRST
    assert Control.unpack(begin) == Control(0, 1)
    assert await ended(peer, 4) == BATCH
    ack(peer, source, begin)
    await until(lambda: emigration.ongoing == BATCH)
    arrived(peer, *others)
    assert peer.datagrams.empty() or Header.unpack(await peer.datagram()).op is Op.GROUP_START
    arrived(peer, GROUP, *others)
    end = await control(peer, Op.GROUP_COMPLETE)
    assert (Header.unpack(end).group, Control.unpack(end)) == (FIRST, Control(0, 2))
    assert source.table.those(State.EMIGRATING) == BATCH
    ack(peer, source, end[:10] + struct.pack("!H", GROUP + 1) + end[12:])  # some other's
    ack(peer, source, end)
    await until(lambda: emigration.done == set(BATCH))
    assert source.table.those(State.ABSENT) == BATCH
    assert [group for group, _ in await prepared(peer, wait=False)] == [g + 4 for g in BATCH]


async def test_what_is_asked_for_most_goes_first(source: Agent, peer: Peer, client: Client) -> None:
    """Batch by batch, whichever of its groups it is; the rest in the order of the groups."""
    chance = [f"key{number}" for number in range(100_000)]
    warm, hot = (
        next(name for name in chance if group_of(name.encode()) == FIRST + number)
        for number in (9, 14)
    )
    for name, times in ((hot, 5), (warm, 3)):
        for _ in range(times):
            await client.ask(source.settings.own, Op.READ, "GET", name)
    ranges = [range(FIRST, FIRST + 20)]
    source.emigrations.start(NUMBER, peer.server, ranges, lanes=5, throttle=0, batch=4)
    order: list[int] = []
    while len(order) < 20:
        order += [group - FIRST for group, _ in await prepared(peer, wait=False)]
    assert order[::4] == [12, 8, 0, 4, 16]


async def test_a_new_channel_in_the_middle_of_a_batch(source: Agent, peer: Peer) -> None:
    """Only what was not answered is sent again, group by group."""
    emigration = start_batches(source, peer)
    await prepared(peer, wait=False)
    peer.send(Kind.PREPARED, frames.groups(NUMBER, BATCH[:2]))
    await until(lambda: emigration.lanes[0].unprepared == set(BATCH[2:]))
    peer.break_connections()
    assert [group for group, _ in await prepared(peer)] == BATCH[2:]
    begin = await control(peer, Op.GROUP_START)
    ack(peer, source, begin)
    assert await ended(peer, 4) == BATCH
    arrived(peer, BATCH[1])
    await until(lambda: emigration.lanes[0].unarrived == {BATCH[0], *BATCH[2:]})
    peer.break_connections()
    assert await ended(peer, 3) == [BATCH[0], *BATCH[2:]]
    arrived(peer, *BATCH)
    ack(peer, source, await control(peer, Op.GROUP_COMPLETE))
    await until(lambda: emigration.status is Status.DONE)
    assert [lane.acknowledged for lane in emigration.lanes] == [2]


@pytest.mark.parametrize(("how", "end"), [("pause", Status.PAUSED), ("stop", Status.STOPPED)])
async def test_drain_and_stop_end_with_a_whole_batch(
    source: Agent, peer: Peer, how: str, end: Status
) -> None:
    """Also when there is still a group of it to be prepared."""
    emigration = start_batches(source, peer, 2)
    await prepared(peer, wait=False)
    peer.send(Kind.PREPARED, frames.groups(NUMBER, BATCH[1:]))
    if how == "pause":
        emigration.pause(drain=True)
    else:
        emigration.stop()
    peer.send(Kind.PREPARED, frames.groups(NUMBER, BATCH[:1]))
    ack(peer, source, await control(peer, Op.GROUP_START))
    arrived(peer, *BATCH)
    assert emigration.status is not end
    ack(peer, source, await control(peer, Op.GROUP_COMPLETE))
    await until(lambda: emigration.status is end)
    assert source.table.those(State.ABSENT) == BATCH
    assert source.table.those(State.EMIGRATING) == []


async def test_batches_are_checked(source: Agent, peer: Peer) -> None:
    """Powers of two, and whole ones only: what is not to move is in no batch."""
    for batch in (0, 3, 2048):
        with pytest.raises(ValueError, match=f"batches of {batch} groups: a power of two"):
            source.emigrations.start(1, peer.server, [range(4096)], 1, 0, batch=batch)
    for groups in (range(2, 8), range(8, 14), range(6, 7)):
        with pytest.raises(ValueError, match="are not whole batches of 4"):
            source.emigrations.start(1, peer.server, [range(16, 32), groups], 1, 0, batch=4)
        with pytest.raises(ValueError, match="are not whole batches of 4"):
            source.immigrations.accept(1, peer.server, [groups], 4)
    assert source.table.those(State.EMIGRATING) == []


async def test_start_is_checked(source: Agent, peer: Peer) -> None:
    """What contradicts is refused and nothing moves; a repeat is the same migration."""
    ranges = [range(GROUP, GROUP + 1)]
    with pytest.raises(ValueError, match="65 lanes"):
        source.emigrations.start(1, peer.server, ranges, 65, 0)
    with pytest.raises(ValueError, match="this server itself"):
        source.emigrations.start(1, source.settings.own, ranges, 1, 0)
    with pytest.raises(ValueError, match="no groups"):
        source.emigrations.start(1, peer.server, [], 1, 0)
    with pytest.raises(ValueError, match="0 to 16383 exist"):
        source.emigrations.start(1, peer.server, [range(16000, 17000)], 1, 0)
    set_state(source, OTHER, State.ABSENT, 2)
    with pytest.raises(NotReadyError, match="is ABSENT here"):
        source.emigrations.start(1, peer.server, [range(GROUP, GROUP + 2)], 1, 0)
    assert source.table.states[GROUP] == State.OWNED
    emigration = start(source, peer)
    assert start(source, peer) is emigration
    with pytest.raises(NotReadyError, match="part of another migration"):
        source.emigrations.start(8, peer.server, ranges, 1, 0)
    with pytest.raises(NotReadyError, match="with other groups"):
        source.emigrations.start(NUMBER, peer.server, [range(5)], 1, 0)


async def test_assign_does_not_move_what_is_owned(source: Agent, peer: Peer) -> None:
    """AssignGroups only gives away what nobody has owned yet; a contradiction changes nothing."""
    vip = ("127.0.0.1", peer.server.udp_port)
    servers = [source.settings.own, peer.server]
    source.service.assign(SERVICE, vip, servers, [(range(16384), 1)])
    with pytest.raises(NotReadyError, match="this server \\(1\\) owns it"):
        source.service.assign(SERVICE, vip, servers, [(range(5), 1), (range(5, 6), 2)])
    with pytest.raises(ValueError, match="server 3 has groups but is not"):
        source.service.assign(SERVICE, vip, servers, [(range(5), 3)])
    with pytest.raises(NotReadyError, match="cannot serve 2 too"):
        source.service.assign(2, vip, servers, [])
    set_state(source, 5, State.ABSENT, 2)
    with pytest.raises(NotReadyError, match="server 2 has it"):
        source.service.assign(SERVICE, vip, servers, [(range(16384), 1)])
    set_state(source, 6, State.ABSENT, 0)
    source.service.assign(SERVICE, vip, servers, [(range(6, 7), 1), (range(5, 6), 2)])
    assert source.table.states[6] == State.OWNED
    assert source.table.states[5] == State.ABSENT
