"""What p4c refuses for BMv2 although it is P4: the rules of its back end that programs meet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from switch import ir
from switch.backend.analysis import Node, walk
from switch.backend.representation import bits_of
from switch.frontend.errors import CompileError, Diagnostic

_CHECKSUMS: Final = {
    "verify_checksum": ("verify_checksum", "verify_checksum_with_payload"),
    "compute_checksum": ("update_checksum", "update_checksum_with_payload"),
}
_ONLY: Final = {"resubmit": "ingress", "recirculate": "egress", "I2E": "ingress", "E2E": "egress"}
_REPLACED: Final = {
    "clone3": "clone_preserving_field_list",
    "resubmit": "resubmit_preserving_field_list",
    "recirculate": "recirculate_preserving_field_list",
}
_BRANCHES: Final = (ir.If, ir.SwitchAction, ir.SwitchValue, ir.For, ir.TableApply)
_PLACES: Final = (ir.Var, ir.Member, ir.StackIndex, ir.TupleIndex)
_LITERALS: Final = (ir.IntLiteral, ir.BoolLiteral, ir.EnumLiteral, ir.ErrorLiteral)


def check(program: ir.Program) -> None:
    """Raises CompileError with all that is wrong."""
    found = list(_findings(program))
    if found:
        raise CompileError(found)


def _findings(program: ir.Program) -> Iterator[Diagnostic]:
    for instance in program.extern_instances():
        yield from _instance(instance)
    for parser in program.parsers():
        for node in walk((parser.prologue, tuple(state.body for state in parser.states.values()))):
            if isinstance(node, ir.ExternCall):
                yield from _call(node, "parser")
    blocks = {
        "verify_checksum": program.verify_checksum,
        "ingress": program.ingress,
        "egress": program.egress,
        "compute_checksum": program.compute_checksum,
        "deparser": program.deparser,
    }
    for name, block in blocks.items():
        for node in _reachable(block):
            if isinstance(node, ir.ExternCall):
                yield from _call(node, name)
            elif name == "deparser" and isinstance(node, _BRANCHES):
                yield Diagnostic(node.loc, f"{_what(node)} in a deparser: BMv2 takes none there")
        if name in _CHECKSUMS:
            yield from _checksums(block, name)


def _reachable(block: ir.Control) -> Iterator[Node]:
    """What a top-level block may execute: its own, and what it calls."""
    seen: set[object] = set()
    waiting: list[object] = [block]
    while waiting:
        callee = waiting.pop()
        if callee in seen:
            continue
        seen.add(callee)
        roots: tuple[object, ...] = ()
        match callee:
            case ir.Control(prologue=prologue, body=body):
                roots = prologue, body
            case ir.Table(actions=actions):
                waiting += [ref.action for ref in actions]
            case ir.Action(body=body) | ir.Function(body=body):
                roots = (body,)
        for node in walk(roots):
            yield node
            match node:
                case ir.ControlApply(control=called):
                    waiting.append(called)
                case ir.TableApply(table=table) | ir.SwitchAction(table=table):
                    waiting.append(table)
                case ir.ActionCall(action=action):
                    waiting.append(action)
                case ir.FunctionCall(function=function):
                    waiting.append(function)


def _what(node: Node) -> str:
    if isinstance(node, ir.TableApply):
        return "a table"
    return {"If": "'if'", "For": "'for'"}.get(type(node).__name__, "'switch'")


def _instance(instance: ir.ExternInstance) -> Iterator[Diagnostic]:
    match instance.type:
        case ir.Extern(name="register", arguments=(element, *_)) if bits_of(element) is None:
            yield Diagnostic(
                instance.loc,
                f"a register of {element}: BMv2 has registers of bit, int and enum types only",
            )
        case ir.Extern(name="Checksum16"):
            yield Diagnostic(
                instance.loc,
                "extern 'Checksum16': BMv2 has none; use verify_checksum and update_checksum",
            )


def _call(call: ir.ExternCall, block: str) -> Iterator[Diagnostic]:
    kind = call.name.removesuffix("_preserving_field_list")
    if call.name in _REPLACED:
        yield Diagnostic(
            call.loc, f"'{call.name}': BMv2 has none; use '{_REPLACED[call.name]}' instead"
        )
        return
    if kind == "clone":
        chosen = call.arguments[0]
        if not isinstance(chosen, ir.EnumLiteral):
            yield Diagnostic(chosen.loc, f"the type of '{call.name}' must be a constant")
            return
        kind = chosen.member
    if _ONLY.get(kind, block) != block:
        shown = kind if kind == call.name.partition("_")[0] else f"{call.name}({kind}, …)"
        yield Diagnostic(call.loc, f"'{shown}' is for the {_ONLY[kind]} block only")
    for argument in call.arguments:
        if str(argument.type) == "HashAlgorithm" and not isinstance(argument, ir.EnumLiteral):
            yield Diagnostic(argument.loc, f"the algorithm of '{call.name}' must be a constant")
    if call.name == "hash" or any(call.name in names for names in _CHECKSUMS.values()):
        data = call.arguments[3 if call.name == "hash" else 1]
        if not isinstance(data.type, ir.Tuple | ir.Struct | ir.Header):
            yield Diagnostic(
                data.loc, f"'{call.name}' takes a list of fields, a struct or a header"
            )


def _checksums(block: ir.Control, name: str) -> Iterator[Diagnostic]:
    """Nothing but checksums, over fields as they are."""
    allowed = _CHECKSUMS[name]
    for node in _reachable(block):
        if isinstance(node, _BRANCHES):
            yield Diagnostic(node.loc, f"only calls of {' and '.join(allowed)} may stand here")
        elif isinstance(node, ir.ExternCall):
            if node.name not in allowed:
                yield Diagnostic(node.loc, f"only calls of {' and '.join(allowed)} may stand here")
                continue
            for element in _elements(node.arguments[1]):
                if not isinstance(element, (*_PLACES, *_LITERALS)):
                    yield Diagnostic(element.loc, f"a computation among the data of '{node.name}'")


def _elements(data: ir.Expression) -> Iterator[ir.Expression]:
    if isinstance(data, ir.TupleValue | ir.StructValue):
        for element in data.elements:
            yield from _elements(element)
    else:
        yield data
