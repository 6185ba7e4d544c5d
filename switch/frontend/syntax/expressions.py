"""Expressions, calls and keysets."""

from __future__ import annotations

from dataclasses import dataclass

from switch.frontend.syntax.nodes import Node
from switch.frontend.syntax.types import TypeNode
from switch.ir import Loc


@dataclass(slots=True)
class Expr(Node):
    pass


@dataclass(slots=True)
class Int(Expr):
    value: int
    width: int | None
    signed: bool
    base: int = 10


@dataclass(slots=True)
class Bool(Expr):
    value: bool


@dataclass(slots=True)
class Str(Expr):
    value: str


@dataclass(slots=True)
class Name(Expr):
    name: str
    from_global: bool = False


@dataclass(slots=True)
class TypeName(Expr):
    """A type where an expression may be: `error.X`, `Enum.member`, `Checksum16<…>()`."""

    type: TypeNode


@dataclass(slots=True)
class Member(Expr):
    base: Expr
    name: str
    name_loc: Loc


@dataclass(slots=True)
class Index(Expr):
    base: Expr
    index: Expr


@dataclass(slots=True)
class Slice(Expr):
    base: Expr
    high: Expr
    low: Expr


@dataclass(slots=True)
class Unary(Expr):
    op: str
    operand: Expr


@dataclass(slots=True)
class Binary(Expr):
    """`loc` is the operator's."""

    op: str
    left: Expr
    right: Expr


@dataclass(slots=True)
class Conditional(Expr):
    condition: Expr
    then: Expr
    otherwise: Expr


@dataclass(slots=True)
class Cast(Expr):
    type: TypeNode
    operand: Expr


@dataclass(slots=True)
class Argument(Node):
    """`value` is a DontCare for `_`."""

    name: str | None
    value: Expr


@dataclass(slots=True)
class Call(Expr):
    callee: Expr
    type_arguments: list[TypeNode]
    arguments: list[Argument]


@dataclass(slots=True)
class ListExpr(Expr):
    """`{a, b}`; with `rest` it ended in `...` (defaults for what is missing)."""

    elements: list[Expr]
    rest: bool = False


@dataclass(slots=True)
class StructExpr(Expr):
    """`{a = 1, b = 2}`."""

    fields: list[tuple[str, Expr, Loc]]
    rest: bool = False


@dataclass(slots=True)
class Invalid(Expr):
    """`{#}`."""


@dataclass(slots=True)
class Rest(Expr):
    """`...`: the default value."""


@dataclass(slots=True)
class DontCare(Expr):
    """`_`, or `default` as a keyset."""


@dataclass(slots=True)
class Mask(Expr):
    value: Expr
    mask: Expr


@dataclass(slots=True)
class Range(Expr):
    low: Expr
    high: Expr
