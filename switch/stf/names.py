"""What the names and values of an STF file mean in a program."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from switch import ir
from switch.backend.keys import KeyField, key_layout
from switch.runtime.entries import (
    Entry,
    Exact,
    InvalidEntry,
    Lpm,
    Match,
    Optional,
    Range,
    Ternary,
    ToGroup,
    ToMember,
    UnknownName,
)
from switch.stf.statements import Add, AddIndirect, Call, KeyValue, Masked, Number, Prefix, Span


def resolve(name: str, known: Iterable[str], kind: str) -> str:
    """The full name, of which `name` may be the last parts."""
    names = list(dict.fromkeys(known))
    if name in names:
        return name
    found = [full for full in names if full.endswith("." + name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownName(f"{kind} '{name}' may be {' or '.join(found)}: write more of the name")
    raise UnknownName(f"no {kind} '{name}'; there is: {', '.join(names) or 'none'}")


def find_table(program: ir.Program, name: str) -> ir.Table:
    tables = {table.name: table for table in program.tables()}
    return tables[resolve(name, tables, "table")]


def bind(table: ir.Table, call: Call) -> tuple[str, tuple[int, ...]]:
    """The action's full name and its arguments in the order of the program."""
    return bind_to([ref.action for ref in table.actions], call, f"action of table '{table.name}'")


def bind_to(known: Iterable[ir.Action], call: Call, kind: str) -> tuple[str, tuple[int, ...]]:
    """As `bind`; `kind` is for messages."""
    actions = {action.name: action for action in known}
    name = resolve(call.action, actions, kind)
    wanted = [_param_name(param) for param in actions[name].data]
    given = dict(call.arguments)
    if sorted(wanted) != sorted(param for param, _ in call.arguments):
        each = f"{', '.join(wanted)}, each once" if wanted else "no arguments"
        raise InvalidEntry(f"action '{name}' takes {each}")
    return name, tuple(given[param] for param in wanted)


def _param_name(param: ir.Param) -> str:
    """As P4Info has it."""
    annotation = ir.annotation(param.annotations, "name")
    if annotation and annotation.values:
        return str(annotation.values[0])
    return param.source_name or param.name


def entry(table: ir.Table, add: Add) -> Entry:
    """Keys that are not given match everything; one that is exact has to be given."""
    action, params = bind(table, add.call)
    return replace(_keyed(table, add), action=action, params=params)


def indirect_entry(table: ir.Table, add: AddIndirect) -> Entry:
    return replace(
        _keyed(table, add), target=ToGroup(add.target) if add.is_group else ToMember(add.target)
    )


def _keyed(table: ir.Table, add: Add | AddIndirect) -> Entry:
    fields = key_layout(table).fields
    given: dict[str, KeyValue] = {}
    for key, value in add.keys:
        name = _key_name(key, [field.name for field in fields], table.name)
        if name in given:
            raise InvalidEntry(f"table '{table.name}': key '{name}' is given twice")
        given[name] = value
    match = tuple(_match(field, given.get(field.name)) for field in fields)
    return Entry(match, priority=_priority(table, add.priority))


def _key_name(written: str, known: Sequence[str], table: str) -> str:
    """`a$0.b` is how P4_14 tests write `a[0].b`, and `a.valid` the validity of a header."""
    name = re.sub(r"\$(\d+)", r"[\1]", written)
    if name not in known and (name == "valid" or name.endswith(".valid")):
        name = name.removesuffix("valid") + "$valid$"
    return resolve(name, known, f"key of table '{table}'")


def _priority(table: ir.Table, priority: int | None) -> int:
    """STF counts from 0, and the larger wins as in P4Runtime, which counts from 1."""
    if key_layout(table).kind != "ternary":
        return 0
    if priority is None:
        raise InvalidEntry(
            f"table '{table.name}': an entry needs a priority before its keys (the larger wins)"
        )
    return priority + 1


def _match(field: KeyField, value: KeyValue | None) -> Match:
    everything = (1 << field.width) - 1
    match field.match_kind, value:
        case "exact", Number(value=number, wild=0):
            return Exact(number)
        case "optional", None:
            return Optional(None)
        case "optional", Number(value=number, wild=0):
            return Optional(number)
        case "lpm", None:
            return Lpm(0, 0)
        case "lpm", Prefix(value=number, length=length):
            return Lpm(number, length)
        case "lpm", Number(value=number, wild=wild) if wild & (wild + 1) == 0:
            return Lpm(number, field.width - wild.bit_length())
        case "ternary", None:
            return Ternary(0, 0)
        case "ternary", Masked(value=number, mask=mask):
            return Ternary(number, mask)
        case "ternary", Number(value=number, wild=wild, digits=digits):
            # As p4c has it: only the digits that are written count, so 0x0a leaves all
            # bits above the lowest eight open.
            written = everything if digits is None else digits
            return Ternary(number, written & ~wild & everything)
        case "range", None:
            return Range(0, everything)
        case "range", Span(low=low, high=high):
            return Range(low, high)
        case "range", Number(value=number, wild=0):
            return Range(number, number)
        case kind, None:
            raise InvalidEntry(f"key '{field.name}' is matched {kind}: it must be given")
        case kind, _:
            raise InvalidEntry(f"key '{field.name}' is matched {kind}: {_WRITE[kind]}")


_WRITE = {
    "exact": "write one value, without wildcards",
    "optional": "write one value, without wildcards, or leave the key out",
    "lpm": "write VALUE/LENGTH, or * for the last digits",
    "ternary": "write VALUE&&&MASK, or * for single digits",
    "range": "write LOW->HIGH, or one value",
}
