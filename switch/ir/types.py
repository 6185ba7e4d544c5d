"""Types."""

from __future__ import annotations

from dataclasses import dataclass

from switch.ir.source import Annotations


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
