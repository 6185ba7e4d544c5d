"""Digests (P4Runtime spec section 9.9), made by real packets."""

from __future__ import annotations

import time

import pytest
from finsy.proto import p4r, rpc_code

from tests.switch.p4runtime.client import Client, Stream, delete, insert, modify
from tests.switch.p4runtime.entities import Entities, learning

SECOND = 10**9


@pytest.fixture
def digest(entities: Entities) -> int:
    return entities.id("learned_t")


@pytest.fixture
def stream(client: Client) -> Stream:
    assert client.stream
    return client.stream


def send(stream: Stream, *stations: int) -> None:
    """Frames that the program learns from, by way of the controller's port."""
    for station in stations:
        frame = bytes(6) + station.to_bytes(6, "big") + b"\x99\x99" + bytes(50)
        packet = p4r.PacketOut(payload=frame)
        packet.metadata.add(metadata_id=1, value=b"\0")
        packet.metadata.add(metadata_id=2, value=b"\0")
        stream.send(p4r.StreamMessageRequest(packet=packet))


def stations(message: p4r.StreamMessageResponse) -> list[int]:
    members = [list(each.struct.members) for each in message.digest.data]
    assert all(port.bitstring == b"\x01\xfe" for _, port in members)
    return [int.from_bytes(station.bitstring, "big") for station, _ in members]


def test_a_list_is_sent_when_it_is_full(client: Client, stream: Stream, digest: int) -> None:
    client.write(insert(learning(digest, max_list_size=3, max_timeout_ns=1000 * SECOND)))
    send(stream, 1, 2)
    assert stream.quiet()
    send(stream, 2, 3)  # 2 is in the list already
    message = stream.receive()
    assert message.digest.digest_id == digest
    assert stations(message) == [1, 2, 3]


def test_a_list_is_sent_after_its_time(client: Client, stream: Stream, digest: int) -> None:
    client.write(insert(learning(digest, max_timeout_ns=SECOND // 10)))
    started = time.monotonic()
    send(stream, 1, 2)
    assert stations(stream.receive()) == [1, 2]
    assert time.monotonic() - started > 0.09


def test_without_a_delay_each_message_is_a_list(
    client: Client, stream: Stream, digest: int
) -> None:
    """Whatever the size (9.9)."""
    client.write(insert(learning(digest, max_list_size=100)))
    send(stream, 1, 2, 3)
    lists = [stream.receive() for _ in range(3)]
    assert [stations(message) for message in lists] == [[1], [2], [3]]
    assert len({message.digest.list_id for message in lists}) == 3


def test_what_was_sent_is_not_sent_again(client: Client, stream: Stream, digest: int) -> None:
    client.write(insert(learning(digest, max_list_size=1, ack_timeout_ns=1000 * SECOND)))
    send(stream, 1)
    message = stream.receive()
    send(stream, 1)
    assert stream.quiet()
    acknowledgement = p4r.DigestListAck(digest_id=digest, list_id=message.digest.list_id)
    stream.send(p4r.StreamMessageRequest(digest_ack=acknowledgement))
    send(stream, 1)
    assert stations(stream.receive()) == [1]


def test_each_list_is_acknowledged_by_itself(client: Client, stream: Stream, digest: int) -> None:
    client.write(insert(learning(digest, max_list_size=1, ack_timeout_ns=1000 * SECOND)))
    send(stream, 1, 2, 3)
    lists = [stream.receive().digest.list_id for _ in range(3)]
    for list_id in (lists[1], lists[1], 0):
        acknowledgement = p4r.DigestListAck(digest_id=digest, list_id=list_id)
        stream.send(p4r.StreamMessageRequest(digest_ack=acknowledgement))
    send(stream, 1, 2, 3)
    assert stations(stream.receive()) == [2]
    assert stream.quiet()
    client.write(modify(learning(digest, max_list_size=1)))  # no more waiting for them
    send(stream, 1, 2)
    assert sorted(stations(stream.receive()) + stations(stream.receive())) == [1, 2]


def test_acknowledgements_can_be_given_up(client: Client, stream: Stream, digest: int) -> None:
    client.write(insert(learning(digest, max_list_size=1, ack_timeout_ns=SECOND // 20)))
    send(stream, 1)
    assert stations(stream.receive()) == [1]
    time.sleep(0.1)
    send(stream, 1)
    assert stations(stream.receive()) == [1]


def test_digests_are_off_until_asked_for(client: Client, stream: Stream, digest: int) -> None:
    send(stream, 1)
    assert stream.quiet()
    entry = learning(digest, max_list_size=1)
    client.write(insert(entry))
    assert client.read(learning(digest)) == [entry]
    assert stream.quiet()  # what came before is forgotten
    send(stream, 2)
    assert stations(stream.receive()) == [2]
    changed = learning(digest, max_list_size=2)
    client.write(modify(changed))
    assert client.read(learning(0)) == [changed]
    client.write(delete(entry))
    assert client.read(learning(0)) == []
    send(stream, 3)
    assert stream.quiet()


def test_unknown_acknowledgements(client: Client, stream: Stream) -> None:
    acknowledgement = p4r.DigestListAck(digest_id=1)
    stream.send(p4r.StreamMessageRequest(digest_ack=acknowledgement))
    error = stream.receive().error
    assert error.canonical_code == rpc_code.INVALID_ARGUMENT
    assert error.digest_list_ack.digest_list_ack == acknowledgement
