"""Declarations of tables."""

from __future__ import annotations

from dataclasses import dataclass

from switch.frontend.syntax.declarations import Decl
from switch.frontend.syntax.expressions import Argument, Expr
from switch.frontend.syntax.nodes import Annotations, Node
from switch.ir import Loc


@dataclass(slots=True)
class KeyNode(Node):
    annotations: Annotations
    expression: Expr
    match_kind: str
    match_loc: Loc


@dataclass(slots=True)
class ActionRefNode(Node):
    annotations: Annotations
    name: str
    from_global: bool
    arguments: list[Argument] | None


@dataclass(slots=True)
class EntryNode(Node):
    annotations: Annotations
    const: bool
    priority: Expr | None
    keysets: list[Expr]
    action: ActionRefNode


@dataclass(slots=True)
class PropertyNode(Node):
    """A table property other than key, actions and entries."""

    annotations: Annotations
    name: str
    const: bool
    value: Expr


@dataclass(slots=True)
class TableDecl(Decl):
    """`keys`, `actions`, `entries` are None when the table has no such property."""

    keys: list[KeyNode] | None
    actions: list[ActionRefNode] | None
    entries: list[EntryNode] | None
    const_entries: bool
    properties: list[PropertyNode]
