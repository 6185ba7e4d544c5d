"""Rules about types: erasure, equality, what can be compared, stored, extracted (section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from switch import ir

BOOL = ir.Bool()
INT = ir.InfInt()
ERROR = ir.Error()
STRING = ir.String()
VOID = ir.Void()
BIT32 = ir.Bits(32)
BIT1 = ir.Bits(1)


@dataclass(frozen=True, slots=True)
class TypeVariable(ir.Type):
    """A type parameter, while a generic function is checked for itself; never in a program."""

    name: str

    def __str__(self) -> str:
        return self.name


def erase(type_: ir.Type) -> ir.Type:
    """Without NewTypes, as the back end sees it."""
    match type_:
        case ir.NewType():
            return erase(type_.underlying)
        case ir.Tuple():
            return ir.Tuple(tuple(erase(t) for t in type_.elements))
        case ir.Extern(arguments=arguments) if arguments:
            return ir.Extern(type_.name, tuple(erase(t) for t in arguments))
    return type_


def is_untyped_struct(type_: ir.Type) -> bool:
    """The type of a structure expression that nothing else gives a type."""
    return isinstance(type_, ir.Struct) and type_.name.startswith("{")


def field_type(field: ir.Field) -> ir.Type:
    return field.declared or field.type


def is_numeric(type_: ir.Type) -> bool:
    return isinstance(type_, ir.Bits | ir.InfInt)


def is_scalar(type_: ir.Type) -> bool:
    """What a table key or a select expression may be."""
    return isinstance(type_, ir.Bits | ir.Bool | ir.Enum | ir.SerializableEnum | ir.Error)


def article(type_: ir.Type) -> str:
    """How messages name a type."""
    match type_:
        case ir.Header():
            return f"header {type_}"
        case ir.HeaderUnion():
            return f"header_union {type_}"
        case ir.Struct():
            return f"struct {type_}"
        case ir.Enum() | ir.SerializableEnum():
            return f"enum {type_}"
        case ir.HeaderStack():
            return f"header stack {type_}"
        case ir.Tuple(elements=elements) if len(elements) > 4:
            return f"a tuple or array of {len(elements)} elements"
    return str(type_)


@lru_cache(maxsize=4096)
def fixed_width(type_: ir.Type) -> int | None:
    """Bits of a value of that type on the wire; None when it varies or has no such form."""
    match type_:
        case ir.Bits():
            return type_.width
        case ir.Bool():
            return 1
        case ir.SerializableEnum():
            return type_.underlying.width
        case ir.NewType():
            return fixed_width(type_.underlying)
        case ir.Struct() | ir.Header():
            return _sum(tuple(f.type for f in type_.fields))
        case ir.Tuple():
            return _sum(type_.elements)
        case ir.HeaderStack():
            element = fixed_width(type_.element)
            return None if element is None else element * type_.size
    return None


def _sum(types: tuple[ir.Type, ...]) -> int | None:
    total = 0
    for type_ in types:
        width = fixed_width(type_)
        if width is None:
            return None
        total += width
    return total


def sizes(type_: ir.Type) -> tuple[int, int] | None:
    """(minimum, maximum) size in bits, for minSizeInBits and its siblings (section 9)."""
    match type_:
        case ir.Varbit():
            return 0, type_.max_width
        case ir.HeaderUnion():
            members = [sizes(f.type) for f in type_.fields]
            known = [m for m in members if m is not None]
            if len(known) != len(members) or not known:
                return None
            return min(m[0] for m in known), max(m[1] for m in known)
        case ir.Struct() | ir.Header():
            low = high = 0
            for field in type_.fields:
                size = sizes(field.type)
                if size is None:
                    return None
                low, high = low + size[0], high + size[1]
            return low, high
        case ir.HeaderStack():
            size = sizes(type_.element)
            return None if size is None else (size[0] * type_.size, size[1] * type_.size)
    width = fixed_width(type_)
    return None if width is None else (width, width)


def varbit_fields(header: ir.Header) -> int:
    return sum(isinstance(f.type, ir.Varbit) for f in header.fields)


def comparable(type_: ir.Type) -> bool:
    """Whether == is defined (sections 8.5 to 8.18)."""
    match type_:
        case ir.Extern() | ir.Void() | ir.String() | TypeVariable():
            return False
        case ir.Composite():
            return all(comparable(f.type) for f in type_.fields)
        case ir.Tuple():
            return all(comparable(t) for t in type_.elements)
        case ir.HeaderStack():
            return comparable(type_.element)
    return True


def is_literal(node: ir.Expression) -> bool:
    """Whether the value is known at compile time."""
    match node:
        case (
            ir.IntLiteral()
            | ir.BoolLiteral()
            | ir.EnumLiteral()
            | ir.ErrorLiteral()
            | ir.StringLiteral()
            | ir.InvalidValue()
        ):
            return True
        case ir.TupleValue() | ir.StructValue() | ir.StackValue():
            return all(is_literal(e) for e in node.elements)
    return False


def wrap(value: int, bits: ir.Bits) -> int:
    """`value` modulo the type's range (section 8.5)."""
    value &= (1 << bits.width) - 1
    if bits.signed and bits.width and value >> (bits.width - 1):
        value -= 1 << bits.width
    return value
