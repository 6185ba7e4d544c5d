"""P4Info, indexed the way requests refer to it: by id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

from finsy.proto import p4i

from switch.p4runtime.errors import Refused, invalid
from switch.p4runtime.p4data import Scalar, Type, Types
from switch.runtime.entries import Lpm, Match, Optional, Range, Ternary

EXACT = p4i.MatchField.EXACT
LPM = p4i.MatchField.LPM
TERNARY = p4i.MatchField.TERNARY
RANGE = p4i.MatchField.RANGE
OPTIONAL = p4i.MatchField.OPTIONAL


@dataclass(frozen=True, slots=True)
class Field:
    """A match field, an action parameter or a metadata field."""

    id: int
    name: str
    width: int
    kind: int = 0
    narrowed: int = 0
    """The data plane's width, where values are translated (spec 18.1); 0: the same."""

    @property
    def anything(self) -> Match | None:
        """What a field left out matches; None where it must be given (spec 9.1.1)."""
        match self.kind:
            case p4i.MatchField.LPM:
                return Lpm(0, 0)
            case p4i.MatchField.TERNARY:
                return Ternary(0, 0)
            case p4i.MatchField.RANGE:
                return Range(0, (1 << (self.narrowed or self.width)) - 1)
            case p4i.MatchField.OPTIONAL:
                return Optional(None)
        return None


@dataclass(frozen=True, slots=True)
class Action:
    id: int
    name: str
    params: tuple[Field, ...]
    positions: dict[int, int]
    """Parameter id to position in `params`."""


@dataclass(frozen=True, slots=True)
class Table:
    id: int
    name: str
    fields: tuple[Field, ...]
    positions: dict[int, int]
    anything: tuple[Match | None, ...]
    scopes: dict[int, int]
    """Action id to p4i.ActionRef scope."""
    needs_priority: bool
    is_const: bool
    const_default: bool
    implementation_id: int
    counter_id: int
    meter_id: int
    meter_type: int
    """p4i.MeterSpec type of the direct meter."""
    idle_timeout: bool

    @property
    def what(self) -> str:
        return f"table {self.name}"


@dataclass(frozen=True, slots=True)
class ValueSet:
    id: int
    name: str
    fields: tuple[Field, ...]
    positions: dict[int, int]
    anything: tuple[Match | None, ...]

    @property
    def what(self) -> str:
        return f"value set {self.name}"


@dataclass(frozen=True, slots=True)
class ActionProfile:
    id: int
    name: str
    with_selector: bool
    size: int
    max_group_size: int
    by_weight: bool
    """Sizes are sums of weights, not numbers of members (spec 6.4.2)."""
    max_member_weight: int
    weights_disallowed: bool

    @property
    def what(self) -> str:
        return f"action profile {self.name}"


@dataclass(frozen=True, slots=True)
class Array:
    """An indexed counter or meter."""

    id: int
    name: str
    size: int
    type: int = 0
    """p4i.MeterSpec type."""


@dataclass(frozen=True, slots=True)
class Register:
    id: int
    name: str
    size: int
    type: Scalar | None
    """None: its values cannot be exchanged."""


@dataclass(frozen=True, slots=True)
class PacketHeader:
    """A @controller_header: its metadata by name."""

    fields: dict[str, Field]


Object = TypeVar("Object", Table, Action, Array, Register, ValueSet, ActionProfile)


class Schema:
    """What a controller may name; every lookup of an unknown id is refused by its kind."""

    def __init__(self, info: p4i.P4Info, widths: Mapping[str, int] | None = None) -> None:
        """`widths` are the data plane's, of types that may be translated."""
        direct_counters = {counter.preamble.id for counter in info.direct_counters}
        direct_meters = {meter.preamble.id: meter.spec.type for meter in info.direct_meters}
        self.actions = _by_id(map(_action, info.actions))
        self.tables = _by_id(
            _table(table, direct_counters, direct_meters, widths or {}) for table in info.tables
        )
        self.counters = _by_id(map(_counter, info.counters))
        self.meters = _by_id(map(_meter, info.meters))
        types = Types(info.type_info)
        self.registers = _by_id(_register(register, types) for register in info.registers)
        self.digests: dict[str, Type | None] = {
            digest.preamble.name: types.described(digest.type_spec) for digest in info.digests
        }
        self.profiles = _by_id(map(_profile, info.action_profiles))
        self.value_sets = _by_id(map(_value_set, info.value_sets))
        self.action_ids = {action.name: action.id for action in self.actions.values()}
        owners: tuple[Iterable[Any], ...] = (
            info.tables, info.action_profiles, info.counters, info.meters, info.registers,
            info.digests, info.value_sets,
        )  # fmt: skip
        self.names: dict[int, tuple[str, ...]] = {
            thing.preamble.id: (thing.preamble.name, thing.preamble.alias)
            for thing in chain.from_iterable(owners)
        }
        """What holds entities, for the scopes of roles."""
        headers = {header.preamble.name: header for header in info.controller_packet_metadata}
        self.packet_in = _packet_header(headers.get("packet_in"))
        self.packet_out = _packet_header(headers.get("packet_out"))

    def table(self, number: int) -> Table:
        return _find(self.tables, number, "table")

    def action(self, number: int) -> Action:
        return _find(self.actions, number, "action")

    def counter(self, number: int) -> Array:
        return _find(self.counters, number, "counter")

    def meter(self, number: int) -> Array:
        return _find(self.meters, number, "meter")

    def register(self, number: int) -> Register:
        return _find(self.registers, number, "register")

    def profile(self, number: int) -> ActionProfile:
        return _find(self.profiles, number, "action profile")

    def value_set(self, number: int) -> ValueSet:
        return _find(self.value_sets, number, "value set")


def _by_id(objects: Iterable[Object]) -> dict[int, Object]:
    return {thing.id: thing for thing in objects}


def _find(objects: dict[int, Object], number: int, kind: str) -> Object:
    try:
        return objects[number]
    except KeyError:
        raise _unknown(number, kind) from None


def _unknown(number: int, kind: str) -> Refused:
    return invalid(f"P4Info has no {kind} with id {number:#010x}")


def _positions(fields: Iterable[Field]) -> dict[int, int]:
    return {field.id: position for position, field in enumerate(fields)}


def _action(action: p4i.Action) -> Action:
    params = tuple(Field(param.id, param.name, param.bitwidth or 32) for param in action.params)
    return Action(action.preamble.id, action.preamble.name, params, _positions(params))


def _table(
    table: p4i.Table,
    direct_counters: set[int],
    direct_meters: Mapping[int, int],
    widths: Mapping[str, int],
) -> Table:
    fields = tuple(
        Field(
            each.id, each.name, each.bitwidth, each.match_type, widths.get(each.type_name.name, 0)
        )
        for each in table.match_fields
    )
    resources = set(table.direct_resource_ids)
    meter_id = next(iter(resources & direct_meters.keys()), 0)
    return Table(
        id=table.preamble.id,
        name=table.preamble.name,
        fields=fields,
        positions=_positions(fields),
        anything=tuple(field.anything for field in fields),
        scopes={ref.id: ref.scope for ref in table.action_refs},
        needs_priority=any(field.kind in (TERNARY, RANGE, OPTIONAL) for field in fields),
        is_const=table.is_const_table,
        const_default=table.const_default_action_id != 0,
        implementation_id=table.implementation_id,
        counter_id=next(iter(resources & direct_counters), 0),
        meter_id=meter_id,
        meter_type=direct_meters.get(meter_id, 0),
        idle_timeout=table.idle_timeout_behavior == p4i.Table.NOTIFY_CONTROL,
    )


def _value_set(value_set: p4i.ValueSet) -> ValueSet:
    """A plain `bit<W>` has one field without a name (spec 6.4.7)."""
    fields = tuple(
        Field(field.id, field.name or "the value", field.bitwidth, field.match_type)
        for field in value_set.match
    )
    return ValueSet(
        id=value_set.preamble.id,
        name=value_set.preamble.name,
        fields=fields,
        positions=_positions(fields),
        anything=tuple(field.anything for field in fields),
    )


def _profile(profile: p4i.ActionProfile) -> ActionProfile:
    return ActionProfile(
        id=profile.preamble.id,
        name=profile.preamble.name,
        with_selector=profile.with_selector,
        size=profile.size,
        max_group_size=profile.max_group_size,
        by_weight=profile.WhichOneof("selector_size_semantics") != "sum_of_members",
        max_member_weight=profile.sum_of_members.max_member_weight,
        weights_disallowed=profile.weights_disallowed,
    )


def _counter(counter: p4i.Counter) -> Array:
    return Array(counter.preamble.id, counter.preamble.name, counter.size)


def _meter(meter: p4i.Meter) -> Array:
    return Array(meter.preamble.id, meter.preamble.name, meter.size, meter.spec.type)


def _register(register: p4i.Register, types: Types) -> Register:
    type_ = types.described(register.type_spec)
    scalar = type_ if isinstance(type_, Scalar) else None
    return Register(register.preamble.id, register.preamble.name, register.size, scalar)


def _packet_header(header: p4i.ControllerPacketMetadata | None) -> PacketHeader:
    fields = header.metadata if header else ()
    return PacketHeader({f.name: Field(f.id, f.name, f.bitwidth) for f in fields})
