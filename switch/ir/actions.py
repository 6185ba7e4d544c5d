"""Actions, as they are declared and as tables use them, and functions."""

from __future__ import annotations

from dataclasses import dataclass

from switch.ir.expressions import Expression
from switch.ir.source import Annotations, Loc
from switch.ir.statements import Block
from switch.ir.types import Type
from switch.ir.variables import Param


@dataclass(eq=False, slots=True)
class Action:
    """An action of one control instance, or a top-level one (`NoAction`).

    It may use its control's parameters, variables, instances and earlier tables.
    `name` is the control-plane name, "Ingress.serve".
    Parameters with a direction come first and are bound where it is used; those without direction
    are the action data.
    """

    name: str
    params: tuple[Param, ...]
    body: Block
    annotations: Annotations
    loc: Loc

    @property
    def data(self) -> tuple[Param, ...]:
        """The parameters that the control plane gives."""
        return tuple(p for p in self.params if p.direction == "")


@dataclass(eq=False, slots=True)
class ActionRef:
    """An action in a table's list. `bound` has one argument per directional parameter, in order,
    evaluated when the action runs. annotations include @defaultonly and @tableonly."""

    action: Action
    bound: tuple[Expression, ...]
    default_only: bool
    table_only: bool
    annotations: Annotations
    loc: Loc


@dataclass(eq=False, slots=True)
class BoundAction:
    """An action with all its data: `data` holds literals, one per `action.data`.

    `ref` is the entry in the table's action list (with the bound directional arguments).
    """

    ref: ActionRef
    data: tuple[Expression, ...]
    loc: Loc


@dataclass(eq=False, slots=True)
class Function:
    """A function, specialised (a generic one appears once per set of type arguments)."""

    name: str
    result: Type
    params: tuple[Param, ...]
    body: Block
    loc: Loc
