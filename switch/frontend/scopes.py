"""What names mean: scopes and the kinds of things a name can stand for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from switch import ir
from switch.frontend import syntax as s
from switch.frontend.errors import CompileError, error

ScopeKind = Literal["", "parameters", "locals"]


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
    """All functions of one name; `orders` says when each was declared."""

    decls: list[s.FunctionDecl]
    orders: list[int] = field(default_factory=list)


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
class Plan:
    """What an instance of a control or parser is made from."""

    entry: BlockEntry
    decl: s.ControlDecl | s.ParserDecl
    types: dict[str, ir.Type]
    """Of its type parameters."""
    arguments: list[Entry]
    """Of its constructor parameters."""
    name: str
    annotations: ir.Annotations


@dataclass(frozen=True, slots=True)
class MadeBlock:
    """An instance with the types of its run-time parameters, unerased."""

    block: ir.Control | ir.Parser
    types: tuple[ir.Type, ...]


@dataclass(slots=True)
class BlockInstanceEntry(Entry):
    """`made` has one block for each choice of objects and constants that `apply` gives."""

    plan: Plan
    made: dict[tuple[object, ...], MadeBlock] = field(default_factory=dict)


@dataclass(slots=True)
class ValueSetEntry(Entry):
    value_set: ir.ValueSet


@dataclass(slots=True)
class BrokenEntry(Entry):
    """A declaration that was already complained about."""


class Scope:
    """Names declared at one level.

    `kind`: "parameters", "locals" of a control or parser, or "".
    """

    def __init__(self, parent: Scope | None, kind: ScopeKind = "") -> None:
        self.parent = parent
        self.kind = kind
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
