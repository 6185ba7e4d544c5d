"""The destination's half of a group's life, against a scripted source."""

import struct
import time

import pytest
import pytest_asyncio

from hosts.agent import frames
from hosts.agent.agent import Agent
from hosts.agent.frames import Kind
from hosts.agent.orders import NotReadyError
from hosts.agent.table import State
from hosts.wire import Control, Flags, Header, Op, group_of
from tests.agent.harness import SERVICE, Client, Peer, Store, bulk, resp, set_state, until

AUTH = Flags.AUTHORITATIVE
GROUP = group_of(b"k")
NUMBER = 7


def key(name: bytes, value: bytes, expiry: int = 0) -> bytes:
    """Return a KEYS entry of a key."""
    head = struct.pack("!BI", 1, len(name)) + name
    return head + struct.pack("!QI", expiry, len(value)) + value


def absent(name: bytes) -> bytes:
    """Return a KEYS entry of a key that does not exist."""
    return struct.pack("!BI", 2, len(name)) + name


def section(group: int = GROUP) -> bytes:
    """Return the head of a group's part of a KEYS body."""
    return struct.pack("!BH", 0, group)


END = b"\3"


def control(op: Op, lane: int = 3, sequence: int = 1, number: int = NUMBER) -> bytes:
    """Return a control packet."""
    header = Header(op, service=SERVICE, group=GROUP, migration=number)
    return header.pack() + Control(lane, sequence).pack()


def record(client: int, seq: int, reply: bytes, flags: Flags = AUTH) -> bytes:
    """Return a completion record as PREPARE carries it."""
    return struct.pack("!QIHI", client, seq, flags, len(reply)) + reply


async def prepare(peer: Peer, records: bytes = b"", marks: bytes = b"") -> None:
    """Send PREPARE and wait for its acknowledgement."""
    if marks:
        peer.send(Kind.WATERMARKS, marks)
    peer.send(
        Kind.PREPARE,
        frames.migration(NUMBER),
        frames.groups_with_records([GROUP], {GROUP: records}),
    )
    number, body = frames.read_migration(await peer.frame(Kind.PREPARED))
    assert (number, frames.read_groups(body)) == (NUMBER, [GROUP])


async def send_keys(peer: Peer, *entries: bytes) -> None:
    """Send keys and the end of the group, and wait until they are applied."""
    peer.send(Kind.KEYS, frames.migration(NUMBER), section(), *entries, END)
    await peer.frame(Kind.ARRIVED)


@pytest_asyncio.fixture
async def destination(alone: Agent, peer: Peer) -> Agent:
    """An agent that has accepted the migration of the group of `k` from the peer."""
    set_state(alone, GROUP, State.ABSENT, 2)
    alone.immigrations.accept(NUMBER, peer.server, [range(GROUP, GROUP + 1)])
    await until(lambda: peer.connections == 1)
    await peer.connect(alone.settings.own)
    return alone


@pytest.fixture
def dumped(store: Store) -> bytes:
    """The DUMP of the string `old`."""
    return dump(store, "SET", "x", "old")


def dump(store: Store, command: str, name: str, *words: str) -> bytes:
    """Return the DUMP of a value made by a command; the key is deleted again."""
    store.command(command, name, *words)
    value = store.client.dump(name)
    store.client.delete(name)
    assert value is not None
    return value


async def test_prepare_makes_it_the_owner(destination: Agent, peer: Peer, client: Client) -> None:
    """Step 2; a repeat is acknowledged again and changes nothing."""
    await prepare(peer)
    assert destination.table.states[GROUP] == State.IMMIGRATING
    assert destination.table.owners[GROUP] == 1
    assert (await client.ask(destination.settings.own, Op.WRITE, "SET", "k", "v")).flags & AUTH
    await prepare(peer)
    answer = await client.ask(destination.settings.own, Op.READ, "GET", "k")
    assert answer.payload == bulk(b"v")


async def test_prepare_purges_what_is_left_over(
    destination: Agent, peer: Peer, store: Store, client: Client, dumped: bytes
) -> None:
    """Copies of an earlier stay must not come back."""
    pipe = store.client.pipeline(transaction=False)
    for number in range(1500):
        pipe.set(f"{{k}}{number}", "stale")
    pipe.execute()
    await prepare(peer)
    assert store.client.dbsize() == 0
    assert destination.counters["keys_purged"] == 1500
    await send_keys(peer, key(b"k", dumped))
    assert store.client.dbsize() == 1


async def test_prepare_is_refused_without_accept(destination: Agent, peer: Peer) -> None:
    """By migration, by group, and for a group that is owned here."""
    own = destination.settings.own.name
    peer.send(Kind.PREPARE, frames.migration(99), frames.groups_with_records([GROUP], {}))
    assert f"{own} has not accepted".encode() in bytes(await peer.frame(Kind.FAILED))
    peer.send(Kind.PREPARE, frames.migration(NUMBER), frames.groups_with_records([GROUP + 1], {}))
    assert b"OWNED" in bytes(await peer.frame(Kind.FAILED))
    assert destination.table.states[GROUP + 1] == State.OWNED


async def test_late_prepare_of_a_group_that_has_left_is_refused(
    destination: Agent, peer: Peer
) -> None:
    """What an earlier connection delivers after the group has moved on must not take it back:
    somebody else owns it."""
    await prepare(peer)
    await send_keys(peer)
    peer.send_control(destination.settings.own, control(Op.GROUP_COMPLETE))
    await peer.datagram()
    assert destination.table.states[GROUP] == State.OWNED
    set_state(destination, GROUP, State.ABSENT, 2, former=True)
    peer.send(Kind.PREPARE, frames.migration(NUMBER), frames.groups_with_records([GROUP], {}))
    assert b"ABSENT" in bytes(await peer.frame(Kind.FAILED))
    assert destination.table.states[GROUP] == State.ABSENT


async def test_records_come_with_prepare(destination: Agent, peer: Peer, client: Client) -> None:
    """Invariant 5 across the handover: a resend of what the source executed is answered with the
    source's reply, in every state from here on."""
    own = destination.settings.own
    await prepare(peer, record(client.client, 4, b":41\r\n"))
    answer = await client.ask(own, Op.WRITE, "INCR", "k", seq=4)
    assert (answer.flags, answer.payload) == (AUTH, b":41\r\n")
    await send_keys(peer)
    assert (await client.ask(own, Op.WRITE, "INCR", "k", seq=4)).payload == b":41\r\n"
    peer.send_control(own, control(Op.GROUP_COMPLETE))
    await peer.datagram()
    assert (await client.ask(own, Op.WRITE, "INCR", "k", seq=4)).payload == b":41\r\n"
    assert (await client.ask(own, Op.WRITE, "INCR", "k", seq=5)).payload == b":1\r\n"


async def test_watermarks_come_with_prepare(destination: Agent, peer: Peer, client: Client) -> None:
    """A late duplicate of a write that the source executed, and whose client is done with it."""
    await prepare(peer, marks=struct.pack("!QI", client.client, 9))
    client.send(destination.settings.own, Op.WRITE, "INCR", "k", seq=9)
    assert await client.silent()
    assert destination.counters["late_duplicates"] == 1
    answer = await client.ask(destination.settings.own, Op.WRITE, "SET", "k", "v", seq=10)
    assert answer.flags & AUTH


async def test_double_read_not_here_yet(
    destination: Agent, peer: Peer, client: Client, dumped: bytes
) -> None:
    """Before the key arrives an empty reply, then AUTHORITATIVE."""
    own = destination.settings.own
    await prepare(peer)
    early = await client.ask(own, Op.READ, "GET", "k", flags=Flags.DOUBLE, migration=NUMBER)
    assert (early.header.flags, early.payload) == (Flags.DOUBLE, b"")
    peer.send(Kind.KEYS, frames.migration(NUMBER), section(), key(b"k", dumped))
    await until(lambda: destination.counters["keys_applied"] == 1)
    answer = await client.ask(own, Op.READ, "GET", "k", flags=Flags.DOUBLE, migration=NUMBER)
    assert (answer.flags, answer.payload) == (AUTH | Flags.FOUND, bulk(b"old"))
    assert destination.counters["priority_pulls"] == 0


async def test_double_read_of_another_migration(
    destination: Agent, peer: Peer, client: Client, dumped: bytes
) -> None:
    """A late copy, doubled for an earlier migration: "not here yet" would be said about this one,
    and certify what the source was in that one. It is answered like a plain read."""
    await prepare(peer)
    client.send(
        destination.settings.own, Op.READ, "GET", "k", flags=Flags.DOUBLE, migration=NUMBER - 1
    )
    await peer.frame(Kind.PULL)
    peer.send(Kind.PULLED, frames.migration(NUMBER), section(), key(b"k", dumped))
    assert (await client.answer()).flags == AUTH | Flags.FOUND


async def test_plain_read_pulls(
    destination: Agent, peer: Peer, client: Client, dumped: bytes
) -> None:
    """Not DOUBLE: priority pull, one for many readers, then AUTHORITATIVE."""
    own = destination.settings.own
    await prepare(peer)
    for _ in range(5):
        client.send(own, Op.READ, "GET", "k")
    number, body = frames.read_migration(await peer.frame(Kind.PULL))
    assert (number, frames.read_pull(body)) == (NUMBER, {GROUP: frames.key_list([b"k"])})
    peer.send(Kind.PULLED, frames.migration(NUMBER), section(), key(b"k", dumped))
    for _ in range(5):
        assert (await client.answer()).payload == bulk(b"old")
    assert destination.counters["priority_pulls"] == 1
    # the key is here: no second pull
    assert (await client.ask(own, Op.READ, "GET", "k")).payload == bulk(b"old")
    assert destination.counters["priority_pulls"] == 1


async def test_pull_of_a_key_that_does_not_exist(
    destination: Agent, peer: Peer, client: Client
) -> None:
    """Known absent is a truth too."""
    await prepare(peer)
    client.send(destination.settings.own, Op.READ, "GET", "k")
    await peer.frame(Kind.PULL)
    peer.send(Kind.PULLED, frames.migration(NUMBER), section(), absent(b"k"))
    answer = await client.answer()
    assert (answer.flags, answer.payload) == (AUTH, b"$-1\r\n")


@pytest.mark.parametrize(
    ("words", "reply", "value"),
    [
        (("INCR", "k"), b":42\r\n", b"42"),
        (("APPEND", "k", "x"), b":3\r\n", b"41x"),
        (("SET", "k", "new", "NX"), b"$-1\r\n", b"41"),
        (("SET", "k", "new", "GET"), b"$2\r\n41\r\n", b"new"),
        (("SET", "k", "new", "xx", "KEEPTTL"), b"+OK\r\n", b"new"),
        (("DEL", "k"), b":1\r\n", None),
        (("GETDEL", "k"), b"$2\r\n41\r\n", None),
        (("EXPIRE", "k", "100"), b":1\r\n", b"41"),
    ],
)
async def test_read_modify_write_pulls(
    destination: Agent,
    peer: Peer,
    client: Client,
    store: Store,
    words: tuple[str, ...],
    reply: bytes,
    value: bytes | None,
) -> None:
    """What depends on the old value waits for it; the group's copy does not undo it."""
    old = dump(store, "SET", "x", "41")
    await prepare(peer)
    seq = client.send(destination.settings.own, Op.WRITE, *words, flags=Flags.ONGOING)
    await peer.frame(Kind.PULL)
    client.send(destination.settings.own, Op.WRITE, *words, flags=Flags.ONGOING, seq=seq)
    peer.send(Kind.PULLED, frames.migration(NUMBER), section(), key(b"k", old))
    answer = await client.answer()
    assert (answer.payload, answer.header.flags & Flags.ONGOING) == (reply, Flags.ONGOING)
    await send_keys(peer, key(b"k", old))
    assert store.client.get("k") == value
    assert destination.counters["keys_dropped"] == 1


@pytest.mark.parametrize("condition", ["IFEQ", "ifne"])
async def test_a_condition_on_the_old_value_pulls(
    destination: Agent, peer: Peer, client: Client, store: Store, condition: str
) -> None:
    """Also of stores that have no such condition: a SET that is not known to be blind is not."""
    old = dump(store, "SET", "x", "41")
    await prepare(peer)
    words = ("SET", "k", "new", condition, "41")
    client.send(destination.settings.own, Op.WRITE, *words)
    await peer.frame(Kind.PULL)
    peer.send(Kind.PULLED, frames.migration(NUMBER), section(), key(b"k", old))
    done = (await client.answer()).payload == b"+OK\r\n"
    await send_keys(peer, key(b"k", old))
    assert store.client.get("k") == (b"new" if done else b"41")
    assert not done or condition == "IFEQ"


@pytest.mark.parametrize(
    "words",
    [
        ("SET", "k", "new"),
        ("SET", "k", "new", "exat", "4102444800"),
        ("SET", "k", "new", "PX", "100000"),
        ("SETEX", "k", "100", "new"),
        ("MSET", "k", "new", "{k}2", "new"),
    ],
)
async def test_blind_write_is_newer(
    destination: Agent,
    peer: Peer,
    client: Client,
    store: Store,
    dumped: bytes,
    words: tuple[str, ...],
) -> None:
    """Invariant 4: executed at once, never overwritten by the migrated copy."""
    own = destination.settings.own
    await prepare(peer)
    assert (await client.ask(own, Op.WRITE, *words)).payload == b"+OK\r\n"
    answer = await client.ask(own, Op.READ, "GET", "k", flags=Flags.DOUBLE, migration=NUMBER)
    assert (answer.flags, answer.payload) == (AUTH | Flags.FOUND, bulk(b"new"))
    await send_keys(peer, key(b"k", dumped), key(b"{k}2", dumped))
    assert store.client.get("k") == b"new"
    assert destination.counters["priority_pulls"] == 0


async def test_deleted_key_stays_deleted(
    destination: Agent, peer: Peer, client: Client, store: Store, dumped: bytes
) -> None:
    """Invariant 4: SET, then DEL, then the migrated copy comes."""
    own = destination.settings.own
    await prepare(peer)
    await client.ask(own, Op.WRITE, "SET", "k", "new")
    assert (await client.ask(own, Op.WRITE, "DEL", "k")).payload == b":1\r\n"
    await send_keys(peer, key(b"k", dumped))
    assert store.client.exists("k") == 0


async def test_failed_blind_write_is_not_newer(
    destination: Agent, peer: Peer, client: Client, store: Store, dumped: bytes
) -> None:
    """A SET that the store refuses has not written: the migrated copy is the truth."""
    own = destination.settings.own
    await prepare(peer)
    refused = await client.ask(own, Op.WRITE, "SET", "k", "new", "EX", "soon")
    assert refused.payload.startswith(b"-ERR")
    await send_keys(peer, key(b"k", dumped))
    assert store.client.get("k") == b"old"


async def test_duplicate_of_a_blind_write_executed_at_the_source_is_not_newer(
    destination: Agent, peer: Peer, client: Client, store: Store, dumped: bytes
) -> None:
    """Its resend is answered from the record, and the migrated copy still counts."""
    await prepare(peer, record(client.client, 1, b"+OK\r\n"))
    await client.ask(destination.settings.own, Op.WRITE, "SET", "k", "first", seq=1)
    await send_keys(peer, key(b"k", dumped))
    assert store.client.get("k") == b"old"


async def test_multi_key_command_pulls_all_that_is_missing(
    destination: Agent, peer: Peer, client: Client, dumped: bytes
) -> None:
    """One key was written here: the source's copies are not one consistent answer any more, so
    even a DOUBLE read waits for the rest and is AUTHORITATIVE."""
    own = destination.settings.own
    await prepare(peer)
    flags = Flags.DOUBLE
    both_missing = await client.ask(
        own, Op.READ, "MGET", "k", "{k}2", flags=flags, migration=NUMBER
    )
    assert both_missing.flags == Flags.NONE
    await client.ask(own, Op.WRITE, "SET", "k", "new")
    client.send(own, Op.READ, "MGET", "k", "{k}2", flags=flags, migration=NUMBER)
    _, body = frames.read_migration(await peer.frame(Kind.PULL))
    assert frames.read_pull(body) == {GROUP: frames.key_list([b"{k}2"])}
    peer.send(Kind.PULLED, frames.migration(NUMBER), section(), key(b"{k}2", dumped))
    answer = await client.answer()
    assert answer.flags == AUTH | Flags.FOUND
    assert answer.payload == b"*2\r\n" + bulk(b"new") + bulk(b"old")


async def test_scripts_wait_for_the_whole_group(
    destination: Agent, peer: Peer, client: Client, dumped: bytes
) -> None:
    """A script may touch keys that it does not name."""
    await prepare(peer)
    own = destination.settings.own
    script = "return redis.call('GET', '{k}2')"
    client.send(own, Op.WRITE, "EVAL", script, "1", "k", group=GROUP)
    assert await client.silent(0.05)
    await send_keys(peer, key(b"{k}2", dumped))
    assert (await client.answer()).payload == bulk(b"old")


async def test_everything_has_arrived(
    destination: Agent, peer: Peer, client: Client, dumped: bytes
) -> None:
    """After the end of the group a key that did not come does not exist: no pull for it."""
    own = destination.settings.own
    await prepare(peer)
    client.send(own, Op.READ, "GET", "{k}waiting")
    await peer.frame(Kind.PULL)
    await send_keys(peer, key(b"k", dumped))
    assert (await client.answer()).payload == b"$-1\r\n"
    answer = await client.ask(own, Op.READ, "GET", "{k}other", flags=Flags.DOUBLE, migration=NUMBER)
    assert (answer.flags, answer.payload) == (AUTH, b"$-1\r\n")
    assert (await client.ask(own, Op.WRITE, "INCR", "{k}n")).payload == b":1\r\n"
    assert destination.counters["priority_pulls"] == 1


async def test_start_and_complete(destination: Agent, peer: Peer) -> None:
    """Steps 3 and 5: acknowledged, again for every repeat; OWNED only when all keys are here."""
    own = destination.settings.own
    peer.send_control(own, control(Op.GROUP_START))
    await until(lambda: destination.counters["control_ignored"] == 1)  # before PREPARE
    await prepare(peer)
    for _ in range(2):
        peer.send_control(own, control(Op.GROUP_START, sequence=8))
        ack = await peer.datagram()
        assert Header.unpack(ack).op is Op.GROUP_ACK
        assert Header.unpack(ack).migration == NUMBER
        assert Control.unpack(ack) == Control(3, 8)
    peer.send_control(own, control(Op.GROUP_COMPLETE, sequence=9))
    await until(lambda: destination.counters["control_ignored"] == 2)
    assert destination.table.states[GROUP] == State.IMMIGRATING
    await send_keys(peer)
    for _ in range(2):
        peer.send_control(own, control(Op.GROUP_COMPLETE, sequence=9))
        assert Control.unpack(await peer.datagram()) == Control(3, 9)
        assert destination.table.states[GROUP] == State.OWNED
    await prepare(peer)  # a repeat that was under way all the time
    assert destination.table.states[GROUP] == State.OWNED


async def test_control_packets_of_anyone_else(
    destination: Agent, peer: Peer, client: Client
) -> None:
    """Not from the source's address, or of another migration: ignored and counted."""
    await prepare(peer)
    await send_keys(peer)
    client.send_raw(destination.settings.own, control(Op.GROUP_COMPLETE))
    peer.send_control(destination.settings.own, control(Op.GROUP_COMPLETE, number=8))
    await until(lambda: destination.counters["control_ignored"] == 2)
    assert destination.table.states[GROUP] == State.IMMIGRATING


async def test_expired_on_the_way(destination: Agent, peer: Peer, store: Store) -> None:
    """A key whose time has come is not created; one whose time will come keeps it exactly."""
    value = dump(store, "SET", "x", "v")
    later = int(time.time() * 1000) + 123456
    await prepare(peer)
    await send_keys(peer, key(b"k", value, 1), key(b"{k}2", value, later))
    assert store.client.exists("k") == 0
    assert store.command("PEXPIRETIME", "{k}2") == later


async def test_value_that_the_store_refuses(
    destination: Agent, peer: Peer, store: Store, dumped: bytes
) -> None:
    """The source is told why; the group does not count as arrived; a repeat can mend it."""
    await prepare(peer)
    body = (section(), key(b"k", b"nonsense"), key(b"{k}2", dumped), END)
    peer.send(Kind.KEYS, frames.migration(NUMBER), *body)
    assert b"DUMP payload version or checksum" in bytes(await peer.frame(Kind.HINDERED))
    await send_keys(peer, key(b"k", dumped), key(b"{k}2", dumped))
    assert store.client.mget("k", "{k}2") == [b"old", b"old"]


@pytest.mark.parametrize(
    "body",
    [b"\1", b"\0\0", section() + b"\1\0\0\0\5k", b"\3", section() + b"\4", section(0xFFFF)],
)
async def test_malformed_keys(destination: Agent, peer: Peer, body: bytes) -> None:
    """The channel is closed; nothing is applied."""
    await prepare(peer)
    peer.send(Kind.KEYS, frames.migration(NUMBER), body)
    await until(lambda: destination.counters["channel_malformed"] == 1)
    assert destination.table.states[GROUP] == State.IMMIGRATING


async def test_pulls_are_repeated_on_a_new_channel(
    destination: Agent, peer: Peer, client: Client, dumped: bytes
) -> None:
    """The connection breaks while a client waits."""
    await prepare(peer)
    client.send(destination.settings.own, Op.READ, "GET", "k")
    await peer.frame(Kind.PULL)
    peer.break_connections()
    await peer.frame(Kind.PULL)
    peer.send(Kind.PULLED, frames.migration(NUMBER), section(), key(b"k", dumped))
    assert (await client.answer()).payload == bulk(b"old")


async def test_held_writes_arrive_with_the_clients_address(
    destination: Agent, peer: Peer, client: Client
) -> None:
    """The destination answers the client itself, exactly once."""
    await prepare(peer)
    assert client.transport is not None
    port = client.transport.get_extra_info("sockname")[1]
    header = Header(Op.WRITE, Flags.ONGOING, SERVICE, GROUP, 0, client.client, 1, 0)
    handed = (0x7F000001, port, 1, header.pack() + resp("SET", "k", "v"))
    peer.send(Kind.HANDOVER, frames.handed([handed]))
    answer = await client.answer()
    assert answer.flags == AUTH | Flags.FOUND | Flags.FORWARDED


async def test_what_comes_early_goes_to_the_source(
    alone: Agent, peer: Peer, client: Client
) -> None:
    """Accepted, not prepared: a write that the switch sent here too early finds its owner."""
    set_state(alone, GROUP, State.ABSENT, 0, former=True)
    alone.immigrations.accept(NUMBER, peer.server, [range(GROUP, GROUP + 1)])
    await until(lambda: peer.connections == 1)
    client.send(alone.settings.own, Op.WRITE, "SET", "k", "v", flags=Flags.ONGOING)
    ((_, _, hops, datagram),) = frames.read_handed(await peer.frame(Kind.HANDOVER))
    assert (hops, datagram[28:]) == (1, resp("SET", "k", "v"))
    answer = await client.ask(
        alone.settings.own, Op.READ, "GET", "k", flags=Flags.DOUBLE, migration=NUMBER
    )
    assert answer.flags == Flags.NONE


async def test_accept(destination: Agent, peer: Peer) -> None:
    """Idempotent; refused for groups that are not absent, and for contradictions."""
    ranges = [range(GROUP, GROUP + 1)]
    destination.immigrations.accept(NUMBER, peer.server, ranges)
    with pytest.raises(NotReadyError, match="is OWNED here"):
        destination.immigrations.accept(8, peer.server, [range(GROUP, GROUP + 2)])
    await prepare(peer)
    destination.immigrations.accept(NUMBER, peer.server, ranges)
    with pytest.raises(NotReadyError, match="with other groups or source"):
        destination.immigrations.accept(NUMBER, peer.server, [range(GROUP + 1, GROUP + 2)])
    with pytest.raises(ValueError, match="this server itself"):
        destination.immigrations.accept(9, destination.settings.own, ranges)
    with pytest.raises(ValueError, match="named twice"):
        destination.immigrations.accept(9, peer.server, [range(3), range(2, 5)])
