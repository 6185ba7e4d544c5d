"""The core on queries that came by TCP: of any length, and answered through Python."""

import struct
from dataclasses import dataclass, field

import numpy as np
import pytest

from hosts.agent import store as stores
from hosts.agent._core import SHORT, Core, Query
from hosts.wire import Flags, Header, Op, group_of
from tests.agent.harness import SERVICE, Store, bulk, resp

OWN = 7
BIG = bytes(range(256)) * 4096  # 1 MiB
GROUP = group_of(b"k")
HEAD = struct.Struct("!QIHI")  # of a completion record: client, seq, flags, length
ASK = Header(Op.READ, Flags.LONG, SERVICE, GROUP, client=1, seq=1)


@dataclass
class Bench:
    """A core that owns every group, and what it has answered."""

    core: Core
    answers: list[tuple[int, Header, bytes]] = field(default_factory=list)

    def ask(self, seq: int, *words: bytes | str | int, op: Op = Op.WRITE) -> tuple[Header, bytes]:
        """Serve one query that came by TCP."""
        header = Header(op, service=SERVICE, group=GROUP, client=1, seq=seq)
        self.core.given([(OWN, 0, 0, header.pack() + resp(*words))])
        server, answer, payload = self.answers.pop()
        assert (server, answer.client, answer.seq, self.answers) == (OWN, 1, seq, [])
        return answer, payload

    def hear(self, server: int, header: bytes, payload: bytes) -> None:
        """Take an answer."""
        self.answers.append((server, Header.unpack(header), payload))


@pytest.fixture
def bench(store: Store) -> Bench:
    """A core that owns every group."""
    states, owners = np.ones(16384, np.uint8), np.ones(16384, np.uint16)
    former, moving = np.zeros(16384, np.uint8), np.zeros(16384, np.uint16)
    core = Core(-1, str(store.path), states.data, owners.data, former.data, moving.data)
    stores.check(core, str(store.path))
    core.service, core.room = SERVICE, 64 << 20
    made = Bench(core)
    core.streams(made.hear, 0x7F000001, 6380)
    return made


def test_a_megabyte_in_and_out(bench: Bench) -> None:
    """A value, and thousands of arguments; only long replies are taken from the room."""
    assert bench.ask(1, "SET", "k", BIG)[1] == b"+OK\r\n"
    answer, payload = bench.ask(2, "GET", "k", op=Op.READ)
    assert (answer.flags, payload) == (Flags.AUTHORITATIVE | Flags.FOUND, bulk(BIG))
    assert bench.core.room == (64 << 20) - len(payload)
    words = [f"{number}" for number in range(20_000)]
    assert bench.ask(3, "RPUSH", "{k}l", *words)[1] == b":20000\r\n"
    listed = bench.ask(4, "LRANGE", "{k}l", 0, -1, op=Op.READ)[1]
    assert listed == b"*20000\r\n" + b"".join(bulk(word.encode()) for word in words)
    pairs = [word for number in range(5000) for word in (f"{{k}}{number}", number)]
    assert bench.ask(5, "MSET", *pairs)[1] == b"+OK\r\n"


def test_keys_of_another_group_among_thousands(bench: Bench) -> None:
    """Each is looked at."""
    answer, payload = bench.ask(1, "MGET", *["k"] * 3000, "other", op=Op.READ)
    assert answer.flags == Flags.ERROR
    assert b"must be in one group" in payload


def test_a_long_reply_is_recorded_whole(bench: Bench) -> None:
    """A resend gets it again, and nothing is executed twice; also behind a handover."""
    bench.ask(1, "SET", "k", BIG)
    first = bench.ask(2, "GETDEL", "k")
    assert first[1] == bulk(BIG)
    assert bench.ask(2, "GETDEL", "k") == first
    records = bench.core.records(GROUP)
    assert HEAD.pack(1, 2, first[0].flags, len(first[1])) + first[1] in records
    bench.core.drop_records([GROUP])
    bench.core.add_records(GROUP, records)
    assert bench.ask(2, "GETDEL", "k") == first


def test_no_room_for_the_reply(bench: Bench) -> None:
    """Clear words instead, once, and the write counts."""
    bench.ask(1, "SET", "k", BIG)
    bench.core.room = 1000
    answer, payload = bench.ask(2, "GET", "k", op=Op.READ)
    assert answer.flags == Flags.ERROR
    assert b"longer than %d" % SHORT in payload
    answer, payload = bench.ask(3, "GETDEL", "k")
    assert b"the write was executed" in payload
    bench.core.room = 64 << 20
    assert bench.ask(3, "GETDEL", "k") == (answer, payload)
    assert bench.ask(4, "EXISTS", "k", op=Op.READ)[1] == b":0\r\n"


def test_who_takes_long_requests(bench: Bench) -> None:
    """A READ without a payload asks for the address."""
    bench.core.given([(OWN, 0, 0, ASK.pack())])
    _, answer, payload = bench.answers.pop()
    assert (answer.flags, payload) == (Flags.LONG, bytes((127, 0, 0, 1)) + struct.pack("!H", 6380))


def test_of_another_owner(bench: Bench, store: Store) -> None:
    """The whole query comes to Python, with where its answer goes."""
    states, owners = np.zeros(16384, np.uint8), np.full(16384, 2, np.uint16)
    moving = np.zeros(16384, np.uint16)
    core = Core(-1, str(store.path), states.data, owners.data, states.data, moving.data)
    stores.check(core, str(store.path))
    core.service = SERVICE
    datagram = Header(Op.WRITE, service=SERVICE, group=GROUP, client=1, seq=1).pack()
    datagram += resp("SET", "k", BIG)
    slow: list[Query]
    slow, _ = core.given([(OWN, 0, 0, datagram)])
    (query,) = slow
    assert (query.ip, query.port, query.keys, query.datagram) == (OWN, 0, [b"k"], datagram)
