"""Questions about a program that the generator asks before it writes anything."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from switch import ir
from switch.backend.representation import bits_of

T = TypeVar("T")
Node = ir.Expression | ir.Statement | ir.Keyset | ir.Goto | ir.Select | ir.SelectCase

_EFFECTS: Final = (
    ir.SetValid, ir.SetInvalid, ir.PushFront, ir.PopFront, ir.Extract, ir.Lookahead, ir.Advance,
    ir.Emit, ir.Verify, ir.TableApply, ir.ControlApply, ir.ParserApply, ir.ActionCall,
    ir.FunctionCall, ir.ExternCall, ir.MethodCall, ir.StackNext, ir.StackLast,
)  # fmt: skip


def walk(value: object) -> Iterator[Node]:
    """All nodes below (and with) value; declarations that a node refers to are not entered."""
    if isinstance(value, tuple):
        for item in value:
            yield from walk(item)
    elif isinstance(value, Node):
        yield value
        for field in dataclasses.fields(value):
            yield from walk(getattr(value, field.name))


def has_effects(expression: ir.Expression) -> bool:
    """Whether evaluating it may change something (or stop the parser)."""
    return any(isinstance(node, _EFFECTS) for node in walk(expression))


def _table_roots(table: ir.Table) -> Iterator[object]:
    for key in table.keys:
        yield key.expression
    for ref in table.actions:
        yield ref.bound
    for entry in table.entries:
        yield entry.keysets
        yield entry.action.data
    yield table.default_action.data


def roots(program: ir.Program) -> Iterator[object]:
    """Every statement and expression of the program."""
    for parser in program.parsers():
        yield parser.prologue
        for state in parser.states.values():
            yield state.body
            yield state.transition
    for control in program.controls():
        yield control.prologue
        yield control.body
    for action in program.all_actions():
        yield action.body
    for function in program.functions:
        yield function.body
    for table in program.tables():
        yield from _table_roots(table)


def nodes(program: ir.Program) -> Iterator[Node]:
    for root in roots(program):
        yield from walk(root)


def fields_read(program: ir.Program) -> set[str]:
    """Names of all fields that some expression or field list names."""
    names = {node.field for node in nodes(program) if isinstance(node, ir.Member)}
    for paths in program.field_lists.values():
        names.update(name for path in paths for name in path)
    return names


def _types_below(type_: ir.Type) -> Iterator[ir.Type]:
    yield type_
    match type_:
        case ir.Composite(fields=fields):
            for field in fields:
                yield from _types_below(field.type)
        case ir.HeaderStack(element=element):
            yield from _types_below(element)
        case ir.Tuple(elements=elements):
            for member in elements:
                yield from _types_below(member)


def widest(program: ir.Program) -> int:
    """The widest scalar that occurs."""
    types: set[ir.Type] = {program.headers, program.metadata, program.standard_metadata}
    types.update(program.types.values())
    types.update(node.type for node in nodes(program) if isinstance(node, ir.Expression))
    for node in nodes(program):
        if isinstance(node, ir.Declare):
            types.add(node.variable.type)
    owners: list[ir.Action | ir.Function | ir.Control | ir.Parser] = [
        *program.all_actions(), *program.functions, *program.controls(), *program.parsers()
    ]  # fmt: skip
    types.update(param.type for owner in owners for param in owner.params)
    for instance in program.extern_instances():
        types.update(instance.type.arguments)
    widths = [0]
    for type_ in types:
        for below in _types_below(type_):
            bits = bits_of(below)
            if bits is not None:
                widths.append(bits.width)
    return max(widths)


def big_limbs(program: ir.Program) -> int:
    """64-bit words of a p4_big: room for the widest value and a bit offset within a byte."""
    return (widest(program) + 16) // 64 + 2


Callable_ = ir.Action | ir.Table | ir.Control | ir.Function


class Exits:
    """Which callables may execute `exit`: after a call of one the caller has to look."""

    def __init__(self) -> None:
        self._known: dict[Callable_, bool] = {}

    def may_exit(self, callable_: Callable_) -> bool:
        if callable_ not in self._known:
            self._known[callable_] = False
            self._known[callable_] = any(self._node_may(node) for node in self._nodes(callable_))
        return self._known[callable_]

    @staticmethod
    def _nodes(callable_: Callable_) -> Iterator[Node | Callable_]:
        match callable_:
            case ir.Table():
                yield from (ref.action for ref in callable_.actions)
                for root in _table_roots(callable_):
                    yield from walk(root)
            case ir.Control():
                yield from walk(callable_.prologue)
                yield from walk(callable_.body)
            case _:
                yield from walk(callable_.body)

    def _node_may(self, node: Node | Callable_) -> bool:
        match node:
            case ir.Exit():
                return True
            case ir.TableApply(table=table) | ir.SwitchAction(table=table):
                return self.may_exit(table)
            case ir.ControlApply(control=control):
                return self.may_exit(control)
            case ir.ActionCall(action=action):
                return self.may_exit(action)
            case ir.FunctionCall(function=function):
                return self.may_exit(function)
            case ir.Action():
                return self.may_exit(node)
        return False


def has_loop(parser: ir.Parser) -> bool:
    """Whether a packet may visit a state of the parser twice."""
    edges: dict[str, set[str]] = {}
    for state in parser.states.values():
        match state.transition:
            case ir.Goto(state=target):
                edges[state.name] = {target}
            case ir.Select(cases=cases):
                edges[state.name] = {case.state for case in cases}
    done: set[str] = set()
    open_: set[str] = set()

    def visit(name: str) -> bool:
        if name in open_:
            return True
        if name in done or name not in edges:
            return False
        open_.add(name)
        found = any(visit(target) for target in edges[name])
        open_.discard(name)
        done.add(name)
        return found

    return visit("start")


def place_path(expression: ir.Expression) -> tuple[object, ...] | None:
    """A place as its root variable and the fields below; None when it is no simple place."""
    match expression:
        case ir.Var(variable=variable):
            return (variable,)
        case ir.Member(base=base, field=field):
            path = place_path(base)
            return None if path is None else (*path, field)
        case ir.StackIndex(stack=stack, index=ir.IntLiteral(value=index)):
            path = place_path(stack)
            return None if path is None else (*path, index)
    return None


def disjoint(path: tuple[object, ...], others: Iterable[tuple[object, ...] | None]) -> bool:
    """Whether no other place contains, or is part of, this one."""
    for other in others:
        if other is None:
            return False
        length = min(len(path), len(other))
        if path[:length] == other[:length]:
            return False
    return True


def collect(program: ir.Program, of: Callable[[Node], T | None]) -> list[T]:
    """Distinct results over all nodes, in order."""
    found: dict[T, None] = {}
    for node in nodes(program):
        result = of(node)
        if result is not None:
            found.setdefault(result)
    return list(found)
