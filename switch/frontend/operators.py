"""Typing of operators (P4_16 sections 8.5 to 8.12)."""

from __future__ import annotations

from switch import ir
from switch.frontend import syntax as s
from switch.frontend.constants import (
    fold_arithmetic,
    fold_comparison,
    fold_concat,
    fold_unary,
    relocate,
)
from switch.frontend.convert import Converter
from switch.frontend.errors import error
from switch.frontend.scopes import Value
from switch.frontend.type_rules import (
    BIT32,
    BOOL,
    STRING,
    article,
    comparable,
    erase,
    is_untyped_struct,
)

_ORDER = frozenset(("<", "<=", ">", ">="))


class OperatorChecker(Converter):
    """Unary, binary and conditional operators, and casts."""

    def _unary(self, node: s.Unary) -> Value:
        operand = self.expression(node.operand)
        type_ = operand.type
        if isinstance(type_, ir.SerializableEnum):
            operand = Value(self.cast_node(operand.node, type_.underlying), type_.underlying)
            type_ = operand.type
        wanted = {"!": ir.Bool, "~": ir.Bits}.get(node.op, ir.Bits | ir.InfInt)
        if not isinstance(type_, wanted):
            hint = " without a width" if isinstance(type_, ir.InfInt) else ""
            raise error(node.loc, f"operator '{node.op}' is not defined on {article(type_)}{hint}")
        if node.op == "+":
            return Value(operand.node, type_)
        folded = fold_unary(node.op, operand.node, node.loc)
        if folded is not None:
            return Value(folded, type_)
        return Value(ir.Unary(type_, node.loc, node.op, operand.node), type_)  # type: ignore[arg-type]

    def _binary(self, node: s.Binary) -> Value:
        op = node.op
        if op in ("&&", "||"):
            return self._logical(node)
        if op in ("==", "!="):
            return self._equality(node)
        left, right = self.expression(node.left), self.expression(node.right)
        left, right = self._as_bits(left), self._as_bits(right)
        return self.binary_values(op, left, right, node.loc)

    def binary_values(self, op: str, left: Value, right: Value, loc: ir.Loc) -> Value:
        """An arithmetic, shift, concatenation or ordering operator."""
        if op == "++" and isinstance(left.node, ir.StringLiteral):
            if not isinstance(right.node, ir.StringLiteral):
                raise error(loc, f"cannot concatenate a string and {article(right.type)}")
            return Value(ir.StringLiteral(STRING, loc, left.node.value + right.node.value), STRING)
        for value in (left, right):
            if not isinstance(value.type, ir.Bits | ir.InfInt):
                hint = " (concatenation is '++')" if isinstance(value.type, ir.String) else ""
                raise error(loc, f"operator '{op}' is not defined on {article(value.type)}{hint}")
        if op in ("<<", ">>"):
            return self._shift(op, left, right, loc)
        if op == "++":
            return self._concat(left, right, loc)
        if op in ("/", "%"):
            self._check_division(op, left, right, loc)
        left, right = self._same_width(op, left, right, loc)
        type_ = left.type
        if op in _ORDER:
            folded = fold_comparison(op, left.node, right.node, loc)
            result = folded or ir.Binary(BOOL, loc, op, left.node, right.node)  # type: ignore[arg-type]
            return Value(result, BOOL)
        if op in ("|+|", "|-|") and isinstance(type_, ir.InfInt):
            raise error(loc, f"operator '{op}' needs operands with a width")
        if isinstance(left.node, ir.IntLiteral) and isinstance(right.node, ir.IntLiteral):
            return Value(fold_arithmetic(op, left.node, right.node, loc), type_)
        if op in ("/", "%"):
            return self._division(op, left, right, loc)
        return Value(ir.Binary(type_, loc, op, left.node, right.node), type_)  # type: ignore[arg-type]

    def _check_division(self, op: str, left: Value, right: Value, loc: ir.Loc) -> None:
        if isinstance(left.type, ir.Bits) and left.type.signed:
            raise error(loc, f"operator '{op}' is not defined on signed values")
        for value in (left, right):
            if isinstance(value.node, ir.IntLiteral) and value.node.value < 0:
                raise error(loc, f"operator '{op}' is not defined on negative values")
        if isinstance(right.node, ir.IntLiteral) and right.node.value == 0:
            raise error(loc, f"division by zero in '{op}'")

    def _division(self, op: str, left: Value, right: Value, loc: ir.Loc) -> Value:
        """At run time only by a power of two: the target has no divider (as in p4c for BMv2)."""
        if isinstance(left.node, ir.IntLiteral) and left.node.value == 0:
            # Zero whatever the divisor is, and that is computed for its effects.
            return Value(ir.Binary(left.type, loc, "&", left.node, right.node), left.type)
        divisor = right.node.value if isinstance(right.node, ir.IntLiteral) else 0
        if divisor & (divisor - 1) or divisor <= 0:
            raise error(
                loc, f"operator '{op}' at run time is only defined for a constant power of two"
            )
        type_ = left.type
        if op == "/":
            amount = ir.IntLiteral(BIT32, loc, divisor.bit_length() - 1)
            return Value(ir.Binary(type_, loc, ">>", left.node, amount), type_)
        mask = ir.IntLiteral(type_, loc, divisor - 1)
        return Value(ir.Binary(type_, loc, "&", left.node, mask), type_)

    def _as_bits(self, value: Value) -> Value:
        """A serializable enum as its representation."""
        if isinstance(value.type, ir.SerializableEnum):
            bits = value.type.underlying
            return Value(self.cast_node(value.node, bits), bits)
        return value

    def _same_width(self, op: str, left: Value, right: Value, loc: ir.Loc) -> tuple[Value, Value]:
        """Gives an operand without width the other's, and compares them."""
        if isinstance(left.type, ir.InfInt) and isinstance(right.type, ir.Bits):
            left = Value(self.coerce(left, right.type), right.type)
        elif isinstance(right.type, ir.InfInt) and isinstance(left.type, ir.Bits):
            right = Value(self.coerce(right, left.type), left.type)
        if left.type != right.type:
            raise error(
                loc, f"operator '{op}' needs operands of one type, not {left.type} and {right.type}"
            )
        return left, right

    def _shift(self, op: str, left: Value, right: Value, loc: ir.Loc) -> Value:
        amount = right.node
        constant = isinstance(amount, ir.IntLiteral)
        if isinstance(right.type, ir.Bits) and right.type.signed and not constant:
            raise error(amount.loc, f"the amount of '{op}' must be unsigned, not {right.type}")
        if isinstance(amount, ir.IntLiteral):
            if amount.value < 0:
                raise error(amount.loc, f"the amount of '{op}' is negative")
            if isinstance(left.node, ir.IntLiteral):
                return Value(fold_arithmetic(op, left.node, amount, loc), left.type)
            if not isinstance(right.type, ir.Bits) or right.type.signed:
                bits = ir.Bits(max(32, amount.value.bit_length()))
                amount = ir.IntLiteral(bits, amount.loc, amount.value)
        if isinstance(left.type, ir.InfInt):
            raise error(left.node.loc, f"the left operand of '{op}' needs a width")
        return Value(ir.Binary(left.type, loc, op, left.node, amount), left.type)  # type: ignore[arg-type]

    def _concat(self, left: Value, right: Value, loc: ir.Loc) -> Value:
        for value in (left, right):
            if not isinstance(value.type, ir.Bits):
                raise error(value.node.loc, "operator '++' needs operands with a width")
        assert isinstance(left.type, ir.Bits)
        assert isinstance(right.type, ir.Bits)
        type_ = ir.Bits(left.type.width + right.type.width, left.type.signed)
        if isinstance(left.node, ir.IntLiteral) and isinstance(right.node, ir.IntLiteral):
            return Value(fold_concat(left.node, right.node, type_, loc), type_)
        return Value(ir.Binary(type_, loc, "++", left.node, right.node), type_)

    def _logical(self, node: s.Binary) -> Value:
        left = self.condition(node.left, f"operand of '{node.op}'")
        right = self.condition(node.right, f"operand of '{node.op}'")
        if isinstance(left, ir.BoolLiteral):
            decided = left.value == (node.op == "||")
            return Value(left if decided else right, BOOL)
        return Value(ir.Binary(BOOL, node.loc, node.op, left, right), BOOL)  # type: ignore[arg-type]

    def condition(self, node: s.Expr, what: str) -> ir.Expression:
        value = self.expression(node)
        if not isinstance(value.type, ir.Bool):
            raise error(node.loc, f"the {what} must be bool, not {article(value.type)}")
        return value.node

    def _equality(self, node: s.Binary) -> Value:
        left_node, right_node = node.left, node.right
        if _takes_type(left_node) and not _takes_type(right_node):
            right = self.expression(right_node)
            left = self.expression(left_node, right.type)
        else:
            left = self.expression(left_node)
            right = self.expression(right_node, left.type)
        if left.type != right.type:
            left, right = self._matched(node, left, right)
        if is_untyped_struct(left.type):
            raise error(
                node.loc, f"operator '{node.op}' needs to know the type of a structure: cast it"
            )
        if not comparable(erase(left.type)):
            raise error(node.loc, f"values of type {article(left.type)} cannot be compared")
        folded = fold_comparison(node.op, left.node, right.node, node.loc)
        result = folded or ir.Binary(BOOL, node.loc, node.op, left.node, right.node)  # type: ignore[arg-type]
        return Value(result, BOOL)

    def _matched(self, node: s.Binary, left: Value, right: Value) -> tuple[Value, Value]:
        """Both sides of a comparison at one type, by an implicit cast of one of them."""
        literals = ir.TupleValue | ir.StructValue | ir.InvalidValue
        if isinstance(right.node, literals) and not isinstance(left.node, literals):
            return left, Value(self.coerce(right, left.type), left.type)
        if isinstance(left.node, literals):
            return Value(self.coerce(left, right.type), right.type), right
        left, right = self._as_bits(left), self._as_bits(right)
        if isinstance(left.type, ir.Bits | ir.InfInt) and isinstance(
            right.type, ir.Bits | ir.InfInt
        ):
            return self._same_width(node.op, left, right, node.loc)
        raise error(
            node.loc,
            f"operator '{node.op}' needs operands of one type, not {article(left.type)} and "
            f"{article(right.type)}",
        )

    def _conditional(self, node: s.Conditional, expected: ir.Type | None) -> Value:
        condition = self.condition(node.condition, "condition of '?:'")
        then = self.expression(node.then, expected)
        otherwise = self.expression(node.otherwise, expected)
        if then.type != otherwise.type:
            then, otherwise = self._as_bits(then), self._as_bits(otherwise)
            if isinstance(then.type, ir.Bits | ir.InfInt) and isinstance(
                otherwise.type, ir.Bits | ir.InfInt
            ):
                then, otherwise = self._same_width("?:", then, otherwise, node.loc)
            else:
                raise error(
                    node.loc,
                    f"the branches of '?:' differ in type: {article(then.type)} and "
                    f"{article(otherwise.type)}",
                )
        if isinstance(condition, ir.BoolLiteral):
            return then if condition.value else otherwise
        if isinstance(then.type, ir.InfInt):
            raise error(node.loc, "at least one branch of '?:' needs a width")
        type_ = erase(then.type)
        return Value(
            ir.Conditional(type_, node.loc, condition, then.node, otherwise.node), then.type
        )

    def _cast(self, node: s.Cast) -> Value:
        target = self.resolve(node.type)
        if isinstance(target, ir.Extern | ir.Void | ir.String | ir.HeaderStack) and not isinstance(
            node.operand, s.ListExpr
        ):
            raise error(node.loc, f"cannot cast to {article(target)}")
        value = self.expression(node.operand, target)
        return Value(relocate(self.cast(value, target, node.loc), node.loc), target)


def _takes_type(node: s.Expr) -> bool:
    return isinstance(node, s.ListExpr | s.StructExpr | s.Invalid)
