"""Instances of extern objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from switch.ir.expressions import Expression
from switch.ir.source import Annotations, Loc
from switch.ir.types import Extern

if TYPE_CHECKING:  # which has a direct counter, meter or action profile
    from switch.ir.tables import Table


@dataclass(eq=False, slots=True)
class ExternInstance:
    """An instance of an extern object: counter, register, meter, action_profile, … .

    `name` is the control-plane name ("Ingress.traffic"; @name respected, a leading dot too).
    `arguments` are the constructor's, all literals (IntLiteral, EnumLiteral, …), in order.
    `table` is the table a direct counter or meter belongs to.
    """

    name: str
    type: Extern
    arguments: tuple[Expression, ...]
    annotations: Annotations
    loc: Loc
    table: Table | None = None
