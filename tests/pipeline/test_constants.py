"""Numbers that the P4 program and the Python parts share."""

import re
from collections.abc import Iterable

import pytest

from controller import filters
from controller.counters import Event, Traffic, name_of
from hosts.wire import CONTROL_LENGTH, GROUPS, HEADER_LENGTH, MAGIC, VERSION, Flags, Op

from .bmv2 import DataPlane
from .conftest import PROGRAM

SOURCE = (PROGRAM.parent / "include" / "constants.p4").read_text()


def constants() -> dict[str, int]:
    """Return the constants of constants.p4 whose value is a literal, or 1 << a literal."""
    found = re.findall(r"^const \S+ (\w+) = (?:(1) << )?(\w+);", SOURCE, re.M)
    return {name: int(value, 0) if not one else 1 << int(value) for name, one, value in found}


CONSTANTS = constants()


def _named(prefix: str) -> dict[str, int]:
    return {
        name.removeprefix(prefix): value
        for name, value in CONSTANTS.items()
        if name.startswith(prefix)
    }


def _members(enum: Iterable[Event] | Iterable[Traffic] | Iterable[Op]) -> dict[str, int]:
    return {each.name: each.value for each in enum}


def test_the_wire_format() -> None:
    assert CONSTANTS["MAGIC"] == MAGIC
    assert CONSTANTS["VERSION"] == VERSION
    assert CONSTANTS["NETMIGRATE_BYTES"] == HEADER_LENGTH
    assert CONSTANTS["CONTROL_BYTES"] == CONTROL_LENGTH
    assert CONSTANTS["GROUPS"] == GROUPS
    assert _named("OP_") == _members(Op)
    for name, value in _named("FLAG_").items():
        assert Flags[name] == value


def test_the_counters(pipeline: DataPlane) -> None:
    assert _named("EVENT_") == _members(Event)
    assert _named("TRAFFIC_") == _members(Traffic) | {"CLASSES": len(Traffic)}
    assert len(pipeline.counters("Ingress.events")) == len(Event)
    assert len(pipeline.counters("Egress.traffic")) == len(Traffic)


def test_cells_have_names() -> None:
    assert name_of("events", Event.DOUBLE_READ) == "DOUBLE_READ"
    assert name_of("traffic", Traffic.BETWEEN_SERVERS) == "BETWEEN_SERVERS"


def test_the_register_arrays(pipeline: DataPlane) -> None:
    for name in ("SLICES", "LANES", "ONGOING_CELLS", "MIGRATED_CELLS"):
        assert CONSTANTS[name] == getattr(filters, name)
    for i in range(filters.HASHES):
        ongoing = pipeline.registers(f"Ingress.ongoing_{i}")
        assert len(ongoing) == filters.SLICES * filters.ONGOING_CELLS
        migrated = pipeline.registers(f"Ingress.migrated_{i}")
        assert len(migrated) == filters.SLICES * filters.MIGRATED_CELLS
    assert len(pipeline.registers("Ingress.ctrl_seq")) == filters.SLICES * filters.LANES


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("slice_t", "SLICES"),
        ("lane_t", "LANES"),
        ("ongoing_cell_t", "ONGOING_CELLS"),
        ("migrated_cell_t", "MIGRATED_CELLS"),
    ],
)
def test_index_types_have_as_many_values_as_there_are_cells(kind: str, values: str) -> None:
    (width,) = re.findall(rf"typedef bit<(\d+)> {kind};", SOURCE)
    assert 1 << int(width) == CONSTANTS[values]


def test_the_events_that_drop_come_last() -> None:
    assert [each for each in Event if each.dropped] == list(Event)[Event.MALFORMED :]
