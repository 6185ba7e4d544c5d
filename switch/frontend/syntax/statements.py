"""Statements."""

from __future__ import annotations

from dataclasses import dataclass, field

from switch.frontend.syntax.declarations import Decl, VarDecl
from switch.frontend.syntax.expressions import Call, Expr
from switch.frontend.syntax.nodes import Annotations, Node
from switch.ir import Loc


@dataclass(slots=True)
class Statement(Node):
    pass


@dataclass(slots=True)
class Block(Statement):
    statements: list[Statement]
    annotations: Annotations = field(default_factory=list)
    end: Loc | None = None


@dataclass(slots=True)
class DeclStatement(Statement):
    declaration: Decl


@dataclass(slots=True)
class Assign(Statement):
    """`op` is "" for `=`, "+" for `+=` and so on; `loc` is the operator's."""

    target: Expr
    op: str
    value: Expr


@dataclass(slots=True)
class CallStatement(Statement):
    call: Call


@dataclass(slots=True)
class If(Statement):
    condition: Expr
    then: Statement
    otherwise: Statement | None


@dataclass(slots=True)
class SwitchCase(Node):
    """`labels`: None is default. Without body it falls through."""

    label: Expr | None
    body: Block | None


@dataclass(slots=True)
class Switch(Statement):
    expression: Expr
    cases: list[SwitchCase]


@dataclass(slots=True)
class For(Statement):
    init: list[Statement]
    condition: Expr
    update: list[Statement]
    body: Statement


@dataclass(slots=True)
class ForIn(Statement):
    """`for (T x in e)`."""

    variable: VarDecl
    collection: Expr
    body: Statement


@dataclass(slots=True)
class Jump(Statement):
    """`exit`, `break` or `continue`."""

    kind: str


@dataclass(slots=True)
class Return(Statement):
    value: Expr | None


@dataclass(slots=True)
class Empty(Statement):
    pass
