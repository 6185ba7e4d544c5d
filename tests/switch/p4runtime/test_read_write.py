"""What is written is what is read (P4Runtime spec section 8.3), for every kind of entity."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from finsy.proto import p4r

from tests.switch.p4runtime.client import Client, Failure, delete, entries, insert, modify
from tests.switch.p4runtime.entities import Entities, group, learning, lpm, session, ternary


def test_an_entry_lives_and_dies(client: Client, entities: Entities) -> None:
    entry = entities.station(2, 7, metadata=b"mine", controller_metadata=5)
    client.write(insert(entry))
    assert client.read(entities.station(2)) == [entry]
    changed = entities.station(2, 8)
    client.write(modify(changed))
    assert client.read(entities.station(2)) == [changed]
    client.write(delete(entities.station(2)))
    assert client.read(entities.station(2)) == []


def test_the_same_value_in_more_bytes(client: Client, entities: Entities) -> None:
    padded = entities.station(2, 7)
    padded.table_entry.match[0].exact.value = b"\x00\x00\x02"
    client.write(insert(padded))
    assert client.read(entities.station(2)) == [entities.station(2, 7)]


def test_each_match_kind_comes_back(client: Client, entities: Entities) -> None:
    mark = entities.action("set_mark", (1, b"\x03"), (7, b"\x01"))
    prefix = entities.entry("prefix", [lpm(1, 0x0A0000000000, 8)], mark)
    anything = entities.entry("prefix", [], mark)
    everything = entities.entry("filter", [], entities.action("drop"), priority=1)
    some = entities.entry("filter", [ternary(1, 0x0800, 0xFF00)], None, priority=2)
    some.table_entry.action.CopyFrom(entities.action("NoAction"))
    some.table_entry.match.add(field_id=2).range.CopyFrom(
        p4r.FieldMatch.Range(low=b"\x01", high=b"\x05")
    )
    some.table_entry.match.add(field_id=3).optional.value = b"\x00"
    client.write(*map(insert, (prefix, anything, everything, some)))
    found = client.read(entities.entry("prefix"))
    assert sorted(map(str, found)) == sorted(map(str, [prefix, anything]))
    found = client.read(entities.entry("filter"))
    assert sorted(map(str, found)) == sorted(map(str, [everything, some]))


def test_filters_of_reads(client: Client, entities: Entities) -> None:
    first = entities.filter(1, 10, metadata=b"a")
    second = entities.filter(2, 20, controller_metadata=3)
    second.table_entry.action.CopyFrom(entities.action("NoAction"))
    client.write(insert(first), insert(second))
    match = first.table_entry.match

    def read(**options: Any) -> list[p4r.Entity]:
        return client.read(entities.entry("filter", **options))

    assert read(priority=10) == [first]
    assert read(match=match) == [first]
    assert read(match=match, priority=20) == []
    assert read(action=entities.action("NoAction")) == [second]
    assert read(metadata=b"a") == [first]
    assert read(controller_metadata=3) == [second]
    assert len(read()) == 2


def test_filters_of_default_entries(client: Client, entities: Entities) -> None:
    drop = entities.action("drop")
    default = entities.entry("station", [], drop, is_default_action=True, metadata=b"a")
    client.write(modify(default))

    def read(**options: Any) -> list[p4r.Entity]:
        return client.read(entities.entry("station", is_default_action=True, **options))

    assert read() == read(action=drop) == read(metadata=b"a") == [default]
    assert read(action=entities.action("NoAction")) == read(metadata=b"b") == []


def test_all_tables_at_once(client: Client, entities: Entities) -> None:
    client.write(insert(entities.station(2, 7)))
    everything = client.read(p4r.Entity(table_entry=p4r.TableEntry()))
    names = {entry.table_id for entry in entries(everything)}
    assert names == {entities.id("station"), entities.id("fixed")}


def test_large_reads_come_in_messages_that_clients_accept(
    client: Client, entities: Entities
) -> None:
    """By default a client takes 4 MB at once; the cutting is left to the server (13.3)."""
    large = bytes(100_000)
    written = [
        entities.entry("prefix", [lpm(1, i << 16, 32)], entities.action("NoAction"), metadata=large)
        for i in range(60)
    ]
    for update in written:
        client.write(insert(update))
    found = client.read(entities.entry("prefix"))
    assert sorted(map(str, found)) == sorted(map(str, written))


def test_const_entries_are_read(client: Client, entities: Entities) -> None:
    (entity,) = client.read(entities.entry("fixed"))
    assert entity.table_entry.is_const
    assert entity.table_entry.match[0].exact.value == b"\x08\x00"
    assert [param.value for param in entity.table_entry.action.action.params] == [b"\x01", b"\x02"]


def test_the_default_entry(client: Client, entities: Entities) -> None:
    default = entities.entry("keyless", is_default_action=True)
    (entity,) = client.read(default)
    assert entity.table_entry.action == entities.action("set_mark", (1, b"\x09"), (7, b"\x01"))
    changed = entities.entry("keyless", is_default_action=True, action=entities.action("NoAction"))
    client.write(modify(changed))
    assert client.read(default) == [changed]
    client.write(modify(default))  # without an action: as the program has it
    assert client.read(default) == [entity]
    (fixed,) = client.read(entities.entry("filter", is_default_action=True))
    assert fixed.table_entry.is_const


def test_direct_counters(client: Client, entities: Entities) -> None:
    counts = p4r.CounterData(packet_count=5, byte_count=400)
    client.write(insert(entities.station(2, 7, counter_data=counts)))
    asking = entities.station(2, counter_data=p4r.CounterData())
    (entity,) = client.read(asking)
    assert entity.table_entry.counter_data == counts
    client.write(modify(entities.station(2, 8)))
    assert client.read(asking)[0].table_entry.counter_data == counts
    client.write(modify(entities.station_counter(2, packets=9)))
    (entity,) = client.read(entities.station_counter(2))
    assert entity.direct_counter_entry.data.packet_count == 9
    client.write(insert(entities.station(3, 7)))
    every = p4r.Entity(direct_counter_entry=p4r.DirectCounterEntry(table_entry=p4r.TableEntry()))
    assert len(client.read(every)) == 2
    # Not asked for, not answered.
    assert not client.read(entities.station(2))[0].table_entry.HasField("counter_data")


def test_counters(client: Client, entities: Entities) -> None:
    client.write(modify(entities.counter(2, packets=3, count_bytes=200)))
    assert client.read(entities.counter(2)) == [entities.counter(2, 3, 200)]
    cells = client.read(entities.counter())
    assert [cell.counter_entry.index.index for cell in cells] == [0, 1, 2, 3]
    assert [cell.counter_entry.data.packet_count for cell in cells] == [0, 0, 3, 0]
    client.write(modify(entities.counter(None, packets=1)))  # no index: all of them
    cells = client.read(p4r.Entity(counter_entry=p4r.CounterEntry()))
    assert [cell.counter_entry.data.packet_count for cell in cells] == [1, 1, 1, 1]


def test_meters(client: Client, entities: Entities) -> None:
    config = p4r.MeterConfig(cir=1, cburst=2, pir=3, pburst=4)
    client.write(modify(entities.rate(2, config)))
    assert client.read(entities.rate(2)) == [entities.rate(2, config)]
    assert client.read(entities.rate()) == [
        entities.rate(index, config if index == 2 else None) for index in range(4)
    ]
    client.write(modify(entities.rate(None, config)))
    assert all(cell.meter_entry.HasField("config") for cell in client.read(entities.rate()))
    client.write(modify(entities.rate()))  # no config: back to the default
    assert not any(cell.meter_entry.HasField("config") for cell in client.read(entities.rate()))


def test_direct_meters(client: Client, entities: Entities) -> None:
    config = p4r.MeterConfig(cir=1, cburst=2, pir=3, pburst=4)
    other = p4r.MeterConfig(cir=5, cburst=6, pir=7, pburst=8)
    client.write(insert(entities.station(2, 7, meter_config=config)))
    asking = entities.station(2, meter_config=p4r.MeterConfig())
    assert client.read(asking)[0].table_entry.meter_config == config
    client.write(modify(entities.station_meter(2, other)))
    assert client.read(entities.station_meter(2)) == [entities.station_meter(2, other)]
    client.write(modify(entities.station(2, 7)))  # unset: back to the default
    assert not client.read(asking)[0].table_entry.HasField("meter_config")


def test_the_default_entrys_direct_resources(client: Client, entities: Entities) -> None:
    """It is treated like a regular entry (9.1.3); a reset takes back all of it."""
    config = p4r.MeterConfig(cir=1, cburst=2, pir=3, pburst=4)
    counts = p4r.CounterData(packet_count=5, byte_count=400)
    drop = entities.action("drop")
    default = entities.entry(
        *("station", [], drop), is_default_action=True, meter_config=config, counter_data=counts
    )
    asking = entities.entry(
        "station",
        is_default_action=True,
        meter_config=p4r.MeterConfig(),
        counter_data=p4r.CounterData(),
    )
    client.write(modify(default))
    assert client.read(asking) == [default]
    key = p4r.TableEntry(table_id=entities.id("station"), is_default_action=True)
    meter = p4r.Entity(direct_meter_entry=p4r.DirectMeterEntry(table_entry=key, config=config))
    assert client.read(p4r.Entity(direct_meter_entry=p4r.DirectMeterEntry(table_entry=key))) == [
        meter
    ]
    meter.direct_meter_entry.config.cir = 2
    counter = p4r.Entity(direct_counter_entry=p4r.DirectCounterEntry(table_entry=key, data=counts))
    counter.direct_counter_entry.data.packet_count = 6
    client.write(modify(meter), modify(counter))
    (found,) = client.read(asking)
    assert found.table_entry.meter_config.cir == 2
    assert found.table_entry.counter_data.packet_count == 6
    client.write(modify(entities.entry("station", [], drop, is_default_action=True)))
    (found,) = client.read(asking)
    assert not found.table_entry.HasField("meter_config")
    assert found.table_entry.counter_data.packet_count == 6
    client.write(modify(default))
    client.write(modify(entities.entry("station", is_default_action=True)))
    (found,) = client.read(asking)
    assert found.table_entry.action == entities.action("NoAction")
    assert not found.table_entry.HasField("meter_config")
    assert found.table_entry.counter_data == p4r.CounterData()


def test_only_the_key_counts_for_a_deletion(client: Client, entities: Entities) -> None:
    """9.1: other fields are ignored, whatever is in them."""
    client.write(insert(entities.station(2, 7)))
    nonsense = entities.station(
        2,
        controller_metadata=9,
        idle_timeout_ns=-3,
        counter_data=p4r.CounterData(packet_count=-1),
        meter_config=p4r.MeterConfig(cir=-1),
    )
    nonsense.table_entry.action.action.action_id = 77
    client.write(delete(nonsense))
    assert client.read(entities.entry("station")) == []


def test_a_modification_without_an_action(client: Client, entities: Entities) -> None:
    """9.1.2: the action stays; 12: the rest of the entry becomes what the update says."""
    client.write(insert(entities.station(2, 7, metadata=b"a", controller_metadata=1)))
    client.write(modify(entities.station(2, metadata=b"b")))
    assert client.read(entities.station(2)) == [entities.station(2, 7, metadata=b"b")]
    client.write(modify(entities.station(2)))
    assert client.read(entities.station(2)) == [entities.station(2, 7)]


@pytest.mark.parametrize(
    ("register", "value", "bitstring"),
    [("flags", 1, b"\x01"), ("sums", 0xFF00FF, b"\xff\x00\xff"), ("levels", 0xFE, b"\xfe")],
)
def test_register_cells(
    client: Client, entities: Entities, register: str, value: int, bitstring: bytes
) -> None:
    client.write(modify(entities.cell(register, 2, value)))
    assert client.read(entities.cell(register, 2)) == [entities.cell(register, 2, bitstring)]
    cells = client.read(entities.cell(register))
    assert [cell.register_entry.index.index for cell in cells] == list(range(len(cells)))
    values = [cell.register_entry.data.bitstring for cell in cells]
    assert values == [bitstring if index == 2 else b"\x00" for index in range(len(cells))]


def test_all_cells_written_at_once(client: Client, entities: Entities) -> None:
    client.write(modify(entities.cell("big", None, 7)))
    cells = client.read(entities.cell("big"))
    assert len(cells) == 300_000
    assert {cell.register_entry.data.bitstring for cell in cells} == {b"\x07"}


def test_runs_of_cells(client: Client, entities: Entities) -> None:
    """Neighbours are written together: gaps, repeats and other updates must not matter."""
    indices = [0, 1, 2, 5, 6, 6, 7, 3, 15]
    updates = [modify(entities.cell("sums", index, at + 1)) for at, index in enumerate(indices)]
    updates.insert(2, modify(entities.counter(0, packets=1)))
    updates.insert(5, modify(entities.cell("flags", 3, 1)))
    client.write(*updates)
    expected = dict(zip(indices, range(1, 10), strict=True))
    found = [cell.register_entry.data.bitstring[-1] for cell in client.read(entities.cell("sums"))]
    assert found == [expected.get(index, 0) for index in range(16)]
    assert client.read(entities.cell("flags", 3))[0].register_entry.data.bitstring == b"\x01"


def test_all_registers(client: Client) -> None:
    cells = client.read(p4r.Entity(register_entry=p4r.RegisterEntry()))
    assert len(cells) == 64 + 16 + 4 + 300_000


@pytest.mark.parametrize("make", [group, session])
def test_replication(client: Client, make: Callable[..., p4r.Entity]) -> None:
    entry = make(3, (1, 1), (2, 0))
    client.write(insert(entry))
    assert client.read(make(3)) == [entry]
    assert client.read(make(4)) == []
    other = make(4)
    client.write(insert(other))
    assert client.read(make(0)) == [entry, other]
    changed = make(3, (9, 9))
    client.write(modify(changed))
    assert client.read(make(3)) == [changed]
    client.write(delete(make(3)))
    assert client.read(make(0)) == [other]


def test_deprecated_replica_ports(client: Client) -> None:
    entry = group(3)
    replicas = entry.packet_replication_engine_entry.multicast_group_entry.replicas
    replicas.add(egress_port=5, instance=1)
    client.write(insert(entry))
    assert client.read(group(3)) == [entry]


def test_a_batch_goes_on_after_an_error(client: Client, entities: Entities) -> None:
    with pytest.raises(Failure) as failure:
        client.write(
            insert(entities.station(1, 1)),
            insert(entities.station(1, 1)),
            delete(entities.station(9)),
            insert(entities.station(2, 2)),
        )
    assert failure.value.code == "UNKNOWN"
    assert failure.value.details == ["OK", "ALREADY_EXISTS", "NOT_FOUND", "OK"]
    assert len(client.read(entities.entry("station"))) == 2


def test_a_batch_is_rolled_back(client: Client, entities: Entities) -> None:
    before = [
        insert(entities.station(1, 1, metadata=b"m")),
        insert(
            entities.station(
                *(2, 2),
                counter_data=p4r.CounterData(packet_count=4),
                meter_config=p4r.MeterConfig(cir=1, pir=1),
            )
        ),
        modify(entities.cell("sums", 1, 11)),
        modify(entities.counter(1, packets=11)),
        insert(group(1, (1, 1))),
        insert(session(1, (1, 1))),
    ]
    client.write(*before)

    def state() -> list[p4r.Entity]:
        return client.read(
            entities.entry(
                "station", counter_data=p4r.CounterData(), meter_config=p4r.MeterConfig()
            ),
            entities.rate(),
            p4r.Entity(digest_entry=p4r.DigestEntry()),
            entities.entry("keyless", is_default_action=True),
            entities.cell("sums"),
            entities.counter(),
            group(0),
            session(0),
        )

    kept = state()
    updates = [
        delete(entities.station(2)),
        modify(entities.station(1, 5)),
        insert(entities.station(3, 3)),
        modify(
            entities.entry("keyless", is_default_action=True, action=entities.action("NoAction"))
        ),
        modify(entities.cell("sums", 1, 12)),
        modify(entities.cell("sums", None, 13)),
        modify(entities.counter(1, packets=12)),
        modify(entities.rate(1, p4r.MeterConfig(cir=1, pir=1))),
        insert(learning(entities.id("learned_t"))),
        modify(group(1, (2, 2))),
        insert(group(2)),
        delete(session(1)),
    ]
    rollback = p4r.WriteRequest.ROLLBACK_ON_ERROR
    with pytest.raises(Failure) as failure:
        client.write(*updates, delete(entities.station(77)), atomicity=rollback)
    assert failure.value.details == ["ABORTED"] * len(updates) + ["NOT_FOUND"]
    assert sorted(map(str, state())) == sorted(map(str, kept))
    client.write(*updates, atomicity=rollback)
    assert sorted(map(str, state())) != sorted(map(str, kept))


def test_what_a_read_finds_comes_before_its_error(client: Client, entities: Entities) -> None:
    client.write(insert(entities.station(1, 1)))
    unknown = p4r.Entity(table_entry=p4r.TableEntry(table_id=0x02FFFFFF))
    found: list[p4r.Entity] = []
    with pytest.raises(Failure) as failure:
        client.read_until_failure(found, entities.station(1), unknown, entities.cell("sums"))
    assert failure.value.details == ["OK", "INVALID_ARGUMENT", "OK"]
    assert len(found) == 1 + 16


def test_many_errors_fit_into_the_answer(client: Client, entities: Entities) -> None:
    with pytest.raises(Failure) as failure:
        client.write(*(delete(entities.station(mac)) for mac in range(500)))
    assert failure.value.details == ["NOT_FOUND"] * 500
