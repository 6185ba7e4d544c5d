"""Packets by the colour that a meter gave them (P4Runtime spec section 9.4.3)."""

from __future__ import annotations

from typing import Any

import pytest
from finsy.proto import p4r

from tests.switch.p4runtime.client import Client, Failure, insert, modify
from tests.switch.p4runtime.entities import Entities

FRAME = (2).to_bytes(6, "big") + bytes(6) + b"\x88\xb5" + bytes(50)
LENGTH = len(FRAME) + 2  # with the header of packet-out
NOTHING = p4r.MeterCounterData(
    green=p4r.CounterData(), yellow=p4r.CounterData(), red=p4r.CounterData()
)
STEEP = p4r.MeterConfig(cir=0, cburst=2 * LENGTH, pir=0, pburst=3 * LENGTH)
"""Two packets are green, one is yellow, the others are red; no burst ever comes back."""


@pytest.fixture
def metered(client: Client, entities: Entities) -> Client:
    """A station whose packets come back to the controller."""
    action = entities.action("to_controller", (1, b"\x01"))
    station = entities.station(2)
    station.table_entry.action.CopyFrom(action)
    client.write(insert(station))
    return client


def send(client: Client, count: int) -> None:
    assert client.stream
    for _ in range(count):
        packet = p4r.PacketOut(payload=FRAME)
        packet.metadata.add(metadata_id=1, value=b"\0")
        packet.metadata.add(metadata_id=2, value=b"\0")
        client.stream.send(p4r.StreamMessageRequest(packet=packet))
        assert client.stream.receive().HasField("packet")


def counts(*packets: int) -> p4r.MeterCounterData:
    green, yellow, red = (
        p4r.CounterData(packet_count=each, byte_count=each * LENGTH) for each in packets
    )
    return p4r.MeterCounterData(green=green, yellow=yellow, red=red)


def rate(entities: Entities, index: int | None = 0, **options: Any) -> p4r.Entity:
    entity = entities.rate(index, options.get("config"))
    entity.meter_entry.counter_data.CopyFrom(options.get("counts", p4r.MeterCounterData()))
    return entity


def station(entities: Entities, **options: Any) -> p4r.Entity:
    entity = entities.station_meter(2, options.get("config"))
    entity.direct_meter_entry.counter_data.CopyFrom(options.get("counts", p4r.MeterCounterData()))
    return entity


def test_indexed_meters(metered: Client, entities: Entities) -> None:
    metered.write(modify(entities.rate(0, STEEP)))
    send(metered, 5)
    assert metered.read(rate(entities)) == [
        rate(entities, config=STEEP, counts=counts(2, 1, 2)),
    ]
    assert [cell.meter_entry.counter_data for cell in metered.read(rate(entities, None))] == [
        counts(2, 1, 2),
        *[NOTHING] * 3,
    ]
    assert not metered.read(entities.rate(0))[0].meter_entry.HasField("counter_data")
    metered.write(modify(entities.rate(0)))  # green again; the counts stay
    send(metered, 1)
    assert metered.read(rate(entities))[0].meter_entry.counter_data == counts(3, 1, 2)
    metered.write(modify(rate(entities)))
    assert metered.read(rate(entities))[0].meter_entry.counter_data == NOTHING


def test_direct_meters(metered: Client, entities: Entities) -> None:
    send(metered, 2)
    packets = p4r.MeterConfig(cir=0, cburst=1, pir=0, pburst=2)
    metered.write(modify(entities.station_meter(2, packets)))
    send(metered, 3)
    expected = counts(3, 1, 1)
    assert metered.read(station(entities))[0].direct_meter_entry.counter_data == expected
    asking = entities.station(2, meter_counter_data=p4r.MeterCounterData())
    (found,) = metered.read(asking)
    assert found.table_entry.meter_counter_data == expected
    (unasked,) = metered.read(entities.station(2))
    assert not unasked.table_entry.HasField("meter_counter_data")
    metered.write(modify(asking))
    assert metered.read(station(entities))[0].direct_meter_entry.counter_data == NOTHING
    send(metered, 1)
    metered.write(modify(station(entities)))
    assert metered.read(station(entities))[0].direct_meter_entry.counter_data == NOTHING


def test_a_failed_batch_and_a_new_pipeline_keep_them(metered: Client, entities: Entities) -> None:
    send(metered, 2)
    with pytest.raises(Failure):
        metered.write(
            modify(rate(entities)),
            modify(station(entities)),
            modify(entities.station(77, 1)),
            atomicity=p4r.WriteRequest.ROLLBACK_ON_ERROR,
        )
    for _ in range(2):
        assert metered.read(rate(entities))[0].meter_entry.counter_data == counts(2, 0, 0)
        (found,) = metered.read(station(entities))
        assert found.direct_meter_entry.counter_data == counts(2, 0, 0)
        metered.set_config("RECONCILE_AND_COMMIT", metered.get_config())


def test_they_can_only_be_cleared(metered: Client, entities: Entities) -> None:
    bad = [
        modify(rate(entities, counts=counts(0, 1, 0))),
        modify(station(entities, counts=counts(1, 0, 0))),
        modify(entities.station(2, meter_counter_data=counts(0, 0, 1))),
        insert(
            entities.entry("prefix", [], entities.action("NoAction"), meter_counter_data=NOTHING)
        ),
    ]
    with pytest.raises(Failure) as failure:
        metered.write(*bad)
    assert failure.value.details == ["INVALID_ARGUMENT"] * len(bad)
