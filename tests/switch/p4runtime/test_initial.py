"""Const and preinitialized tables, and values of named types (P4Runtime spec 9.1.4, 9.1.5, 8.5)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from finsy.proto import p4r

from switch.p4runtime import Server, device_config
from tests.switch.p4runtime.client import Client, Failure, delete, insert, modify
from tests.switch.p4runtime.conftest import EXAMPLE
from tests.switch.p4runtime.entities import Entities, exact, ternary

CONFIG = p4r.MeterConfig(cir=1, cburst=2, pir=3, pburst=4)
COUNTS = p4r.CounterData(packet_count=5)


@pytest.fixture
def switch(empty_server: Server) -> Iterator[Client]:
    empty_server.load(device_config(EXAMPLE.with_name("initial.p4"))[0])
    client = Client(empty_server.port)
    yield client
    client.close()


@pytest.fixture
def e(switch: Client) -> Entities:
    return Entities(switch)


def mixed(e: Entities, station: int, port: int | None = None, **options: Any) -> p4r.Entity:
    action = e.action("send", (1, bytes([port]))) if port is not None else None
    return e.entry("mixed", [exact(1, station)], action, **options)


def by_range(low: int, high: int) -> p4r.FieldMatch:
    bounds = p4r.FieldMatch.Range(low=bytes([low]), high=bytes([high]))
    return p4r.FieldMatch(field_id=2, range=bounds)


def fixed(e: Entities, **options: Any) -> p4r.Entity:
    """The first entry of the const table."""
    return e.entry("fixed", [ternary(1, 1, 0xFF), by_range(5, 9)], priority=3, **options)


def test_initial_entries_are_read(switch: Client, e: Entities) -> None:
    assert sorted(map(str, switch.read(e.entry("mixed")))) == sorted(
        map(str, [mixed(e, 1, 1, is_const=True), mixed(e, 2, 2)])
    )


def test_initial_entries_that_are_not_const_are_like_others(switch: Client, e: Entities) -> None:
    switch.write(modify(mixed(e, 2, 9)), insert(mixed(e, 3, 3)))
    assert switch.read(mixed(e, 2)) == [mixed(e, 2, 9)]
    switch.write(delete(mixed(e, 2)), delete(mixed(e, 3)))
    assert switch.read(e.entry("mixed")) == [mixed(e, 1, 1, is_const=True)]


def test_they_count_for_the_size(switch: Client, e: Entities) -> None:
    switch.write(insert(mixed(e, 3, 3)), insert(mixed(e, 4, 3)))
    with pytest.raises(Failure) as failure:
        switch.write(insert(mixed(e, 5, 3)))
    assert failure.value.details == ["RESOURCE_EXHAUSTED"]


def test_of_const_entries_only_direct_resources_change(switch: Client, e: Entities) -> None:
    bad = [
        ("PERMISSION_DENIED", modify(mixed(e, 1, 1))),
        ("PERMISSION_DENIED", modify(mixed(e, 1, metadata=b"m"))),
        ("PERMISSION_DENIED", delete(mixed(e, 1))),
        ("ALREADY_EXISTS", insert(mixed(e, 1, 1))),
        ("PERMISSION_DENIED", modify(fixed(e, action=e.action("colour_it")))),
        ("PERMISSION_DENIED", delete(fixed(e))),
        ("PERMISSION_DENIED", insert(fixed(e, action=e.action("colour_it")))),
        ("NOT_FOUND", modify(e.entry("fixed", [], priority=9))),
        ("INVALID_ARGUMENT", modify(e.entry("fixed", []))),
    ]
    with pytest.raises(Failure) as failure:
        switch.write(*(update for _, update in bad))
    assert failure.value.details == [code for code, _ in bad]
    switch.write(modify(mixed(e, 1, counter_data=COUNTS)), modify(fixed(e, meter_config=CONFIG)))
    (found,) = switch.read(mixed(e, 1, counter_data=p4r.CounterData()))
    assert found == mixed(e, 1, 1, counter_data=COUNTS, is_const=True)
    (found,) = switch.read(fixed(e, meter_config=p4r.MeterConfig()))
    assert found.table_entry.meter_config == CONFIG
    default = e.entry("fixed", [], e.action("colour_it"), is_default_action=True)
    switch.write(modify(default))
    assert switch.read(e.entry("fixed", is_default_action=True)) == [default]


def test_const_entries_have_priorities_in_their_order(switch: Client, e: Entities) -> None:
    found = {
        entity.table_entry.priority: entity.table_entry for entity in switch.read(e.entry("fixed"))
    }
    assert sorted(found) == [1, 2, 3]
    assert found[3] == fixed(e, action=e.action("colour_it"), is_const=True).table_entry
    assert list(found[2].match) == [ternary(1, 0, 1)]
    assert list(found[1].match) == []


def test_a_range_of_translated_values_can_be_left_out(switch: Client, e: Entities) -> None:
    """However wide the controller's type is."""
    bounds = p4r.FieldMatch.Range(low=b"\x01", high=b"\x01\xff")
    written = [
        e.entry("between", [], e.action("NoAction"), priority=1),
        e.entry(
            *("between", [p4r.FieldMatch(field_id=1, range=bounds)], e.action("NoAction")),
            priority=2,
        ),
    ]
    switch.write(*map(insert, written))
    assert sorted(map(str, switch.read(e.entry("between")))) == sorted(map(str, written))


def test_values_of_named_types(switch: Client, e: Entities) -> None:
    """Enums and translated ports are numbers as wide as P4Info says."""
    key = [exact(1, 0xFE), exact(2, 1), ternary(3, 5, 0x1FF), exact(4, 0x1FF)]
    action = e.action("note", (1, b"\x07"), (2, b"\x01\xff"), (3, b"\x01"))
    entry = e.entry("named", key, action, priority=1)
    switch.write(insert(entry))
    (found,) = switch.read(e.entry("named"))
    assert sorted(found.table_entry.match, key=lambda match: match.field_id) == key
    assert found.table_entry.action == action
    wide = [*key[:3], exact(4, 0x200)]  # fits P4Info's 32 bits, but no port of this switch
    with pytest.raises(Failure) as failure:
        switch.write(
            insert(e.entry("named", wide, action, priority=1)),
            insert(e.entry("named", [*key[:1], exact(2, 2), *key[2:]], action, priority=1)),
        )
    assert failure.value.details == ["INVALID_ARGUMENT"] * 2
