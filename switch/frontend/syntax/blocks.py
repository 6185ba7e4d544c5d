"""Declarations of controls, and of parsers with their states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from switch.frontend.syntax.declarations import Decl, ParamNode
from switch.frontend.syntax.expressions import Expr
from switch.frontend.syntax.nodes import Node
from switch.frontend.syntax.types import TypeNode
from switch.ir import Loc

if TYPE_CHECKING:
    from switch.frontend.syntax.statements import Block, Statement


@dataclass(slots=True)
class BlockTypeDecl(Decl):
    """`parser P(…);`, `control C(…);` or `package X(…);` (`kind`)."""

    kind: str
    type_params: list[str]
    params: list[ParamNode]


@dataclass(slots=True)
class ControlDecl(Decl):
    type_params: list[str]
    params: list[ParamNode]
    constructor: list[ParamNode]
    locals: list[Decl]
    body: Block


@dataclass(slots=True)
class ParserDecl(Decl):
    type_params: list[str]
    params: list[ParamNode]
    constructor: list[ParamNode]
    locals: list[Decl]
    states: list[StateDecl]


@dataclass(slots=True)
class StateDecl(Decl):
    body: list[Statement]
    transition: TransitionNode | None


@dataclass(slots=True)
class TransitionNode(Node):
    """To `state`, or by `select`."""

    state: str | None
    select: list[Expr]
    cases: list[CaseNode]


@dataclass(slots=True)
class CaseNode(Node):
    keysets: list[Expr]
    state: str
    state_loc: Loc


@dataclass(slots=True)
class ValueSetDecl(Decl):
    type: TypeNode
    size: Expr
