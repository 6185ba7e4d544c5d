"""Expressions without effects: literals, places, operations and composed values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from switch.ir.source import Loc
from switch.ir.types import Type
from switch.ir.variables import Variable


@dataclass(frozen=True, slots=True)
class Expression:
    """Base of all expressions; operands are evaluated left to right."""

    type: Type
    loc: Loc = field(compare=False)


@dataclass(frozen=True, slots=True)
class IntLiteral(Expression):
    """Of type Bits or SerializableEnum: `value` is in the type's range (signed: may be < 0).

    Of type InfInt only as an extern's argument.
    """

    value: int


@dataclass(frozen=True, slots=True)
class BoolLiteral(Expression):
    value: bool


@dataclass(frozen=True, slots=True)
class StringLiteral(Expression):
    value: str


@dataclass(frozen=True, slots=True)
class EnumLiteral(Expression):
    """A member of an `Enum` (a serializable enum's members are IntLiterals)."""

    member: str


@dataclass(frozen=True, slots=True)
class ErrorLiteral(Expression):
    member: str


@dataclass(frozen=True, slots=True)
class Var(Expression):
    """The value of, or as an lvalue the place of, a variable or parameter."""

    variable: Variable


@dataclass(frozen=True, slots=True)
class Member(Expression):
    """`base.field`; base is of a Composite type. A field of an invalid header: any value."""

    base: Expression
    field: str


@dataclass(frozen=True, slots=True)
class StackIndex(Expression):
    """`stack[index]`; index of type Bits (a literal index is within bounds)."""

    stack: Expression
    index: Expression


@dataclass(frozen=True, slots=True)
class StackNext(Expression):
    """`stack.next` (parsers only): error.StackOutOfBounds when full. As extract's target it is
    what advances nextIndex by one."""

    stack: Expression


@dataclass(frozen=True, slots=True)
class StackLast(Expression):
    """`stack.last` (parsers only): error.StackOutOfBounds when nextIndex is 0."""

    stack: Expression


@dataclass(frozen=True, slots=True)
class StackLastIndex(Expression):
    """`stack.lastIndex`, bit<32>: nextIndex - 1."""

    stack: Expression


@dataclass(frozen=True, slots=True)
class TupleIndex(Expression):
    """`tuple[index]` with a constant index."""

    base: Expression
    index: int


@dataclass(frozen=True, slots=True)
class Slice(Expression):
    """`base[high:low]`, of type bit<high-low+1>; base is Bits; an lvalue when base is one."""

    base: Expression
    high: int
    low: int


@dataclass(frozen=True, slots=True)
class Unary(Expression):
    """`-`, `~` on Bits (wrapping), `!` on Bool. (Unary + is dropped.)"""

    op: Literal["-", "~", "!"]
    operand: Expression


BinaryOp = Literal[
    "+", "-", "*", "/", "%", "|+|", "|-|", "&", "|", "^", "<<", ">>", "++",
    "==", "!=", "<", "<=", ">", ">=", "&&", "||",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Binary(Expression):
    """A binary operation.

    * `+ - * / % |+| |-| & | ^`: both operands and the result have one Bits type. `/` and `%` occur
      only with unsigned operands (a divisor that is a constant is never 0).
    * `<< >>`: left and result of one Bits type; right is Bits, unsigned, of any width (a shift by
      the width or more gives 0, or the sign for a signed `>>`).
    * `++`: Bits operands; the result has the left operand's signedness and the summed width.
    * `< <= > >=`: one Bits type; `&& ||`: Bool, short-circuit.
    * `== !=`: one type, any: Bits, Bool, enums, Error, Varbit (width and contents), Header (both
      invalid, or both valid and equal), HeaderStack, HeaderUnion, Struct, Tuple (member by member).
    """

    op: BinaryOp
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Conditional(Expression):
    """`condition ? then : otherwise`; both branches have the type of the whole."""

    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class Cast(Expression):
    """A cast to `type` (P4_16 section 8.11). What occurs:

    Bits → Bits (other width: truncate, or extend by the *operand's* sign; or other signedness at
    the same width), bit<1> ↔ Bool, Bits ↔ SerializableEnum (same underlying type),
    Tuple or Struct → Struct, Header or Tuple (member by member, in order; a header becomes valid).
    """

    operand: Expression


@dataclass(frozen=True, slots=True)
class TupleValue(Expression):
    """A list expression; `type` is a Tuple and element types are equal to its."""

    elements: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class StructValue(Expression):
    """A Struct or (valid) Header value: one element per field, in field order. All elements are
    evaluated before anything is assigned."""

    elements: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class StackValue(Expression):
    """A HeaderStack value: `size` elements (missing ones are InvalidValues)."""

    elements: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class InvalidValue(Expression):
    """`{#}`: an invalid Header or HeaderUnion."""


@dataclass(frozen=True, slots=True)
class DontCare(Expression):
    """`_` as the argument of an `out` parameter: the value is thrown away."""
