"""What all nodes have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from switch.ir import Loc

if TYPE_CHECKING:
    from switch.frontend.syntax.expressions import Expr


@dataclass(slots=True)
class Node:
    loc: Loc


@dataclass(slots=True)
class AnnotationNode(Node):
    """`values` and `pairs` hold expressions when the body is a list of those; `structured`: the
    body is in brackets, so it must be such a list."""

    name: str
    text: str
    values: list[Expr]
    pairs: list[tuple[str, Expr]]
    structured: bool = False


Annotations = list[AnnotationNode]
