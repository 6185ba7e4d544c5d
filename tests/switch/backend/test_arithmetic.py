"""Every operator at many widths and both signednesses, against Python's integers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.switch.backend.programs import compiled, one, program

WIDTHS = (1, 2, 7, 8, 9, 16, 31, 32, 33, 48, 63, 64, 65, 100, 127, 128, 129, 200)

UNSIGNED = ("+", "-", "*", "/", "%", "|+|", "|-|", "&", "|", "^", "<<", ">>")
SIGNED = ("+", "-", "*", "|+|", "|-|", "&", "|", "^", "<<", ">>")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


def _padded(width: int) -> int:
    return -(-width // 8) * 8


def _divisor(width: int) -> int:
    return 1 << (width * 2 // 3 if width > 1 else 0)


def _source(width: int) -> str:
    """The results of all operators on a and b (b's low byte shifts), unsigned, then signed."""
    pad = _padded(width) - width
    padding = f"bit<{pad}> pad_{{0}};" if pad else ""

    def field(name: str) -> str:
        return f"{padding.format(name)} bit<{width}> {name};"

    names = [f"u{i}" for i in range(len(UNSIGNED) + 2)] + [f"s{i}" for i in range(len(SIGNED) + 2)]
    lines = []
    for sign, operators in (("u", UNSIGNED), ("s", SIGNED)):
        kind = "bit" if sign == "u" else "int"
        a, b = f"{sign}a", f"{sign}b"
        lines.append(f"{kind}<{width}> {a} = ({kind}<{width}>)hdr.i.a;")
        lines.append(f"{kind}<{width}> {b} = ({kind}<{width}>)hdr.i.b;")
        for i, op in enumerate(operators):
            right = b
            if op in ("<<", ">>"):
                right = "hdr.i.n"
            elif op in ("/", "%"):
                # p4c takes only constant powers of two here.
                right = str(_divisor(width))
            lines.append(f"hdr.o.{sign}{i} = (bit<{width}>)({a} {op} {right});")
        lines.append(f"hdr.o.{sign}{len(operators)} = (bit<{width}>)(-{a});")
        lines.append(f"hdr.o.{sign}{len(operators) + 1} = (bit<{width}>)(~{a});")
    for i, op in enumerate(COMPARISONS):
        lines.append(f"hdr.o.c{i} = (bit<1>)(ua {op} ub);")
        lines.append(f"hdr.o.d{i} = (bit<1>)(sa {op} sb);")
    bits = "".join(f"bit<1> c{i}; bit<1> d{i};" for i in range(len(COMPARISONS)))
    return program(
        headers=f"""
            header input_t {{ {field("a")} {field("b")} bit<8> n; }}
            header output_t {{ {"".join(map(field, names))} {bits} bit<4> rest; }}
        """,
        members="input_t i; output_t o;",
        parser="state start { packet.extract(hdr.i); transition accept; }",
        ingress=f"apply {{ hdr.o.setValid(); {' '.join(lines)} hdr.i.setInvalid(); }}",
    )


def _signed(value: int, width: int) -> int:
    return value - (1 << width) if value >> (width - 1) else value


def _unsigned_results(a: int, b: int, n: int, width: int) -> list[int]:
    most, divisor = (1 << width) - 1, _divisor(width)
    return [
        a + b, a - b, a * b, a // divisor, a % divisor,
        min(a + b, most), max(a - b, 0), a & b, a | b, a ^ b,
        a << n if n < width else 0, a >> n, -a, ~a,
    ]  # fmt: skip


def _signed_results(a: int, b: int, n: int, width: int) -> list[int]:
    low, high = -(1 << width - 1), (1 << width - 1) - 1
    return [
        a + b, a - b, a * b,
        min(max(a + b, low), high), min(max(a - b, low), high), a & b, a | b, a ^ b,
        a << n if n < width else 0, a >> n, -a, ~a,
    ]  # fmt: skip


_COMPARE: tuple[Callable[[int, int], bool], ...] = (
    lambda a, b: a == b,
    lambda a, b: a != b,
    lambda a, b: a < b,
    lambda a, b: a <= b,
    lambda a, b: a > b,
    lambda a, b: a >= b,
)


def _expected(a: int, b: int, n: int, width: int) -> bytes:
    size = _padded(width) // 8
    sa, sb = _signed(a, width), _signed(b, width)
    results = _unsigned_results(a, b, n, width) + _signed_results(sa, sb, n, width)
    out = b"".join((r & ((1 << width) - 1)).to_bytes(size, "big") for r in results)
    flags = 0
    for compare in _COMPARE:
        flags = flags << 2 | compare(a, b) << 1 | compare(sa, sb)
    return out + (flags << 4).to_bytes(2, "big")


@pytest.mark.parametrize("width", WIDTHS)
def test_operators(width: int) -> None:
    pipeline = compiled(_source(width))
    size = _padded(width) // 8
    edge = st.sampled_from(
        [0, 1, (1 << width) - 1, 1 << width - 1, (1 << width - 1) - 1 if width > 1 else 0]
    )
    value = edge | st.integers(0, (1 << width) - 1)

    @settings(max_examples=200, deadline=None)
    @given(a=value, b=value, n=st.integers(0, 255) | st.integers(0, width))
    def check(a: int, b: int, n: int) -> None:
        packet = a.to_bytes(size, "big") + b.to_bytes(size, "big") + bytes([n])
        assert one(pipeline, packet) == _expected(a, b, n, width)

    check()


CASTS = (
    (1, 64),
    (8, 9),
    (31, 65),
    (64, 128),
    (65, 200),
    (128, 129),
    (130, 7),
    (200, 128),
    (96, 32),
)


@pytest.mark.parametrize(("narrow", "wide"), CASTS)
def test_casts_slices_and_concatenation(narrow: int, wide: int) -> None:
    """A value of `narrow` bits to `wide` ones by either sign, a slice of it put back, and `++`."""
    total = narrow + wide
    high, low = narrow - 1 - narrow // 4, narrow // 3
    source = program(
        headers=f"""
            header input_t {{ bit<{_padded(narrow) - narrow}> pad; bit<{narrow}> a; }}
            header output_t {{
                bit<{_padded(wide) - wide}> pad1; bit<{wide}> u;
                bit<{_padded(wide) - wide}> pad2; bit<{wide}> s;
                bit<{_padded(total) - total}> pad3; bit<{total}> joined;
                bit<{_padded(narrow) - narrow}> pad4; bit<{narrow}> part;
            }}
        """,
        members="input_t i; output_t o;",
        parser="state start { packet.extract(hdr.i); transition accept; }",
        ingress=f"""apply {{
            hdr.o.setValid();
            hdr.o.u = (bit<{wide}>)hdr.i.a;
            hdr.o.s = (bit<{wide}>)(int<{wide}>)(int<{narrow}>)hdr.i.a;
            hdr.o.joined = hdr.i.a ++ hdr.o.s;
            hdr.o.part[{high}:{low}] = hdr.i.a[{high}:{low}];
            hdr.i.setInvalid();
        }}""",
    )
    pipeline = compiled(source)

    @settings(max_examples=100, deadline=None)
    @given(st.integers(0, (1 << narrow) - 1))
    def check(a: int) -> None:
        mask = (1 << wide) - 1
        signed = _signed(a, narrow) & mask
        part = a & (((1 << high + 1) - 1) ^ ((1 << low) - 1))
        expected = b"".join(
            value.to_bytes(_padded(width) // 8, "big")
            for value, width in (
                (a & mask, wide),
                (signed, wide),
                (a << wide | signed, total),
                (part, narrow),
            )
        )
        assert one(pipeline, a.to_bytes(_padded(narrow) // 8, "big")) == expected

    check()
