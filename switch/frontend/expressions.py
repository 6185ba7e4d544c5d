"""Typing of expressions (P4_16 section 8)."""

from __future__ import annotations

from switch import ir
from switch.frontend import syntax as s
from switch.frontend.constants import fold_slice, relocate
from switch.frontend.context import literal_int
from switch.frontend.errors import error, unsupported
from switch.frontend.operators import OperatorChecker
from switch.frontend.scopes import (
    ActionEntry,
    ConstEntry,
    Entry,
    ExternInstanceEntry,
    TableEntry,
    TypeEntry,
    Value,
    VarEntry,
)
from switch.frontend.type_rules import (
    BIT32,
    BOOL,
    ERROR,
    INT,
    STRING,
    article,
    erase,
    field_type,
    is_literal,
)


class ExpressionChecker(OperatorChecker):
    """Names, members, indices, aggregates; operators and calls are in modules of their own."""

    def expression(self, node: s.Expr, expected: ir.Type | None = None) -> Value:
        """Checks `node`. `expected` only guides list, struct and `{#}` expressions; the caller
        still coerces the result."""
        match node:
            case s.Name():
                return self._name(node)
            case s.Member():
                return self._member(node)
            case s.Int():
                return self._int(node)
            case s.Call():
                return self.call(node, expected)
            case s.Binary():
                return self._binary(node)
            case s.Bool():
                return Value(ir.BoolLiteral(BOOL, node.loc, node.value), BOOL)
            case s.Unary():
                return self._unary(node)
            case s.Cast():
                return self._cast(node)
            case s.Index():
                return self._index(node)
            case s.Slice():
                return self._slice(node)
            case s.Conditional():
                return self._conditional(node, expected)
            case s.ListExpr():
                return self._list(node, expected)
            case s.StructExpr():
                return self._struct(node, expected)
            case s.Invalid():
                return self._invalid(node, expected)
            case s.Str():
                return Value(ir.StringLiteral(STRING, node.loc, node.value), STRING)
            case s.TypeName():
                raise error(node.loc, "a type cannot be used as a value")
            case s.DontCare():
                raise error(node.loc, "'_' cannot be used as a value here")
            case s.Rest():
                if expected is None:
                    raise error(node.loc, "'...' cannot be used as a value here")
                return Value(self.default_value(expected, node.loc), expected)
        raise error(node.loc, "a mask or range can only be used as a keyset")

    def expect(self, node: s.Expr, type_: ir.Type, what: str = "") -> ir.Expression:
        """Checks `node` and converts it to `type_` by the implicit casts."""
        return self.coerce(self.expression(node, type_), type_, what)

    def constant(self, node: s.Expr, type_: ir.Type, what: str) -> ir.Expression:
        """As `expect`, for a value that must be known at compile time."""
        value = self.expect(node, type_, what)
        if not is_literal(value):
            raise error(node.loc, f"{what} must be a compile-time constant")
        return value

    def integer(self, node: s.Expr, what: str) -> int:
        return literal_int(self.expression(node), what)

    def sized(self, node: s.Expr, what: str) -> Value:
        """An expression whose run-time type is known: no `int` without width."""
        value = self.expression(node)
        if isinstance(value.type, ir.InfInt):
            raise error(node.loc, f"{what} needs a width: write for example 8w5")
        return value

    def call(self, node: s.Call, expected: ir.Type | None) -> Value:
        raise NotImplementedError

    # leaves

    def _int(self, node: s.Int) -> Value:
        if node.width is None:
            return Value(ir.IntLiteral(INT, node.loc, node.value), INT)
        if node.width == 0 and node.signed:
            raise error(node.loc, "int<0> is not a type: a signed width is at least 1")
        if node.width > 1 << 16:
            raise error(node.loc, f"width {node.width} is more than {1 << 16}")
        bits = ir.Bits(node.width, node.signed)
        literal = ir.IntLiteral(INT, node.loc, node.value)
        return Value(self.cast_node(literal, bits), bits)

    def _name(self, node: s.Name) -> Value:
        if node.name == "this":
            raise unsupported(node.loc, "'this'")
        return self.entry_value(self.lookup(node.name, node.loc, node.from_global), node)

    def entry_value(self, entry: Entry, node: s.Name) -> Value:
        match entry:
            case VarEntry():
                variable = ir.Var(entry.variable.type, node.loc, entry.variable)
                return Value(variable, entry.type, entry.writable)
            case ConstEntry(value=value):
                return Value(relocate(value.node, node.loc), value.type)
            case TableEntry():
                raise error(node.loc, f"table '{node.name}' can only be applied")
            case ActionEntry():
                raise error(node.loc, f"action '{node.name}' can only be called")
            case ExternInstanceEntry():
                raise error(node.loc, f"'{node.name}' is an object: only its methods can be used")
            case TypeEntry():
                raise error(node.loc, f"type '{node.name}' cannot be used as a value")
        raise error(node.loc, f"'{node.name}' cannot be used as a value")

    # members

    def _member(self, node: s.Member) -> Value:
        name = node.name
        base_node = node.base
        if isinstance(base_node, s.TypeName):
            return self._type_member(base_node, node)
        if isinstance(base_node, s.Call):
            result = self.table_result(base_node, node)
            if result is not None:
                return result
        base = self.expression(base_node)
        type_ = erase(base.type)
        match type_:
            case ir.Composite():
                for index, field in enumerate(type_.fields):
                    if field.name == name:
                        self.check_extracted(base, type_, node.name_loc)
                        return self._field(base, field, index, node)
                if name in ("isValid", "setValid", "setInvalid") and not isinstance(
                    type_, ir.Struct
                ):
                    raise error(node.name_loc, f"method '{name}' must be called: '{name}()'")
                raise error(node.name_loc, f"{article(type_)} has no field '{name}'")
            case ir.HeaderStack():
                return self._stack_member(base, type_, node)
        raise error(node.name_loc, f"a value of type {article(type_)} has no member '{name}'")

    def table_result(self, call: s.Call, node: s.Member) -> Value | None:
        raise NotImplementedError

    def _type_member(self, base: s.TypeName, node: s.Member) -> Value:
        if isinstance(base.type, s.SimpleType) and base.type.name == "error":
            if node.name not in self.errors:
                raise error(node.name_loc, f"error '{node.name}' is not declared")
            return Value(ir.ErrorLiteral(ERROR, node.loc, node.name), ERROR)
        type_ = self.resolve(base.type)
        match type_:
            case ir.Enum():
                if node.name in type_.members:
                    return Value(ir.EnumLiteral(type_, node.loc, node.name), type_)
                raise error(node.name_loc, f"enum {type_} has no member '{node.name}'")
            case ir.SerializableEnum():
                for name, value in type_.members:
                    if name == node.name:
                        return Value(ir.IntLiteral(type_, node.loc, value), type_)
                raise error(node.name_loc, f"enum {type_} has no member '{node.name}'")
        raise error(node.name_loc, f"type {article(type_)} has no member '{node.name}'")

    def _field(self, base: Value, field: ir.Field, index: int, node: s.Member) -> Value:
        type_ = field_type(field)
        if isinstance(base.node, ir.StructValue) and is_literal(base.node):
            return Value(relocate(base.node.elements[index], node.loc), type_)
        return Value(ir.Member(field.type, node.loc, base.node, field.name), type_, base.writable)

    @staticmethod
    def check_extracted(base: Value, type_: ir.Type, loc: ir.Loc) -> None:
        """BMv2 can name `next` of a stack of headers only as a whole."""
        if isinstance(base.node, ir.StackNext) and isinstance(type_, ir.Header):
            raise error(loc, "'next' of a header stack has no fields yet: extract it first")

    def _stack_member(self, base: Value, type_: ir.HeaderStack, node: s.Member) -> Value:
        name = node.name
        if name == "size":
            return Value(ir.IntLiteral(BIT32, node.loc, type_.size), BIT32)
        if name in ("next", "last", "lastIndex"):
            if self.unit.kind != "parser":
                raise error(node.name_loc, f"'{name}' of a header stack is for parsers only")
            if name == "next":
                return Value(
                    ir.StackNext(type_.element, node.loc, base.node), type_.element, base.writable
                )
            if name == "last":
                return Value(
                    ir.StackLast(type_.element, node.loc, base.node), type_.element, base.writable
                )
            return Value(ir.StackLastIndex(BIT32, node.loc, base.node), BIT32)
        if name in ("push_front", "pop_front"):
            raise error(node.name_loc, f"method '{name}' must be called: '{name}(count)'")
        raise error(node.name_loc, f"{article(type_)} has no member '{name}'")

    def _index(self, node: s.Index) -> Value:
        base = self.expression(node.base)
        type_ = erase(base.type)
        if isinstance(type_, ir.Tuple):
            index = self.integer(node.index, "the index of a tuple or an array without headers")
            if not 0 <= index < len(type_.elements):
                raise error(
                    node.index.loc, f"index {index} of a tuple of {len(type_.elements)} elements"
                )
            source = base.type.elements if isinstance(base.type, ir.Tuple) else type_.elements
            element = source[index]
            if isinstance(base.node, ir.TupleValue) and is_literal(base.node):
                return Value(relocate(base.node.elements[index], node.loc), element)
            result = ir.TupleIndex(type_.elements[index], node.loc, base.node, index)
            return Value(result, element, base.writable)
        if not isinstance(type_, ir.HeaderStack):
            raise error(node.loc, f"a value of type {article(type_)} cannot be indexed")
        at = self.expression(node.index)
        if isinstance(erase(at.type), ir.SerializableEnum):
            at = Value(self.cast_node(at.node, at.type.underlying), at.type.underlying)  # type: ignore[attr-defined]
        if isinstance(at.node, ir.IntLiteral):
            if not 0 <= at.node.value < type_.size:
                raise error(
                    node.index.loc,
                    f"index {at.node.value} is outside of a header stack of size {type_.size}",
                )
            where: ir.Expression = ir.IntLiteral(BIT32, at.node.loc, at.node.value)
        elif isinstance(erase(at.type), ir.Bits):
            where = at.node
        else:
            raise error(node.index.loc, f"the index of a header stack cannot be {article(at.type)}")
        return Value(
            ir.StackIndex(type_.element, node.loc, base.node, where), type_.element, base.writable
        )

    def _slice(self, node: s.Slice) -> Value:
        base = self.expression(node.base)
        type_ = erase(base.type)
        if isinstance(type_, ir.SerializableEnum):
            type_ = type_.underlying
            base = Value(self.cast_node(base.node, type_), type_)
        if not isinstance(type_, ir.Bits):
            raise error(node.loc, f"a value of type {article(type_)} has no bits to slice")
        high = self.integer(node.high, "a bit index")
        low = self.integer(node.low, "a bit index")
        for index, where in ((high, node.high), (low, node.low)):
            if index < 0:
                raise error(where.loc, f"bit index {index} is negative")
            if index >= type_.width:
                raise error(where.loc, f"bit index {index} is outside of {type_}")
        if low > high:
            raise error(node.low.loc, f"slice [{high}:{low}] has its lower bit above the higher")
        bits = ir.Bits(high - low + 1)
        if isinstance(base.node, ir.IntLiteral):
            return Value(fold_slice(base.node, high, low, node.loc), bits)
        return Value(ir.Slice(bits, node.loc, base.node, high, low), bits, base.writable)

    # aggregates

    def _list(self, node: s.ListExpr, expected: ir.Type | None) -> Value:
        target = erase(expected) if expected is not None else None
        count = len(node.elements)
        match target:
            case ir.Struct() | ir.Header():
                fields = target.fields
                if count > len(fields) or (count < len(fields) and not node.rest):
                    raise error(
                        node.loc,
                        f"{article(target)} has {len(fields)} fields, the list has {count} values",
                    )
                parts = [
                    self.expect(e, field_type(f), f"field '{f.name}'")
                    for e, f in zip(node.elements, fields, strict=False)
                ]
                parts += [self.default_value(f.type, node.loc) for f in fields[count:]]
                return Value(ir.StructValue(target, node.loc, tuple(parts)), target)
            case ir.Tuple():
                types = expected.elements if isinstance(expected, ir.Tuple) else target.elements
                if count == len(types) or (node.rest and count < len(types)):
                    parts = [self.expect(e, t) for e, t in zip(node.elements, types, strict=False)]
                    parts += [self.default_value(t, node.loc) for t in types[count:]]
                    return Value(ir.TupleValue(target, node.loc, tuple(parts)), ir.Tuple(types))
            case ir.HeaderStack():
                return self._stack_list(node, target)
        if node.rest:
            raise error(node.loc, "'...' needs a known type to take defaults from")
        values = [self.expression(e) for e in node.elements]
        type_ = ir.Tuple(tuple(v.type for v in values))
        return Value(ir.TupleValue(erase(type_), node.loc, tuple(v.node for v in values)), type_)

    def _stack_list(self, node: s.ListExpr, target: ir.HeaderStack) -> Value:
        count = len(node.elements)
        if count > target.size or (count < target.size and not node.rest):
            raise error(node.loc, f"a header stack of {target.size} is given {count} elements")
        parts = [self.expect(e, target.element) for e in node.elements]
        parts += [ir.InvalidValue(target.element, node.loc)] * (target.size - count)
        return Value(ir.StackValue(target, node.loc, tuple(parts)), target)

    def _struct(self, node: s.StructExpr, expected: ir.Type | None) -> Value:
        target = erase(expected) if expected is not None else None
        if not isinstance(target, ir.Struct | ir.Header):
            return self._anonymous_struct(node)
        given: dict[str, tuple[s.Expr, ir.Loc]] = {}
        for name, value, loc in node.fields:
            if name in given:
                raise error(loc, f"field '{name}' is given twice")
            if all(f.name != name for f in target.fields):
                raise error(loc, f"{article(target)} has no field '{name}'")
            given[name] = value, loc
        parts: list[ir.Expression] = []
        for field in target.fields:
            if field.name in given:
                value = given[field.name][0]
                if isinstance(value, s.Rest):
                    parts.append(self.default_value(field.type, value.loc))
                else:
                    parts.append(self.expect(value, field_type(field), f"field '{field.name}'"))
            elif node.rest:
                parts.append(self.default_value(field.type, node.loc))
            else:
                raise error(node.loc, f"field '{field.name}' of {article(target)} is missing")
        return Value(ir.StructValue(target, node.loc, tuple(parts)), target)

    def _anonymous_struct(self, node: s.StructExpr) -> Value:
        """A struct expression where any type will do, e.g. as data of hash()."""
        if node.rest:
            raise error(node.loc, "'...' needs a known type to take defaults from")
        values = [(name, self.expression(value)) for name, value, _ in node.fields]
        fields = tuple(
            ir.Field(
                name,
                erase(value.type),
                declared=value.type if isinstance(value.type, ir.NewType) else None,
            )
            for name, value in values
        )
        text = ", ".join(f"{field.name}: {field.type}" for field in fields)
        type_ = ir.Struct("{" + text + "}", fields)
        return Value(ir.StructValue(type_, node.loc, tuple(v.node for _, v in values)), type_)

    def _invalid(self, node: s.Invalid, expected: ir.Type | None) -> Value:
        if not isinstance(expected, ir.Header | ir.HeaderUnion):
            raise error(node.loc, "'{#}' needs to know its header type: cast it")
        return Value(ir.InvalidValue(expected, node.loc), expected)

    def default_value(self, type_: ir.Type, loc: ir.Loc) -> ir.Expression:
        """The default value of a type (section 7.3)."""
        match erase(type_):
            case ir.Bits() | ir.SerializableEnum() | ir.InfInt() as number:
                return ir.IntLiteral(number, loc, 0)
            case ir.Bool():
                return ir.BoolLiteral(BOOL, loc, False)
            case ir.Error():
                return ir.ErrorLiteral(ERROR, loc, "NoError")
            case ir.Enum() as enum:
                return ir.EnumLiteral(enum, loc, enum.members[0])
            case ir.Header() | ir.HeaderUnion() as header:
                return ir.InvalidValue(header, loc)
            case ir.Struct() as struct:
                parts = tuple(self.default_value(f.type, loc) for f in struct.fields)
                return ir.StructValue(struct, loc, parts)
            case ir.Tuple() as tuple_:
                parts = tuple(self.default_value(t, loc) for t in tuple_.elements)
                return ir.TupleValue(tuple_, loc, parts)
            case ir.HeaderStack() as stack:
                one = ir.InvalidValue(stack.element, loc)
                return ir.StackValue(stack, loc, (one,) * stack.size)
        raise error(loc, f"type {article(type_)} has no default value")
