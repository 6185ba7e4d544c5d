"""Between P4Runtime messages and the pipeline's values (P4Runtime spec sections 8.4 and 9.1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from finsy.proto import p4d, p4i, p4r

from switch.p4runtime import p4data
from switch.p4runtime.errors import (
    OUT_OF_RANGE,
    PERMISSION_DENIED,
    UNIMPLEMENTED,
    Refused,
    invalid,
)
from switch.p4runtime.schema import Action, Field, Register, Schema, Table, ValueSet
from switch.runtime.entries import (
    Entry,
    Exact,
    Lpm,
    Match,
    MeterConfig,
    MeterCounts,
    Optional,
    Range,
    Ternary,
)


def encode(value: int) -> bytes:
    """The shortest bytestring of an unsigned value (spec 8.4)."""
    return p4data.shortest(value, 0, signed=False)


def decode(value: bytes, width: int, what: str) -> int:
    """An unsigned value; leading zero bytes are allowed, too many bits are not."""
    number = int.from_bytes(value, "big")
    if number >> width or not value:
        size = f"{number.bit_length()} bits" if value else "no bytes"
        raise invalid(f"{what} is {size} long, its width is {width}")
    return number


# --- match fields -------------------------------------------------------------------------------


def decode_match(of: Table | ValueSet, given: Iterable[p4r.FieldMatch]) -> tuple[Match, ...]:
    """All fields in the order of the table or value set; those left out match anything."""
    matches = list(of.anything)
    seen: set[int] = set()
    for message in given:
        position = of.positions.get(message.field_id)
        if position is None:
            raise invalid(f"{of.what} has no match field {message.field_id}")
        if position in seen:
            raise invalid(f"{of.what}: match field {message.field_id} is given twice")
        seen.add(position)
        matches[position] = _decode_field(of, of.fields[position], message)
    for field, match in zip(of.fields, matches, strict=True):
        if match is None:
            raise invalid(f"{of.what}: exact match field {field.name} is missing")
    return tuple(matches)  # type: ignore[arg-type]


def _decode_field(of: Table | ValueSet, field: Field, message: p4r.FieldMatch) -> Match:
    kind = message.WhichOneof("field_match_type")
    what = f"{of.what}: {field.name}"
    width = field.width
    match field.kind, kind:
        case p4i.MatchField.EXACT, "exact":
            return Exact(decode(message.exact.value, width, what))
        case p4i.MatchField.LPM, "lpm":
            return _decode_lpm(message.lpm, width, what)
        case p4i.MatchField.TERNARY, "ternary":
            value = decode(message.ternary.value, width, what)
            mask = decode(message.ternary.mask, width, f"{what} mask")
            if mask == 0:
                raise invalid(f"{what}: leave out a ternary match that matches anything")
            if value & ~mask:
                raise invalid(f"{what}: the value has bits outside its mask")
            return Ternary(value, mask)
        case p4i.MatchField.RANGE, "range":
            low = decode(message.range.low, width, f"{what} low end")
            high = decode(message.range.high, width, f"{what} high end")
            if low > high:
                raise invalid(f"{what}: the range {low}..{high} is empty")
            if low == 0 and high == (1 << width) - 1:
                raise invalid(f"{what}: leave out a range that matches anything")
            return Range(low, high)
        case p4i.MatchField.OPTIONAL, "optional":
            return Optional(decode(message.optional.value, width, what))
    wanted = p4i.MatchField.MatchType.Name(field.kind).lower()  # type: ignore[arg-type]
    raise invalid(f"{what} takes a match of kind {wanted}, not {kind or 'none at all'}")


def _decode_lpm(lpm: p4r.FieldMatch.LPM, width: int, what: str) -> Lpm:
    value = decode(lpm.value, width, what)
    length = lpm.prefix_len
    if length == 0:
        raise invalid(f"{what}: leave out a prefix that matches anything")
    if not 0 < length <= width:
        raise invalid(f"{what}: prefix length {length} is not within 1..{width}")
    if value & ((1 << (width - length)) - 1):
        raise invalid(f"{what}: the value has bits beyond its prefix of {length}")
    return Lpm(value, length)


def encode_match(
    of: Table | ValueSet,
    matches: Sequence[Match],
    message: p4r.TableEntry | p4r.ValueSetMember,
) -> None:
    """Only what does not match anything is written out (spec 9.1.1)."""
    for field, anything, match in zip(of.fields, of.anything, matches, strict=True):
        if match == anything:
            continue
        item = message.match.add(field_id=field.id)
        match match:
            case Exact(value):
                item.exact.value = encode(value)
            case Lpm(value, length):
                item.lpm.value = encode(value)
                item.lpm.prefix_len = length
            case Ternary(value, mask):
                item.ternary.value = encode(value)
                item.ternary.mask = encode(mask)
            case Range(low, high):
                item.range.low = encode(low)
                item.range.high = encode(high)
            case Optional(int(value)):
                item.optional.value = encode(value)


def check_priority(table: Table, priority: int) -> None:
    """Positive where a key is ternary, range or optional; zero elsewhere (spec 9.1)."""
    if table.needs_priority and priority <= 0:
        raise invalid(f"table {table.name}: entries need a priority above 0, not {priority}")
    if not table.needs_priority and priority != 0:
        raise invalid(f"table {table.name}: entries take no priority, not {priority}")


def check_idle_timeout(table: Table, message: p4r.TableEntry) -> None:
    """Only where P4Info says so, and never for default entries (spec 9.1.8)."""
    if message.idle_timeout_ns or message.HasField("time_since_last_hit"):
        if message.is_default_action:
            raise invalid(f"table {table.name}: the default entry has no idle timeout")
        if not table.idle_timeout:
            raise invalid(f"table {table.name} does not support idle timeouts")


# --- actions ------------------------------------------------------------------------------------


def decode_action(
    schema: Schema, table: Table, message: p4r.TableAction, *, default: bool = False
) -> tuple[str, tuple[int, ...]]:
    """An action of the table, allowed as (non-)default, with all its parameters (spec 9.1.2)."""
    kind = message.WhichOneof("type")
    if kind != "action":
        raise invalid(f"table {table.name} takes a plain action, not {kind or 'an empty one'}")
    scope = table.scopes.get(message.action.action_id)
    if scope is None:
        raise invalid(f"table {table.name} has no action {message.action.action_id:#010x}")
    forbidden = p4i.ActionRef.TABLE_ONLY if default else p4i.ActionRef.DEFAULT_ONLY
    action = schema.action(message.action.action_id)
    if scope == forbidden:
        role = "the default action" if default else "an entry's action"
        raise Refused(PERMISSION_DENIED, f"table {table.name}: {action.name} cannot be {role}")
    return action.name, _decode_params(action, message.action.params)


def decode_plain_action(schema: Schema, message: p4r.Action) -> tuple[str, tuple[int, ...]]:
    """An action for whatever; the pipeline knows where it may stand."""
    action = schema.action(message.action_id)
    return action.name, _decode_params(action, message.params)


def _decode_params(action: Action, given: Sequence[p4r.Action.Param]) -> tuple[int, ...]:
    values: dict[int, int] = {}
    for param in given:
        position = action.positions.get(param.param_id)
        if position is None:
            raise invalid(f"action {action.name} has no parameter {param.param_id}")
        if position in values:
            raise invalid(f"action {action.name}: parameter {param.param_id} is given twice")
        field = action.params[position]
        values[position] = decode(param.value, field.width, f"action {action.name}: {field.name}")
    if len(values) != len(action.params):
        missing = next(p.name for i, p in enumerate(action.params) if i not in values)
        raise invalid(f"action {action.name}: parameter {missing} is missing")
    return tuple(values[position] for position in range(len(action.params)))


def encode_action(
    schema: Schema, name: str, params: Sequence[int], message: p4r.TableAction
) -> None:
    encode_plain_action(schema, name, params, message.action)


def encode_plain_action(
    schema: Schema, name: str, params: Sequence[int], message: p4r.Action
) -> None:
    action = schema.actions[schema.action_ids[name]]
    message.action_id = action.id
    for field, value in zip(action.params, params, strict=True):
        message.params.add(param_id=field.id, value=encode(value))


def decode_key(table: Table, message: p4r.TableEntry) -> Entry:
    """What identifies an entry: match and priority."""
    check_priority(table, message.priority)
    return Entry(decode_match(table, message.match), "", (), message.priority)


# --- counters, meters, registers ----------------------------------------------------------------


def decode_index(message: p4r.Index, size: int, what: str) -> int:
    index = message.index
    if index < 0:
        raise invalid(f"{what}: index {index} is negative")
    if index >= size:
        raise Refused(OUT_OF_RANGE, f"{what}: index {index} is beyond its {size} cells")
    return index


def decode_counter(data: p4r.CounterData, what: str) -> tuple[int, int]:
    """(packets, bytes)."""
    if data.packet_count < 0 or data.byte_count < 0:
        raise invalid(f"{what}: a counter cannot be negative")
    return data.packet_count, data.byte_count


def encode_counter(counts: tuple[int, int], message: p4r.CounterData) -> None:
    message.packet_count, message.byte_count = counts
    message.SetInParent()


def decode_meter(config: p4r.MeterConfig, type_: int, what: str) -> MeterConfig:
    """A config as the meter's type in P4Info allows it (spec 9.4)."""
    if min(config.cir, config.cburst, config.pir, config.pburst, config.eburst) < 0:
        raise invalid(f"{what}: rates and bursts cannot be negative")
    if type_ != p4i.MeterSpec.TWO_RATE_THREE_COLOR and (
        config.pir != config.cir or config.pburst != config.cburst
    ):
        raise invalid(f"{what}: the peak of a single-rate meter is the committed rate and burst")
    if config.eburst:
        if type_ != p4i.MeterSpec.SINGLE_RATE_THREE_COLOR:
            raise invalid(f"{what}: only single-rate meters with three colours have excess burst")
        raise Refused(UNIMPLEMENTED, f"{what}: meters of v1model have no excess burst")
    if config.pir < config.cir:
        raise invalid(f"{what}: the peak rate is below the committed rate")
    return MeterConfig(config.cir, config.cburst, config.pir, config.pburst)


def encode_meter(config: MeterConfig, message: p4r.MeterConfig) -> None:
    message.cir, message.cburst = config.cir, config.cburst
    message.pir, message.pburst = config.pir, config.pburst
    message.SetInParent()


def check_cleared(counts: p4r.MeterCounterData, what: str) -> None:
    """Counts by colour can only be cleared (spec 9.4.1)."""
    for count in (counts.green, counts.yellow, counts.red):
        if count.packet_count or count.byte_count:
            raise invalid(f"{what}: a meter's counts can only be set to 0")


def encode_meter_counts(counts: MeterCounts, message: p4r.MeterCounterData) -> None:
    encode_counter(counts.green, message.green)
    encode_counter(counts.yellow, message.yellow)
    encode_counter(counts.red, message.red)


def decode_cell(register: Register, data: p4d.P4Data) -> int:
    return p4data.decode(exchangeable(register), data, f"register {register.name}")


def exchangeable(register: Register) -> p4data.Scalar:
    if register.type is None:
        raise Refused(UNIMPLEMENTED, f"register {register.name} holds no plain values")
    return register.type
