"""Variables and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from switch.ir.source import Annotations, Loc
from switch.ir.types import NewType, Type

Direction = Literal["", "in", "out", "inout"]


@dataclass(eq=False, slots=True)
class Variable:
    """A local variable.

    `name` is unique within the enclosing Control, Parser or Function (the elaborator renames
    shadowing ones, `x` → `x_1`; actions count as part of their control); `source_name` is as
    written. Constants are folded away and never appear.
    """

    name: str
    type: Type
    loc: Loc
    source_name: str = ""
    annotations: Annotations = ()


@dataclass(eq=False, slots=True)
class Param(Variable):
    """A parameter. Direction "" means: action data (in an Action), a constant or an object.

    Calls are copy-in copy-out (P4_16 section 6.8): arguments are evaluated left to right; `in` and
    `inout` are copied in; `out` starts as a fresh value (headers and stack elements invalid, other
    values undefined: make them 0); `out` and `inout` are copied out, left to right, after the call
    (also after `exit`).
    """

    direction: Direction = ""
    declared: NewType | None = None
