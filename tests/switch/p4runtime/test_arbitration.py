"""Mastership, as P4Runtime spec section 5 has it, over real streams."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from finsy.proto import p4r

from switch.p4runtime import Server
from switch.p4runtime.arbitration import Arbiter, Controller
from switch.p4runtime.server import MAX_STREAMS
from tests.switch.p4runtime.client import Client, Failure, Stream, modify, uint128

Connect = Callable[[], Stream]


@pytest.fixture
def connect(empty_server: Server) -> Iterator[Connect]:
    clients: list[Client] = []
    streams: list[Stream] = []

    def open_stream() -> Stream:
        clients.append(Client(empty_server.port, None))
        streams.append(Stream(clients[-1].stub))
        return streams[-1]

    yield open_stream
    for stream in streams:
        stream.close()
    for client in clients:
        client.close()


def test_the_only_controller_is_primary(connect: Connect) -> None:
    first = connect()
    first.arbitrate(7)
    assert first.standing() == ("OK", 7)


def test_a_lower_election_id_is_a_backup(connect: Connect) -> None:
    first, second = connect(), connect()
    first.arbitrate(7)
    assert first.standing() == ("OK", 7)
    second.arbitrate(6)
    assert second.standing() == ("ALREADY_EXISTS", 7)
    assert first.quiet()


def test_a_higher_election_id_takes_over(connect: Connect) -> None:
    first, second = connect(), connect()
    first.arbitrate(7)
    assert first.standing() == ("OK", 7)
    second.arbitrate(1 << 100)
    assert second.standing() == ("OK", 1 << 100)
    assert first.standing() == ("ALREADY_EXISTS", 1 << 100)


def test_when_the_primary_leaves_there_is_none_until_somebody_asks(connect: Connect) -> None:
    first, second = connect(), connect()
    first.arbitrate(7)
    first.standing()
    second.arbitrate(5)
    second.standing()
    first.close()
    assert second.standing() == ("NOT_FOUND", 7)
    # 5 is below the highest id ever seen: still a backup.
    second.arbitrate(5)
    assert second.standing() == ("NOT_FOUND", 7)
    second.arbitrate(7)
    assert second.standing() == ("OK", 7)


def test_a_primary_can_step_down(connect: Connect) -> None:
    first, second = connect(), connect()
    first.arbitrate(7)
    first.standing()
    second.arbitrate(5)
    second.standing()
    first.arbitrate(3)
    assert first.standing() == ("NOT_FOUND", 7)
    assert second.standing() == ("NOT_FOUND", 7)


def test_without_election_id_nobody_becomes_primary(connect: Connect) -> None:
    first, second = connect(), connect()
    first.arbitrate(None)
    assert first.standing() == ("NOT_FOUND", None)
    second.arbitrate(0)  # which is an election id
    assert second.standing() == ("OK", 0)
    assert first.standing() == ("ALREADY_EXISTS", 0)


def test_each_role_has_its_own_primary(connect: Connect) -> None:
    first, second = connect(), connect()
    first.arbitrate(7)
    assert first.standing() == ("OK", 7)
    second.arbitrate(1, role="statistics")
    assert second.standing() == ("OK", 1)
    assert first.quiet()


def test_an_election_id_in_use_ends_the_stream(connect: Connect) -> None:
    first, second = connect(), connect()
    first.arbitrate(7)
    first.standing()
    second.arbitrate(7)
    with pytest.raises(Failure, match="INVALID_ARGUMENT"):
        second.receive()
    first.arbitrate(7)
    assert first.standing() == ("OK", 7)


def test_an_unknown_device_ends_the_stream(connect: Connect) -> None:
    stream = connect()
    stream.arbitrate(1, device=99)
    with pytest.raises(Failure, match="NOT_FOUND"):
        stream.receive()


@pytest.mark.parametrize(("device", "role"), [(2, ""), (1, "other")])
def test_a_stream_keeps_its_device_and_role(connect: Connect, device: int, role: str) -> None:
    stream = connect()
    stream.arbitrate(1)
    stream.standing()
    stream.arbitrate(2, device=device, role=role)
    with pytest.raises(Failure, match="FAILED_PRECONDITION"):
        stream.receive()


def test_too_many_controllers(connect: Connect) -> None:
    streams = [connect() for _ in range(MAX_STREAMS)]
    for number, stream in enumerate(streams):
        stream.arbitrate(number)
        assert stream.standing() == ("OK", number)
    late = connect()
    with pytest.raises(Failure, match="RESOURCE_EXHAUSTED"):
        late.receive()


def test_only_the_primary_writes(server: Server) -> None:
    first, second = Client(server.port, 1), Client(server.port, 2)
    assert first.stream
    assert first.stream.standing() == ("ALREADY_EXISTS", 2)
    entity = p4r.Entity()
    entity.register_entry.register_id = first.id("flags")
    entity.register_entry.index.index = 1
    entity.register_entry.data.bitstring = b"\x01"
    with pytest.raises(Failure, match="PERMISSION_DENIED"):
        first.write(modify(entity))
    second.write(modify(entity))
    second.close()
    assert first.stream.standing() == ("NOT_FOUND", 2)
    with pytest.raises(Failure, match="PERMISSION_DENIED"):
        first.write(modify(entity))
    first.close()


def test_an_unset_election_id_writes_nothing(empty_server: Server) -> None:
    """It is no 0, which may be the primary's (16.2.1)."""
    client = Client(empty_server.port, 0)
    with pytest.raises(Failure, match="an unset election id is not"):
        client.write(election_id=None)
    with pytest.raises(Failure, match="FAILED_PRECONDITION"):
        client.write(election_id=uint128(0))
    client.close()


def test_the_checks_of_a_write_come_in_order(empty_server: Server) -> None:
    """12: device and role, then the primary, then the config."""
    client = Client(empty_server.port, 5)
    for code, options in (
        ("NOT_FOUND", {"device_id": 9, "election_id": uint128(4)}),
        ("NOT_FOUND", {"role": "nobody's", "election_id": uint128(4)}),
        ("PERMISSION_DENIED", {"election_id": uint128(4)}),
        ("FAILED_PRECONDITION", {}),
    ):
        with pytest.raises(Failure) as failure:
            client.write(**options)
        assert failure.value.code == code
        assert failure.value.details == []
    client.close()


def test_backups_read(server: Server) -> None:
    primary, backup = Client(server.port, 2), Client(server.port, None)
    assert backup.read(p4r.Entity(table_entry=p4r.TableEntry()))
    primary.close()
    backup.close()


def test_a_new_primary_waits_for_writes_under_way() -> None:
    writing = threading.Lock()
    arbiter = Arbiter(1, writing)
    old, new = Controller(), Controller()

    def message(election_id: int) -> p4r.MasterArbitrationUpdate:
        return p4r.MasterArbitrationUpdate(device_id=1, election_id=uint128(election_id))

    arbiter.update(old, message(1))
    writing.acquire()  # a Write of the old primary is under way
    taking_over = threading.Thread(target=arbiter.update, args=(new, message(2)))
    taking_over.start()
    old.next()
    notice = old.next()  # the old primary learns of it at once
    assert isinstance(notice, p4r.StreamMessageResponse)
    assert notice.arbitration.election_id.low == 2
    assert arbiter.scope_of_primary(old) is None
    assert arbiter.scope_of_primary(new) is None
    writing.release()
    taking_over.join()
    assert arbiter.scope_of_primary(new) is not None
