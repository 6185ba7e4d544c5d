"""The syntax tree of P4_16, as parsed: names unresolved, types unchecked."""

from __future__ import annotations

from dataclasses import dataclass, field

from switch.ir import Direction, Loc


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


# --- types ------------------------------------------------------------------------------------


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


# --- expressions ------------------------------------------------------------------------------


@dataclass(slots=True)
class Expr(Node):
    pass


@dataclass(slots=True)
class Int(Expr):
    value: int
    width: int | None
    signed: bool
    base: int = 10


@dataclass(slots=True)
class Bool(Expr):
    value: bool


@dataclass(slots=True)
class Str(Expr):
    value: str


@dataclass(slots=True)
class Name(Expr):
    name: str
    from_global: bool = False


@dataclass(slots=True)
class TypeName(Expr):
    """A type where an expression may be: `error.X`, `Enum.member`, `Checksum16<…>()`."""

    type: TypeNode


@dataclass(slots=True)
class Member(Expr):
    base: Expr
    name: str
    name_loc: Loc


@dataclass(slots=True)
class Index(Expr):
    base: Expr
    index: Expr


@dataclass(slots=True)
class Slice(Expr):
    base: Expr
    high: Expr
    low: Expr


@dataclass(slots=True)
class Unary(Expr):
    op: str
    operand: Expr


@dataclass(slots=True)
class Binary(Expr):
    """`loc` is the operator's."""

    op: str
    left: Expr
    right: Expr


@dataclass(slots=True)
class Conditional(Expr):
    condition: Expr
    then: Expr
    otherwise: Expr


@dataclass(slots=True)
class Cast(Expr):
    type: TypeNode
    operand: Expr


@dataclass(slots=True)
class Argument(Node):
    """`value` is a DontCare for `_`."""

    name: str | None
    value: Expr


@dataclass(slots=True)
class Call(Expr):
    callee: Expr
    type_arguments: list[TypeNode]
    arguments: list[Argument]


@dataclass(slots=True)
class ListExpr(Expr):
    """`{a, b}`; with `rest` it ended in `...` (defaults for what is missing)."""

    elements: list[Expr]
    rest: bool = False


@dataclass(slots=True)
class StructExpr(Expr):
    """`{a = 1, b = 2}`."""

    fields: list[tuple[str, Expr, Loc]]
    rest: bool = False


@dataclass(slots=True)
class Invalid(Expr):
    """`{#}`."""


@dataclass(slots=True)
class Rest(Expr):
    """`...`: the default value."""


@dataclass(slots=True)
class DontCare(Expr):
    """`_`, or `default` as a keyset."""


@dataclass(slots=True)
class Mask(Expr):
    value: Expr
    mask: Expr


@dataclass(slots=True)
class Range(Expr):
    low: Expr
    high: Expr


# --- declarations -----------------------------------------------------------------------------


@dataclass(slots=True)
class Decl(Node):
    """`loc` is the name's."""

    annotations: Annotations
    name: str


@dataclass(slots=True)
class ParamNode(Decl):
    direction: Direction
    type: TypeNode
    default: Expr | None


@dataclass(slots=True)
class ConstDecl(Decl):
    type: TypeNode
    value: Expr


@dataclass(slots=True)
class VarDecl(Decl):
    type: TypeNode
    value: Expr | None


@dataclass(slots=True)
class InstanceDecl(Decl):
    type: TypeNode
    arguments: list[Argument]


@dataclass(slots=True)
class TypedefDecl(Decl):
    """`typedef T name`, or with `fresh` `type T name`; `inline` is T when declared on the spot."""

    type: TypeNode
    fresh: bool
    inline: Decl | None


@dataclass(slots=True)
class FieldNode(Decl):
    type: TypeNode


@dataclass(slots=True)
class CompositeDecl(Decl):
    kind: str
    type_params: list[str]
    fields: list[FieldNode]


@dataclass(slots=True)
class EnumDecl(Decl):
    underlying: TypeNode | None
    members: list[tuple[str, Expr | None, Loc]]


@dataclass(slots=True)
class ErrorDecl(Decl):
    members: list[tuple[str, Loc]]


@dataclass(slots=True)
class MatchKindDecl(Decl):
    members: list[tuple[str, Loc]]


@dataclass(slots=True)
class FunctionDecl(Decl):
    """A function; an extern function or method has no `body`."""

    result: TypeNode
    type_params: list[str]
    params: list[ParamNode]
    body: Block | None


@dataclass(slots=True)
class ActionDecl(Decl):
    params: list[ParamNode]
    body: Block


@dataclass(slots=True)
class ExternDecl(Decl):
    """An extern object type; constructors are the methods with its own name."""

    type_params: list[str]
    methods: list[FunctionDecl]


@dataclass(slots=True)
class BlockTypeDecl(Decl):
    """`parser P(…);`, `control C(…);` or `package X(…);` (`kind`)."""

    kind: str
    type_params: list[str]
    params: list[ParamNode]


@dataclass(slots=True)
class ControlDecl(Decl):
    type_params: list[str]
    params: list[ParamNode]
    constructor: list[ParamNode]
    locals: list[Decl]
    body: Block


@dataclass(slots=True)
class ParserDecl(Decl):
    type_params: list[str]
    params: list[ParamNode]
    constructor: list[ParamNode]
    locals: list[Decl]
    states: list[StateDecl]


@dataclass(slots=True)
class StateDecl(Decl):
    body: list[Statement]
    transition: TransitionNode | None


@dataclass(slots=True)
class TransitionNode(Node):
    """To `state`, or by `select`."""

    state: str | None
    select: list[Expr]
    cases: list[CaseNode]


@dataclass(slots=True)
class CaseNode(Node):
    keysets: list[Expr]
    state: str
    state_loc: Loc


@dataclass(slots=True)
class ValueSetDecl(Decl):
    type: TypeNode
    size: Expr


@dataclass(slots=True)
class KeyNode(Node):
    annotations: Annotations
    expression: Expr
    match_kind: str
    match_loc: Loc


@dataclass(slots=True)
class ActionRefNode(Node):
    annotations: Annotations
    name: str
    from_global: bool
    arguments: list[Argument] | None


@dataclass(slots=True)
class EntryNode(Node):
    annotations: Annotations
    const: bool
    priority: Expr | None
    keysets: list[Expr]
    action: ActionRefNode


@dataclass(slots=True)
class PropertyNode(Node):
    """A table property other than key, actions and entries."""

    annotations: Annotations
    name: str
    const: bool
    value: Expr


@dataclass(slots=True)
class TableDecl(Decl):
    """`keys`, `actions`, `entries` are None when the table has no such property."""

    keys: list[KeyNode] | None
    actions: list[ActionRefNode] | None
    entries: list[EntryNode] | None
    const_entries: bool
    properties: list[PropertyNode]


# --- statements -------------------------------------------------------------------------------


@dataclass(slots=True)
class Statement(Node):
    pass


@dataclass(slots=True)
class Block(Statement):
    statements: list[Statement]
    annotations: Annotations = field(default_factory=list)
    end: Loc | None = None


@dataclass(slots=True)
class DeclStatement(Statement):
    declaration: Decl


@dataclass(slots=True)
class Assign(Statement):
    """`op` is "" for `=`, "+" for `+=` and so on; `loc` is the operator's."""

    target: Expr
    op: str
    value: Expr


@dataclass(slots=True)
class CallStatement(Statement):
    call: Call


@dataclass(slots=True)
class If(Statement):
    condition: Expr
    then: Statement
    otherwise: Statement | None


@dataclass(slots=True)
class SwitchCase(Node):
    """`labels`: None is default. Without body it falls through."""

    label: Expr | None
    body: Block | None


@dataclass(slots=True)
class Switch(Statement):
    expression: Expr
    cases: list[SwitchCase]


@dataclass(slots=True)
class For(Statement):
    init: list[Statement]
    condition: Expr
    update: list[Statement]
    body: Statement


@dataclass(slots=True)
class ForIn(Statement):
    """`for (T x in e)`."""

    variable: VarDecl
    collection: Expr
    body: Statement


@dataclass(slots=True)
class Jump(Statement):
    """`exit`, `break` or `continue`."""

    kind: str


@dataclass(slots=True)
class Return(Statement):
    value: Expr | None


@dataclass(slots=True)
class Empty(Statement):
    pass
