"""Whether a controller's P4Info belongs to a program (P4Runtime spec sections 2.4 and 14).

Ids are the controller's to choose, and it may leave objects out; names, widths, match kinds, types
and sizes are the program's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from finsy.proto import p4i

from switch.p4runtime.p4data import Types

KINDS = ("tables", "actions", "counters", "direct_counters", "meters", "direct_meters",
         "registers", "digests", "action_profiles", "value_sets")  # fmt: skip


def disagreement(theirs: p4i.P4Info, ours: p4i.P4Info) -> str | None:
    """The first thing in a controller's P4Info that the program does not have, if any."""
    return next(_wrong_ids(theirs), None) or next(_differences(theirs, ours), None)


def _what(kind: str, thing: Any) -> str:
    return f"{kind.removesuffix('s').replace('_', ' ')} {thing.preamble.name!r}"


# --- ids ----------------------------------------------------------------------------------------


def _wrong_ids(info: p4i.P4Info) -> Iterator[str]:
    """0 is no id (spec 8.1), and one id is one object."""
    owners: dict[int, str] = {}
    for kind in KINDS:
        for thing in getattr(info, kind):
            what, number = _what(kind, thing), thing.preamble.id
            if number == 0:
                yield f"{what} has no id"
            if number in owners:
                yield f"{what} and {owners[number]} have the same id {number:#010x}"
            owners[number] = what
            yield from _wrong_part_ids(what, thing)
    for header in info.controller_packet_metadata:
        yield from _repeated(f"header {header.preamble.name!r}", header.metadata)
    actions = {action.preamble.id for action in info.actions}
    profiles = {profile.preamble.id for profile in info.action_profiles}
    for table in info.tables:
        for ref in table.action_refs:
            if ref.id not in actions:
                yield f"{_what('tables', table)} has an unknown action {ref.id:#010x}"
        if table.implementation_id and table.implementation_id not in profiles:
            yield f"{_what('tables', table)} has an unknown action profile"


def _wrong_part_ids(what: str, thing: Any) -> Iterator[str]:
    match thing:
        case p4i.Table():
            yield from _repeated(what, thing.match_fields)
        case p4i.Action():
            yield from _repeated(what, thing.params)
        case p4i.ValueSet():
            yield from _repeated(what, thing.match)


def _repeated(what: str, parts: Iterable[Any]) -> Iterator[str]:
    seen: set[int] = set()
    for part in parts:
        if part.id == 0 or part.id in seen:
            yield f"{what}: the id {part.id} of {part.name!r} is not one of its own"
        seen.add(part.id)


# --- shapes -------------------------------------------------------------------------------------


def _differences(theirs: p4i.P4Info, ours: p4i.P4Info) -> Iterator[str]:
    their_shapes, our_shapes = _Shapes(theirs), _Shapes(ours)
    for kind in KINDS:
        known = {thing.preamble.name: thing for thing in getattr(ours, kind)}
        for thing in getattr(theirs, kind):
            what = _what(kind, thing)
            if thing.preamble.name not in known:
                yield f"the program has no {what}"
                continue
            shown, wanted = their_shapes.of(thing), our_shapes.of(known[thing.preamble.name])
            if shown != wanted:
                yield f"{what} is not the program's: {shown}, not {wanted}"


class _Shapes:
    """What of an object the data plane relies on."""

    def __init__(self, info: p4i.P4Info) -> None:
        self._types = Types(info.type_info)
        self._actions = {action.preamble.id: action.preamble.name for action in info.actions}
        self._profiles = {each.preamble.id: each.preamble.name for each in info.action_profiles}

    def of(self, thing: Any) -> tuple[object, ...]:
        match thing:
            case p4i.Table():
                actions = sorted(self._actions[ref.id] for ref in thing.action_refs)
                profile = self._profiles.get(thing.implementation_id)
                return (*_fields(thing.match_fields), *actions, profile)
            case p4i.Action():
                return tuple((param.name, param.bitwidth) for param in thing.params)
            case p4i.ValueSet():
                return (thing.size, *_fields(thing.match))
            case p4i.Register():
                return (thing.size, self._types.described(thing.type_spec))
            case p4i.Digest():
                return (self._types.described(thing.type_spec),)
            case p4i.ActionProfile():
                return (thing.with_selector,)
            case p4i.Counter() | p4i.Meter():
                return (thing.size,)
        return ()


def _fields(fields: Iterable[p4i.MatchField]) -> tuple[object, ...]:
    return tuple((field.name, field.bitwidth, field.match_type) for field in fields)
