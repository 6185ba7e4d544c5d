"""Arguments: which parameter gets which, and what may be given (P4_16 section 6.8)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

from switch import ir
from switch.frontend import syntax as s
from switch.frontend.builtin_calls import BuiltinCalls
from switch.frontend.errors import error, unsupported
from switch.frontend.scopes import ConstEntry, Entry, ExternInstanceEntry, Value
from switch.frontend.type_rules import article, erase, is_literal

CALLS = (ir.FunctionCall, ir.ExternCall, ir.MethodCall)


class ArgumentChecker(BuiltinCalls):
    """Binds arguments to parameters."""

    def static_arguments(
        self,
        params: Sequence[s.ParamNode],
        bound: Sequence[s.Argument | None],
        types: Mapping[str, ir.Type],
    ) -> dict[str, Entry]:
        """What is given to the parameters that stand for objects or compile-time values."""
        found: dict[str, Entry] = {}
        for param, given in zip(params, bound, strict=True):
            if param.name in types:
                value = given.value if given is not None else param.default
                assert value is not None
                found[param.name] = self.static_argument(param, types[param.name], value)
        return found

    def static_argument(self, param: s.ParamNode, type_: ir.Type, value: s.Expr) -> Entry:
        """An object or a compile-time value for a parameter that stands for it."""
        made = self.object_named(value)
        if made is not None:
            if erase(type_) != made.instance.type:
                raise error(
                    value.loc,
                    f"parameter '{param.name}' is of type {article(type_)}, the argument of "
                    f"{made.instance.type}",
                )
            return ExternInstanceEntry(value.loc, made.instance, made.decl)
        if isinstance(type_, ir.Extern):
            raise error(
                value.loc, f"parameter '{param.name}' must be given an object of type {type_}"
            )
        node = self.constant(value, type_, f"the argument of parameter '{param.name}'")
        return ConstEntry(value.loc, Value(node, type_))

    def object_named(self, node: s.Expr) -> ExternInstanceEntry | None:
        """The object that an argument names; None when it names none."""
        if isinstance(node, s.Name):
            entry = self.lookup(node.name, node.loc, node.from_global)
            if isinstance(entry, ExternInstanceEntry):
                return entry
        return None

    def bind(
        self, params: Sequence[s.ParamNode], node: s.Call, what: str
    ) -> list[s.Argument | None]:
        """Arguments in the order of `params`; None where the default is meant."""
        names = [p.name for p in params]
        found: dict[str, s.Argument] = {}
        if len(node.arguments) > len(params):
            raise error(
                node.arguments[len(params)].loc,
                f"{what} takes {len(params)} arguments, not {len(node.arguments)}",
            )
        named = [a for a in node.arguments if a.name is not None]
        if named and len(named) != len(node.arguments):
            raise error(node.loc, f"either all or none of the arguments of {what} must be named")
        for position, argument in enumerate(node.arguments):
            name = argument.name if argument.name is not None else names[position]
            if name not in names:
                raise error(argument.loc, f"{what} has no parameter '{name}'")
            if name in found:
                raise error(argument.loc, f"parameter '{name}' of {what} is given twice")
            found[name] = argument
        bound: list[s.Argument | None] = []
        for param in params:
            given = found.get(param.name)
            if given is None and param.default is None:
                if any(a.name == "optional" for a in param.annotations):
                    raise unsupported(node.loc, f"leaving out @optional parameter '{param.name}'")
                raise error(node.loc, f"{what} needs an argument for parameter '{param.name}'")
            bound.append(given)
        return bound

    def argument(
        self, param: s.ParamNode, type_: ir.Type, given: s.Argument | None, what: str
    ) -> ir.Expression:
        """One argument, checked against its parameter's direction and type."""
        label = f"parameter '{param.name}' of '{what}'"
        if given is None:
            assert param.default is not None
            return self.expect(param.default, type_, label)
        if isinstance(given.value, s.DontCare):
            if param.direction != "out":
                raise error(given.loc, f"'_' can only be given to an out parameter, not {label}")
            return ir.DontCare(erase(type_), given.loc)
        value = self.expression(given.value, type_)
        return self.checked_argument(param, type_, value, label)

    def _check_constant_argument(self, argument: ir.Expression, label: str) -> None:
        """What a parameter without direction is given, except action data (section 6.8)."""
        if not self._is_known(argument):
            raise error(
                argument.loc, f"{label} has no direction: it must be given a compile-time constant"
            )

    def _is_known(self, node: ir.Expression) -> bool:
        """Whether p4c counts a value as known at compile time: made of constants and parameters
        without direction."""
        if isinstance(node, ir.Var):
            return node.variable in self.settled
        if is_literal(node):
            return True
        parts = [part for f in fields(node) for part in expressions(getattr(node, f.name))]
        return not isinstance(node, CALLS) and bool(parts) and all(map(self._is_known, parts))

    def checked_argument(
        self, param: s.ParamNode, type_: ir.Type, value: Value, label: str
    ) -> ir.Expression:
        if param.direction in ("out", "inout"):
            if not value.writable:
                raise error(
                    value.node.loc,
                    f"{label} is '{param.direction}': its argument must be a left-value",
                )
            if value.type != type_:
                raise error(
                    value.node.loc,
                    f"{label} is of type {article(type_)}, the argument of {article(value.type)}",
                )
            return value.node
        return self.coerce(value, type_, label)


def is_static(param: s.ParamNode, type_: ir.Type) -> bool:
    """Whether a run-time parameter stands for an object or a compile-time value."""
    if param.direction:
        return False
    if isinstance(type_, ir.Extern):
        return type_.name not in ("packet_in", "packet_out")
    return isinstance(type_, ir.InfInt | ir.String)


def applies(node: ir.Expression) -> bool:
    """Whether evaluating an expression applies a table."""
    if isinstance(node, ir.TableApply):
        return True
    return any(applies(e) for f in fields(node) for e in expressions(getattr(node, f.name)))


def expressions(value: object) -> Iterator[ir.Expression]:
    """The expressions in a field of a node."""
    if isinstance(value, ir.Expression):
        yield value
    elif isinstance(value, tuple):
        for element in value:
            yield from expressions(element)
