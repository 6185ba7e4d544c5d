"""What names mean: scopes and the kinds of things a name can stand for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from switch import ir
from switch.frontend import syntax as s
from switch.frontend.errors import CompileError, error


@dataclass(slots=True)
class Value:
    """A checked expression. `node` has an erased type; `type` may still be a NewType.

    `writable`: it is an lvalue that may be assigned here.
    """

    node: ir.Expression
    type: ir.Type
    writable: bool = False


@dataclass(slots=True)
class Entry:
    """Base: `loc` is where the name was declared; `order` counts top-level declarations."""

    loc: ir.Loc
    order: int = field(default=0, kw_only=True)


@dataclass(slots=True)
class ConstEntry(Entry):
    value: Value


@dataclass(slots=True)
class VarEntry(Entry):
    variable: ir.Variable
    type: ir.Type
    writable: bool


@dataclass(slots=True)
class TypeEntry(Entry):
    """A type, or (of a generic one) `decl` alone."""

    type: ir.Type | None
    decl: s.CompositeDecl | None = None


@dataclass(slots=True)
class ExternEntry(Entry):
    decl: s.ExternDecl


@dataclass(slots=True)
class BlockEntry(Entry):
    """A control, parser, or the declared type of one, or a package."""

    decl: s.ControlDecl | s.ParserDecl | s.BlockTypeDecl


@dataclass(slots=True)
class FunctionEntry(Entry):
    """All functions of one name."""

    decls: list[s.FunctionDecl]


@dataclass(slots=True)
class ActionEntry(Entry):
    action: ir.Action
    params: list[tuple[s.ParamNode, ir.Param, ir.Type]]


@dataclass(slots=True)
class TableEntry(Entry):
    table: ir.Table


@dataclass(slots=True)
class ExternInstanceEntry(Entry):
    instance: ir.ExternInstance
    decl: s.ExternDecl


@dataclass(slots=True)
class BlockInstanceEntry(Entry):
    block: ir.Control | ir.Parser
    types: tuple[ir.Type, ...]
    """Of the parameters, unerased."""
    decl: s.ControlDecl | s.ParserDecl


@dataclass(slots=True)
class ValueSetEntry(Entry):
    value_set: ir.ValueSet


@dataclass(slots=True)
class BrokenEntry(Entry):
    """A declaration that was already complained about."""


class Scope:
    """Names declared at one level."""

    def __init__(self, parent: Scope | None) -> None:
        self.parent = parent
        self.names: dict[str, Entry] = {}

    def declare(self, name: str, entry: Entry) -> None:
        before = self.names.get(name)
        if before is not None and not isinstance(before, BrokenEntry):
            raise error(entry.loc, f"'{name}' is already declared at {before.loc}")
        self.names[name] = entry

    def chain(self) -> Iterator[Scope]:
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent


def silent() -> CompileError:
    """Gives up on a construct whose cause was already reported."""
    return CompileError([])
