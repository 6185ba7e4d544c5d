"""How scalar P4 values look in C, and every operation on them.

A value is always held masked to its width: in a `uint64_t` up to 64 bits, a `u128` up to 128, a
`p4_big` beyond (switch/runtime/bits.h, big.h). A C string here is an expression of that type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from switch import ir

BIG: Final = 128
"""Widths above this are `p4_big`."""
ENUM: Final = ir.Bits(32)


def bits_of(type_: ir.Type) -> ir.Bits | None:
    """The bits that represent a scalar (a bool is its own C type and has none)."""
    match type_:
        case ir.Bits():
            return type_
        case ir.SerializableEnum(underlying=underlying):
            return underlying
        case ir.Enum() | ir.Error():
            return ENUM
    return None


def is_scalar(type_: ir.Type) -> bool:
    return isinstance(type_, ir.Bool) or bits_of(type_) is not None


def width_of(type_: ir.Type) -> int:
    """Bits that a scalar takes in keys, action data and headers."""
    if isinstance(type_, ir.Bool):
        return 1
    bits = bits_of(type_)
    assert bits is not None, type_
    return bits.width


def words_of(type_: ir.Type) -> int:
    """64-bit words that a scalar takes in action data and registers."""
    return max(1, -(-width_of(type_) // 64))


def c_type(bits: ir.Bits) -> str:
    if bits.width <= 64:
        return "uint64_t"
    return "u128" if bits.width <= BIG else "p4_big"


def c_storage(bits: ir.Bits) -> str:
    """The narrowest type for a field."""
    for width in (8, 16, 32):
        if bits.width <= width:
            return f"uint{width}_t"
    return c_type(bits)


def literal(value: int, bits: ir.Bits) -> str:
    value &= (1 << bits.width) - 1
    if bits.width <= 64:
        return f"{value:#x}ull"
    if bits.width <= BIG:
        return f"U128({value >> 64:#x}ull, {value & (1 << 64) - 1:#x}ull)"
    limbs = [value >> 64 * i & (1 << 64) - 1 for i in range(-(-bits.width // 64))]
    return f"((p4_big){{{{{', '.join(f'{limb:#x}ull' for limb in limbs)}}}}})"


def mask(width: int) -> str:
    return literal((1 << width) - 1, ir.Bits(width))


def masked(value: str, width: int) -> str:
    """A C integer value cut to width; natural overflow needs no cutting."""
    if width in (64, 128):
        return value
    return f"({value} & {mask(width)})"


def convert(value: str, source: ir.Bits, target: ir.Bits) -> str:
    """A cast between widths: truncate, or extend by the operand's sign (P4_16 section 8.11.1)."""
    if source.width == target.width:
        return value
    widens = target.width > source.width
    signed = source.signed and widens
    if c_type(source) == "p4_big":
        if c_type(target) == "p4_big":
            if signed:
                return f"big_extend({value}, {source.width}, {target.width})"
            return value if widens else f"big_trim({value}, {target.width})"
        low = f"big_low({value})"
        return masked(f"(uint64_t){low}" if target.width <= 64 else low, target.width)
    if c_type(target) == "p4_big":
        if signed:
            return f"big_extend(big_from({value}), {source.width}, {target.width})"
        return f"big_from({value})"
    if signed:
        suffix = "" if source.width <= 64 else "128"
        wide = "uint64_t" if target.width <= 64 else "u128"
        return masked(f"({wide})p4_signed{suffix}({value}, {source.width})", target.width)
    if widens:
        return value if c_type(source) == c_type(target) else f"(u128)({value})"
    return masked(f"({c_type(target)})({value})", target.width)


def shift_amount(value: str, bits: ir.Bits) -> str:
    """A shift count as uint64_t; what does not fit is beyond every width anyway."""
    if bits.width <= 64:
        return value
    return f"p4_amount128({value})" if bits.width <= BIG else f"big_amount({value})"


_PLAIN: Final[Mapping[str, str]] = {"&": "and", "|": "or", "^": "xor"}
_WRAPPING: Final[Mapping[str, str]] = {"+": "add", "-": "sub", "*": "mul"}
_SATURATING: Final[Mapping[str, str]] = {"|+|": "addsat", "|-|": "subsat"}
_DIVIDING: Final[Mapping[str, str]] = {"/": "div", "%": "mod"}


def arithmetic(op: str, left: str, right: str, bits: ir.Bits) -> str:
    """`+ - * / % |+| |-| & | ^` on two values of one type."""
    width = bits.width
    big = c_type(bits) == "p4_big"
    if op in _PLAIN:
        return f"big_{_PLAIN[op]}({left}, {right})" if big else f"({left} {op} {right})"
    if op in _WRAPPING:
        if big:
            return f"big_{_WRAPPING[op]}({left}, {right}, {width})"
        return masked(f"({left} {op} {right})", width)
    suffix = "" if width <= 64 else "128"
    if op in _DIVIDING:
        if big:
            return f"big_{_DIVIDING[op]}({left}, {right}, {width})"
        return f"p4_{_DIVIDING[op]}{suffix}({left}, {right})"
    name = ("s" if bits.signed else "u") + _SATURATING[op]
    if big:
        return f"big_{name}({left}, {right}, {width})"
    return f"p4_{name}{suffix}({left}, {right}, {width})"


def shift(op: str, left: str, amount: str, bits: ir.Bits) -> str:
    """`<<` and `>>` with an amount already made a uint64_t."""
    name = "shl" if op == "<<" else "sar" if bits.signed else "shr"
    if bits.width == 0:
        return left
    if c_type(bits) == "p4_big":
        return f"big_{name}({left}, {amount}, {bits.width})"
    return f"p4_{name}{'' if bits.width <= 64 else '128'}({left}, {amount}, {bits.width})"


def compare(op: str, left: str, right: str, bits: ir.Bits) -> str:
    """`== != < <= > >=`: a C int. Signed order is unsigned order with the sign bit turned."""
    ordered = op not in ("==", "!=")
    if c_type(bits) == "p4_big":
        if ordered and bits.signed:
            return f"(big_compare_signed({left}, {right}, {bits.width}) {op} 0)"
        return f"(big_compare({left}, {right}) {op} 0)"
    if ordered and bits.signed:
        sign = literal(1 << bits.width - 1, bits)
        return f"(({left} ^ {sign}) {op} ({right} ^ {sign}))"
    return f"({left} {op} {right})"


def negate(value: str, bits: ir.Bits) -> str:
    if c_type(bits) == "p4_big":
        return f"big_negate({value}, {bits.width})"
    return masked(f"(0 - {value})", bits.width)


def complement(value: str, bits: ir.Bits) -> str:
    if c_type(bits) == "p4_big":
        return f"big_not({value}, {bits.width})"
    return masked(f"(~{value})", bits.width)


def concatenate(left: str, left_bits: ir.Bits, right: str, right_bits: ir.Bits) -> str:
    whole = ir.Bits(left_bits.width + right_bits.width)
    high = convert(left, ir.Bits(left_bits.width), whole)
    low = convert(right, ir.Bits(right_bits.width), whole)
    if right_bits.width == 0:
        return high
    if left_bits.width == 0:
        return low
    moved = shift("<<", high, str(right_bits.width), whole)
    return arithmetic("|", moved, low, whole)


def slice_of(value: str, bits: ir.Bits, high: int, low: int) -> str:
    width = high - low + 1
    moved = shift(">>", value, str(low), ir.Bits(bits.width)) if low else value
    return convert(moved, ir.Bits(bits.width), ir.Bits(width))


def with_slice(whole: str, bits: ir.Bits, high: int, low: int, part: str) -> str:
    """The value of `whole` after `whole[high:low] = part`."""
    width = high - low + 1
    unsigned = ir.Bits(bits.width)
    hole = literal(((1 << bits.width) - 1) ^ (((1 << width) - 1) << low), unsigned)
    wide = convert(part, ir.Bits(width), unsigned)
    moved = shift("<<", wide, str(low), unsigned) if low else wide
    return arithmetic("|", arithmetic("&", whole, hole, unsigned), moved, unsigned)
