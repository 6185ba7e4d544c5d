"""Type references to types, and declarations of types (P4_16 section 7)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from switch import ir
from switch.frontend import syntax as s
from switch.frontend.constants import int_literal
from switch.frontend.context import Context, literal_int
from switch.frontend.errors import error, unsupported
from switch.frontend.scopes import (
    BlockEntry,
    ConstEntry,
    ExternEntry,
    TypeEntry,
    Value,
)
from switch.frontend.type_rules import BOOL, ERROR, INT, STRING, VOID, TypeVariable, article, erase

# Wider than any P4 program needs; keeps a mistyped width from becoming gigabytes of C.
MAX_WIDTH = 1 << 16
MAX_STACK = 1 << 12
MAX_SCALARS = 1 << 16

_TRANSLATION = re.compile(r'".*" , (?:\d\w*|string|bit < \d\w* >)')


class TypeResolver(Context):
    """Turns type syntax into types."""

    def __init__(self) -> None:
        super().__init__()
        self._scalars: dict[int, tuple[ir.Type, int]] = {}
        self.declared_at: dict[str, ir.Loc] = {}
        """Where structs, headers and unions were declared."""
        self.specialised: dict[str, tuple[s.CompositeDecl, tuple[ir.Type, ...]]] = {}

    def resolve(self, node: s.TypeNode) -> ir.Type:
        match node:
            case s.SimpleType():
                return self._simple(node)
            case s.SizedType():
                return self._sized(node)
            case s.NamedType():
                return self._named(node)
            case s.TupleType():
                return self._bounded(
                    ir.Tuple(tuple(self._storable(e) for e in node.elements)), node.loc
                )
            case s.StackType():
                return self._stack(node)
            case s.ListType():
                raise unsupported(node.loc, "type list<…>")
        raise AssertionError(node)

    def _simple(self, node: s.SimpleType) -> ir.Type:
        match node.name:
            case "bool":
                return BOOL
            case "error":
                return ERROR
            case "int":
                return INT
            case "string":
                return STRING
            case "void":
                return VOID
            case "_":
                raise error(node.loc, "'_' cannot be used as a type here")
        raise error(node.loc, f"type '{node.name}' cannot be used here")

    def _sized(self, node: s.SizedType) -> ir.Type:
        width = literal_int(self.expression(node.width), "a width")
        if width < 0:
            raise error(node.width.loc, f"negative width {width}")
        if width > MAX_WIDTH:
            raise error(node.width.loc, f"width {width} is more than {MAX_WIDTH}")
        if node.kind == "varbit":
            return ir.Varbit(width)
        if width == 0 and node.kind == "int":
            raise error(node.width.loc, "int<0> is not a type: a signed width is at least 1")
        return ir.Bits(width, node.kind == "int")

    def _stack(self, node: s.StackType) -> ir.Type:
        element = self.resolve(node.element)
        size = literal_int(self.expression(node.size), "the size of an array")
        if size < 1:
            raise error(node.size.loc, f"size {size} of an array must be positive")
        if size > MAX_STACK:
            raise error(node.size.loc, f"size {size} of an array is more than {MAX_STACK}")
        if not isinstance(element, ir.Header | ir.HeaderUnion):
            if not _storable(element):
                raise error(node.loc, f"there are no arrays of {article(element)}")
            # with constant indices, which is all that p4c takes for BMv2, it is a tuple
            return self._bounded(ir.Tuple((element,) * size), node.loc)
        return self._bounded(ir.HeaderStack(element, size), node.loc)

    def _bounded(self, type_: ir.Type, loc: ir.Loc) -> ir.Type:
        """Refuses types whose nesting multiplies into very many fields."""
        if self._count(type_) > MAX_SCALARS:
            raise error(loc, f"this type has more than {MAX_SCALARS} fields in all")
        return type_

    def _count(self, type_: ir.Type) -> int:
        known = self._scalars.get(id(type_))
        if known is not None:
            return known[1]
        count = 1
        match type_:
            case ir.Composite():
                count += sum(self._count(f.type) for f in type_.fields)
            case ir.Tuple():
                count += sum(self._count(t) for t in type_.elements)
            case ir.HeaderStack():
                count += type_.size * self._count(type_.element)
        self._scalars[id(type_)] = type_, count  # keeping the type keeps its id its own
        return count

    def _storable(self, node: s.TypeNode) -> ir.Type:
        type_ = self.resolve(node)
        if not _storable(type_):
            raise error(node.loc, f"type {type_} cannot be part of another type")
        return type_

    def _named(self, node: s.NamedType) -> ir.Type:
        entry = self.lookup(node.name, node.loc, node.from_global)
        arguments = node.arguments
        match entry:
            case TypeEntry(type=None, decl=decl) if decl is not None:
                if len(arguments) != len(decl.type_params):
                    raise error(
                        node.loc,
                        f"'{node.name}' needs {len(decl.type_params)} type arguments, "
                        f"not {len(arguments)}",
                    )
                return self.specialise(decl, tuple(self.resolve(a) for a in arguments), entry.order)
            case TypeEntry(type=type_) if type_ is not None:
                if arguments:
                    raise error(node.loc, f"type '{node.name}' is not generic")
                return type_
            case ExternEntry(decl=extern):
                if len(arguments) != len(extern.type_params):
                    raise error(
                        node.loc,
                        f"extern '{node.name}' needs {len(extern.type_params)} type arguments, "
                        f"not {len(arguments)}",
                    )
                return ir.Extern(node.name, tuple(self.resolve(a) for a in arguments))
            case BlockEntry():
                raise error(node.loc, f"'{node.name}' is not the type of a value")
        raise error(node.loc, f"'{node.name}' is not a type")

    # declarations

    def specialise(
        self, decl: s.CompositeDecl, arguments: tuple[ir.Type, ...], order: int
    ) -> ir.Type:
        """A struct, header or union with its type parameters bound."""
        name = f"{decl.name}<{', '.join(map(str, arguments))}>"
        known = self.types.get(name)
        if known is not None:
            return known
        with self.deeper(decl.loc), self.global_scope(self.unit, order), self.inner_scope():
            self.bind_types(decl.type_params, arguments, decl.loc)
            type_ = self._composite(decl, name)
        self.types[name] = type_
        self.specialised[name] = decl, arguments
        return type_

    def bind_types(self, names: Iterable[str], arguments: Iterable[ir.Type], loc: ir.Loc) -> None:
        for name, argument in zip(names, arguments, strict=True):
            self.declare(name, TypeEntry(loc, argument))

    def declare_composite(self, decl: s.CompositeDecl) -> None:
        if decl.type_params:
            with self.inner_scope():
                names = decl.type_params
                self.bind_types(names, map(TypeVariable, names), decl.loc)
                self._composite(decl, decl.name)  # what is wrong is wrong for any argument
            self.declare(decl.name, TypeEntry(decl.loc, None, decl))
            return
        type_ = self._composite(decl, decl.name)
        self.declare(decl.name, TypeEntry(decl.loc, type_))
        self.types[decl.name] = type_

    def _composite(self, decl: s.CompositeDecl, name: str) -> ir.Composite:
        fields: list[ir.Field] = []
        seen: dict[str, ir.Loc] = {}
        for node in decl.fields:
            if node.name in seen:
                raise error(
                    node.loc, f"field '{node.name}' is already declared at {seen[node.name]}"
                )
            seen[node.name] = node.loc
            fields.append(self._declared_field(decl, node))
        notes = self.annotations(decl.annotations)
        kinds = {"header": ir.Header, "header_union": ir.HeaderUnion, "struct": ir.Struct}
        type_ = kinds[decl.kind](name, tuple(fields), notes)
        self._bounded(type_, decl.loc)
        self.declared_at[name] = decl.loc
        return type_

    def _declared_field(self, decl: s.CompositeDecl, node: s.FieldNode) -> ir.Field:
        type_ = self.resolve(node.type)
        plain = erase(type_)
        match decl.kind:
            case "header":
                allowed = _in_header(plain)
            case "header_union":
                allowed = isinstance(plain, ir.Header | TypeVariable)
            case _:
                allowed = _storable(plain)
        if not allowed:
            raise error(
                node.type.loc,
                f"field '{node.name}' of {decl.kind} '{decl.name}' cannot be of type "
                f"{article(plain)}",
            )
        declared = type_ if isinstance(type_, ir.NewType) else None
        return ir.Field(node.name, plain, self.annotations(node.annotations), declared)

    def declare_enum(self, decl: s.EnumDecl) -> None:
        names = [m[0] for m in decl.members]
        for index, (member, _, loc) in enumerate(decl.members):
            if member in names[:index]:
                raise error(loc, f"enum '{decl.name}' has member '{member}' twice")
        if not names:
            raise error(decl.loc, f"enum '{decl.name}' has no members")
        if decl.underlying is None:
            for member, value, loc in decl.members:
                if value is not None:
                    raise error(loc, f"member '{member}' has a value, but enum has no type")
            type_: ir.Type = ir.Enum(decl.name, tuple(names))
        else:
            type_ = self._serializable(decl)
        self.declare(decl.name, TypeEntry(decl.loc, type_))
        self.types[decl.name] = type_

    def _serializable(self, decl: s.EnumDecl) -> ir.SerializableEnum:
        assert decl.underlying is not None
        bits = self.resolve(decl.underlying)
        if not isinstance(bits, ir.Bits):
            raise error(decl.underlying.loc, f"an enum cannot be represented by type {bits}")
        members: list[tuple[str, int]] = []
        with self.inner_scope():  # a value may use the members before it
            for name, expression, loc in decl.members:
                if expression is None:
                    raise error(loc, f"member '{name}' of enum '{decl.name}' needs a value")
                value = literal_int(self.expression(expression, bits), f"the value of '{name}'")
                literal = int_literal(bits, loc, value)
                if literal.value != value:
                    raise error(expression.loc, f"value {value} of '{name}' does not fit in {bits}")
                members.append((name, value))
                self.declare(name, ConstEntry(loc, Value(literal, bits)))
        return ir.SerializableEnum(decl.name, bits, tuple(members))

    def declare_errors(self, decl: s.ErrorDecl) -> None:
        for name, loc in decl.members:
            if name in self.errors:
                raise error(loc, f"error '{name}' is already declared")
            self.errors.append(name)

    def declare_match_kinds(self, decl: s.MatchKindDecl) -> None:
        for name, loc in decl.members:
            if name in self.match_kinds:
                raise error(loc, f"match_kind '{name}' is already declared")
            self.match_kinds.add(name)

    def declare_typedef(self, decl: s.TypedefDecl) -> None:
        type_ = self.resolve(decl.type)
        if decl.fresh:
            if not isinstance(
                type_, ir.Bits | ir.Bool | ir.Varbit | ir.NewType | ir.SerializableEnum
            ):
                raise error(
                    decl.type.loc, f"'type {decl.name}' cannot be made from {article(type_)}"
                )
            notes = self.annotations(decl.annotations)
            _check_translation(notes)
            type_ = ir.NewType(decl.name, type_, notes)
            self.types[decl.name] = type_
        self.declare(decl.name, TypeEntry(decl.loc, type_))


def _check_translation(notes: ir.Annotations) -> None:
    """@p4runtime_translation says what controllers see (P4Runtime spec section 8.5.6)."""
    note = ir.annotation(notes, "p4runtime_translation")
    if note is not None and not _TRANSLATION.fullmatch(note.text):
        raise error(
            note.loc or ir.Loc("", 0, 0),
            "@p4runtime_translation needs a URI in quotes and a width, bit<width> or string",
        )


def _storable(type_: ir.Type) -> bool:
    """Whether variables, and parts of them, can have that type."""
    return not isinstance(type_, ir.Void | ir.Extern | ir.String | ir.InfInt)


def _in_header(type_: ir.Type) -> bool:
    match type_:
        case TypeVariable() | ir.Bits() | ir.Bool() | ir.SerializableEnum() | ir.Varbit():
            return True
        case ir.Struct():
            return all(
                _in_header(f.type) and not isinstance(f.type, ir.Varbit) for f in type_.fields
            )
    return False
