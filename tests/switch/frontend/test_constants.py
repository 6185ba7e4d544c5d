"""Constants fold to what Python's integers say, for every operator, width and signedness."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from switch import ir
from tests.switch.frontend.programs import assigned, compile_expression, program

types = st.builds(ir.Bits, st.integers(1, 128), st.booleans())
OPERATORS = ("+", "-", "*", "|+|", "|-|", "&", "|", "^", "/", "%", "<<", ">>")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


def wrapped(value: int, bits: ir.Bits) -> int:
    value %= 1 << bits.width
    return value - (1 << bits.width) if bits.signed and value >> (bits.width - 1) else value


def limits(bits: ir.Bits) -> tuple[int, int]:
    if bits.signed:
        return -(1 << (bits.width - 1)), (1 << (bits.width - 1)) - 1
    return 0, (1 << bits.width) - 1


def expected(op: str, a: int, b: int, bits: ir.Bits) -> int:
    low, high = limits(bits)
    match op:
        case "+" | "-" | "*" | "&" | "|" | "^" | "<<" | ">>":
            operations = {
                "+": a + b, "-": a - b, "*": a * b, "&": a & b, "|": a | b, "^": a ^ b,
                "<<": a << b if op == "<<" else 0, ">>": a >> b if op == ">>" else 0,
            }  # fmt: skip
            return wrapped(operations[op], bits)
        case "|+|":
            return max(low, min(high, a + b))
        case "|-|":
            return max(low, min(high, a - b))
        case "/":
            return a // b
    return a % b


def written(value: int, bits: ir.Bits) -> str:
    """A cast, so that negative values can be written."""
    return f"(({bits})({value}))"


def folded(text: str, type_: ir.Type) -> ir.Expression:
    value = assigned(compile_expression(type_, text))
    assert value.type == type_
    return value


def folded_int(text: str, bits: ir.Bits) -> int:
    value = folded(text, bits)
    assert isinstance(value, ir.IntLiteral)
    return value.value


@st.composite
def operations(draw: st.DrawFn) -> tuple[str, ir.Bits, int, int]:
    op = draw(st.sampled_from(OPERATORS))
    bits = draw(types)
    if op in ("/", "%"):
        bits = ir.Bits(bits.width)
    low, high = limits(bits)
    left = draw(st.integers(low, high))
    if op in ("<<", ">>"):
        right = draw(st.integers(0, 140))
    else:
        right = draw(st.integers(max(low, 1) if op in ("/", "%") else low, high))
    return op, bits, left, right


@settings(max_examples=150, deadline=None)
@given(operations())
def test_binary(operation: tuple[str, ir.Bits, int, int]) -> None:
    op, bits, left, right = operation
    amount = str(right) if op in ("<<", ">>") else written(right, bits)
    assert folded_int(f"{written(left, bits)} {op} {amount}", bits) == expected(
        op, left, right, bits
    )


@settings(max_examples=40, deadline=None)
@given(types, st.data(), st.sampled_from(("-", "~", "+")))
def test_unary(bits: ir.Bits, data: st.DataObject, op: str) -> None:
    value = data.draw(st.integers(*limits(bits)))
    want = {"-": -value, "~": ~value, "+": value}[op]
    assert folded_int(f"{op}{written(value, bits)}", bits) == wrapped(want, bits)


@settings(max_examples=40, deadline=None)
@given(types, st.data(), st.sampled_from(COMPARISONS))
def test_comparison(bits: ir.Bits, data: st.DataObject, op: str) -> None:
    left, right = (data.draw(st.integers(*limits(bits))) for _ in range(2))
    want = {
        "==": left == right, "!=": left != right, "<": left < right, "<=": left <= right,
        ">": left > right, ">=": left >= right,
    }[op]  # fmt: skip
    value = folded(f"{written(left, bits)} {op} {written(right, bits)}", ir.Bool())
    assert isinstance(value, ir.BoolLiteral)
    assert value.value == want


@settings(max_examples=40, deadline=None)
@given(types, types, st.data())
def test_cast_through_a_common_width(source: ir.Bits, target: ir.Bits, data: st.DataObject) -> None:
    """bit<8> → int<16> takes two casts; each keeps the value modulo its range."""
    value = data.draw(st.integers(*limits(source)))
    middle = ir.Bits(target.width, source.signed)
    text = f"({target})({middle}){written(value, source)}"
    assert folded_int(text, target) == wrapped(wrapped(value, middle), target)


@settings(max_examples=40, deadline=None)
@given(types, types, st.data())
def test_concatenation_and_slices(left: ir.Bits, right: ir.Bits, data: st.DataObject) -> None:
    a, b = (data.draw(st.integers(*limits(bits))) for bits in (left, right))
    whole = ir.Bits(left.width + right.width, left.signed)
    text = f"({written(a, left)} ++ {written(b, right)})"
    assert folded_int(text, whole) == wrapped((a << right.width) | (b % (1 << right.width)), whole)
    low = data.draw(st.integers(0, whole.width - 1))
    high = data.draw(st.integers(low, whole.width - 1))
    part = ir.Bits(high - low + 1)
    want = wrapped(folded_int(text, whole) >> low, part)
    assert folded_int(f"{text}[{high}:{low}]", part) == want
    assert folded_int(f"{text}[{low} +: {part.width}]", part) == want


def test_named_constants_and_enums(tmp_path: Path) -> None:
    result = program(
        tmp_path,
        top="const bit<16> BASE = 1 << 4; const bit<16> NEXT = BASE + 3;"
        "const pair_t PAIR = { 7, NEXT }; const tuple<bit<8>, bool> T = { 9, true };",
        body="meta.b = NEXT * 2; meta.b = PAIR.b; meta.a = T[0]; meta.a = Proto.udp;"
        "meta.flag = PAIR == { 7, 19 }; meta.b = (bit<16>)BASE.minSizeInBits();",
    )
    values = [assigned(result, index) for index in range(6)]
    assert [v.value for v in values if isinstance(v, ir.IntLiteral)] == [38, 19, 9, 17, 16]
    assert values[4] == ir.BoolLiteral(ir.Bool(), values[4].loc, True)


def test_literal_forms(tmp_path: Path) -> None:
    text = "".join(
        f"meta.c = {number};" for number in ("0xFF", "32w0b1010", "0o17", "1_000", "32w0D9", "-1")
    )
    result = program(tmp_path, body=text)
    values = [assigned(result, index) for index in range(6)]
    assert [v.value for v in values if isinstance(v, ir.IntLiteral)] == [
        255, 10, 15, 1000, 9, 2**32 - 1,
    ]  # fmt: skip
