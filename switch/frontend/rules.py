"""Rules for a whole program: names of the control plane, and what a direct meter belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields

from switch import ir
from switch.frontend.errors import Diagnostic


def check_names(program: ir.Program) -> list[Diagnostic]:
    """Control-plane names of each kind must be distinct."""
    kinds: dict[str, Iterable[ir.Table | ir.Action | ir.ExternInstance]] = {
        "tables": program.tables(),
        "actions": program.all_actions(),
        "extern instances": program.extern_instances(),
    }
    problems: list[Diagnostic] = []
    for kind, things in kinds.items():
        seen: dict[str, ir.Loc] = {}
        for thing in things:
            if thing.name in seen:
                message = (
                    f"two {kind} have the control-plane name '{thing.name}' (the other one at "
                    f"{seen[thing.name]})"
                )
                problems.append(Diagnostic(thing.loc, message))
            seen[thing.name] = thing.loc
    return problems


def check_meters(program: ir.Program) -> list[Diagnostic]:
    """A direct meter is read by an action of its table, as BMv2 reads it when that one hits."""
    problems: list[Diagnostic] = []
    for action in program.all_actions():
        for meter, loc in _meters_read(action, set()):
            if meter.table is None:
                message = f"direct_meter '{meter.name}' belongs to no table: name it in 'meters'"
                problems.append(Diagnostic(loc, message))
    for table in program.tables():
        if table.meter is None:
            continue
        read = [m for ref in table.actions for m, _ in _meters_read(ref.action, set())]
        if table.meter not in read:
            message = f"no action of table '{table.name}' reads its meter '{table.meter.name}'"
            problems.append(Diagnostic(table.loc, message))
    return problems


def _meters_read(
    action: ir.Action, seen: set[ir.Action]
) -> Iterator[tuple[ir.ExternInstance, ir.Loc]]:
    """The direct meters that an action reads, in itself or in an action that it calls; each action
    is looked at once."""
    if action in seen:
        return
    seen.add(action)
    for node in _nodes(action.body):
        if isinstance(node, ir.MethodCall) and node.instance.type.name == "direct_meter":
            yield node.instance, node.loc
        elif isinstance(node, ir.ActionCall):
            yield from _meters_read(node.action, seen)


def _nodes(value: object) -> Iterator[ir.Statement | ir.Expression]:
    if isinstance(value, tuple):
        for element in value:
            yield from _nodes(element)
    elif isinstance(value, ir.Statement | ir.Expression):
        yield value
        for field in fields(value):
            yield from _nodes(getattr(value, field.name))
