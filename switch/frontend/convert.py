"""Implicit and explicit casts (P4_16 section 8.11), and typing of list and struct values."""

from __future__ import annotations

from switch import ir
from switch.frontend.constants import int_literal
from switch.frontend.errors import CompileError, error
from switch.frontend.resolve import TypeResolver
from switch.frontend.scopes import Value
from switch.frontend.type_rules import BOOL, article, erase, field_type, is_untyped_struct


class Converter(TypeResolver):
    """Brings values to the types that are asked for."""

    def coerce(self, value: Value, target: ir.Type, what: str = "") -> ir.Expression:
        """`value` as a `target`, by the implicit casts only."""
        node, source = value.node, value.type
        if source == target:
            return node
        plain = erase(target)
        match source, target:
            case ir.InfInt(), ir.Bits():
                if isinstance(node, ir.IntLiteral):
                    return int_literal(plain, node.loc, node.value)
            case ir.SerializableEnum(underlying=bits), ir.Bits() if bits == target:
                return self.cast_node(node, bits)
            case ir.Bits(), ir.InfInt() if isinstance(node, ir.IntLiteral):
                return ir.IntLiteral(plain, node.loc, node.value)
        converted = self._convert_aggregate(value, target)
        if converted is not None:
            return converted
        where = f" in {what}" if what else ""
        raise error(
            node.loc, f"cannot convert {article(source)} to {article(target)} implicitly{where}"
        )

    def _convert_aggregate(self, value: Value, target: ir.Type) -> ir.Expression | None:
        """A list or struct expression, or one folded from a constant, to the type asked for."""
        node = value.node
        if isinstance(node, ir.TupleValue) and isinstance(value.type, ir.Tuple):
            types = value.type.elements
            parts = [Value(e, t) for e, t in zip(node.elements, types, strict=True)]
            if isinstance(target, ir.Tuple):
                if len(parts) != len(target.elements):
                    return None
                converted = [self.coerce(p, t) for p, t in zip(parts, target.elements, strict=True)]
                return ir.TupleValue(erase(target), node.loc, tuple(converted))
            if isinstance(target, ir.Struct | ir.Header) and len(parts) == len(target.fields):
                converted = [
                    self.coerce(p, field_type(f), f"field '{f.name}'")
                    for p, f in zip(parts, target.fields, strict=True)
                ]
                return ir.StructValue(target, node.loc, tuple(converted))
        if isinstance(node, ir.StructValue) and isinstance(target, ir.Struct | ir.Header):
            return self._convert_struct(node, target)
        return None

    def _convert_struct(
        self, node: ir.StructValue, target: ir.Struct | ir.Header
    ) -> ir.Expression | None:
        """A struct expression that was typed before its target was known."""
        source = node.type
        if not isinstance(source, ir.Struct) or not is_untyped_struct(source):
            return None
        parts = {
            f.name: Value(e, field_type(f))
            for f, e in zip(source.fields, node.elements, strict=True)
        }
        if set(parts) != {f.name for f in target.fields}:
            return None
        converted = [
            self.coerce(parts[f.name], field_type(f), f"field '{f.name}'") for f in target.fields
        ]
        return ir.StructValue(target, node.loc, tuple(converted))

    def cast(self, value: Value, target: ir.Type, loc: ir.Loc) -> ir.Expression:
        """`(target) value`, written in the program."""
        if not self._castable(value, target):
            try:
                return self.coerce(value, target)
            except CompileError:
                raise error(
                    loc, f"cannot cast {article(value.type)} to {article(target)}"
                ) from None
        return self.cast_node(value.node, erase(target))

    def _castable(self, value: Value, target: ir.Type) -> bool:
        source = value.type
        if source == target:
            return True
        match source, target:
            case ir.NewType(underlying=inner), _ if inner == target:
                return True
            case ir.InfInt(), ir.NewType(underlying=inner):
                return self._castable(value, inner)
            case _, ir.NewType(underlying=inner):
                return source == inner
            case ir.Bits(), ir.Bits():
                return source.width == target.width or source.signed == target.signed
            case ir.Bits(width=1, signed=False), ir.Bool():
                return True
            case ir.Bool(), ir.Bits(width=1, signed=False):
                return True
            case ir.InfInt(), ir.Bits() | ir.Bool():
                if isinstance(target, ir.Bool) and isinstance(value.node, ir.IntLiteral):
                    return value.node.value in (0, 1)
                return True
            case ir.Bits(), ir.InfInt():
                return isinstance(value.node, ir.IntLiteral)
            case ir.Bits() | ir.InfInt(), ir.SerializableEnum(underlying=bits):
                return source == bits or isinstance(source, ir.InfInt)
            case ir.SerializableEnum(underlying=bits), ir.Bits():
                return bits == target
            case ir.SerializableEnum(underlying=bits), ir.SerializableEnum():
                return bits == target.underlying
        return False

    def cast_node(self, node: ir.Expression, target: ir.Type) -> ir.Expression:
        """The cast, folded when it can be; both types erased and the cast allowed."""
        source = node.type
        if source == target:
            return node
        match node, target:
            case ir.IntLiteral(), ir.Bits() | ir.SerializableEnum():
                return int_literal(target, node.loc, node.value)
            case ir.IntLiteral(), ir.InfInt():
                return ir.IntLiteral(target, node.loc, node.value)
            case ir.IntLiteral(), ir.Bool():
                return ir.BoolLiteral(BOOL, node.loc, node.value != 0)
            case ir.BoolLiteral(), ir.Bits():
                return int_literal(target, node.loc, int(node.value))
        if isinstance(source, ir.SerializableEnum) and isinstance(target, ir.SerializableEnum):
            node = ir.Cast(source.underlying, node.loc, node)
        return ir.Cast(target, node.loc, node)
