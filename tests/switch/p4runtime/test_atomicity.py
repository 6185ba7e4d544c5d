"""Batches that are one step to packets (P4Runtime spec section 12.2, "Batch Atomicity")."""

from __future__ import annotations

import threading

import pytest
from finsy.proto import p4r

from tests.switch.p4runtime.client import Client, Failure, delete, insert, modify
from tests.switch.p4runtime.entities import Entities, group

ATOMIC = p4r.WriteRequest.DATAPLANE_ATOMIC
FRAME = (2).to_bytes(6, "big") + bytes(6) + b"\x88\xb5" + bytes(50)
PACKETS = 500


def to_controller(entities: Entities, reason: int) -> p4r.Entity:
    station = entities.station(2)
    station.table_entry.action.CopyFrom(entities.action("to_controller", (1, bytes([reason]))))
    return station


def packet_out() -> p4r.StreamMessageRequest:
    packet = p4r.PacketOut(payload=FRAME)
    packet.metadata.add(metadata_id=1, value=b"\0")
    packet.metadata.add(metadata_id=2, value=b"\0")
    return p4r.StreamMessageRequest(packet=packet)


def gone_meanwhile(entities: Entities) -> list[p4r.Update]:
    """A batch in which the station is missing for a long time, by a computer's measure."""
    others = [entities.station(mac, 1) for mac in (10, 11, 12)] * 20
    swaps = [update for other in others for update in (insert(other), delete(other))]
    return [delete(entities.station(2)), *swaps, insert(to_controller(entities, 1))]


def test_no_packet_sees_half_of_a_batch(client: Client, entities: Entities) -> None:
    """Nor of one that is taken back."""
    client.write(insert(to_controller(entities, 1)))
    stream = client.stream
    assert stream
    received = threading.Event()

    def receive() -> None:
        for _ in range(PACKETS):
            assert stream.receive().HasField("packet")
        received.set()

    receiver = threading.Thread(target=receive)
    receiver.start()
    batch = gone_meanwhile(entities)
    for sent in range(PACKETS):
        stream.send(packet_out())
        if sent % 10 == 0:
            client.write(*batch, atomicity=ATOMIC)
        if sent % 10 == 5:
            with pytest.raises(Failure, match="ALREADY_EXISTS"):
                client.write(*batch, insert(entities.station(2, 1)), atomicity=ATOMIC)
    receiver.join()
    assert received.is_set(), "a packet was not sent to the controller"


def test_all_or_none(client: Client, entities: Entities) -> None:
    client.write(insert(entities.station(2, 7, metadata=b"kept")))
    updates = [
        modify(entities.station(2, 8)),
        insert(entities.station(3, 1)),
        modify(entities.cell("sums", 1, 12)),
        insert(group(1, (1, 1))),
    ]
    with pytest.raises(Failure) as failure:
        client.write(*updates, delete(entities.station(77)), atomicity=ATOMIC)
    assert failure.value.code == "UNKNOWN"
    assert failure.value.details == ["ABORTED"] * len(updates) + ["NOT_FOUND"]
    found = client.read(entities.entry("station"), entities.cell("sums", 1), group(0))
    assert found == [entities.station(2, 7, metadata=b"kept"), entities.cell("sums", 1, 0)]
    client.write(*updates, atomicity=ATOMIC)
    found = client.read(entities.entry("station"), entities.cell("sums", 1), group(0))
    assert found == [
        entities.station(2, 8),
        entities.station(3, 1),
        entities.cell("sums", 1, 12),
        group(1, (1, 1)),
    ]
