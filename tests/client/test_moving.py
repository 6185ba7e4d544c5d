"""What a client makes of replies that name groups on the move: whom it asks, what it believes."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hosts.client._core import DONE, Session
from hosts.wire import HEADER_LENGTH, Flags, Header, Moving, Op, WireError, group_of

F = Flags
LOOPBACK = 0x7F000001
GROUP = group_of(b"k")
NOTHING = Moving()


def text(value: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(value), value)


@dataclass
class Network:
    """A session between two silent sockets: the service's and a source's."""

    session: Session
    service: socket.socket
    source: socket.socket

    def moving(self, first: int = 0, last: int = 16383, migration: int = 1) -> Moving:
        """What a destination says of groups that may be at our source."""
        return Moving(migration, LOOPBACK, self.source.getsockname()[1], first, last)

    def start(self, group: int = GROUP, op: Op = Op.READ) -> Header:
        """Send a request; return what came to the service of it."""
        words = (b"GET", b"k") if op is Op.READ else (b"SET", b"k", b"v")
        self.session.start(op, group, words, 7)
        self.session.poll(0)
        (found,) = self.at_service()
        return found

    def at_service(self) -> list[Header]:
        return [Header.unpack(datagram) for datagram in _drain(self.service)]

    def at_source(self) -> list[Header]:
        return [Header.unpack(datagram) for datagram in _drain(self.source)]

    def reply(self, to: Header, flags: Flags, payload: bytes = b"", migration: int = 0) -> Any:
        """Give the session a reply; return what has finished, and let it send."""
        header = replace(to, op=Op.REPLY, flags=flags, migration=migration, acked=0)
        finished = self.session.take(header.pack() + payload)
        self.session.poll(0)
        return finished

    def hint(self, to: Header, told: Moving, payload: bytes = b"", flags: Flags = F.NONE) -> Any:
        return self.reply(to, flags | F.MOVING, payload + told.pack(), told.migration)


def _drain(sock: socket.socket) -> list[bytes]:
    found: list[bytes] = []
    while True:
        try:
            found.append(sock.recv(2048))
        except BlockingIOError:
            return found


@contextmanager
def network(resend_after: float = 1000.0) -> Iterator[Network]:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source,
    ):
        for sock in (service, source):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        session = Session(LOOPBACK, service.getsockname()[1], 1, 1000.0, resend_after)
        try:
            yield Network(session, service, source)
        finally:
            session.close()


@pytest.fixture
def net() -> Iterator[Network]:
    with network() as found:
        yield found


def test_asks_the_source_that_a_reply_names(net: Network) -> None:
    asked = net.start()
    assert asked.flags == F.NONE
    assert net.hint(asked, net.moving()) == []
    assert net.at_service() == []
    (copy,) = net.at_source()
    assert copy == replace(asked, flags=F.DOUBLE, migration=1)
    ((_, status, value, flags, tries),) = net.reply(
        copy, F.DOUBLE | F.FROM_SOURCE | F.FOUND, text(b"frozen"), 1
    )
    assert (status, value, tries) == (DONE, b"frozen", 1)
    assert flags & F.DOUBLE
    assert net.session.counts()["asked_source"] == 1


def test_asks_it_at_once(net: Network) -> None:
    """Whoever polls for what has come need not poll again for the copy to leave."""
    asked = net.start()
    told = net.moving()
    header = replace(asked, op=Op.REPLY, flags=F.MOVING, migration=told.migration)
    with socket.socket(fileno=os.dup(net.session.fd)) as sock:
        net.service.sendto(header.pack() + told.pack(), sock.getsockname())
    assert net.session.poll(0) == []
    assert len(net.at_source()) == 1


def test_then_asks_both_for_what_may_be_there(net: Network) -> None:
    net.reply(net.start(), F.AUTHORITATIVE | F.MOVING, text(b"v") + net.moving(100, 200).pack())
    for group in (100, 150, 200):
        asked = net.start(group)
        assert asked.flags == F.MOVING
        (copy,) = net.at_source()
        assert copy == replace(asked, flags=F.DOUBLE, migration=1)
        assert net.reply(copy, F.DOUBLE | F.FROM_SOURCE, text(b"frozen"), 1) == []
        ((_, status, value, _, _),) = net.hint(asked, net.moving(100, 200))
        assert (status, value) == (DONE, b"frozen")
        assert net.at_source() == []
    for group in (99, 201):
        assert net.start(group).flags == F.NONE
    assert net.start(150, Op.WRITE).flags == F.NONE
    assert net.at_source() == []


def test_the_owner_s_answer_counts_before_the_source_s(net: Network) -> None:
    net.hint(net.start(), net.moving(), text(b"v"), F.AUTHORITATIVE)
    asked = net.start()
    ((_, status, value, _, _),) = net.hint(asked, net.moving(), text(b"new"), F.AUTHORITATIVE)
    assert (status, value) == (DONE, b"new")
    (copy,) = net.at_source()
    assert net.reply(copy, F.DOUBLE | F.FROM_SOURCE, text(b"frozen"), 1) == []
    assert net.session.counts()["late"] == 1


@pytest.mark.parametrize(
    ("reply", "doubled"),
    [
        ((F.AUTHORITATIVE | F.MOVING, (GROUP + 1, 16383)), (GROUP + 1, 16383)),
        ((F.AUTHORITATIVE | F.MOVING, None), None),
        ((F.AUTHORITATIVE, ()), (0, 16383)),  # a reply without room for it says nothing
        ((F.DOUBLE | F.GONE, ()), (GROUP + 1, 16383)),
    ],
)
def test_forgets_what_has_arrived(
    net: Network, reply: tuple[Flags, Any], doubled: tuple[int, int] | None
) -> None:
    net.hint(net.start(), net.moving(), text(b"v"), F.AUTHORITATIVE)
    asked = net.start()
    flags, said = reply
    told = net.moving(*said).pack() if said else b"" if said == () else NOTHING.pack()
    net.reply(asked, flags, (b"" if flags & F.GONE else text(b"v")) + told, 1)
    net.at_source()
    for group in (0, GROUP, GROUP + 1, 16383):
        inside = doubled is not None and doubled[0] <= group <= doubled[1]
        assert net.start(group).flags == (F.MOVING if inside else F.NONE)
        assert len(net.at_source()) == inside


def test_knows_several_ranges(net: Network) -> None:
    """More than it can keep: those that nobody has spoken of for longest are forgotten."""
    for number in range(20):
        first = 100 * number
        net.hint(net.start(first), net.moving(first, first + 9, number + 1), b"")
    net.at_source()
    for number in range(20):
        assert net.start(100 * number + 5).flags == (F.MOVING if number >= 4 else F.NONE)
    assert [copy.migration for copy in net.at_source()] == list(range(5, 21))


def test_a_new_migration_replaces_an_old_one(net: Network) -> None:
    net.hint(net.start(), net.moving(migration=1))
    net.at_source()
    asked = net.start()
    net.hint(asked, net.moving(migration=2))
    assert [copy.migration for copy in net.at_source()] == [1, 2]
    # what the source of the first says proves nothing beside the second's "not here yet"
    assert net.reply(asked, F.DOUBLE | F.FROM_SOURCE, text(b"old"), 1) == []
    assert net.hint(asked, net.moving(migration=2)) == []
    ((_, _, value, _, _),) = net.reply(asked, F.DOUBLE | F.FROM_SOURCE, text(b"new"), 2)
    assert value == b"new"


def test_gone_and_not_here_yet_is_asked_again(net: Network) -> None:
    asked = net.start()
    net.hint(asked, net.moving())
    (copy,) = net.at_source()
    assert net.reply(copy, F.DOUBLE | F.GONE, b"", 1) == []
    (again,) = net.at_service()
    assert (again.seq, again.flags) == (asked.seq, F.NONE)
    assert len(net.reply(again, F.AUTHORITATIVE, text(b"v"))) == 1


def test_tells_the_destination_that_the_source_is_silent() -> None:
    with network(resend_after=0.002) as net:
        asked = net.start()
        net.hint(asked, net.moving())
        flags = []
        deadline = time.monotonic() + 10
        while F.RETRY not in flags:
            assert time.monotonic() < deadline
            net.session.poll(0.01)
            for each in net.at_service():
                flags.append(each.flags)
                net.hint(each, net.moving())
        assert flags == [F.MOVING, F.MOVING, F.RETRY]
        assert len(net.at_source()) == 3
        assert net.session.counts()["resent"] == 3
        assert net.reply(asked, F.RETRY, (1).to_bytes(4)) == []
        assert len(net.reply(asked, F.AUTHORITATIVE, text(b"v"))) == 1


def test_a_retry_may_tell_it_too(net: Network) -> None:
    asked = net.start()
    assert net.hint(asked, net.moving(), (1000).to_bytes(4), F.RETRY) == []
    assert net.session.counts()["retried"] == 1
    assert net.at_source() == []
    assert net.start().flags == F.MOVING


def test_late_replies_teach_as_well(net: Network) -> None:
    asked = net.start()
    net.reply(asked, F.AUTHORITATIVE, text(b"v"))
    net.hint(asked, net.moving())
    assert net.session.counts()["late"] == 1
    assert net.start().flags == F.MOVING


@pytest.mark.parametrize(
    "trailer",
    [b"", NOTHING.pack()[1:], Moving(1, 1, 1, 5, 4).pack(), Moving(1, 1, 1, 0, 16384).pack()],
)
def test_damaged_ends_of_replies_are_ignored(net: Network, trailer: bytes) -> None:
    asked = net.start()
    assert net.reply(asked, F.MOVING, trailer) == []
    assert net.session.counts()["ignored"] == 1
    assert net.start().flags == F.NONE
    with pytest.raises(WireError):
        Moving.unpack(asked.pack() + trailer)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40), st.integers(0, 1023).map(Flags))
def test_any_end_of_a_reply_is_taken_as_the_codec_takes_it(noise: bytes, flags: Flags) -> None:
    with network() as net, socket.socket(fileno=os.dup(net.session.fd)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")  # whatever it names
        asked = net.start()
        net.reply(asked, flags | F.MOVING, noise, 1)
        net.at_source()
        net.at_service()
        try:
            told = Moving.unpack(asked.pack()[:HEADER_LENGTH] + noise)
        except WireError:
            told = NOTHING
        groups = {0, GROUP, told.first, told.last}
        for group in groups:
            known = told.port != 0 and told.first <= group <= told.last
            assert net.start(group).flags == (F.MOVING if known else F.NONE)
