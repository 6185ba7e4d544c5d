"""Calls: expressions whose evaluation may have effects; of type Void when nothing is returned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from switch.ir.expressions import Expression
from switch.ir.types import Type
from switch.ir.variables import Param

if TYPE_CHECKING:  # what is called contains calls itself
    from switch.ir.actions import Action, Function
    from switch.ir.controls import Control
    from switch.ir.externs import ExternInstance
    from switch.ir.parsers import Parser
    from switch.ir.tables import Table


@dataclass(frozen=True, slots=True)
class IsValid(Expression):
    """`header.isValid()`, also on a HeaderUnion (any member valid)."""

    header: Expression


@dataclass(frozen=True, slots=True)
class SetValid(Expression):
    """`header.setValid()`; in a union it makes the other members invalid."""

    header: Expression


@dataclass(frozen=True, slots=True)
class SetInvalid(Expression):
    header: Expression


@dataclass(frozen=True, slots=True)
class PushFront(Expression):
    """`stack.push_front(count)`, count constant, ≥ 1."""

    stack: Expression
    count: int


@dataclass(frozen=True, slots=True)
class PopFront(Expression):
    stack: Expression
    count: int


@dataclass(frozen=True, slots=True)
class Extract(Expression):
    """`packet.extract(target[, varbit_bits])`.

    `target` is a Header lvalue (often StackNext, or a member of a union) or a DontCare of header
    type. `varbit_bits` (bit<32>) is there iff the header has a varbit field.
    """

    packet: Expression
    target: Expression
    varbit_bits: Expression | None


@dataclass(frozen=True, slots=True)
class Lookahead(Expression):
    """`packet.lookahead<T>()`; `type` is T: fixed size Bits, Bool, SerializableEnum, Header,
    Struct or Tuple of those."""

    packet: Expression


@dataclass(frozen=True, slots=True)
class Advance(Expression):
    packet: Expression
    bits: Expression


@dataclass(frozen=True, slots=True)
class PacketLength(Expression):
    """`packet.length()`, bit<32>, bytes."""

    packet: Expression


@dataclass(frozen=True, slots=True)
class Emit(Expression):
    """`packet.emit(value)`: Header (if valid), HeaderUnion, HeaderStack, or Struct of those
    (in field order)."""

    packet: Expression
    value: Expression


@dataclass(frozen=True, slots=True)
class Verify(Expression):
    """`verify(check, error)` (parsers only)."""

    check: Expression
    error: Expression


@dataclass(frozen=True, slots=True)
class TableApply(Expression):
    """`table.apply()` and what is asked of its result.

    `result` is "" (type Void), "hit" or "miss" (Bool). `action_run` occurs only in `SwitchAction`.
    """

    table: Table
    result: Literal["", "hit", "miss"]


@dataclass(frozen=True, slots=True)
class ControlApply(Expression):
    """`instance.apply(arguments)`, one argument per `control.params`, in order."""

    control: Control
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class ParserApply(Expression):
    """A sub-parser call: continues after it on accept; its reject rejects the whole packet."""

    parser: Parser
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class ActionCall(Expression):
    """A direct call of an action: an argument for each of `action.params`, directionless too."""

    action: Action
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class FunctionCall(Expression):
    function: Function
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class ExternCall(Expression):
    """An extern function: v1model's `hash`, `mark_to_drop`, `clone_preserving_field_list`, … .

    `params` are the specialised parameters, parallel with `arguments`; `type_arguments` in the
    order of the declaration. A parameter without direction gets a literal.
    `core.p4`'s `verify` is a `Verify` instead, `static_assert` is evaluated and dropped.
    """

    name: str
    type_arguments: tuple[Type, ...]
    params: tuple[Param, ...]
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class MethodCall(Expression):
    """A method of an extern instance: `counter.count`, `register.read`, …, as ExternCall.

    packet_in's and packet_out's methods are `Extract`, `Lookahead`, `Emit`, … instead.
    """

    instance: ExternInstance
    method: str
    type_arguments: tuple[Type, ...]
    params: tuple[Param, ...]
    arguments: tuple[Expression, ...]
