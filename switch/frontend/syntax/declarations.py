"""Declarations of values, types, functions and actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from switch.frontend.syntax.expressions import Argument, Expr
from switch.frontend.syntax.nodes import Annotations, Node
from switch.frontend.syntax.types import TypeNode
from switch.ir import Direction, Loc

if TYPE_CHECKING:
    from switch.frontend.syntax.statements import Block


@dataclass(slots=True)
class Decl(Node):
    """`loc` is the name's."""

    annotations: Annotations
    name: str


@dataclass(slots=True)
class ParamNode(Decl):
    direction: Direction
    type: TypeNode
    default: Expr | None


@dataclass(slots=True)
class ConstDecl(Decl):
    type: TypeNode
    value: Expr


@dataclass(slots=True)
class VarDecl(Decl):
    type: TypeNode
    value: Expr | None


@dataclass(slots=True)
class InstanceDecl(Decl):
    type: TypeNode
    arguments: list[Argument]


@dataclass(slots=True)
class TypedefDecl(Decl):
    """`typedef T name`, or with `fresh` `type T name`; `inline` is T when declared on the spot."""

    type: TypeNode
    fresh: bool
    inline: Decl | None


@dataclass(slots=True)
class FieldNode(Decl):
    type: TypeNode


@dataclass(slots=True)
class CompositeDecl(Decl):
    kind: str
    type_params: list[str]
    fields: list[FieldNode]


@dataclass(slots=True)
class EnumDecl(Decl):
    underlying: TypeNode | None
    members: list[tuple[str, Expr | None, Loc]]


@dataclass(slots=True)
class ErrorDecl(Decl):
    members: list[tuple[str, Loc]]


@dataclass(slots=True)
class MatchKindDecl(Decl):
    members: list[tuple[str, Loc]]


@dataclass(slots=True)
class FunctionDecl(Decl):
    """A function; an extern function or method has no `body`."""

    result: TypeNode
    type_params: list[str]
    params: list[ParamNode]
    body: Block | None


@dataclass(slots=True)
class ActionDecl(Decl):
    params: list[ParamNode]
    body: Block


@dataclass(slots=True)
class ExternDecl(Decl):
    """An extern object type; constructors are the methods with its own name."""

    type_params: list[str]
    methods: list[FunctionDecl]
