"""Methods that are part of the language or of core.p4: headers, stacks, packets."""

from __future__ import annotations

from switch import ir
from switch.frontend import syntax as s
from switch.frontend.context import literal_int
from switch.frontend.errors import error
from switch.frontend.expressions import ExpressionChecker
from switch.frontend.inference import Inference
from switch.frontend.scopes import Value
from switch.frontend.type_rules import (
    BIT32,
    BOOL,
    INT,
    VOID,
    article,
    erase,
    fixed_width,
    sizes,
    varbit_fields,
)

_SIZES = ("minSizeInBits", "minSizeInBytes", "maxSizeInBits", "maxSizeInBytes")


class BuiltinCalls(ExpressionChecker, Inference):
    """Calls of the form `value.method(…)`."""

    def value_method(self, callee: s.Member, node: s.Call) -> Value:
        base = self.expression(callee.base)
        type_ = erase(base.type)
        if callee.name in _SIZES:
            return self.size_method(type_, callee, node)
        match type_:
            case ir.Header() | ir.HeaderUnion():
                return self._header_method(base, type_, callee, node)
            case ir.HeaderStack():
                return self._stack_method(base, callee, node)
            case ir.Extern(name="packet_in"):
                return self._packet_in(base, callee, node)
            case ir.Extern(name="packet_out"):
                return self._packet_out(base, callee, node)
        raise error(
            callee.name_loc, f"a value of type {article(type_)} has no method '{callee.name}'"
        )

    def _no_arguments(self, node: s.Call, name: str) -> None:
        if node.arguments or node.type_arguments:
            raise error(node.loc, f"'{name}' takes no arguments")

    def size_method(self, type_: ir.Type, callee: s.Member, node: s.Call) -> Value:
        name = callee.name
        if name not in _SIZES:
            raise error(callee.name_loc, f"type {article(type_)} has no method '{name}'")
        self._no_arguments(node, name)
        size = sizes(erase(type_))
        if size is None:
            raise error(callee.name_loc, f"type {article(type_)} has no size in bits")
        bits = size[0] if name.startswith("min") else size[1]
        value = (bits + 7) // 8 if name.endswith("Bytes") else bits
        return Value(ir.IntLiteral(INT, node.loc, value), INT)

    # headers and stacks (section 8.17 and 8.18)

    def _header_method(self, base: Value, type_: ir.Type, callee: s.Member, node: s.Call) -> Value:
        name = callee.name
        if name == "isValid":
            self._no_arguments(node, name)
            self.check_extracted(base, type_, callee.name_loc)
            return Value(ir.IsValid(BOOL, node.loc, base.node), BOOL)
        if name in ("setValid", "setInvalid"):
            if isinstance(type_, ir.HeaderUnion):
                raise error(
                    callee.name_loc, f"{article(type_)} has no method '{name}': use its headers"
                )
            self._no_arguments(node, name)
            self.left_value(base, f"'{name}'")
            kind = ir.SetValid if name == "setValid" else ir.SetInvalid
            return Value(kind(VOID, node.loc, base.node), VOID)
        raise error(callee.name_loc, f"{article(type_)} has no method '{name}'")

    def left_value(self, value: Value, what: str) -> None:
        if not value.writable:
            raise error(value.node.loc, f"{what} needs a left-value: this cannot be changed here")

    def _stack_method(self, base: Value, callee: s.Member, node: s.Call) -> Value:
        name = callee.name
        if name not in ("push_front", "pop_front"):
            raise error(callee.name_loc, f"{article(base.type)} has no method '{name}'")
        if len(node.arguments) != 1 or node.type_arguments:
            raise error(node.loc, f"'{name}' takes one argument, the count")
        self.left_value(base, f"'{name}'")
        count = literal_int(self.expression(node.arguments[0].value), f"the count of '{name}'")
        if count < 1:
            raise error(node.arguments[0].loc, f"the count of '{name}' must be positive")
        kind = ir.PushFront if name == "push_front" else ir.PopFront
        return Value(kind(VOID, node.loc, base.node, count), VOID)

    # packets (sections 13.8 and 16)

    def _packet_in(self, base: Value, callee: s.Member, node: s.Call) -> Value:
        name = callee.name
        if name in ("extract", "lookahead", "advance") and self.unit.kind != "parser":
            raise error(node.loc, f"'{name}' can only be called in a parser")
        match name:
            case "extract":
                return self._extract(base, node)
            case "lookahead":
                return self._lookahead(base, node)
            case "advance":
                (bits,) = self._packet_arguments(node, 1, name)
                amount = self.expect(bits.value, BIT32, "the size of 'advance'")
                return Value(ir.Advance(VOID, node.loc, base.node, amount), VOID)
            case "length":
                self._packet_arguments(node, 0, name)
                return Value(ir.PacketLength(BIT32, node.loc, base.node), BIT32)
        raise error(callee.name_loc, f"packet_in has no method '{name}'")

    def _packet_arguments(self, node: s.Call, count: int, name: str) -> list[s.Argument]:
        if len(node.arguments) != count:
            plural = "" if count == 1 else "s"
            raise error(
                node.loc, f"'{name}' takes {count} argument{plural}, not {len(node.arguments)}"
            )
        return node.arguments

    def _extract(self, base: Value, node: s.Call) -> Value:
        if len(node.arguments) not in (1, 2):
            raise error(node.loc, f"'extract' takes 1 or 2 arguments, not {len(node.arguments)}")
        first = node.arguments[0]
        target: ir.Expression
        if isinstance(first.value, s.DontCare):
            if len(node.type_arguments) != 1:
                raise error(node.loc, "'extract(_)' needs a type argument")
            type_ = erase(self.resolve(node.type_arguments[0]))
            target = ir.DontCare(type_, first.loc)
        else:
            value = self.expression(first.value)
            type_ = erase(value.type)
            if node.type_arguments:
                wanted = self.resolve(node.type_arguments[0])
                if len(node.type_arguments) != 1 or wanted != value.type:
                    raise error(first.loc, "the type argument of 'extract' is not its header's")
            self.left_value(value, "'extract'")
            target = value.node
        if not isinstance(type_, ir.Header):
            raise error(first.loc, f"'extract' needs a header, not {article(type_)}")
        varbits = varbit_fields(type_)
        if len(node.arguments) == 1:
            if varbits:
                raise error(
                    node.loc, f"{article(type_)} has a varbit field: 'extract' needs its size"
                )
            return Value(ir.Extract(VOID, node.loc, base.node, target, None), VOID)
        if varbits != 1:
            raise error(
                node.loc,
                f"'extract' with a size needs a header with one varbit field, {article(type_)} "
                f"has {varbits}",
            )
        size = self.expect(node.arguments[1].value, BIT32, "the size of the varbit field")
        return Value(ir.Extract(VOID, node.loc, base.node, target, size), VOID)

    def _lookahead(self, base: Value, node: s.Call) -> Value:
        self._packet_arguments(node, 0, "lookahead")
        if len(node.type_arguments) != 1:
            raise error(node.loc, "'lookahead' needs one type argument")
        type_ = self.resolve(node.type_arguments[0])
        plain = erase(type_)
        if fixed_width(plain) is None or isinstance(plain, ir.HeaderStack):
            raise error(
                node.type_arguments[0].loc, f"'lookahead' of {article(plain)}: no fixed size"
            )
        return Value(ir.Lookahead(plain, node.loc, base.node), type_)

    def _packet_out(self, base: Value, callee: s.Member, node: s.Call) -> Value:
        if callee.name != "emit":
            raise error(callee.name_loc, f"packet_out has no method '{callee.name}'")
        (argument,) = self._packet_arguments(node, 1, "emit")
        expected = self.resolve(node.type_arguments[0]) if node.type_arguments else None
        value = self.expression(argument.value, expected)
        if expected is not None:
            value = Value(self.coerce(value, expected, "'emit'"), expected)
        if not _emittable(erase(value.type)):
            raise error(
                argument.loc,
                f"'emit' needs headers, stacks or unions of them, not {article(value.type)}",
            )
        return Value(ir.Emit(VOID, node.loc, base.node, value.node), VOID)


def _emittable(type_: ir.Type) -> bool:
    match type_:
        case ir.Header() | ir.HeaderUnion() | ir.HeaderStack():
            return True
        case ir.Struct():
            return all(_emittable(f.type) for f in type_.fields)
        case ir.Tuple():
            return all(_emittable(t) for t in type_.elements)
    return False
