"""Idle timeouts (P4Runtime spec sections 9.1.8 and 16.4), put off by real packets."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any, cast

import finsy as fy
import pytest
from finsy.proto import p4r

from switch.p4runtime import Server
from tests.switch.p4runtime.client import (
    Client,
    Failure,
    Stream,
    delete,
    entries,
    insert,
    modify,
)
from tests.switch.p4runtime.entities import Entities, exact, ternary

SECOND = 10**9
LONG = 1000 * SECOND
SHORT = SECOND // 20


@pytest.fixture
def client(sets_client: Client) -> Client:
    return sets_client


@pytest.fixture
def stream(client: Client) -> Stream:
    assert client.stream
    return client.stream


def station(entities: Entities, number: int, timeout: int = 0, **options: Any) -> p4r.Entity:
    touch = entities.action("touch")
    options = {"idle_timeout_ns": timeout, **options}
    return entities.entry("stations", [exact(1, number)], touch, **options)


def hit(stream: Stream, number: int) -> None:
    packet = p4r.PacketOut(payload=bytes([0, 0, 0, number]))
    stream.send(p4r.StreamMessageRequest(packet=packet))
    assert stream.receive().HasField("packet")


def expired(stream: Stream) -> list[p4r.TableEntry]:
    notification = stream.receive().idle_timeout_notification
    assert abs(notification.timestamp - time.time_ns()) < 60 * SECOND
    return list(notification.table_entry)


def idle(client: Client, entities: Entities, number: int) -> int:
    wanted = station(entities, number)
    wanted.table_entry.ClearField("action")
    wanted.table_entry.time_since_last_hit.SetInParent()
    (entry,) = entries(client.read(wanted))
    return entry.time_since_last_hit.elapsed_ns


def test_notifications_come_again_and_again(
    client: Client, entities: Entities, stream: Stream
) -> None:
    started = time.monotonic_ns()
    entry = station(entities, 1, SHORT, metadata=b"mine", controller_metadata=7)
    client.write(insert(entry), insert(station(entities, 2, LONG)), insert(station(entities, 3)))
    key = p4r.TableEntry()
    key.CopyFrom(entry.table_entry)
    key.ClearField("action")
    for times in (1, 2, 3):
        assert expired(stream) == [key]
        assert time.monotonic_ns() - started >= times * SHORT
    assert idle(client, entities, 1) >= 3 * SHORT  # no packet hit it


def test_no_notifications_after_a_deletion_or_change(
    client: Client, entities: Entities, stream: Stream
) -> None:
    three = [station(entities, number, SHORT) for number in (1, 2, 3)]
    client.write(*map(insert, three))
    client.write(
        delete(three[0]),
        modify(station(entities, 2)),
        modify(station(entities, 3, LONG)),
    )
    while not stream.quiet():
        pass  # what was under way
    assert stream.quiet()
    client.write(insert(three[0]))
    assert [entry.match[0].exact.value for entry in expired(stream)] == [b"\x01"]


def test_hits_put_it_off(client: Client, entities: Entities, stream: Stream) -> None:
    client.write(insert(station(entities, 1, LONG)))
    time.sleep(0.05)
    before = idle(client, entities, 1)
    assert before >= SHORT
    asked = time.monotonic_ns()
    hit(stream, 1)
    assert idle(client, entities, 1) <= time.monotonic_ns() - asked
    # It was hit after it was inserted: the time counts from the hit.
    timeout = SECOND
    client.write(modify(station(entities, 1, timeout)))
    hit_again = time.monotonic_ns()
    hit(stream, 1)
    assert len(expired(stream)) == 1
    assert time.monotonic_ns() - hit_again >= timeout


def test_the_longest_timeout(client: Client, entities: Entities, stream: Stream) -> None:
    client.write(insert(station(entities, 1, (1 << 63) - 1)))
    assert stream.quiet()
    client.write(insert(station(entities, 2, SHORT)))
    assert [entry.match[0].exact.value for entry in expired(stream)] == [b"\x02"]


def test_ternary_entries(client: Client, entities: Entities, stream: Stream) -> None:
    match = [ternary(1, 0x10, 0xF0)]
    entry = entities.entry(
        "ranked", match, entities.action("touch"), priority=3, idle_timeout_ns=SHORT
    )
    client.write(insert(entry))
    (found,) = expired(stream)
    assert found.priority == 3
    assert list(found.match) == match


def test_what_is_read(client: Client, entities: Entities) -> None:
    both = [station(entities, 1, LONG), station(entities, 2)]
    client.write(*map(insert, both))
    assert sorted(map(str, client.read(entities.entry("stations")))) == sorted(map(str, both))
    everything = p4r.Entity(table_entry=p4r.TableEntry())
    everything.table_entry.time_since_last_hit.SetInParent()
    for entry in entries(client.read(everything)):
        assert entry.time_since_last_hit.elapsed_ns > 0


def test_a_failed_batch_keeps_the_timeout(
    client: Client, entities: Entities, stream: Stream
) -> None:
    kept = station(entities, 1, 4 * SHORT)
    client.write(insert(kept))
    with pytest.raises(Failure):
        client.write(
            delete(kept),
            insert(station(entities, 1, LONG)),
            insert(station(entities, 1, LONG)),
            atomicity=p4r.WriteRequest.ROLLBACK_ON_ERROR,
        )
    assert client.read(entities.entry("stations")) == [kept]
    assert [entry.idle_timeout_ns for entry in expired(stream)] == [4 * SHORT]


def test_reconciling_keeps_timeouts(client: Client, entities: Entities, stream: Stream) -> None:
    kept = station(entities, 1, 4 * SHORT)
    client.write(insert(kept))
    client.set_config("RECONCILE_AND_COMMIT", client.get_config())
    assert client.read(entities.entry("stations")) == [kept]
    assert len(expired(stream)) == 1


def test_only_the_primary_is_told(sets_server: Server, client: Client, entities: Entities) -> None:
    backup = Stream(client.stub)
    backup.arbitrate(0)
    assert backup.standing()[0] == "ALREADY_EXISTS"
    client.write(insert(station(entities, 1, SHORT)))
    assert client.stream
    assert expired(client.stream)
    assert backup.quiet()
    backup.close()


def test_what_is_refused(client: Client, entities: Entities) -> None:
    ageless = entities.entry("ageless", [exact(1, 1)], entities.action("touch"))
    default = entities.entry(
        "stations", [], entities.action("touch"), is_default_action=True, idle_timeout_ns=1
    )
    timed, hit_before = p4r.Entity(), station(entities, 1)
    timed.CopyFrom(ageless)
    timed.table_entry.idle_timeout_ns = 1
    hit_before.table_entry.time_since_last_hit.elapsed_ns = 1
    const = entities.entry("fixed", [exact(1, 1)], idle_timeout_ns=1)
    bad = [
        insert(timed),
        modify(default),
        insert(hit_before),
        insert(station(entities, 1, -1)),
        modify(const),
    ]
    with pytest.raises(Failure) as failure:
        client.write(*bad)
    assert failure.value.details == ["INVALID_ARGUMENT"] * len(bad)
    ageless.table_entry.time_since_last_hit.SetInParent()
    default.table_entry.ClearField("idle_timeout_ns")
    default.table_entry.time_since_last_hit.SetInParent()
    for wanted in (ageless, default):
        with pytest.raises(Failure) as failure:
            client.read(wanted)
        assert failure.value.details == ["INVALID_ARGUMENT"]


async def test_finsy(sets_server: Server) -> None:
    async with fy.Switch("s1", f"127.0.0.1:{sets_server.port}") as switch:
        entry = fy.P4TableEntry(
            "stations",
            match=fy.Match({"station": 1}),
            action=fy.Action("touch"),
            idle_timeout_ns=SHORT,
        )
        notifications = cast(AsyncIterator[Any], switch.read_idle_timeouts())
        await switch.write([+entry])
        notification = await anext(notifications)
        assert [each.match for each in notification] == [entry.match]
