"""Bad requests, and the codes that the specification has for them."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from finsy.proto import p4d, p4r

from switch.p4runtime import Server
from tests.switch.p4runtime.client import Client, Failure, delete, insert, modify, uint128
from tests.switch.p4runtime.entities import (
    Entities,
    backed_up,
    exact,
    group,
    learning,
    lpm,
    session,
    ternary,
)

Bad = Callable[[Entities], p4r.Update]

CONFIG = p4r.MeterConfig(cir=1, cburst=2, pir=3, pburst=4)

TABLE_ERRORS: list[tuple[str, Bad]] = [
    # 9.1: what an entry must be made of
    ("INVALID_ARGUMENT", lambda e: insert(p4r.Entity(table_entry=p4r.TableEntry()))),
    (
        "INVALID_ARGUMENT",
        lambda e: insert(p4r.Entity(table_entry=p4r.TableEntry(table_id=0x02FFFFFF))),
    ),
    ("INVALID_ARGUMENT", lambda e: insert(e.entry("station", [exact(1, 1)]))),
    ("INVALID_ARGUMENT", lambda e: insert(e.station(1, 1, is_const=True))),
    ("INVALID_ARGUMENT", lambda e: modify(e.station(100, 1, is_const=True))),
    ("INVALID_ARGUMENT", lambda e: delete(e.station(100, is_const=True))),
    ("INVALID_ARGUMENT", lambda e: insert(e.station(1, 1, priority=1))),
    ("INVALID_ARGUMENT", lambda e: insert(e.filter(1, 0))),
    ("INVALID_ARGUMENT", lambda e: insert(e.filter(1, -5))),
    ("INVALID_ARGUMENT", lambda e: insert(e.entry("keyless", [], e.action("NoAction")))),
    ("ALREADY_EXISTS", lambda e: insert(e.station(100, 1))),
    ("NOT_FOUND", lambda e: modify(e.station(1, 1))),
    ("NOT_FOUND", lambda e: delete(e.station(1))),
    # 9.1.1: matches (every form of them is in test_codec)
    ("INVALID_ARGUMENT", lambda e: insert(e.entry("station", [], e.action("drop")))),
    ("INVALID_ARGUMENT", lambda e: insert(e.entry("station", [exact(1, 1 << 48)]))),
    ("INVALID_ARGUMENT", lambda e: delete(e.entry("station", [exact(2, 1)]))),
    ("INVALID_ARGUMENT", lambda e: modify(e.entry("station", [lpm(1, 0, 48)]))),
    ("INVALID_ARGUMENT", lambda e: delete(e.entry("filter", [ternary(1, 1, 0)], priority=1))),
    # 9.1.2: actions
    ("INVALID_ARGUMENT", lambda e: insert(e.entry("station", [exact(1, 1)], p4r.TableAction()))),
    ("INVALID_ARGUMENT", lambda e: insert(e.entry("station", [exact(1, 1)], e.action("forward")))),
    (
        "INVALID_ARGUMENT",
        lambda e: insert(
            e.entry("station", [exact(1, 1)], p4r.TableAction(action_profile_member_id=1))
        ),
    ),
    (
        "INVALID_ARGUMENT",
        lambda e: insert(
            e.entry("station", [exact(1, 1)], e.action("forward", (1, b"\x01"), (2, b"\x01")))
        ),
    ),
    (
        "INVALID_ARGUMENT",
        lambda e: insert(
            e.entry("station", [exact(1, 1)], e.action("forward", (1, b"\x01"), (1, b"\x01")))
        ),
    ),
    (
        "INVALID_ARGUMENT",
        lambda e: insert(e.entry("station", [exact(1, 1)], e.action("forward", (1, b"\x02\x00")))),
    ),
    (
        "INVALID_ARGUMENT",
        lambda e: insert(e.entry("prefix", [], e.action("drop"))),
    ),
    (
        "PERMISSION_DENIED",
        lambda e: insert(e.entry("station", [exact(1, 1)], e.action("NoAction"))),
    ),
    # 9.1.3: default entries
    ("INVALID_ARGUMENT", lambda e: insert(e.entry("station", is_default_action=True))),
    ("INVALID_ARGUMENT", lambda e: delete(e.entry("station", is_default_action=True))),
    ("INVALID_ARGUMENT", lambda e: modify(e.station(1, 1, is_default_action=True))),
    (
        "INVALID_ARGUMENT",
        lambda e: modify(e.entry("station", is_default_action=True, priority=1)),
    ),
    (
        "PERMISSION_DENIED",
        lambda e: modify(
            e.entry(
                "station",
                [],
                e.action("set_mark", (1, b"\x01"), (7, b"\x01")),
                is_default_action=True,
            )
        ),
    ),
    (
        "PERMISSION_DENIED",
        lambda e: modify(e.entry("filter", [], e.action("drop"), is_default_action=True)),
    ),
    # 9.1.4: const entries
    ("PERMISSION_DENIED", lambda e: insert(e.entry("fixed", [exact(1, 1)], e.action("NoAction")))),
    ("PERMISSION_DENIED", lambda e: delete(e.entry("fixed", [exact(1, 0x0800)]))),
    (
        "PERMISSION_DENIED",
        lambda e: modify(e.entry("fixed", [exact(1, 0x0800)], e.action("NoAction"))),
    ),
    (
        "PERMISSION_DENIED",
        lambda e: modify(e.entry("fixed", [exact(1, 0x0800)], metadata=b"mine")),
    ),
    # 9.1.7, 9.1.8: direct resources and idle timeouts that the table does not have
    (
        "INVALID_ARGUMENT",
        lambda e: insert(
            e.entry("prefix", [], e.action("NoAction"), counter_data=p4r.CounterData())
        ),
    ),
    (
        "INVALID_ARGUMENT",
        lambda e: insert(
            e.entry("prefix", [], e.action("NoAction"), meter_config=p4r.MeterConfig(cir=1))
        ),
    ),
    ("INVALID_ARGUMENT", lambda e: insert(e.station(1, 1, idle_timeout_ns=5))),
    (
        "INVALID_ARGUMENT",
        lambda e: insert(e.station(1, 1, counter_data=p4r.CounterData(packet_count=-1))),
    ),
]

OTHER_ERRORS: list[tuple[str, Bad]] = [
    ("INVALID_ARGUMENT", lambda e: p4r.Update()),
    ("INVALID_ARGUMENT", lambda e: p4r.Update(type=p4r.Update.INSERT)),
    ("INVALID_ARGUMENT", lambda e: p4r.Update(type=9, entity=e.station(1, 1))),  # type: ignore[arg-type]
    ("INVALID_ARGUMENT", lambda e: p4r.Update(entity=e.station(1, 1))),
    ("UNIMPLEMENTED", lambda e: modify(p4r.Entity(extern_entry=p4r.ExternEntry()))),
    # 9.3.2: counters
    ("INVALID_ARGUMENT", lambda e: insert(e.counter(0, 1))),
    ("INVALID_ARGUMENT", lambda e: delete(e.counter(0, 1))),
    ("INVALID_ARGUMENT", lambda e: modify(e.counter(-1, 1))),
    ("OUT_OF_RANGE", lambda e: modify(e.counter(4, 1))),
    (
        "INVALID_ARGUMENT",
        lambda e: modify(p4r.Entity(counter_entry=p4r.CounterEntry(counter_id=0x12000000))),
    ),
    # 9.3.1: direct counters
    ("INVALID_ARGUMENT", lambda e: insert(e.station_counter(100, 1))),
    ("NOT_FOUND", lambda e: modify(e.station_counter(1, 1))),
    (
        "INVALID_ARGUMENT",
        lambda e: modify(
            p4r.Entity(
                direct_counter_entry=p4r.DirectCounterEntry(
                    table_entry=p4r.TableEntry(table_id=e.id("prefix"))
                )
            )
        ),
    ),
    # 9.4: meters
    ("INVALID_ARGUMENT", lambda e: modify(e.rate(4 - 5, CONFIG))),
    ("OUT_OF_RANGE", lambda e: modify(e.rate(4, CONFIG))),
    ("INVALID_ARGUMENT", lambda e: insert(e.rate(0, CONFIG))),
    ("INVALID_ARGUMENT", lambda e: modify(e.rate(0, p4r.MeterConfig(cir=-1)))),
    ("INVALID_ARGUMENT", lambda e: modify(e.rate(0, p4r.MeterConfig(cir=2, pir=1)))),
    ("INVALID_ARGUMENT", lambda e: modify(e.rate(0, p4r.MeterConfig(eburst=1)))),
    ("NOT_FOUND", lambda e: modify(e.station_meter(1, CONFIG))),
    ("INVALID_ARGUMENT", lambda e: delete(e.station_meter(100, CONFIG))),
    (
        "INVALID_ARGUMENT",
        lambda e: modify(p4r.Entity(meter_entry=p4r.MeterEntry(meter_id=0x14000000))),
    ),
    # 9.7: registers
    ("INVALID_ARGUMENT", lambda e: insert(e.cell("flags", 0, 1))),
    ("INVALID_ARGUMENT", lambda e: delete(e.cell("flags", 0, 1))),
    ("INVALID_ARGUMENT", lambda e: modify(e.cell("flags", -1, 1))),
    ("OUT_OF_RANGE", lambda e: modify(e.cell("flags", 64, 1))),
    ("OUT_OF_RANGE", lambda e: modify(e.cell("flags", 0, 2))),
    ("OUT_OF_RANGE", lambda e: modify(e.cell("flags", 0, b""))),
    ("OUT_OF_RANGE", lambda e: modify(e.cell("levels", 0, b"\x00\x80"))),
    ("INVALID_ARGUMENT", lambda e: modify(e.cell("flags", 0))),
    (
        "INVALID_ARGUMENT",
        lambda e: modify(
            p4r.Entity(
                register_entry=p4r.RegisterEntry(
                    register_id=e.id("flags"), data=p4d.P4Data(bool=True)
                )
            )
        ),
    ),
    # 9.9: digests
    ("INVALID_ARGUMENT", lambda e: insert(learning(0x17000000))),
    ("NOT_FOUND", lambda e: modify(learning(e.id("learned_t")))),
    ("NOT_FOUND", lambda e: delete(learning(e.id("learned_t")))),
    ("INVALID_ARGUMENT", lambda e: insert(learning(e.id("learned_t"), max_list_size=-1))),
    # 9.5: multicast groups and clone sessions
    ("INVALID_ARGUMENT", lambda e: insert(group(0))),
    ("OUT_OF_RANGE", lambda e: insert(group(1 << 16))),
    ("ALREADY_EXISTS", lambda e: insert(group(100))),
    ("NOT_FOUND", lambda e: modify(group(1))),
    ("NOT_FOUND", lambda e: delete(group(1))),
    ("INVALID_ARGUMENT", lambda e: insert(group(1, (1, 1), (1, 1)))),
    ("INVALID_ARGUMENT", lambda e: insert(group(1, (1, 1 << 16)))),
    ("OUT_OF_RANGE", lambda e: insert(group(1, (512, 1)))),
    ("OUT_OF_RANGE", lambda e: insert(group(1, replicas=[p4r.Replica(port=b"")]))),
    ("INVALID_ARGUMENT", lambda e: insert(group(1, replicas=[p4r.Replica(egress_port=512)]))),
    ("INVALID_ARGUMENT", lambda e: insert(group(1, replicas=[p4r.Replica(instance=1)]))),
    ("OUT_OF_RANGE", lambda e: insert(group(1, replicas=[backed_up((1, 1), (512, 2))]))),
    ("INVALID_ARGUMENT", lambda e: insert(group(1, replicas=[backed_up((1, 1), (1, 2))]))),
    ("INVALID_ARGUMENT", lambda e: insert(group(1, replicas=[backed_up((1, 1), (2, 1 << 16))]))),
    (
        "INVALID_ARGUMENT",
        lambda e: insert(group(1, replicas=[backed_up((1, 1), (2, 2)), backed_up((2, 2))])),
    ),
    ("UNIMPLEMENTED", lambda e: insert(session(1, replicas=[backed_up((1, 1), (2, 2))]))),
    ("INVALID_ARGUMENT", lambda e: insert(session(0))),
    ("NOT_FOUND", lambda e: delete(session(1))),
    ("OUT_OF_RANGE", lambda e: insert(session(1 << 15))),
    ("ALREADY_EXISTS", lambda e: insert(session(100))),
    ("INVALID_ARGUMENT", lambda e: insert(session(1, class_of_service=256))),
    ("INVALID_ARGUMENT", lambda e: insert(session(1, (1, 1), (1, 1)))),
    ("INVALID_ARGUMENT", lambda e: insert(session(1, packet_length_bytes=-1))),
    (
        "INVALID_ARGUMENT",
        lambda e: insert(
            p4r.Entity(packet_replication_engine_entry=p4r.PacketReplicationEngineEntry())
        ),
    ),
]


@pytest.fixture
def filled(client: Client, entities: Entities) -> Client:
    client.write(
        insert(entities.station(100, 1)), insert(group(100, (1, 1))), insert(session(100, (1, 1)))
    )
    return client


@pytest.mark.parametrize(("code", "bad"), TABLE_ERRORS + OTHER_ERRORS)
def test_bad_updates(filled: Client, entities: Entities, code: str, bad: Bad) -> None:
    before = sorted(map(str, filled.read(entities.entry("station"), group(0), session(0))))
    with pytest.raises(Failure) as failure:
        filled.write(bad(entities))
    assert failure.value.code == "UNKNOWN"
    assert failure.value.details == [code]
    assert len(failure.value.messages[1]) > 10
    after = sorted(map(str, filled.read(entities.entry("station"), group(0), session(0))))
    assert after == before


def test_a_full_table(client: Client, entities: Entities) -> None:
    client.write(*(insert(entities.station(mac, 1)) for mac in range(4)))
    with pytest.raises(Failure) as failure:
        client.write(insert(entities.station(4, 1)))
    assert failure.value.details == ["RESOURCE_EXHAUSTED"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"device_id": 2}, "NOT_FOUND"),
        ({"role": "unheard of"}, "NOT_FOUND"),
        ({"election_id": uint128(2)}, "PERMISSION_DENIED"),
        ({"election_id": uint128(1 << 64)}, "PERMISSION_DENIED"),
        ({"atomicity": 3}, "INVALID_ARGUMENT"),
    ],
)
def test_refused_writes(
    client: Client, entities: Entities, options: dict[str, object], code: str
) -> None:
    with pytest.raises(Failure) as failure:
        client.write(insert(entities.station(1, 1)), **options)
    assert failure.value.code == code
    assert failure.value.details == []
    assert client.read(entities.entry("station")) == []


BAD_READS: list[tuple[str, Callable[[Entities], p4r.Entity]]] = [
    ("INVALID_ARGUMENT", lambda e: p4r.Entity()),
    (
        "INVALID_ARGUMENT",
        lambda e: p4r.Entity(value_set_entry=p4r.ValueSetEntry(value_set_id=1)),
    ),
    (
        "INVALID_ARGUMENT",
        lambda e: p4r.Entity(extern_entry=p4r.ExternEntry(extern_type_id=0x81)),
    ),
    ("INVALID_ARGUMENT", lambda e: e.entry("station", [exact(3, 1)])),
    ("INVALID_ARGUMENT", lambda e: e.station(1, is_default_action=True)),
    ("INVALID_ARGUMENT", lambda e: e.station(1, time_since_last_hit={})),
    (
        "INVALID_ARGUMENT",
        lambda e: e.entry("station", [], p4r.TableAction(action_profile_member_id=1)),
    ),
    ("INVALID_ARGUMENT", lambda e: p4r.Entity(table_entry=p4r.TableEntry(priority=1))),
    ("INVALID_ARGUMENT", lambda e: p4r.Entity(table_entry=p4r.TableEntry(metadata=b"m"))),
    (
        "INVALID_ARGUMENT",
        lambda e: p4r.Entity(table_entry=p4r.TableEntry(is_default_action=True)),
    ),
    (
        "INVALID_ARGUMENT",
        lambda e: p4r.Entity(table_entry=p4r.TableEntry(match=[exact(1, 1)])),
    ),
    ("OUT_OF_RANGE", lambda e: e.cell("flags", 64)),
    ("INVALID_ARGUMENT", lambda e: e.cell("flags", -1)),
    ("OUT_OF_RANGE", lambda e: e.counter(4)),
    ("NOT_FOUND", lambda e: e.station_counter(1)),
    ("INVALID_ARGUMENT", lambda e: p4r.Entity(register_entry=p4r.RegisterEntry(register_id=5))),
]


@pytest.mark.parametrize(("code", "bad"), BAD_READS)
def test_bad_reads(
    client: Client, entities: Entities, code: str, bad: Callable[[Entities], p4r.Entity]
) -> None:
    with pytest.raises(Failure) as failure:
        client.read(bad(entities))
    assert failure.value.code == "UNKNOWN"
    assert failure.value.details == [code]


def test_reads_of_another_device(client: Client, entities: Entities) -> None:
    with pytest.raises(Failure, match="NOT_FOUND"):
        client.read(entities.entry("station"), device=2)


def test_without_a_config(empty_server: Server) -> None:
    client = Client(empty_server.port)
    with pytest.raises(Failure, match="FAILED_PRECONDITION"):
        client.read(p4r.Entity(table_entry=p4r.TableEntry()))
    with pytest.raises(Failure, match="FAILED_PRECONDITION"):
        client.write(insert(group(1)))
    client.close()


def test_capabilities(client: Client) -> None:
    answer = client.stub.Capabilities(p4r.CapabilitiesRequest())
    assert answer.p4runtime_api_version == "1.5.0"
    with pytest.raises(grpc.RpcError) as error:
        client.stub.Capabilities(p4r.CapabilitiesRequest(device_id=7))
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
