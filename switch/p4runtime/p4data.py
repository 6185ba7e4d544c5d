"""Values as P4Data of the type that P4Info describes (P4Runtime spec section 8.5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finsy.proto import p4d, p4t

from switch.p4runtime.errors import OUT_OF_RANGE, Refused, invalid


@dataclass(frozen=True, slots=True)
class Scalar:
    """One value of the pipeline: unsigned there, two's complement if signed."""

    kind: str
    """The member of P4Data that holds it."""
    width: int = 0
    signed: bool = False
    members: tuple[str, ...] = ()
    """The names of an enum or of the errors; a value is a place in them."""


@dataclass(frozen=True, slots=True)
class Group:
    """A struct or tuple of several values."""

    kind: str
    members: tuple[Type, ...]


@dataclass(frozen=True, slots=True)
class Header:
    """A header: its validity, then its fields."""

    members: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Varbit:
    """The width that it has, then its value."""


Type = Scalar | Group | Header | Varbit


class Types:
    """The types of one P4Info, as far as values of them can be exchanged."""

    def __init__(self, info: p4t.P4TypeInfo) -> None:
        self._info = info
        self._structs: dict[str, Type | None] = {}  # None: not known yet, or not exchangeable

    def described(self, spec: p4t.P4DataTypeSpec) -> Type | None:
        """None for unions, stacks, headers with a varbit, and what is translated to strings."""
        match spec.WhichOneof("type_spec"):
            case "bitstring" if spec.bitstring.HasField("varbit"):
                return Varbit()
            case "bitstring":
                return _bitstring(spec.bitstring)
            case "bool":
                return Scalar("bool", 1)
            case "serializable_enum":
                name = spec.serializable_enum.name
                if name in self._info.serializable_enums:
                    underlying = self._info.serializable_enums[name].underlying_type
                    return Scalar("enum_value", underlying.bitwidth)
            case "enum":
                if spec.enum.name in self._info.enums:
                    members = self._info.enums[spec.enum.name].members
                    return Scalar("enum", members=tuple(member.name for member in members))
            case "error":
                return Scalar("error", members=tuple(self._info.error.members))
            case "new_type":
                return self._new_type(spec.new_type.name)
            case "tuple":
                return self._group("tuple", spec.tuple.members)
            case "struct":
                return self._struct(spec.struct.name)
            case "header":
                return self._header(spec.header.name)
        return None

    def _new_type(self, name: str) -> Type | None:
        """The original type is never a new type itself (spec 8.5.6)."""
        if name not in self._info.new_types:
            return None
        new = self._info.new_types[name]
        if new.HasField("original_type") and not new.original_type.HasField("new_type"):
            return self.described(new.original_type)
        if new.translated_type.HasField("sdn_bitwidth"):
            return Scalar("bitstring", new.translated_type.sdn_bitwidth)
        return None

    def _struct(self, name: str) -> Type | None:
        if name not in self._structs and name in self._info.structs:
            self._structs[name] = None  # a struct within itself has no description
            members = self._info.structs[name].members
            self._structs[name] = self._group("struct", [member.type_spec for member in members])
        return self._structs.get(name)

    def _header(self, name: str) -> Header | None:
        if name not in self._info.headers:
            return None
        specs = [member.type_spec for member in self._info.headers[name].members]
        if any(spec.HasField("varbit") for spec in specs):
            return None
        return Header(tuple(_bitstring(spec) for spec in specs))

    def _group(self, kind: str, specs: Iterable[p4t.P4DataTypeSpec]) -> Type | None:
        members = [self.described(spec) for spec in specs]
        known = [member for member in members if member is not None]
        return Group(kind, tuple(known)) if len(known) == len(members) else None


def _bitstring(spec: p4t.P4BitstringLikeTypeSpec) -> Scalar:
    signed = spec.HasField("int")
    return Scalar("bitstring", spec.int.bitwidth if signed else spec.bit.bitwidth, signed)


def decode(type_: Scalar, data: p4d.P4Data, what: str) -> int:
    """One value; refused if it is of another type or too wide (spec 8.4, 9.7)."""
    kind = data.WhichOneof("data")
    if kind != type_.kind:
        raise invalid(f"{what} takes {type_.kind} data, not {kind or 'none'}")
    if kind == "bool":
        return int(data.bool)
    value = getattr(data, kind)
    if isinstance(value, str):
        if value not in type_.members:
            raise invalid(f"{what}: {value!r} is none of {', '.join(type_.members)}")
        return type_.members.index(value)
    number = int.from_bytes(value, "big", signed=type_.signed)
    limit = 1 << type_.width
    fits = -limit // 2 <= number < limit // 2 if type_.signed else number < limit
    if not value or not fits:
        raise Refused(OUT_OF_RANGE, f"{what}: 0x{value.hex()} does not fit its {type_.width} bits")
    return number % limit


def encode(type_: Type, values: Iterator[int], message: p4d.P4Data) -> None:
    """As many values as the type has, in the shortest form."""
    match type_:
        case Group(kind, members):
            group = getattr(message, kind)
            group.SetInParent()
            for member in members:
                encode(member, values, group.members.add())
        case Header(members):
            message.header.is_valid = bool(next(values))
            fields = [shortest(next(values), each.width, signed=each.signed) for each in members]
            if message.header.is_valid:
                message.header.bitstrings.extend(fields)
        case Varbit():
            message.varbit.bitwidth = next(values)
            message.varbit.bitstring = shortest(next(values), 0, signed=False)
        case Scalar("bool"):
            message.bool = bool(next(values))
        case Scalar(kind, members=members) if members:
            setattr(message, kind, members[next(values)])
        case Scalar(kind, width, signed):
            setattr(message, kind, shortest(next(values), width, signed=signed))


def shortest(value: int, width: int, *, signed: bool) -> bytes:
    """The shortest bytestring of a value as the pipeline has it (spec 8.4)."""
    if not signed:
        return value.to_bytes((value.bit_length() + 7) // 8 or 1, "big")
    if value >> (width - 1):
        value -= 1 << width
    bits = (value if value >= 0 else ~value).bit_length() + 1
    return value.to_bytes((bits + 7) // 8, "big", signed=True)
