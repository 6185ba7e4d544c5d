"""Arithmetic at compile time, exactly as at run time (P4_16 sections 8.5 to 8.10)."""

from __future__ import annotations

from switch import ir
from switch.frontend.errors import error
from switch.frontend.type_rules import BOOL, is_literal, wrap

# A constant beyond this many bits is a mistake, and would only burn memory.
MAX_BITS = 1 << 16


def int_literal(type_: ir.Type, loc: ir.Loc, value: int) -> ir.IntLiteral:
    """A literal of that type, its value brought into range."""
    match type_:
        case ir.Bits():
            value = wrap(value, type_)
        case ir.SerializableEnum():
            value = wrap(value, type_.underlying)
        case _:
            if value.bit_length() > MAX_BITS:
                raise error(loc, f"constant needs more than {MAX_BITS} bits")
    return ir.IntLiteral(type_, loc, value)


def fold_unary(op: str, operand: ir.Expression, loc: ir.Loc) -> ir.Expression | None:
    match op, operand:
        case "!", ir.BoolLiteral(value=truth):
            return ir.BoolLiteral(BOOL, loc, not truth)
        case "-", ir.IntLiteral(value=value):
            return int_literal(operand.type, loc, -value)
        case "~", ir.IntLiteral(value=value):
            return int_literal(operand.type, loc, ~value)
    return None


def fold_arithmetic(
    op: str, left: ir.IntLiteral, right: ir.IntLiteral, loc: ir.Loc
) -> ir.IntLiteral:
    """Both of one type (or, for shifts, of two); division by zero is an error."""
    a, b, type_ = left.value, right.value, left.type
    match op:
        case "+":
            value = a + b
        case "-":
            value = a - b
        case "*":
            value = a * b
        case "/" | "%":
            if b == 0:
                raise error(loc, f"division by zero in '{op}'")
            value = a // b if op == "/" else a % b
        case "|+|":
            value = saturate(a + b, type_)
        case "|-|":
            value = saturate(a - b, type_)
        case "&":
            value = a & b
        case "|":
            value = a | b
        case "^":
            value = a ^ b
        case "<<":
            if b > MAX_BITS:
                if not isinstance(type_, ir.Bits):
                    raise error(loc, f"constant needs more than {MAX_BITS} bits")
                value = 0
            else:
                value = a << b
        case _:
            assert op == ">>"
            value = a >> min(b, MAX_BITS)
    return int_literal(type_, loc, value)


def saturate(value: int, type_: ir.Type) -> int:
    assert isinstance(type_, ir.Bits)
    low = -(1 << (type_.width - 1)) if type_.signed and type_.width else 0
    high = (1 << (type_.width - type_.signed)) - 1 if type_.width else 0
    return min(max(value, low), high)


def fold_comparison(
    op: str, left: ir.Expression, right: ir.Expression, loc: ir.Loc
) -> ir.Expression | None:
    match left, right:
        case ir.IntLiteral(value=a), ir.IntLiteral(value=b):
            truth = {
                "==": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b
            }[op]  # fmt: skip
            return ir.BoolLiteral(BOOL, loc, truth)
        case (
            (ir.BoolLiteral(), ir.BoolLiteral())
            | (ir.EnumLiteral(), ir.EnumLiteral())
            | (ir.ErrorLiteral(), ir.ErrorLiteral())
        ):
            return ir.BoolLiteral(BOOL, loc, (left == right) == (op == "=="))
        case (ir.TupleValue(), ir.TupleValue()) | (ir.StructValue(), ir.StructValue()) if (
            is_literal(left) and is_literal(right)
        ):
            return ir.BoolLiteral(BOOL, loc, (left == right) == (op == "=="))
    return None


def fold_concat(
    left: ir.IntLiteral, right: ir.IntLiteral, type_: ir.Bits, loc: ir.Loc
) -> ir.IntLiteral:
    assert isinstance(right.type, ir.Bits)
    width = right.type.width
    return int_literal(type_, loc, (left.value << width) | (right.value & ((1 << width) - 1)))


def fold_slice(operand: ir.IntLiteral, high: int, low: int, loc: ir.Loc) -> ir.IntLiteral:
    return int_literal(ir.Bits(high - low + 1), loc, operand.value >> low)


def relocate(node: ir.Expression, loc: ir.Loc) -> ir.Expression:
    """A literal at the place where its name was used."""
    match node:
        case ir.IntLiteral():
            return ir.IntLiteral(node.type, loc, node.value)
        case ir.BoolLiteral():
            return ir.BoolLiteral(node.type, loc, node.value)
        case ir.EnumLiteral():
            return ir.EnumLiteral(node.type, loc, node.member)
        case ir.ErrorLiteral():
            return ir.ErrorLiteral(node.type, loc, node.member)
        case ir.StringLiteral():
            return ir.StringLiteral(node.type, loc, node.value)
    return node
