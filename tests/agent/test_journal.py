"""What an agent remembers after `kill -9`: the journal beside its ownership table."""

import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hosts.agent import store as stores
from hosts.agent._core import Core
from hosts.agent.agent import Agent, Settings, StartError
from hosts.agent.table import State, Table
from hosts.wire import Flags, Header, Op, group_of
from tests.agent.harness import Answer, Store, local, resp

LEAST = 8 << 20
HEAD = 32
INTENT, RECORDS = 1, 2


@dataclass(slots=True)
class Run:
    """A core with a journal; what a client sent it is answered at once."""

    core: Core
    sock: socket.socket
    client: socket.socket
    table: Table
    journal: Path

    @classmethod
    def begin(
        cls, store: Store, journal: Path, table: Table | None = None, least: int = LEAST
    ) -> "Run":
        """Begin, or begin again after `kill -9`: the earlier run is simply left alone.

        `least`: the bytes of its journal, 0: it has none.
        """
        sock, client = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        sock.bind(("127.0.0.1", 0))
        client.connect(sock.getsockname())
        client.settimeout(0)
        table = table or Table(bytearray(6 * 16384))
        table.states[:] = np.where(table.states, table.states, 1)
        buffers = (table.states.data, table.owners.data, table.former.data, table.moving.data)
        core = Core(sock.fileno(), str(store.path), *buffers)
        stores.check(core, str(store.path))
        core.service = 1
        if least:
            core.remember(str(journal), least)
        return cls(core, sock, client, table, journal)

    def ask(self, seq: int, *words: bytes | str | int, acked: int = 0, client: int = 1) -> bytes:
        """Send a write; return the reply, b"" if there is none."""
        name = words[1] if isinstance(words[1], bytes) else str(words[1]).encode()
        header = Header(Op.WRITE, Flags.NONE, 1, group_of(name), 0, client, seq, acked)
        self.client.send(header.pack() + resp(*words))
        self.core.receive()
        try:
            return Answer(Header.unpack(data := self.client.recv(2048)), data[28:]).payload
        except BlockingIOError:
            return b""

    def again(self, store: Store, journal: Path | None = None) -> "Run":
        """Return the next run, on the same files."""
        return Run.begin(store, journal or self.journal, self.table)


@pytest.fixture
def run(store: Store, tmp_path: Path) -> Run:
    """A fresh one."""
    return Run.begin(store, tmp_path / "journal")


def test_answers_are_repeated(run: Run, store: Store) -> None:
    """Also by the run after the next."""
    assert run.ask(1, "INCR", "n") == b":1\r\n"
    assert run.ask(2, "INCR", "n") == b":2\r\n"
    for _ in range(2):
        run = run.again(store)
        assert run.ask(1, "INCR", "n") == b":1\r\n"
        assert run.ask(2, "INCR", "n") == b":2\r\n"
    assert run.ask(3, "INCR", "n", acked=2) == b":3\r\n"
    run = run.again(store)
    assert run.ask(2, "INCR", "n") == b"", "finished long ago"
    assert store.client.get("n") == b"3"


def tail_of(journal: Path) -> int:
    """Return where its entries end."""
    data = journal.read_bytes()
    assert data[8:16] == bytes(8), "these tests do not come to the second half"
    return int.from_bytes(data[16:24], sys.byteorder)


def entries(journal: Path) -> list[tuple[int, int]]:
    """Return (offset, kind) of every entry."""
    data, at, found = journal.read_bytes(), HEAD, []
    while at < tail_of(journal):
        _, length, kind = struct.unpack_from("!IIB", data, at)
        found.append((at, kind))
        at += 9 + length
    return found


def cut(journal: Path, tail: int, name: str) -> Path:
    """Return a copy that ends there."""
    data = bytearray(journal.read_bytes())
    data[16:24] = tail.to_bytes(8, sys.byteorder)
    copy = journal.with_name(name)
    copy.write_bytes(data)
    return copy


def test_cut_at_every_byte(run: Run, store: Store) -> None:
    """Between entries it is the journal of that moment, within one it is damaged."""
    begin = tail_of(run.journal)
    for seq in (1, 2, 3):
        run.ask(seq, "INCR", "n", acked=seq // 3)
    between = {at for at, _ in entries(run.journal)} | {tail_of(run.journal)}
    for tail in range(begin, tail_of(run.journal) + 1):
        copy = cut(run.journal, tail, "copy")
        if tail not in between:
            with pytest.raises(ValueError, match="is damaged at byte"):
                run.again(store, copy)
            continue
        again = run.again(store, copy)
        done = [at for at, kind in entries(run.journal) if kind == RECORDS and at < tail]
        begun = [at for at, kind in entries(run.journal) if kind == INTENT and at < tail]
        for seq in (1, 2, 3):
            if seq == 1 and len(begun) == 3:
                assert again.ask(1, "INCR", "n") == b"", "acknowledged"
            elif seq <= len(done):
                assert again.ask(seq, "INCR", "n") == b":%d\r\n" % seq
            elif seq <= len(begun):
                assert b"whether the write was executed is not known" in again.ask(seq, "INCR", "n")
            else:
                before = int(store.client.get("n") or 0)
                assert again.ask(seq, "INCR", "n") == b":%d\r\n" % (before + 1)


def test_what_is_still_true_goes_to_a_new_file(run: Run, store: Store) -> None:
    """Again and again, and it never grows beyond what it must hold."""
    value = b"v" * 1300
    for seq in range(1, 8001):
        assert run.ask(seq, "SET", "k", value, "GET", acked=max(0, seq - 3)) != b""
    assert run.journal.stat().st_size == LEAST
    assert list(run.journal.parent.iterdir()) == [run.journal]
    run = run.again(store)
    assert run.ask(8000, "SET", "k", "other", "GET") == b"$1300\r\n" + value + b"\r\n"
    assert run.ask(7997, "SET", "k", "other") == b""
    assert store.client.get("k") == value


def test_it_grows_where_it_must(run: Run, store: Store) -> None:
    """With what many clients have not acknowledged."""
    value = b"v" * 1300
    for seq in range(1, 4001):
        run.ask(seq, "SET", "k", value, "GET")
    assert run.journal.stat().st_size > LEAST
    run = run.again(store)
    for seq in (2, 2000, 4000):
        assert run.ask(seq, "SET", "k", "other", "GET") == b"$1300\r\n" + value + b"\r\n"


ACTIONS = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 3), st.integers(1, 6), st.integers(0, 6)),
    st.tuples(st.just("learn"), st.integers(1, 3), st.integers(0, 6)),
    st.tuples(st.just("load"), st.integers(1, 3), st.integers(1, 6)),
    st.tuples(st.just("drop")),
    st.tuples(st.just("again")),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(actions=st.lists(ACTIONS, max_size=30))
def test_replayed_is_what_was_there(
    store: Store, tmp_path_factory: pytest.TempPathFactory, actions: list[tuple[Any, ...]]
) -> None:
    """Whatever happened: every record, and watermarks that are right with them."""
    group = group_of(b"n")
    run = Run.begin(store, tmp_path_factory.mktemp("journal") / "journal")
    for action in [*actions, ("again",)]:
        match action:
            case "write", client, seq, acked:
                run.ask(seq, "INCR", "n", client=client, acked=acked)
            case "learn", client, acked:
                run.core.learn(struct.pack("!QI", client, acked))
            case "load", client, seq:
                run.core.add_records(group, struct.pack("!QIHI", client, seq, 4, 2) + b"+x")
            case ("drop",):
                run.core.drop_records([group])
            case _:
                before, marks = records(run.core, group), watermarks(run.core)
                run = run.again(store)
                after = records(run.core, group)
                assert before.items() <= after.items()
                assert all(seq <= marks[client] for client, seq in after.keys() - before.keys())
                assert all(acked <= marks[client] for client, acked in watermarks(run.core).items())


def records(core: Core, group: int) -> dict[tuple[int, int], tuple[int, bytes]]:
    """Return flags and reply of each record."""
    data, found = core.records(group), {}
    while data:
        client, seq, flags, length = struct.unpack_from("!QIHI", data)
        found[client, seq] = flags, data[18 : 18 + length]
        data = data[18 + length :]
    return found


def watermarks(core: Core) -> dict[int, int]:
    """Return what each client has acknowledged."""
    return dict(struct.iter_unpack("!QI", core.watermarks(0)[1]))


@pytest.mark.parametrize("what", ["magic", "tail", "entry", "short", "empty"])
def test_damage_is_told(run: Run, store: Store, what: str) -> None:
    """Nobody goes on with half of a memory."""
    run.ask(1, "INCR", "n")
    data = bytearray(run.journal.read_bytes())
    match what:
        case "magic":
            data[0] ^= 1
        case "tail":
            data[22] = 0xFF
        case "entry":
            data[tail_of(run.journal) - 1] ^= 1
        case "short":
            del data[tail_of(run.journal) - 1 :]
        case _:
            data.clear()
    run.journal.write_bytes(data)
    with pytest.raises(ValueError, match="is damaged at byte"):
        run.again(store)


async def test_an_agent_does_not_start_on_it(alone: Agent, store: Store, tmp_path: Path) -> None:
    """It says what to do."""
    for content in (b"", None):
        other = tmp_path / "other"
        other.mkdir(exist_ok=True)
        table = Table.open(other / "ownership")
        table.set(7, State.IMMIGRATING, 3)
        journal = other / "journal"
        if content is None:
            journal.unlink()
        else:
            journal.write_bytes(content)
        with pytest.raises(StartError, match="remove --state and assign again"):
            Agent(Settings(local(3), store.url, other))
