"""Expressions: each becomes a C expression without effects, after the statements it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from switch import ir
from switch.backend import representation as rep
from switch.backend.analysis import has_effects
from switch.backend.context import Context
from switch.backend.layout import read_bits
from switch.backend.text import Lines, identifier
from switch.backend.trace import Datum, Kind
from switch.backend.types import bit_width, flatten, is_flat, members
from switch.frontend.errors import unsupported


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value lives: a C lvalue of `type`, or bits `high` … `low` of it."""

    c: str
    type: ir.Type
    high: int | None = None
    low: int = 0


class ExpressionWriter:
    """Writes into one C function; `variables` are its P4 variables' C lvalues."""

    def __init__(self, context: Context, out: Lines, variables: dict[ir.Variable, str]) -> None:
        self.context = context
        self.types = context.types
        self.out = out
        self.variables = variables
        self.in_parser = False
        self._temporaries = 0

    # --- helpers ----------------------------------------------------------------------------------

    def fresh(self, prefix: str = "t") -> str:
        self._temporaries += 1
        return f"{prefix}{self._temporaries}"

    def temporary(self, type_: ir.Type, value: str | None = None) -> str:
        name = self.fresh()
        initial = self.types.zero(type_) if value is None else value
        self.out.add(f"{self.types.value(type_)} {name} = {initial};")
        return name

    def values(self, expressions: Sequence[ir.Expression]) -> list[str]:
        """Operands from left to right: kept aside when a later one may change them."""
        results = []
        for i, expression in enumerate(expressions):
            value = self.value(expression)
            if any(has_effects(later) for later in expressions[i + 1 :]):
                value = self.temporary(expression.type, value)
            results.append(value)
        return results

    def fail(self, error: str, condition: str) -> None:
        """Stop the parser with an error when the condition holds."""
        number = self.context.error(error)
        self.out.add(f"if (P4_UNLIKELY({condition})) {{ c->p.error = {number}; goto reject; }}")

    def hook(self, kind: Kind, name: str, loc: ir.Loc, *data: Datum) -> None:
        """Let a trace tell of this place in the program."""
        self.context.trace.hook(self.out, kind, name, loc, *data)

    # --- places -----------------------------------------------------------------------------------

    def place(self, expression: ir.Expression) -> Place:
        """The lvalue an expression names (a value that is none is put aside and named)."""
        match expression:
            case ir.Var(variable=variable):
                return Place(self.variables[variable], expression.type)
            case ir.Member(base=base, field=field):
                return Place(f"{self.place(base).c}.{identifier(field)}", expression.type)
            case ir.TupleIndex(base=base, index=index):
                name = members(base.type)[index][0]
                return Place(f"{self.place(base).c}.{name}", expression.type)
            case ir.StackIndex(stack=stack, index=index):
                return self._element(stack, index, expression.type)
            case ir.StackNext(stack=stack):
                name = self.place(stack).c
                self.fail("StackOutOfBounds", f"{name}.next >= {self._size(stack)}")
                return Place(f"{name}.e[{name}.next]", expression.type)
            case ir.StackLast(stack=stack):
                name = self.place(stack).c
                self.fail("StackOutOfBounds", f"{name}.next == 0")
                return Place(f"{name}.e[{name}.next - 1]", expression.type)
            case ir.Slice(base=base, high=high, low=low):
                whole = self.place(base)
                if whole.high is not None:
                    high, low = high + whole.low, low + whole.low
                return Place(whole.c, whole.type, high, low)
        return Place(self.temporary(expression.type, self.value(expression)), expression.type)

    @staticmethod
    def _size(stack: ir.Expression) -> int:
        assert isinstance(stack.type, ir.HeaderStack)
        return stack.type.size

    def _element(self, stack: ir.Expression, index: ir.Expression, type_: ir.Type) -> Place:
        """What is out of bounds is the spare element after the last one."""
        name, size = self.place(stack).c, self._size(stack)
        if isinstance(index, ir.IntLiteral):
            return Place(f"{name}.e[{min(index.value, size)}]", type_)
        bits = rep.bits_of(index.type)
        assert bits is not None
        at = self.fresh("i")
        self.out.add(f"uint64_t {at} = {rep.shift_amount(self.value(index), bits)};")
        return Place(f"{name}.e[{at} < {size} ? {at} : {size}]", type_)

    def load(self, place: Place) -> str:
        bits = rep.bits_of(place.type)
        if bits is None:
            return place.c
        value = f"(uint64_t){place.c}" if bits.width <= 64 else place.c
        if place.high is None:
            return value
        return rep.slice_of(value, bits, place.high, place.low)

    def store(self, place: Place, value: str) -> None:
        if place.high is not None:
            bits = rep.bits_of(place.type)
            assert bits is not None
            whole = self.load(Place(place.c, place.type))
            value = rep.with_slice(whole, bits, place.high, place.low, value)
        self.out.add(f"{place.c} = {value};")

    # --- values -----------------------------------------------------------------------------------

    def value(self, expression: ir.Expression) -> str:
        match expression:
            case ir.IntLiteral(value=value, type=type_):
                bits = rep.bits_of(type_)
                return str(value) if bits is None else rep.literal(value, bits)
            case ir.BoolLiteral(value=flag):
                return "true" if flag else "false"
            case ir.EnumLiteral(type=ir.Enum(members=names), member=member):
                return rep.literal(names.index(member), rep.ENUM)
            case ir.ErrorLiteral(member=member):
                return rep.literal(self.context.error(member), rep.ENUM)
            case (
                ir.Var()
                | ir.Member()
                | ir.TupleIndex()
                | ir.StackIndex()
                | ir.StackNext()
                | ir.StackLast()
            ):
                return self.load(self.place(expression))
            case ir.StackLastIndex(stack=stack):
                return f"(((uint64_t){self.place(stack).c}.next - 1) & 0xffffffffull)"
            case ir.Slice(base=base, high=high, low=low):
                bits = rep.bits_of(base.type)
                assert bits is not None
                return rep.slice_of(self.value(base), bits, high, low)
            case ir.Unary():
                return self._unary(expression)
            case ir.Binary():
                return self._binary(expression)
            case ir.Conditional():
                return self._conditional(expression)
            case ir.Cast(operand=operand, type=type_):
                return self.converted(operand, type_)
            case ir.TupleValue(elements=elements) | ir.StructValue(elements=elements):
                return self._composite(expression.type, self.values(elements))
            case ir.StackValue(elements=elements):
                items = ", ".join(self.values(elements))
                return f"(({self.types.value(expression.type)}){{.e = {{{items}}}}})"
            case ir.InvalidValue() | ir.DontCare():
                return self.types.zero(expression.type)
            case ir.IsValid(header=header):
                return self._is_valid(header)
            case ir.PacketLength():
                return "(uint64_t)c->p.length"
            case ir.Lookahead():
                return self._lookahead(expression)
        return self.call(expression)

    def call(self, expression: ir.Expression) -> str:
        """A call; its value, or "" of a void one."""
        raise unsupported(expression.loc, type(expression).__name__)

    def addressable(self, expression: ir.Expression) -> str:
        """A C lvalue that holds the value of a composite."""
        if rep.is_scalar(expression.type):
            return self.value(expression)
        return self.place(expression).c

    def _is_valid(self, header: ir.Expression) -> str:
        name = self.place(header).c
        if isinstance(header.type, ir.HeaderUnion):
            flags = [f"{name}.{field}.valid" for field, _ in members(header.type)]
            return f"({' || '.join(flags)})"
        return f"{name}.valid"

    def _unary(self, expression: ir.Unary) -> str:
        value = self.value(expression.operand)
        if expression.op == "!":
            return f"(!{value})"
        bits = rep.bits_of(expression.type)
        assert bits is not None
        return rep.negate(value, bits) if expression.op == "-" else rep.complement(value, bits)

    def _binary(self, expression: ir.Binary) -> str:
        op, left, right = expression.op, expression.left, expression.right
        if op in ("&&", "||"):
            return self._logical(op, left, right)
        if op in ("==", "!="):
            return self._equality(op, left, right)
        a, b = self.values((left, right))
        bits, other = rep.bits_of(left.type), rep.bits_of(right.type)
        assert bits is not None and other is not None
        if op in ("<", "<=", ">", ">="):
            return rep.compare(op, a, b, bits)
        if op == "++":
            return rep.concatenate(a, bits, b, other)
        if op in ("<<", ">>"):
            return rep.shift(op, a, rep.shift_amount(b, other), bits)
        return rep.arithmetic(op, a, b, bits)

    def _logical(self, op: str, left: ir.Expression, right: ir.Expression) -> str:
        if not has_effects(right):
            return f"({self.value(left)} {op} {self.value(right)})"
        result = self.temporary(ir.Bool(), self.value(left))
        with self.out.block(f"if ({'' if op == '&&' else '!'}{result})"):
            self.out.add(f"{result} = {self.value(right)};")
        return result

    def _equality(self, op: str, left: ir.Expression, right: ir.Expression) -> str:
        if rep.is_scalar(left.type):
            a, b = self.values((left, right))
        else:
            a = self.addressable(left)
            if has_effects(right):
                a = self.temporary(left.type, a)
            b = self.addressable(right)
        equal = self.types.equal(a, b, left.type)
        return equal if op == "==" else f"(!{equal})"

    def _conditional(self, expression: ir.Conditional) -> str:
        condition = self.value(expression.condition)
        branches = (expression.then, expression.otherwise)
        if not any(has_effects(branch) for branch in branches):
            then, otherwise = self.value(branches[0]), self.value(branches[1])
            return f"({condition} ? {then} : {otherwise})"
        result = self.temporary(expression.type)
        with self.out.block(f"if ({condition})", "} else {"):
            self.out.add(f"{result} = {self.value(expression.then)};")
        self.out.depth += 1
        self.out.add(f"{result} = {self.value(expression.otherwise)};")
        self.out.depth -= 1
        self.out.add("}")
        return result

    # --- casts and composites ---------------------------------------------------------------------

    def converted(self, operand: ir.Expression, target: ir.Type) -> str:
        if rep.is_scalar(operand.type) or operand.type == target:
            return self._cast(self.value(operand), operand.type, target)
        if isinstance(operand, ir.TupleValue | ir.StructValue):
            values = self.values(operand.elements)
            sources = [element.type for element in operand.elements]
            targets = [type_ for _, type_ in members(target)]
            cast = [self._cast(*item) for item in zip(values, sources, targets, strict=True)]
            return self._composite(target, cast)
        return self._cast(self.place(operand).c, operand.type, target)

    def _cast(self, value: str, source: ir.Type, target: ir.Type) -> str:
        if source == target:
            return value
        if isinstance(target, ir.Bool):
            return f"({value} != 0)"
        target_bits = rep.bits_of(target)
        if target_bits is not None:
            if isinstance(source, ir.Bool):
                return f"((uint64_t){value})"
            source_bits = rep.bits_of(source)
            assert source_bits is not None
            return rep.convert(value, source_bits, target_bits)
        # A composite: value may be an rvalue, and is needed once per member.
        whole = self.temporary(source, value)
        parts = []
        for (name, member), (_, wanted) in zip(members(source), members(target), strict=True):
            part = self.load(Place(f"{whole}.{name}", member))
            parts.append(self._cast(part, member, wanted))
        return self._composite(target, parts)

    def _composite(self, type_: ir.Type, values: Sequence[str]) -> str:
        fields = [f".{name} = {v}" for (name, _), v in zip(members(type_), values, strict=True)]
        if isinstance(type_, ir.Header):
            fields.append(".valid = true")
        return f"(({self.types.value(type_)}){{{', '.join(fields) or '0'}}})"

    # --- packets ----------------------------------------------------------------------------------

    def _lookahead(self, expression: ir.Lookahead) -> str:
        type_ = expression.type
        if not is_flat(type_) or any(isinstance(leaf, ir.Varbit) for _, leaf in flatten(type_)):
            raise unsupported(expression.loc, f"lookahead of {type_}")
        width = bit_width(type_)
        self.fail("PacketTooShort", f"c->p.length - c->p.parsed < {-(-width // 8)}")
        pointer = self.fresh("p")
        self.out.add(f"const uint8_t *{pointer} = c->p.data + c->p.parsed;")
        result = self.temporary(type_)
        self.read_fields(result, type_, pointer, 0)
        return result

    def read_fields(self, place: str, type_: ir.Type, pointer: str, offset: int) -> int:
        """Fill a flat value from the packet; the offset after it."""
        if rep.is_scalar(type_):
            width = rep.width_of(type_)
            self.out.add(f"{place} = {read_bits(pointer, offset, ir.Bits(width))};")
            return offset + width
        for name, member in members(type_):
            offset = self.read_fields(f"{place}.{name}", member, pointer, offset)
        if isinstance(type_, ir.Header):
            self.out.add(f"{place}.valid = true;")
        return offset
