"""Types, as they are written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from switch.frontend.syntax.nodes import Node

if TYPE_CHECKING:
    from switch.frontend.syntax.expressions import Expr


@dataclass(slots=True)
class TypeNode(Node):
    pass


@dataclass(slots=True)
class SimpleType(TypeNode):
    """bool, error, string, void, int, match_kind, or `_` (infer)."""

    name: str


@dataclass(slots=True)
class SizedType(TypeNode):
    """bit<W>, int<W>, varbit<W>."""

    kind: str
    width: Expr


@dataclass(slots=True)
class NamedType(TypeNode):
    name: str
    arguments: list[TypeNode]
    from_global: bool = False


@dataclass(slots=True)
class StackType(TypeNode):
    element: TypeNode
    size: Expr


@dataclass(slots=True)
class TupleType(TypeNode):
    elements: list[TypeNode]


@dataclass(slots=True)
class ListType(TypeNode):
    element: TypeNode
