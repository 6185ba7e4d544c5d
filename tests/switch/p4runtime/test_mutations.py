"""Requests that are almost right: answered in P4Runtime's terms, and all or nothing is done."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import grpc
import pytest
from finsy.proto import p4r
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from switch.p4runtime import DeviceConfig, Server
from tests.switch.p4runtime.client import Client, Failure, Stream, delete, insert, modify, uint128
from tests.switch.p4runtime.entities import (
    Entities,
    exact,
    group,
    learning,
    lpm,
    session,
    ternary,
)
from tests.switch.p4runtime.mutation import mutate
from tests.switch.p4runtime.servers import controlling, serving
from tests.switch.p4runtime.test_fuzz import REFUSALS
from tests.switch.p4runtime.test_profiles import Profiles

RANDOM = st.randoms(use_true_random=False)
CONFIG = p4r.MeterConfig(cir=1, cburst=2, pir=3, pburst=4)
COUNTS = p4r.CounterData(packet_count=3, byte_count=200)


@pytest.fixture(scope="module")
def target(config: DeviceConfig) -> Iterator[tuple[Server, Client]]:
    with serving(config) as server, controlling(server) as client:
        yield server, client


@pytest.fixture(scope="module")
def profiled(profiles_config: DeviceConfig) -> Iterator[tuple[Client, Profiles]]:
    with serving(profiles_config) as server, controlling(server) as client:
        yield client, Profiles(client)


@pytest.fixture(scope="module")
def good(target: tuple[Server, Client]) -> p4r.ForwardingPipelineConfig:
    return target[1].get_config()


@pytest.fixture(scope="module")
def entities(target: tuple[Server, Client]) -> Entities:
    return Entities(target[1])


def valid_entities(e: Entities) -> list[p4r.Entity]:
    """Some of every kind, all of them right."""
    mark = e.action("set_mark", (1, b"\x03"), (7, b"\x01"))
    key = p4r.TableEntry(table_id=e.id("station"), is_default_action=True)
    return [
        e.station(1, 1),
        e.station(1, 2, metadata=b"m", counter_data=COUNTS),
        e.station(2, 3, meter_config=CONFIG, meter_counter_data=p4r.MeterCounterData()),
        e.station(3, 3),
        e.station(4, 4),
        e.station(5, 4),
        e.entry("prefix", [lpm(1, 0x0A0000000000, 8)], mark),
        e.entry("prefix", [], mark),
        e.filter(1, 1),
        e.filter(1, 2, controller_metadata=4),
        e.entry("filter", [ternary(1, 0x800, 0xFF00)], e.action("NoAction"), priority=9),
        e.entry("fixed", [exact(1, 0x0800)]),
        e.entry("keyless", [], mark, is_default_action=True),
        e.entry("keyless", [], is_default_action=True),
        e.entry("station", [], e.action("drop"), is_default_action=True, meter_config=CONFIG),
        e.cell("sums", 1, 5),
        e.cell("sums", 2, 6),
        e.cell("sums", None, 7),
        e.cell("levels", 1, b"\xff"),
        e.counter(1, 5),
        e.counter(None, 6),
        e.rate(1, CONFIG),
        e.rate(None),
        e.station_counter(1, 9),
        e.station_meter(2, CONFIG),
        p4r.Entity(direct_counter_entry=p4r.DirectCounterEntry(table_entry=key, data=COUNTS)),
        p4r.Entity(direct_meter_entry=p4r.DirectMeterEntry(table_entry=key, config=CONFIG)),
        learning(e.id("learned_t"), max_list_size=4),
        group(1, (1, 1), (2, 2)),
        group(2, (3, 0), metadata=b"m"),
        session(1, (1, 1)),
        session(2, (1, 1), (2, 2), class_of_service=1, packet_length_bytes=9),
    ]


def queries(e: Entities) -> list[p4r.Entity]:
    direct: dict[str, Any] = {
        "counter_data": p4r.CounterData(),
        "meter_config": p4r.MeterConfig(),
        "meter_counter_data": p4r.MeterCounterData(),
    }
    return [
        p4r.Entity(table_entry=p4r.TableEntry(**direct)),
        e.entry("station", is_default_action=True, **direct),
        e.entry("keyless", is_default_action=True),
        e.entry("filter", priority=2),
        e.cell("sums"),
        e.cell("levels"),
        p4r.Entity(counter_entry=p4r.CounterEntry()),
        p4r.Entity(meter_entry=p4r.MeterEntry()),
        p4r.Entity(digest_entry=p4r.DigestEntry()),
        group(0),
        session(0),
    ]


def state(client: Client, e: Entities) -> list[str]:
    return sorted(map(str, client.read(*queries(e))))


def some_updates(e: Entities, random: Random) -> list[p4r.Update]:
    kinds = (insert, insert, modify, modify, delete)
    valid = valid_entities(e)
    return [random.choice(kinds)(random.choice(valid)) for _ in range(random.randrange(1, 9))]


def check(failure: Failure, updates: int) -> None:
    assert failure.code == "UNKNOWN"
    assert len(failure.details) == updates
    assert set(failure.details) <= REFUSALS | {"ABORTED", "FAILED_PRECONDITION"}


@settings(max_examples=200, deadline=None)
@given(random=RANDOM, atomicity=st.sampled_from([1, 2]), mutated=st.booleans())
def test_a_batch_is_done_whole_or_not_at_all(
    target: tuple[Server, Client], entities: Entities, random: Random, atomicity: int, mutated: bool
) -> None:
    """12.2: whatever is in it, and in whatever order."""
    _, client = target
    updates = some_updates(entities, random)
    if mutated:
        mutate(random.choice(updates), random, 2)
    before = state(client, entities)
    try:
        client.write(*updates, atomicity=atomicity)
    except Failure as failure:
        check(failure, len(updates))
        assert state(client, entities) == before
        assert sum(code not in ("ABORTED", "OK") for code in failure.details) == 1


def profile_entities(e: Profiles) -> list[p4r.Entity]:
    two = ((1, 1), (2, 2))
    return [
        e.member("shared", 1, 1),
        e.member("shared", 2, 2),
        e.member("balanced", 1, 1),
        e.member("balanced", 1, 2),
        e.member("balanced", 2, 3),
        e.group("balanced", 1, *two),
        e.group("balanced", 1, (1, 1)),
        e.group("balanced", 2),
        e.to_member("first", 1, 1),
        e.to_member("first", 1, 2),
        e.to_member("second", 1, 2, priority=1),
        e.to_member("balance", 1, 1),
        e.to_group("balance", 1, 1),
        e.to_group("balance", 2, 2),
        e.one_shot("balance", 3, (5, 1), (6, 2)),
        e.one_shot("narrow", 1, (5, 1), (6, 2)),
        e.one_shot("narrow", 1, (7, 1)),
        e.one_shot("heavy", 1, (5, 2), (6, 2)),
        e.entry("plain", [exact(1, 1)], e.action("result", (1, b"\x01"))),
    ]


@settings(max_examples=200, deadline=None)
@given(random=RANDOM, atomicity=st.sampled_from([0, 1, 2]))
def test_updates_of_action_profiles(
    profiled: tuple[Client, Profiles], random: Random, atomicity: int
) -> None:
    client, make = profiled
    valid = profile_entities(make)
    kinds = (insert, insert, insert, modify, delete)
    updates = [random.choice(kinds)(random.choice(valid)) for _ in range(random.randrange(1, 9))]
    if random.randrange(2):
        mutate(random.choice(updates), random, 2)
    everything = [
        p4r.Entity(table_entry=p4r.TableEntry(counter_data=p4r.CounterData())),
        p4r.Entity(action_profile_member=p4r.ActionProfileMember()),
        p4r.Entity(action_profile_group=p4r.ActionProfileGroup()),
    ]
    before = sorted(map(str, client.read(*everything)))
    try:
        client.write(*updates, atomicity=atomicity)
    except Failure as failure:
        check(failure, len(updates))
        if atomicity:
            assert sorted(map(str, client.read(*everything))) == before


@settings(max_examples=200, deadline=None)
@given(random=RANDOM)
def test_almost_valid_updates(
    target: tuple[Server, Client], entities: Entities, random: Random
) -> None:
    _, client = target
    updates = some_updates(entities, random)
    for update in updates:
        mutate(update, random, random.randrange(3))
    attempt_write(client, updates)


@settings(max_examples=60, deadline=None)
@given(random=RANDOM)
def test_almost_valid_reads(
    target: tuple[Server, Client], entities: Entities, random: Random
) -> None:
    _, client = target
    wanted = random.sample([*queries(entities), *valid_entities(entities)], 4)
    for entity in wanted:
        mutate(entity, random, random.randrange(3))
    attempt_read(client, wanted)


@settings(max_examples=100, deadline=None)
@given(random=RANDOM)
def test_almost_valid_bytes(
    target: tuple[Server, Client], entities: Entities, random: Random
) -> None:
    _, client = target
    request = p4r.WriteRequest(
        device_id=1, election_id=uint128(1), updates=some_updates(entities, random)
    )
    content = bytearray(request.SerializeToString())
    for _ in range(random.randrange(1, 4)):
        content[random.randrange(len(content))] = random.randrange(256)
    call: Any = client.channel.unary_unary("/p4.v1.P4Runtime/Write")
    try:
        call(bytes(content))
    except grpc.RpcError as error:
        assert error.code().name in REFUSALS | {"INTERNAL", "UNKNOWN"}
        # grpc itself answers INTERNAL for bytes that do not parse.
        assert "of the switch" not in str(error.details())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(random=RANDOM)
def test_almost_valid_streams(target: tuple[Server, Client], random: Random) -> None:
    """A stream goes on, or ends with a code of 5.3; the primary stays what it is."""
    server, client = target
    stream = Stream(client.stub)
    requests = [p4r.StreamMessageRequest() for _ in range(3)]
    for request in requests:
        arbitration = request.arbitration
        arbitration.device_id = 1
        arbitration.role.name = f"role {random.randrange(2)}"
        arbitration.election_id.CopyFrom(uint128(random.randrange(3)))
        mutate(request, random, random.randrange(3))
        if request.arbitration.role.name == "":
            request.arbitration.ClearField("election_id")
        stream.send(request)
    stream.send(p4r.StreamMessageRequest())
    try:
        while not stream.receive().error.HasField("other"):
            pass
    except Failure as failure:
        assert failure.code in {
            "NOT_FOUND",
            "INVALID_ARGUMENT",
            "FAILED_PRECONDITION",
            "RESOURCE_EXHAUSTED",
        }
    stream.close()
    client.write()
    assert server.port


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(random=RANDOM, action=st.sampled_from(["VERIFY_AND_COMMIT", "RECONCILE_AND_COMMIT"]))
def test_almost_valid_p4info(
    target: tuple[Server, Client],
    entities: Entities,
    good: p4r.ForwardingPipelineConfig,
    random: Random,
    action: str,
) -> None:
    """What is accepted can be worked with; what is not leaves the switch as it was."""
    _, client = target
    bad = p4r.ForwardingPipelineConfig()
    bad.CopyFrom(good)
    mutate(bad.p4info, random, random.randrange(1, 3))
    try:
        client.set_config(action, bad)
    except Failure as failure:
        assert failure.code == "INVALID_ARGUMENT"
        return
    try:
        for requests in (some_updates(entities, random), some_updates(entities, random)):
            attempt_write(client, requests)
        attempt_read(client, queries(entities))
    finally:
        client.set_config("VERIFY_AND_COMMIT", good)


def attempt_write(client: Client, updates: list[p4r.Update]) -> None:
    try:
        client.write(*updates)
    except Failure as failure:
        check(failure, len(updates))


def attempt_read(client: Client, wanted: list[p4r.Entity]) -> None:
    try:
        client.read(*wanted)
    except Failure as failure:
        check(failure, len(wanted))
