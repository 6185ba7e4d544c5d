"""What replies mean to a client: every combination of docs/protocol.md, and random ones."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hosts.client import ReplyError
from hosts.client._core import BY_STREAM, DONE, REFUSED, Session
from hosts.wire import Flags, Header, Moving, Op, group_of

F = Flags
GET, SET = (b"GET", b"k"), (b"SET", b"k", b"v")
GROUP = group_of(b"k")


@dataclass(frozen=True)
class Reply:
    flags: Flags
    payload: bytes = b""
    migration: int = 1


def text(value: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(value), value)


def owner(value: bytes = b"owner's") -> Reply:
    return Reply(F.AUTHORITATIVE | F.FOUND, text(value))


def source(value: bytes = b"source's", migration: int = 1) -> Reply:
    return Reply(F.DOUBLE | F.FROM_SOURCE | F.FOUND, text(value), migration)


def absent(migration: int = 1) -> Reply:
    return Reply(F.DOUBLE, b"", migration)


def hint(migration: int = 1) -> Reply:
    """Not here yet, as a destination says it that clients help."""
    return Reply(F.MOVING, Moving(migration, 0x7F000001, 9, 0, 16383).pack(), migration)


def gone(migration: int = 1) -> Reply:
    return Reply(F.DOUBLE | F.GONE, b"", migration)


def error(*, double: bool = True) -> Reply:
    return Reply(F.ERROR | (F.DOUBLE if double else F.NONE), b"-ERR why\r\n")


@dataclass
class Request:
    """One request in flight, and a hand to give it replies."""

    session: Session
    seq: int

    def take(self, reply: Reply, **changes: Any) -> list[Any]:
        fields = {"service": 1, "group": GROUP, "client": self.session.client, "seq": self.seq}
        header = Header(Op.REPLY, reply.flags, migration=reply.migration, **fields | changes)
        return self.session.take(header.pack() + reply.payload)

    def resent(self) -> int:
        """Datagrams beyond the first."""
        self.session.poll(0)
        return self.session.counts()["sent"] - 1


@contextmanager
def request(command: tuple[bytes, ...] = GET) -> Iterator[Request]:
    """A request to a socket that says nothing by itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        session = Session(0x7F000001, silent.getsockname()[1], 1, 1000.0, 1000.0)
        try:
            op = Op.READ if command == GET else Op.WRITE
            seq = session.start(op, GROUP, command, 7)
            session.poll(0)
            yield Request(session, seq)
        finally:
            session.close()


VALUES = {
    "the owner": ([owner()], b"owner's"),
    "the owner before the source": ([owner(), source()], b"owner's"),
    "the owner after the source": ([source(), owner()], b"owner's"),
    "the owner after not here yet": ([absent(), owner()], b"owner's"),
    "the owner after gone": ([gone(), owner()], b"owner's"),
    "the owner after an error": ([error(), owner()], b"owner's"),
    "source, then not here yet": ([source(), absent()], b"source's"),
    "not here yet, then source": ([absent(), source()], b"source's"),
    "duplicates": ([absent(), absent(), source(), source()], b"source's"),
    "source of the first try, destination of a later one": (
        [source(), source(), gone(), absent()], b"source's",
    ),
    "gone and not here yet, then the owner": ([gone(), absent(), owner()], b"owner's"),
    "gone and not here yet, then both": (
        [gone(), absent(), source(), absent()], b"source's",
    ),
    "pairs of one migration only": (
        [source(b"old", 1), absent(2), source(b"new", 2)], b"new",
    ),
    "the pair of a copy that the client sent itself": ([hint(), source()], b"source's"),
    "the source's copy is no value": (
        [Reply(F.DOUBLE | F.FROM_SOURCE, b"$-1\r\n"), absent()], None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_read_takes(name: str) -> None:
    replies, value = VALUES[name]
    with request() as r:
        answers = [finished for reply in replies for finished in r.take(reply)]
        ((token, status, taken, _, _),) = answers
        assert (token, status, taken) == (7, DONE, value)


WAITING = {
    "source alone": ([source(), source()], 0),
    "not here yet alone": ([absent(), absent()], 0),
    "gone alone": ([gone(), gone()], 0),
    "one error of a pair": ([error()], 0),
    "source and gone prove nothing": ([source(), gone()], 0),
    "another migration's answer proves nothing": ([source(migration=1), absent(2)], 0),
    "nor does it complete gone": ([gone(1), absent(2)], 0),
    "gone and not here yet: ask again": ([gone(), absent()], 1),
    "in the other order": ([absent(), gone()], 1),
    "error and not here yet: ask again": ([error(), absent()], 1),
    "source and error prove nothing: ask again": ([source(), error()], 1),
    "answers from before asking again do not count": ([absent(), gone(), source()], 1),
}


@pytest.mark.parametrize("name", WAITING)
def test_read_waits(name: str) -> None:
    replies, asked = WAITING[name]
    with request() as r:
        for reply in replies:
            assert r.take(reply) == []
        assert r.resent() == asked
        assert len(r.take(owner())) == 1


def test_asking_again_and_again_slows_down() -> None:
    with request() as r:
        for _ in range(20):
            r.take(gone())
            r.take(absent())
        assert r.resent() == 1
        due = r.session.next_due()
        assert due is not None


@pytest.mark.parametrize("replies", [[error(double=False)], [error(), error()]])
def test_refused(replies: list[Reply]) -> None:
    with request() as r:
        ((_, status, value, _, _),) = [f for reply in replies for f in r.take(reply)]
        assert status == REFUSED
        assert isinstance(value, ReplyError)
        assert str(value) == "ERR why"


def test_the_store_s_error_about_the_frozen_copy_is_its_answer() -> None:
    with request() as r:
        flags = F.DOUBLE | F.FROM_SOURCE | F.ERROR
        assert r.take(Reply(flags, b"-WRONGTYPE no\r\n")) == []
        ((_, status, value, _, _),) = r.take(absent())
        assert (status, str(value)) == (DONE, "WRONGTYPE no")


def test_write_takes_the_owner_s_word_only() -> None:
    with request(SET) as r:
        for reply in (source(), absent(), gone()):
            assert r.take(reply) == []
        assert r.session.counts()["ignored"] == 3
        ((_, status, value, _, _),) = r.take(Reply(F.AUTHORITATIVE, b"+OK\r\n"))
        assert (status, value) == (DONE, b"OK")
    with request(SET) as r:
        ((_, status, _, _, _),) = r.take(error(double=False))
        assert status == REFUSED


@pytest.mark.parametrize("words", [GET, SET])
def test_asks_again_when_told_to(words: tuple[bytes, ...]) -> None:
    with request(words) as r:
        for payload in (b"", b"\0\0\0", b"\0" * 5):
            r.take(Reply(F.RETRY, payload))
        r.take(Reply(F.RETRY | F.AUTHORITATIVE, (200000).to_bytes(4)))
        assert r.session.counts()["ignored"] == 4
        now = time.monotonic()
        assert r.take(Reply(F.RETRY, (3000).to_bytes(4))) == []
        due = r.session.next_due()
        assert due is not None
        assert now + 0.003 <= due < time.monotonic() + 0.00375  # a quarter more at most
        time.sleep(0.01)
        assert r.resent() == 1
        assert r.session.counts()["retried"] == 1
        assert len(r.take(owner() if words is GET else Reply(F.AUTHORITATIVE, b"+OK\r\n"))) == 1


OTHERS = {
    "seq": 2, "client": 1, "service": 2, "group": GROUP ^ 1,
}  # fmt: skip


@pytest.mark.parametrize("field", OTHERS)
def test_replies_to_others_are_ignored(field: str) -> None:
    with request() as r:
        assert r.take(owner(), **{field: OTHERS[field]}) == []
        assert r.session.counts()["ignored"] == 1
        assert len(r.take(owner())) == 1


def test_late_replies_are_ignored() -> None:
    with request() as r:
        assert len(r.take(owner())) == 1
        assert r.take(owner()) == []
        assert r.session.counts()["late"] == 1


@pytest.mark.parametrize(
    "payload",
    [b"", b"$5\r\nabc\r\n", b"$3\r\nabcd\r\n", b"*2\r\n:1\r\n", b"+OK", b":x\r\n", b":1\r\n:2\r\n",
     b"*1\r\n" * 20 + b":1\r\n", b"*99999999\r\n", b"$-2\r\n", b":9223372036854775808\r\n"],
)  # fmt: skip
def test_damaged_replies_are_ignored(payload: bytes) -> None:
    with request() as r:
        assert r.take(Reply(F.AUTHORITATIVE, payload)) == []
        assert r.session.counts()["ignored"] == 1
        assert len(r.take(owner())) == 1


replies = st.sampled_from(
    [source(b"1", 1), source(b"2", 2), absent(1), absent(2), hint(1), hint(2), gone(1), gone(2),
     error(), owner()]
)  # fmt: skip


@settings(max_examples=1000, deadline=None)
@given(st.lists(replies, max_size=12))
def test_a_value_is_the_owner_s_or_certified(script: list[Reply]) -> None:
    """Whatever comes, in whatever order, twice or late."""
    with request() as r:
        for at, reply in enumerate(script):
            finished = r.take(reply)
            if not finished:
                assert not reply.flags & F.AUTHORITATIVE
                continue
            _, status, value, _, _ = finished[0]
            heard = script[: at + 1]
            if status == REFUSED:
                assert heard.count(error()) >= 2
            elif reply.flags & F.AUTHORITATIVE:
                assert value == b"owner's"
            else:
                migration = int(value)
                assert absent(migration) in heard or hint(migration) in heard
                assert source(value, migration) in heard
            return


@settings(max_examples=500, deadline=None)
@given(
    st.binary(max_size=80),
    st.sampled_from([b"", b"\x4e\x4d\x01\x03", b"\x4e\x4d\x01\x03" + b"\x00\x04" + b"\x00\x01"]),
)
def test_random_datagrams_are_counted_and_forgotten(noise: bytes, start: bytes) -> None:
    with request() as r:
        assert r.session.take(start + noise) == []
        counts = r.session.counts()
        assert counts["received"] == counts["ignored"] + counts["late"] == 1
        assert len(r.take(owner())) == 1


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_mutated_replies_do_no_harm(data: st.DataObject) -> None:
    with request() as r:
        fields = {"service": 1, "group": GROUP, "client": r.session.client, "seq": r.seq}
        reply = data.draw(replies)
        whole = bytearray(Header(Op.REPLY, reply.flags, migration=1, **fields).pack())
        whole += reply.payload or b"*2\r\n$1\r\na\r\n*1\r\n:5\r\n"
        for _ in range(data.draw(st.integers(1, 4))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        del whole[data.draw(st.integers(0, len(whole))) :]
        r.session.take(bytes(whole))
        assert r.session.outstanding == 1 - r.session.counts()["finished"]


WHERE = bytes((10, 0, 1, 1)) + (6380).to_bytes(2)
EXECUTED = F.AUTHORITATIVE | F.FOUND | F.LONG


@pytest.mark.parametrize(
    "flags", [EXECUTED, F.DOUBLE | F.FROM_SOURCE | F.FOUND | F.LONG, F.DOUBLE | EXECUTED]
)
def test_a_read_with_a_long_reply_ends(flags: Flags) -> None:
    """Whoever says so: it is asked again by TCP, where the owner answers."""
    with request() as r:
        ((token, status, value, _, _),) = r.take(Reply(flags, WHERE))
        assert (token, status, value) == (7, BY_STREAM, WHERE)
        assert r.session.acked == r.seq


def test_a_write_with_a_long_reply_keeps_its_number() -> None:
    """Until its reply has been fetched: an agent would forget it."""
    with request((b"GETDEL", b"k")) as r:
        ((_, status, value, _, _),) = r.take(Reply(EXECUTED, WHERE))
        assert (status, value, r.session.outstanding) == (BY_STREAM, WHERE, 0)
        assert r.take(Reply(EXECUTED, WHERE)) == []
        assert (r.resent(), r.session.next_due()) == (0, None)
        for _ in range(3):
            r.session.abandon(r.session.park())
        assert r.session.acked == r.seq - 1
        r.session.abandon(r.seq)
        assert r.session.acked == r.seq + 3


@pytest.mark.parametrize(
    "reply",
    [
        Reply(EXECUTED, WHERE[:5]),
        Reply(EXECUTED, WHERE[:4] + bytes(2)),
        Reply(EXECUTED, b"+OK\r\n"),
        Reply(F.LONG, WHERE),  # nobody has executed it
    ],
)
def test_long_replies_that_are_none(reply: Reply) -> None:
    with request((b"GETDEL", b"k")) as r:
        assert r.take(reply) == []
        assert r.session.counts()["ignored"] == 1
        assert len(r.take(Reply(F.AUTHORITATIVE, b"+OK\r\n"))) == 1


def test_where_requests_go() -> None:
    """The question is a READ without a payload."""
    with request() as r:
        seq = r.session.ask(GROUP, 9)
        r.take(owner())
        ((token, status, value, _, _),) = r.take(Reply(F.LONG, WHERE), seq=seq)
        assert (token, status, value) == (9, BY_STREAM, WHERE)
