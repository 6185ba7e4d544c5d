"""Statements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from switch.ir.expressions import Expression
from switch.ir.source import Annotations, Loc
from switch.ir.variables import Variable

if TYPE_CHECKING:  # which contain statements themselves
    from switch.ir.actions import Action
    from switch.ir.tables import Table


@dataclass(frozen=True, slots=True)
class Statement:
    """Base of all statements (empty statements are dropped, compound assignments spelled out)."""

    loc: Loc = field(compare=False)


@dataclass(frozen=True, slots=True)
class Block(Statement):
    """`{ … }`; `annotations` e.g. @atomic."""

    statements: tuple[Statement, ...]
    annotations: Annotations = ()


@dataclass(frozen=True, slots=True)
class Declare(Statement):
    """A local variable comes to life: `value`, or (None) a fresh value as for `out` in `Param`."""

    variable: Variable
    value: Expression | None


@dataclass(frozen=True, slots=True)
class Assign(Statement):
    """`target = value`, of one type. target: Var, Member, StackIndex, StackNext, StackLast,
    Slice of those. Assigning a field of an invalid header has no visible effect."""

    target: Expression
    value: Expression


@dataclass(frozen=True, slots=True)
class CallStatement(Statement):
    """One of the call expressions above, for its effects; a returned value is thrown away."""

    call: Expression


@dataclass(frozen=True, slots=True)
class If(Statement):
    condition: Expression
    then: Statement
    otherwise: Statement | None


@dataclass(frozen=True, slots=True)
class SwitchAction(Statement):
    """`switch (table.apply().action_run)`: the first case that names the action that ran; a case
    with `actions` None is the default (last). Actions are those of the table's action list."""

    table: Table
    cases: tuple[tuple[tuple[Action, ...] | None, Block], ...]


@dataclass(frozen=True, slots=True)
class SwitchValue(Statement):
    """`switch (expression)` over literals of its type; labels None is the default. Fall-through
    labels are joined in one case."""

    expression: Expression
    cases: tuple[tuple[tuple[Expression, ...] | None, Block], ...]


@dataclass(frozen=True, slots=True)
class For(Statement):
    """`for (init; condition; update) body`; `for (x in low .. high)` is spelled out as one.

    `continue` goes on with `update`.
    """

    init: tuple[Statement, ...]
    condition: Expression
    update: tuple[Statement, ...]
    body: Statement


@dataclass(frozen=True, slots=True)
class Break(Statement):
    pass


@dataclass(frozen=True, slots=True)
class Continue(Statement):
    pass


@dataclass(frozen=True, slots=True)
class Return(Statement):
    """Leaves the function, action or control body; `value` only in functions."""

    value: Expression | None = None


@dataclass(frozen=True, slots=True)
class Exit(Statement):
    """Ends the whole top-level block (ingress, egress, …), with copy-out on the way."""
