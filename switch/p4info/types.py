"""P4 types in P4Info: P4DataTypeSpec, and the named types in P4TypeInfo (P4Runtime spec 8.5)."""

from __future__ import annotations

import re
from typing import Any

from finsy.proto import p4i, p4t

from switch import ir
from switch.p4info.annotations import add_annotations

ENUM_WIDTH = 32  # an enum or error without representation, as BMv2 stores it


def width(type_: ir.Type) -> int:
    """Bits of a scalar type."""
    match type_:
        case ir.Bits():
            return type_.width
        case ir.Bool():
            return 1
        case ir.SerializableEnum():
            return type_.underlying.width
        case ir.NewType():
            return width(type_.underlying)
    return ENUM_WIDTH


def translation(new: ir.NewType) -> tuple[str, int | None] | None:
    """URI and controller's width (None: a string) of @p4runtime_translation (spec 8.5.6)."""
    found = ir.annotation(new.annotations, "p4runtime_translation")
    if found is None:
        return None
    uri, _, controller_type = found.text.partition(",")
    bits = re.search(r"\d+", controller_type)
    return uri.strip().strip('"'), int(bits.group()) if bits else None


def shown_width(type_: ir.Type, declared: ir.NewType | None) -> int:
    """The width that a controller uses: of the translated type, if it is translated."""
    translated = translation(declared) if declared else None
    return (translated[1] or 0) if translated else width(type_)


def flattened(header: ir.Composite, prefix: str = "") -> list[tuple[str, ir.Field]]:
    """A header's fields with those of nested structs in place, under dotted names."""
    fields: list[tuple[str, ir.Field]] = []
    for field in header.fields:
        if isinstance(field.type, ir.Struct):
            fields += flattened(field.type, f"{prefix}{field.name}.")
        else:
            fields.append((prefix + field.name, field))
    return fields


class Types:
    """Collects the named types that a P4Info's objects mention."""

    def __init__(self, info: p4i.P4Info, program: ir.Program) -> None:
        self._info = info
        self._program = program

    @property
    def _types(self) -> p4t.P4TypeInfo:
        return self._info.type_info

    def mention(self, message: Any, type_: ir.Type, declared: ir.NewType | None) -> None:
        """Note the named type of a key, parameter or metadata field."""
        if declared:
            message.type_name.name = declared.name
            self._new_type(declared)
        elif isinstance(type_, ir.SerializableEnum | ir.Enum):
            self.spec(type_)

    def spec(self, type_: ir.Type) -> p4t.P4DataTypeSpec:
        spec = p4t.P4DataTypeSpec()
        match type_:
            case ir.Bits() | ir.Varbit():
                spec.bitstring.CopyFrom(_bitstring(type_))
            case ir.Bool():
                spec.bool.SetInParent()
            case ir.Tuple():
                spec.tuple.SetInParent()
                for element in type_.elements:
                    spec.tuple.members.append(self.spec(element))
            case ir.Struct():
                spec.struct.name = type_.name
                self._struct(type_)
            case ir.Header():
                spec.header.name = type_.name
                self._header(type_)
            case ir.HeaderUnion():
                spec.header_union.name = type_.name
                self._header_union(type_)
            case ir.HeaderStack(element=ir.Header() as element):
                spec.header_stack.header.name = element.name
                spec.header_stack.size = type_.size
                self._header(element)
            case ir.HeaderStack(element=ir.HeaderUnion() as element):
                spec.header_union_stack.header_union.name = element.name
                spec.header_union_stack.size = type_.size
                self._header_union(element)
            case ir.Enum():
                spec.enum.name = type_.name
                if type_.name not in self._types.enums:
                    for name in type_.members:
                        self._types.enums[type_.name].members.add(name=name)
            case ir.SerializableEnum():
                spec.serializable_enum.name = type_.name
                self._serializable_enum(type_)
            case ir.Error():
                spec.error.SetInParent()
                if not self._types.HasField("error"):
                    self._types.error.members.extend(self._program.errors)
            case ir.NewType():
                spec.new_type.name = type_.name
                self._new_type(type_)
            case _:
                raise TypeError(f"{type_} cannot be shown to a controller")
        return spec

    def _field_spec(self, field: ir.Field) -> p4t.P4DataTypeSpec:
        return self.spec(field.declared or field.type)

    def _struct(self, struct: ir.Struct) -> None:
        if struct.name in self._types.structs:
            return
        members = [
            p4t.P4StructTypeSpec.Member(name=field.name, type_spec=self._field_spec(field))
            for field in struct.fields
        ]
        self._types.structs[struct.name].members.extend(members)

    def _header(self, header: ir.Header) -> None:
        if header.name in self._types.headers:
            return
        message = self._types.headers[header.name]
        for name, field in flattened(header):
            member = message.members.add(name=name)
            kept = isinstance(field.type, ir.Bits | ir.Varbit)
            member.type_spec.CopyFrom(
                _bitstring(field.type if kept else ir.Bits(width(field.type)))  # type: ignore[arg-type]
            )

    def _header_union(self, union: ir.HeaderUnion) -> None:
        if union.name in self._types.header_unions:
            return
        message = self._types.header_unions[union.name]
        for field in union.fields:
            message.members.add(name=field.name).header.CopyFrom(self.spec(field.type).header)

    def _serializable_enum(self, enum: ir.SerializableEnum) -> None:
        if enum.name in self._types.serializable_enums:
            return
        message = self._types.serializable_enums[enum.name]
        message.underlying_type.bitwidth = enum.underlying.width
        for name, value in enum.members:
            # padded, as p4c writes it
            bits = value & ((1 << enum.underlying.width) - 1)
            message.members.add(
                name=name, value=bits.to_bytes((enum.underlying.width + 7) // 8, "big")
            )

    def _new_type(self, new: ir.NewType) -> None:
        if new.name in self._types.new_types:
            return
        message = self._types.new_types[new.name]
        add_annotations(message, new.annotations, {"p4runtime_translation"})
        translated = translation(new)
        if translated is None:
            underlying = new.underlying
            while isinstance(underlying, ir.NewType):
                underlying = underlying.underlying
            message.original_type.CopyFrom(self.spec(underlying))
            return
        message.translated_type.uri = translated[0]
        if translated[1] is None:
            message.translated_type.sdn_string.SetInParent()
        else:
            message.translated_type.sdn_bitwidth = translated[1]


def _bitstring(type_: ir.Bits | ir.Varbit) -> p4t.P4BitstringLikeTypeSpec:
    spec = p4t.P4BitstringLikeTypeSpec()
    if isinstance(type_, ir.Varbit):
        spec.varbit.max_bitwidth = type_.max_width
    elif type_.signed:
        spec.int.bitwidth = type_.width
    else:
        spec.bit.bitwidth = type_.width
    return spec
