"""Packets from and to a controller (P4Runtime spec section 16.1), through a real data plane."""

from __future__ import annotations

import pytest
from finsy.proto import p4r, rpc_code
from google.protobuf.any_pb2 import Any as AnyMessage

from switch.p4runtime import Server
from tests.switch.p4runtime.client import Client, Failure, Stream, insert, modify
from tests.switch.p4runtime.entities import Entities, exact

FRAME = bytes.fromhex("02000000000202000000000188b5") + b"payload of at least some bytes"


def packet_out(port: bytes, unused: bytes = b"\x00", payload: bytes = FRAME) -> p4r.PacketOut:
    message = p4r.PacketOut(payload=payload)
    message.metadata.add(metadata_id=1, value=port)
    message.metadata.add(metadata_id=2, value=unused)
    return message


@pytest.fixture
def stream(client: Client, entities: Entities) -> Stream:
    """Everything for station 2 goes to the controller, with reason 5."""
    action = entities.action("to_controller", (1, b"\x05"))
    client.write(insert(entities.entry("station", [exact(1, 0x020000000002)], action)))
    assert client.stream
    return client.stream


def test_out_and_in_again(stream: Stream) -> None:
    stream.send(p4r.StreamMessageRequest(packet=packet_out(b"\x00")))
    packet = stream.receive().packet
    assert packet.payload == FRAME
    # Ingress port 510, reason 5.
    found = {item.metadata_id: item.value for item in packet.metadata}
    assert found == {1: b"\x01\xfe", 2: b"\x05"}


def test_many_in_order(stream: Stream) -> None:
    for number in range(500):
        payload = FRAME + number.to_bytes(2, "big")
        stream.send(p4r.StreamMessageRequest(packet=packet_out(b"\x00", payload=payload)))
    received = [stream.receive().packet.payload for _ in range(500)]
    assert received == [FRAME + number.to_bytes(2, "big") for number in range(500)]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda packet: packet.metadata.pop(),
        lambda packet: packet.metadata.add(metadata_id=1, value=b"\x00"),
        lambda packet: packet.metadata.add(metadata_id=9, value=b"\x00"),
        lambda packet: setattr(packet.metadata[0], "value", b"\x02\x00"),
        lambda packet: setattr(packet.metadata[0], "value", b""),
        lambda packet: setattr(packet, "payload", bytes(70_000)),
    ],
)
def test_bad_packets_are_reported(stream: Stream, spoil: object) -> None:
    bad = packet_out(b"\x00")
    spoil(bad)  # type: ignore[operator]
    stream.send(p4r.StreamMessageRequest(packet=bad))
    error = stream.receive().error
    assert error.canonical_code == rpc_code.INVALID_ARGUMENT
    assert error.packet_out.packet_out == bad
    stream.send(p4r.StreamMessageRequest(packet=packet_out(b"\x00")))
    assert stream.receive().packet.payload == FRAME


def test_backups_send_and_receive_nothing(server: Server, stream: Stream) -> None:
    other = Client(server.port, None)
    backup = Stream(other.stub)
    backup.arbitrate(0)
    assert backup.standing() == ("ALREADY_EXISTS", 1)
    backup.send(p4r.StreamMessageRequest(packet=packet_out(b"\x00")))
    assert backup.receive().error.canonical_code == rpc_code.PERMISSION_DENIED
    backup.send(p4r.StreamMessageRequest(digest_ack=p4r.DigestListAck(digest_id=1)))
    error = backup.receive().error
    assert error.canonical_code == rpc_code.PERMISSION_DENIED
    assert error.digest_list_ack.digest_list_ack.digest_id == 1
    stream.send(p4r.StreamMessageRequest(packet=packet_out(b"\x00")))
    assert stream.receive().packet.payload == FRAME
    assert backup.quiet()
    backup.close()
    other.close()


def test_without_a_config(empty_server: Server) -> None:
    client = Client(empty_server.port)
    assert client.stream
    client.stream.send(p4r.StreamMessageRequest(packet=packet_out(b"\x00")))
    assert client.stream.receive().error.canonical_code == rpc_code.FAILED_PRECONDITION
    client.close()


def test_messages_of_other_kinds_are_answered(stream: Stream) -> None:
    stream.send(p4r.StreamMessageRequest())
    assert stream.receive().error.HasField("other")
    stream.send(p4r.StreamMessageRequest(digest_ack=p4r.DigestListAck(digest_id=1)))
    assert stream.receive().error.HasField("digest_list_ack")
    other = AnyMessage(type_url="example.org/other", value=b"x")
    stream.send(p4r.StreamMessageRequest(other=other))
    error = stream.receive().error
    assert error.canonical_code == rpc_code.UNIMPLEMENTED
    assert error.other.other == other


def test_packets_change_registers(client: Client, entities: Entities, stream: Stream) -> None:
    """The controller reads what the data plane wrote."""
    client.write(modify(entities.cell("sums", 0, 7)))
    stream.send(p4r.StreamMessageRequest(packet=packet_out(b"\x00")))
    stream.receive()
    assert client.read(entities.cell("sums", 0)) == [entities.cell("sums", 0, 1)]
    (seen,) = client.read(entities.counter(510 & 3))
    assert seen.counter_entry.data.packet_count == 1
    assert seen.counter_entry.data.byte_count == len(FRAME) + 2


def test_a_stopped_switch_ends_its_streams(empty_server: Server) -> None:
    client = Client(empty_server.port)
    assert client.stream
    empty_server.stop()
    with pytest.raises(Failure, match="UNAVAILABLE"):
        client.stream.receive()
    client.close()
