"""Random expressions over every operator, cast and width, against Python's integers.

Each is computed twice: from fields of a packet at run time, and from literals, which the front end
folds. A seed stands for a program: a failure can be looked at again.
"""

from __future__ import annotations

import operator
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pytest

from tests.switch.backend.programs import compiled, one, program

Values = Mapping[str, int]


@dataclass(frozen=True)
class Type:
    """bit<W>, int<W>, and width 0 for bool."""

    width: int
    signed: bool = False

    def __str__(self) -> str:
        return f"{'int' if self.signed else 'bit'}<{self.width}>" if self.width else "bool"

    @property
    def range(self) -> tuple[int, int]:
        half = 1 << self.width - 1 if self.width else 1
        return (-half, half - 1) if self.signed else (0, 2 * half - 1 if self.width else 1)

    def wrap(self, value: int) -> int:
        value &= (1 << self.width) - 1
        return value - (1 << self.width) if self.signed and value >> self.width - 1 else value

    def saturate(self, value: int) -> int:
        low, high = self.range
        return min(max(value, low), high)


BOOL = Type(0)


@dataclass(frozen=True)
class Expression:
    """P4 text with `{name}` for each variable, and its meaning."""

    text: str
    value: Callable[[Values], int]


COMPARE: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
WRAP: dict[str, Callable[[int, int], int]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul,
    "&": operator.and_, "|": operator.or_, "^": operator.xor,
}  # fmt: skip


def _shift(op: str, value: int, amount: int, type_: Type) -> int:
    amount = min(amount, type_.width)
    return type_.wrap(value << amount if op == "<<" else value >> amount)


class Generator:
    """Draws expressions of a type; remembers the variables that they need."""

    def __init__(self, rng: random.Random, widths: Sequence[int]) -> None:
        self.rng = rng
        self.widths = widths
        self.variables: dict[str, Type] = {}

    def type(self) -> Type:
        return Type(self.rng.choice(self.widths), self.rng.random() < 0.4)

    def draw(self, type_: Type, depth: int) -> Expression:
        if depth == 0:
            return self._leaf(type_)
        if type_ == BOOL:
            kinds = [self._compare, self._logical, self._not, self._choice, self._to_bool]
        else:
            kinds = [
                self._binary,
                self._binary,
                self._shifted,
                self._unary,
                self._choice,
                self._cast,
            ]
            kinds += [self._saturating]
            if type_.width > 1:
                kinds.append(self._concatenation)
            if not type_.signed:
                kinds += [self._slice, self._divided]
        return self.rng.choice(kinds)(type_, depth - 1)

    def _leaf(self, type_: Type) -> Expression:
        low, high = type_.range
        if self.rng.random() < 0.2:
            number = self.rng.choice([low, high, self.rng.randint(low, high)])
            return Expression(literal(type_, number), lambda _: number)
        name = f"v{len(self.variables)}"
        known = [n for n, t in self.variables.items() if t == type_]
        if len(known) > 3:
            name = self.rng.choice(known)
        self.variables[name] = type_
        return Expression(f"{{{name}}}", lambda values: values[name])

    def _binary(self, type_: Type, depth: int) -> Expression:
        op = self.rng.choice(list(WRAP))
        a, b = self.draw(type_, depth), self.draw(type_, depth)
        return Expression(
            f"({a.text} {op} {b.text})",
            lambda v: type_.wrap(WRAP[op](a.value(v), b.value(v))),
        )

    def _saturating(self, type_: Type, depth: int) -> Expression:
        op = self.rng.choice(["|+|", "|-|"])
        a, b = self.draw(type_, depth), self.draw(type_, depth)
        sign = 1 if op == "|+|" else -1
        return Expression(
            f"({a.text} {op} {b.text})",
            lambda v: type_.saturate(a.value(v) + sign * b.value(v)),
        )

    def _shifted(self, type_: Type, depth: int) -> Expression:
        op = self.rng.choice(["<<", ">>"])
        a = self.draw(type_, depth)
        # Narrow amounts stay within most widths, wide ones go beyond all.
        b = self.draw(Type(self.rng.choice([1, 3, 5, 7, 8, *self.widths])), depth)
        return Expression(
            f"({a.text} {op} {b.text})", lambda v: _shift(op, a.value(v), b.value(v), type_)
        )

    def _divided(self, type_: Type, depth: int) -> Expression:
        op = self.rng.choice(["/", "%"])
        a, divisor = self.draw(type_, depth), 1 << self.rng.randrange(type_.width)
        return Expression(
            f"({a.text} {op} {literal(type_, divisor)})",
            lambda v: a.value(v) // divisor if op == "/" else a.value(v) % divisor,
        )

    def _unary(self, type_: Type, depth: int) -> Expression:
        op = self.rng.choice(["-", "~", "+"])
        a = self.draw(type_, depth)
        signs: dict[str, Callable[[int], int]] = {
            "-": operator.neg, "~": operator.invert, "+": operator.pos
        }  # fmt: skip
        meaning = signs[op]
        return Expression(f"({op}{a.text})", lambda v: type_.wrap(meaning(a.value(v))))

    def _choice(self, type_: Type, depth: int) -> Expression:
        c = self.draw(BOOL, depth)
        a, b = self.draw(type_, depth), self.draw(type_, depth)
        return Expression(
            f"({c.text} ? {a.text} : {b.text})",
            lambda v: a.value(v) if c.value(v) else b.value(v),
        )

    def _cast(self, type_: Type, depth: int) -> Expression:
        """From another width, the other sign, or bool."""
        if type_ == Type(1) and self.rng.random() < 0.5:
            source = BOOL
        elif self.rng.random() < 0.5:
            source = Type(type_.width, not type_.signed)
        else:
            source = Type(self.rng.choice(self.widths), type_.signed)
        a = self.draw(source, depth)
        return Expression(f"(({type_}){a.text})", lambda v: type_.wrap(a.value(v)))

    def _concatenation(self, type_: Type, depth: int) -> Expression:
        low = self.rng.randint(1, type_.width - 1)
        right = Type(low, self.rng.random() < 0.3)
        a, b = self.draw(Type(type_.width - low, type_.signed), depth), self.draw(right, depth)
        return Expression(
            f"({a.text} ++ {b.text})",
            lambda v: type_.wrap(a.value(v) << low | b.value(v) & (1 << low) - 1),
        )

    def _slice(self, type_: Type, depth: int) -> Expression:
        low = self.rng.choice([0, self.rng.randrange(70)])
        base = Type(type_.width + low + self.rng.choice([0, self.rng.randrange(70)]))
        a = self.draw(base, depth)
        return Expression(
            f"{a.text}[{low + type_.width - 1}:{low}]", lambda v: type_.wrap(a.value(v) >> low)
        )

    def _compare(self, _: Type, depth: int) -> Expression:
        op, type_ = self.rng.choice(list(COMPARE)), self.type()
        a = self.draw(type_, depth)
        b = a if self.rng.random() < 0.1 else self.draw(type_, depth)
        return Expression(
            f"({a.text} {op} {b.text})", lambda v: int(COMPARE[op](a.value(v), b.value(v)))
        )

    def _logical(self, _: Type, depth: int) -> Expression:
        op = self.rng.choice(["&&", "||", "==", "!="])
        a, b = self.draw(BOOL, depth), self.draw(BOOL, depth)
        meaning = {"&&": operator.and_, "||": operator.or_, **COMPARE}[op]
        return Expression(
            f"({a.text} {op} {b.text})", lambda v: int(meaning(a.value(v), b.value(v)))
        )

    def _not(self, _: Type, depth: int) -> Expression:
        a = self.draw(BOOL, depth)
        return Expression(f"(!{a.text})", lambda v: 1 - a.value(v))

    def _to_bool(self, _: Type, depth: int) -> Expression:
        a = self.draw(Type(1), depth)
        return Expression(f"((bool){a.text})", a.value)


def literal(type_: Type, value: int) -> str:
    return ("true" if value else "false") if type_ == BOOL else f"(({type_})({value}))"


def _pack(items: Sequence[tuple[Type, int]]) -> bytes:
    """Fields as a header has them, zeros up to the byte."""
    bits = "".join(f"{v & (1 << w) - 1:0{w}b}" for v, w in ((v, t.width or 1) for t, v in items))
    return int((bits + "0" * (-len(bits) % 8)) or "0", 2).to_bytes(-(-len(bits) // 8), "big")


def _fields(prefix: str, types: Sequence[Type]) -> str:
    rest = -sum(t.width or 1 for t in types) % 8
    fields = "".join(f"{t} {prefix}{i}; " for i, t in enumerate(types))
    return fields + (f"bit<{rest}> {prefix}_rest;" if rest else "")


def _check(seed: int, widths: Sequence[int], count: int, depth: int) -> None:
    rng = random.Random(seed)
    generator = Generator(rng, widths)
    types = [BOOL if rng.random() < 0.1 else generator.type() for _ in range(count)]
    drawn = [generator.draw(type_, depth) for type_ in types]
    variables = generator.variables

    def some() -> dict[str, int]:
        edges = {name: t.range for name, t in variables.items()}
        return {
            n: rng.choice([a, b, rng.randint(a, b), rng.randint(a, b)])
            for n, (a, b) in edges.items()
        }

    constants = some()
    runtime = {name: f"hdr.i.{name}" for name in variables}
    folded = {name: literal(variables[name], value) for name, value in constants.items()}
    lines = [
        f"hdr.o.o{i} = {e.text.format(**runtime)}; hdr.k.k{i} = {e.text.format(**folded)};"
        for i, e in enumerate(drawn)
    ]
    pipeline = compiled(
        program(
            headers=f"""
                header input_t {{ {_fields("v", list(variables.values()))} }}
                header output_t {{ {_fields("o", types)} }}
                header folded_t {{ {_fields("k", types)} }}
            """,
            members="output_t o; folded_t k; input_t i;",
            parser="state start { packet.extract(hdr.i); transition accept; }",
            ingress=f"""apply {{
                hdr.o.setValid(); hdr.k.setValid();
                {" ".join(lines)}
                hdr.i.setInvalid();
            }}""",
        )
    )

    def results(values: Values) -> bytes:
        return _pack([(t, e.value(values)) for t, e in zip(types, drawn, strict=True)])

    for values in (constants, *(some() for _ in range(40))):
        packet = _pack([(t, values[name]) for name, t in variables.items()])
        assert one(pipeline, packet) == results(values) + results(constants)


@pytest.mark.parametrize("seed", range(4))
def test_up_to_128_bits(seed: int) -> None:
    _check(seed, range(1, 129), 45, 3)


def test_narrow_ones_within_bytes() -> None:
    _check(7, range(1, 10), 100, 2)


def test_up_to_256_bits() -> None:
    _check(0, [1, 32, 63, 64, 65, 127, 128, 129, 191, 192, 193, 255, 256], 10, 2)


def test_up_to_2048_bits() -> None:
    _check(1, [8, 64, 128, 1000, 1024, 2047, 2048], 4, 2)
