"""Controls."""

from __future__ import annotations

from dataclasses import dataclass

from switch.ir.actions import Action
from switch.ir.externs import ExternInstance
from switch.ir.source import Annotations, Loc
from switch.ir.statements import Block, Statement
from switch.ir.tables import Table
from switch.ir.variables import Param


@dataclass(eq=False, slots=True)
class Control:
    """A control instance. `name` is the fully-qualified instance name, "Ingress" or "Ingress.sub".

    For the six pipeline blocks the name is the type's name, as in P4Info.
    """

    name: str
    type_name: str
    params: tuple[Param, ...]
    prologue: tuple[Statement, ...]
    """Declarations with their initialisers, run at each apply, before `body`."""
    actions: tuple[Action, ...]
    tables: tuple[Table, ...]
    externs: tuple[ExternInstance, ...]
    controls: tuple[Control, ...]
    body: Block
    annotations: Annotations
    loc: Loc
