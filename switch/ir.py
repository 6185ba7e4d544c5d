"""The typed, elaborated P4 program: what the front end hands to the back end and to P4Info.

Elaborated means:

* every constant expression is folded, type names and typedefs are resolved, generics specialised;
* constructor parameters are bound and every control, parser and extern *instance* is its own
  object (a sub-control instantiated twice is two `Control`s with their own tables and actions);
* implicit casts are explicit `Cast`s, arguments are in parameter order, defaults filled in;
* calls are resolved into one node class per kind of callee.

Declarations (`Variable`, `Action`, `Table`, `Control`, …) compare by identity; types and
expressions compare by value (source positions are left out of the comparison).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Direction = Literal["", "in", "out", "inout"]
AnnotationValue = int | bool | str


@dataclass(frozen=True, slots=True)
class Loc:
    """A source position, before preprocessing; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Annotation:
    """`@name`, `@name(values…)`, `@name[values…]` or `@name[key=value…]`.

    `text` is the body as written (tokens joined by a space); `values` and `pairs` are filled when
    the body is a list of constants, or of name = constant. `structured`: with brackets.
    """

    name: str
    text: str = ""
    values: tuple[AnnotationValue, ...] = ()
    pairs: tuple[tuple[str, AnnotationValue], ...] = ()
    structured: bool = False
    loc: Loc | None = field(default=None, compare=False)


Annotations = tuple[Annotation, ...]


def annotation(annotations: Annotations, name: str) -> Annotation | None:
    """The first annotation of that name."""
    return next((a for a in annotations if a.name == name), None)


# --- types ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Type:
    """Base of all types. Types are hashable values; a named type's name is unique."""


@dataclass(frozen=True, slots=True)
class Bits(Type):
    """`bit<width>` or `int<width>` (signed, two's complement). `width` may be 0 and any size."""

    width: int
    signed: bool = False

    def __str__(self) -> str:
        return f"{'int' if self.signed else 'bit'}<{self.width}>"


@dataclass(frozen=True, slots=True)
class Varbit(Type):
    """`varbit<max_width>`: its current width is part of its value; initially 0."""

    max_width: int

    def __str__(self) -> str:
        return f"varbit<{self.max_width}>"


@dataclass(frozen=True, slots=True)
class Bool(Type):
    def __str__(self) -> str:
        return "bool"


@dataclass(frozen=True, slots=True)
class InfInt(Type):
    """`int`, of compile-time constants only: no run-time expression has this type.

    It occurs as the type of an `IntLiteral` that is an argument of an extern's `int` parameter.
    """

    def __str__(self) -> str:
        return "int"


@dataclass(frozen=True, slots=True)
class Error(Type):
    """`error`; the members of all error declarations are `Program.errors`, in order from 0."""

    def __str__(self) -> str:
        return "error"


@dataclass(frozen=True, slots=True)
class String(Type):
    """Only `StringLiteral` has it (log_msg)."""

    def __str__(self) -> str:
        return "string"


@dataclass(frozen=True, slots=True)
class Void(Type):
    def __str__(self) -> str:
        return "void"


@dataclass(frozen=True, slots=True)
class Enum(Type):
    """An enum without representation: the value of a member is its index in `members`."""

    name: str
    members: tuple[str, ...]

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class SerializableEnum(Type):
    """`enum bit<W> name`: stored as `underlying`; any value of that width may occur at run time."""

    name: str
    underlying: Bits
    members: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class NewType(Type):
    """`type T name`. Erased from expressions; kept where P4Info shows it (`declared`)."""

    name: str
    underlying: Type
    annotations: Annotations = ()

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Field:
    """A field; `declared` is its NewType when it was declared with one, `type` is never one."""

    name: str
    type: Type
    annotations: Annotations = ()
    declared: NewType | None = None


@dataclass(frozen=True, slots=True)
class Composite(Type):
    """Base of the types with named fields.

    `name` is unique in the program; a specialised generic is called e.g. `S<bit<32>>`, so a name is
    not always a C identifier.
    """

    name: str
    fields: tuple[Field, ...]
    annotations: Annotations = ()

    def field(self, name: str) -> Field:
        return next(f for f in self.fields if f.name == name)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Struct(Composite):
    """Fields of any type that can be stored: also headers, stacks, unions, structs, tuples."""

    __str__ = Composite.__str__


@dataclass(frozen=True, slots=True)
class Header(Composite):
    """A header: validity and fields.

    Fields are Bits, Bool, SerializableEnum, Varbit, or Structs of those (nested to any depth), laid
    out from the most significant bit on in order, without padding.
    """

    __str__ = Composite.__str__


@dataclass(frozen=True, slots=True)
class HeaderUnion(Composite):
    """Fields are headers, of which at most one is valid."""

    __str__ = Composite.__str__


@dataclass(frozen=True, slots=True)
class HeaderStack(Type):
    """`element[size]`, with nextIndex as part of its value; element is a Header or HeaderUnion."""

    element: Header | HeaderUnion
    size: int

    def __str__(self) -> str:
        return f"{self.element}[{self.size}]"


@dataclass(frozen=True, slots=True)
class Tuple(Type):
    """`tuple<…>`, also the type of a list expression used where no struct type is expected."""

    elements: tuple[Type, ...]

    def __str__(self) -> str:
        return f"tuple<{', '.join(map(str, self.elements))}>"


@dataclass(frozen=True, slots=True)
class Extern(Type):
    """An extern object type with its type arguments, e.g. Extern("register", (bit<32>,)).

    `packet_in` and `packet_out` are such types too (of the parser's and deparser's parameters).
    """

    name: str
    arguments: tuple[Type, ...] = ()

    def __str__(self) -> str:
        args = ", ".join(map(str, self.arguments))
        return f"{self.name}<{args}>" if args else self.name


# --- variables and parameters -----------------------------------------------------------------


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


# --- expressions ------------------------------------------------------------------------------


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


# calls: expressions whose evaluation may have effects; type Void when nothing is returned


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


# --- statements -------------------------------------------------------------------------------


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


# --- keysets, of select cases and of table entries ---------------------------------------------


@dataclass(frozen=True, slots=True)
class Keyset:
    loc: Loc = field(compare=False)


@dataclass(frozen=True, slots=True)
class AnyKey(Keyset):
    """`_` or `default`."""


@dataclass(frozen=True, slots=True)
class ValueKey(Keyset):
    """Equal to `value`, a literal of the key's type."""

    value: Expression


@dataclass(frozen=True, slots=True)
class MaskKey(Keyset):
    """`value &&& mask`, literals of the key's type. An LPM entry is one, with a prefix mask."""

    value: Expression
    mask: Expression


@dataclass(frozen=True, slots=True)
class RangeKey(Keyset):
    """`low .. high`, inclusive; literals. Empty when low > high."""

    low: Expression
    high: Expression


@dataclass(frozen=True, slots=True)
class ValueSetKey(Keyset):
    """Any member of a value_set. For a value_set of a struct or tuple the key is the whole tuple:
    it is then the only keyset of its SelectCase, spanning all of the select's expressions."""

    value_set: ValueSet


# --- parsers ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Goto:
    """`transition state`; `state` is a name in `Parser.states`, or "accept" or "reject"."""

    loc: Loc = field(compare=False)
    state: str


@dataclass(frozen=True, slots=True)
class SelectCase:
    """One keyset per expression of the select (see ValueSetKey for the exception)."""

    keysets: tuple[Keyset, ...]
    state: str
    loc: Loc = field(compare=False)


@dataclass(frozen=True, slots=True)
class Select:
    """`transition select(expressions)`: first matching case in order; none: error.NoMatch, reject.

    Expressions are Bits, Bool, enums or Error.
    """

    loc: Loc = field(compare=False)
    expressions: tuple[Expression, ...]
    cases: tuple[SelectCase, ...]


@dataclass(eq=False, slots=True)
class State:
    """A parser state; one without transition in the source goes to "reject"."""

    name: str
    body: tuple[Statement, ...]
    transition: Goto | Select
    annotations: Annotations
    loc: Loc


@dataclass(eq=False, slots=True)
class ValueSet:
    """`value_set<T>(size) name`, filled by the control plane; `type` Bits, enum, Struct or Tuple.

    `matches` gives the @match kind of each member ("exact" when not annotated).
    """

    name: str
    type: Type
    size: int
    matches: tuple[str, ...]
    annotations: Annotations
    loc: Loc


@dataclass(eq=False, slots=True)
class Parser:
    """A parser instance. `name` is the fully-qualified instance name ("P" for the top one)."""

    name: str
    type_name: str
    params: tuple[Param, ...]
    prologue: tuple[Statement, ...]
    """Declarations with their initialisers, run at each start of the parser, before `start`."""
    states: dict[str, State]
    """In source order; "start" is there; accept and reject are not."""
    value_sets: tuple[ValueSet, ...]
    externs: tuple[ExternInstance, ...]
    parsers: tuple[Parser, ...]
    annotations: Annotations
    loc: Loc


# --- controls ---------------------------------------------------------------------------------


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
class Key:
    """One key field: `expression` is Bits, Bool, an enum or Error.

    `match_kind`: exact, lpm, ternary, range, optional or selector. `name` is the control-plane
    name (@name or derived from the expression: "hdr.ipv4.dst_addr", "hdr.ipv4.$valid$").
    """

    expression: Expression
    match_kind: str
    name: str
    annotations: Annotations
    loc: Loc
    declared: NewType | None = None


@dataclass(eq=False, slots=True)
class Entry:
    """One entry of `entries`. `keysets` are parallel with the table's keys and hold literals.

    `priority`: larger wins (as in P4Runtime), whatever the source's convention was; it is distinct
    and positive for entries without an explicit one. `is_const`: cannot be changed at run time.
    """

    keysets: tuple[Keyset, ...]
    action: BoundAction
    priority: int
    is_const: bool
    annotations: Annotations
    loc: Loc


@dataclass(eq=False, slots=True)
class Table:
    """A table of one control instance; `name` is the control-plane name, "Ingress.partition"."""

    name: str
    keys: tuple[Key, ...]
    actions: tuple[ActionRef, ...]
    default_action: BoundAction
    """NoAction when the source names none (`actions` then has it as default_only if missing)."""
    const_default: bool
    entries: tuple[Entry, ...]
    const_entries: bool
    """`const entries`: no run-time insertion at all."""
    size: int | None
    implementation: ExternInstance | None
    """action_profile or action_selector."""
    counter: ExternInstance | None
    """direct_counter; counted on hit and on default."""
    meter: ExternInstance | None
    support_timeout: bool
    annotations: Annotations
    loc: Loc


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


@dataclass(eq=False, slots=True)
class Function:
    """A function, specialised (a generic one appears once per set of type arguments)."""

    name: str
    result: Type
    params: tuple[Param, ...]
    body: Block
    loc: Loc


# --- the program ------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class Program:
    """A whole v1model program: `V1Switch(parser, verify_checksum, ingress, egress, …) main`.

    Parameters of the six blocks are v1model's, in its order:
    parser (packet_in, out H, inout M, inout standard_metadata_t), verify and compute (inout H,
    inout M), ingress and egress (inout H, inout M, inout standard_metadata_t), deparser
    (packet_out, in H).
    """

    parser: Parser
    verify_checksum: Control
    ingress: Control
    egress: Control
    compute_checksum: Control
    deparser: Control
    headers: Type
    """H."""
    metadata: Type
    """M."""
    standard_metadata: Struct
    errors: tuple[str, ...]
    types: dict[str, Type]
    """Named types by name (Composites, enums, NewTypes), in source order; specialised generics
    under their specialised name. Includes those of core.p4 and v1model.p4."""
    actions: tuple[Action, ...]
    """Top-level actions that are used, NoAction among them."""
    functions: tuple[Function, ...]
    """Called functions, callees first."""
    externs: tuple[ExternInstance, ...]
    """Top-level extern instances."""
    field_lists: dict[int, tuple[tuple[str, ...], ...]]
    """@field_list(n): paths of annotated fields from the metadata M: ("group",), ("a", "b")."""
    main_annotations: Annotations = ()
    sources: tuple[str, ...] = ()
    """All files read, the program first."""

    def controls(self) -> Iterator[Control]:
        """Every control instance, outer before inner, in pipeline order."""
        stack = [
            self.deparser,
            self.compute_checksum,
            self.egress,
            self.ingress,
            self.verify_checksum,
        ]
        while stack:
            control = stack.pop()
            yield control
            stack.extend(reversed(control.controls))

    def parsers(self) -> Iterator[Parser]:
        stack = [self.parser]
        while stack:
            parser = stack.pop()
            yield parser
            stack.extend(reversed(parser.parsers))

    def tables(self) -> Iterator[Table]:
        for control in self.controls():
            yield from control.tables

    def all_actions(self) -> Iterator[Action]:
        yield from self.actions
        for control in self.controls():
            yield from control.actions

    def extern_instances(self) -> Iterator[ExternInstance]:
        yield from self.externs
        for parser in self.parsers():
            yield from parser.externs
        for control in self.controls():
            yield from control.externs
