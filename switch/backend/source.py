"""Expressions as P4 text: as written, but for constants, which are folded."""

from __future__ import annotations

from typing import Final

from switch import ir
from switch.backend import representation as rep

_LEVELS: Final = (
    ("||",), ("&&",), ("|",), ("^",), ("&",), ("==", "!="), ("<", "<=", ">", ">="), ("<<", ">>"),
    ("+", "-", "|+|", "|-|", "++"), ("*", "/", "%"),
)  # fmt: skip
"""Binary operators, those that bind least first."""
_BINDING: Final = {op: 2 * level + 2 for level, ops in enumerate(_LEVELS) for op in ops}
_TIGHTEST: Final = 2 * len(_LEVELS) + 2


def source(expression: ir.Expression) -> str:
    """One line of P4 for people to read."""
    match expression:
        case ir.IntLiteral(value=value, type=type_):
            return number(value, type_)
        case ir.BoolLiteral(value=flag):
            return "true" if flag else "false"
        case ir.StringLiteral(value=text):
            return f'"{text}"'
        case ir.EnumLiteral(type=type_, member=member):
            return f"{type_}.{member}"
        case ir.ErrorLiteral(member=member):
            return f"error.{member}"
        case ir.Var(variable=variable):
            return variable.source_name or variable.name
        case ir.Member(base=base, field=field):
            return f"{source(base)}.{field}"
        case ir.StackIndex(stack=stack, index=ir.IntLiteral(value=at)):
            return f"{source(stack)}[{at}]"
        case ir.StackIndex(stack=stack, index=index):
            return f"{source(stack)}[{source(index)}]"
        case ir.StackNext(stack=stack):
            return f"{source(stack)}.next"
        case ir.StackLast(stack=stack):
            return f"{source(stack)}.last"
        case ir.StackLastIndex(stack=stack):
            return f"{source(stack)}.lastIndex"
        case ir.TupleIndex(base=base, index=at):
            return f"{source(base)}[{at}]"
        case ir.Slice(base=base, high=high, low=low):
            return f"{_operand(base)}[{high}:{low}]"
        case ir.Unary(op=op, operand=operand):
            return f"{op}{_operand(operand)}"
        case ir.Binary(op=op, left=left, right=right):
            return f"{_operand(left, _BINDING[op] - 1)} {op} {_operand(right, _BINDING[op])}"
        case ir.Conditional(condition=condition, then=then, otherwise=otherwise):
            return f"{_operand(condition, 0)} ? {_operand(then, 0)} : {_operand(otherwise, 0)}"
        case ir.Cast(operand=operand, type=type_):
            return f"({type_}) {_operand(operand)}"
        case ir.IsValid(header=header):
            return f"{source(header)}.isValid()"
        case ir.Lookahead(type=type_):
            return f"packet.lookahead<{type_}>()"
        case ir.PacketLength():
            return "packet.length()"
        case ir.TableApply(table=table, result=result):
            return f"{table.name}.apply().{result}"
        case ir.FunctionCall(function=function, arguments=arguments):
            return f"{function.name}({', '.join(map(source, arguments))})"
        case ir.DontCare():
            return "_"
        case ir.TupleValue(elements=elements) | ir.StructValue(elements=elements):
            return f"{{ {', '.join(map(source, elements))} }}"
    return str(expression.type)


def _operand(expression: ir.Expression, binding: int = _TIGHTEST) -> str:
    """In parentheses, unless it binds more tightly than that."""
    text = source(expression)
    match expression:
        case ir.Binary(op=op):
            own = _BINDING[op]
        case ir.Conditional():
            own = 0
        case ir.Cast() | ir.Unary():
            own = _TIGHTEST
        case _:
            return text
    return text if own > binding else f"({text})"


def number(value: int, type_: ir.Type) -> str:
    """Hexadecimal, as many digits as the type has; MAC addresses as people write them."""
    if isinstance(type_, ir.Bool):
        return "true" if value else "false"
    if isinstance(type_, ir.Enum):
        return type_.members[value] if value < len(type_.members) else str(value)
    bits = rep.bits_of(type_)
    if bits is None:
        return str(value)
    value &= (1 << bits.width) - 1
    if isinstance(type_, ir.SerializableEnum):
        names = [name for name, member in type_.members if member & (1 << bits.width) - 1 == value]
        if names:
            return f"{type_}.{names[0]}"
    if bits.width == 48:
        return ":".join(f"{byte:02x}" for byte in value.to_bytes(6, "big"))
    return f"0x{value:0{-(-bits.width // 4)}x}"
