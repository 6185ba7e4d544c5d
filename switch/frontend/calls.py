"""Calls: what is called, with which arguments (P4_16 sections 6.8 and 8.19 to 8.21)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from switch import ir
from switch.frontend import syntax as s
from switch.frontend.arguments import ArgumentChecker, is_static
from switch.frontend.errors import error, unsupported
from switch.frontend.scopes import (
    ActionEntry,
    BlockEntry,
    BlockInstanceEntry,
    Entry,
    ExternEntry,
    ExternInstanceEntry,
    FunctionEntry,
    MadeBlock,
    Plan,
    TableEntry,
    Value,
)
from switch.frontend.type_rules import BOOL, VOID, TypeVariable, article, erase

# Where v1model's externs come from: others would have no implementation.
_SYSTEM_FILES = ("core.p4", "v1model.p4")
_NUMBERS = {
    "hash": ("O", "T", "M"),
    "random": ("T",),
    "verify_checksum": ("O",),
    "update_checksum": ("O",),
    "verify_checksum_with_payload": ("O",),
    "update_checksum_with_payload": ("O",),
    "meter.execute_meter": ("T",),
}


@dataclass(frozen=True, slots=True)
class ResolvedCall:
    """A call of a function or method, checked: type arguments by name, parameter types, result;
    the arguments, and apart from them those that stand for objects or `int` values."""

    bindings: dict[str, ir.Type]
    types: list[ir.Type]
    result: ir.Type
    arguments: tuple[ir.Expression, ...]
    statics: dict[str, Entry]


class CallChecker(ArgumentChecker):
    """Resolves a call to one of the call nodes of the typed program."""

    def call(self, node: s.Call, expected: ir.Type | None) -> Value:
        callee = node.callee
        if isinstance(callee, s.Member):
            return self._member_call(callee, node)
        if isinstance(callee, s.Name):
            entry = self.lookup(callee.name, callee.loc, callee.from_global)
            match entry:
                case FunctionEntry():
                    return self._function_call(entry, node)
                case ActionEntry():
                    return self._action_call(entry, node)
            raise error(callee.loc, f"'{callee.name}' cannot be called")
        if isinstance(callee, s.TypeName):
            raise error(node.loc, "a constructor cannot be called here")
        raise error(node.loc, "this expression cannot be called")

    def _member_call(self, callee: s.Member, node: s.Call) -> Value:
        base = callee.base
        if isinstance(base, s.Name):
            entry = self.lookup(base.name, base.loc, base.from_global)
            match entry:
                case TableEntry():
                    self._check_method(callee, "apply", f"table '{base.name}'")
                    return self.apply_table(entry.table, node, "")
                case ExternInstanceEntry():
                    return self._method_call(entry, callee, node)
                case BlockInstanceEntry():
                    self._check_method(callee, "apply", f"'{base.name}'")
                    return self._apply_block(entry, node)
        if isinstance(base, s.TypeName):
            return self._type_call(base, callee, node)
        return self.value_method(callee, node)

    def _check_method(self, callee: s.Member, wanted: str, what: str) -> None:
        if callee.name != wanted:
            raise error(callee.name_loc, f"{what} has no method '{callee.name}'")

    def _type_call(self, base: s.TypeName, callee: s.Member, node: s.Call) -> Value:
        """`Control.apply(…)` of an instance made on the spot, or `Header.minSizeInBits()`."""
        if isinstance(base.type, s.NamedType):
            entry = self.lookup(base.type.name, base.loc, base.type.from_global)
            if isinstance(entry, BlockEntry):
                self._check_method(callee, "apply", f"'{base.type.name}'")
                instance = self.direct_instance(entry, base)
                return self._apply_block(instance, node)
            if isinstance(entry, ExternEntry):
                raise error(base.loc, f"extern '{base.type.name}' needs an instance")
        return self.size_method(self.resolve(base.type), callee, node)

    def direct_instance(self, entry: BlockEntry, base: s.TypeName) -> BlockInstanceEntry:
        raise NotImplementedError

    # tables

    def table_result(self, call: s.Call, node: s.Member) -> Value | None:
        """`table.apply().hit` and `.miss`; None when `call` is not of a table."""
        table = self.applied_table(call)
        if table is None:
            return None
        if node.name == "action_run":
            raise error(node.name_loc, "'action_run' can only be used in a switch statement")
        if node.name not in ("hit", "miss"):
            raise error(node.name_loc, f"the result of apply has no member '{node.name}'")
        return self.apply_table(table, call, node.name)

    def applied_table(self, call: s.Expr) -> ir.Table | None:
        if not (isinstance(call, s.Call) and isinstance(call.callee, s.Member)):
            return None
        base = call.callee.base
        if not isinstance(base, s.Name) or call.callee.name != "apply":
            return None
        entry = self.lookup(base.name, base.loc, base.from_global)
        return entry.table if isinstance(entry, TableEntry) else None

    def apply_table(self, table: ir.Table, node: s.Call, result: str) -> Value:
        self.check_table_call(table, node)
        type_ = BOOL if result else VOID
        return Value(ir.TableApply(type_, node.loc, table, result), type_)  # type: ignore[arg-type]

    def check_table_call(self, table: ir.Table, node: s.Call) -> None:
        if self.unit.kind != "control":
            raise error(node.loc, f"table '{table.name}' can only be applied in an apply block")
        if node.arguments or node.type_arguments:
            raise error(node.loc, "apply of a table takes no arguments")

    # blocks

    def _apply_block(self, entry: BlockInstanceEntry, node: s.Call) -> Value:
        plan = entry.plan
        decl = plan.decl
        wanted = "parser" if isinstance(decl, s.ParserDecl) else "control"
        if self.unit.kind != wanted:
            raise error(node.loc, f"{wanted} '{plan.name}' can only be applied in a {wanted}")
        if node.type_arguments:
            raise error(node.loc, "apply takes no type arguments")
        bound = self.bind(decl.params, node, f"apply of '{decl.name}'")
        static_types = self.static_params(plan)
        statics = self.static_arguments(decl.params, bound, static_types)
        made = self.made_block(entry, statics)
        rest = [(p, g) for p, g in zip(decl.params, bound, strict=True) if p.name not in statics]
        arguments = tuple(
            self.argument(param, type_, given, decl.name)
            for (param, given), type_ in zip(rest, made.types, strict=True)
        )
        for (param, _), argument in zip(rest, arguments, strict=True):
            if param.direction == "" and not isinstance(argument.type, ir.Extern):
                label = f"parameter '{param.name}' of '{decl.name}'"
                self._check_constant_argument(argument, label)
        if isinstance(made.block, ir.Parser):
            return Value(ir.ParserApply(VOID, node.loc, made.block, arguments), VOID)
        return Value(ir.ControlApply(VOID, node.loc, made.block, arguments), VOID)

    def static_params(self, plan: Plan) -> dict[str, ir.Type]:
        raise NotImplementedError

    def made_block(self, instance: BlockInstanceEntry, statics: Mapping[str, Entry]) -> MadeBlock:
        raise NotImplementedError

    # functions

    def choose(self, decls: Sequence[s.FunctionDecl], node: s.Call, name: str) -> s.FunctionDecl:
        """The overload that fits the number and names of the arguments."""
        if len(decls) == 1:
            return decls[0]
        names = {a.name for a in node.arguments if a.name is not None}
        fitting = [
            d
            for d in decls
            if sum(p.default is None for p in d.params) <= len(node.arguments) <= len(d.params)
            and names <= {p.name for p in d.params}
        ]
        if not fitting:
            raise error(node.loc, f"no '{name}' takes these {len(node.arguments)} arguments")
        if len(fitting) > 1:
            raise error(node.loc, f"call of '{name}' is ambiguous")
        return fitting[0]

    def _function_call(self, entry: FunctionEntry, node: s.Call) -> Value:
        assert isinstance(node.callee, s.Name)
        name = node.callee.name
        order, decl = self._visible_function(entry, node, name)
        resolved = self._resolved_call(decl, node, {}, order)
        if decl.body is None:
            if not self._is_system(decl.loc):
                raise unsupported(node.loc, f"extern function '{name}' (v1model does not have it)")
            return self._extern_function(decl, node, resolved)
        function = self.function(decl, resolved.bindings, order, resolved.statics)
        call = ir.FunctionCall(erase(resolved.result), node.loc, function, resolved.arguments)
        return Value(call, resolved.result)

    def _visible_function(
        self, entry: FunctionEntry, node: s.Call, name: str
    ) -> tuple[int, s.FunctionDecl]:
        """The overload that is called, of those declared before, and when that was."""
        seen = [
            (order, decl)
            for order, decl in zip(entry.orders, entry.decls, strict=True)
            if self.horizon is None or order <= self.horizon
        ]
        chosen = self.choose([decl for _, decl in seen], node, name)
        return next((order, decl) for order, decl in seen if decl is chosen)

    def _is_system(self, loc: ir.Loc) -> bool:
        return loc.file.rpartition("/")[2] in _SYSTEM_FILES

    def _extern_function(self, decl: s.FunctionDecl, node: s.Call, resolved: ResolvedCall) -> Value:
        arguments = resolved.arguments
        if decl.name == "verify":
            if self.unit.kind != "parser":
                raise error(node.loc, "'verify' can only be called in a parser")
            return Value(ir.Verify(VOID, node.loc, arguments[0], arguments[1]), VOID)
        if decl.name == "static_assert":
            return self._static_assert(node, arguments)
        self._check_widths(decl.name, resolved, node.loc)
        call = ir.ExternCall(
            erase(resolved.result),
            node.loc,
            decl.name,
            tuple(erase(t) for t in resolved.bindings.values()),
            self._params(decl, resolved.types),
            arguments,
        )
        return Value(call, resolved.result)

    def _check_widths(self, name: str, resolved: ResolvedCall, loc: ir.Loc) -> None:
        """What v1model says of its type parameters: those that must be bit<W> or int<W>."""
        for parameter in _NUMBERS.get(name, ()):
            type_ = erase(resolved.bindings[parameter])
            if not isinstance(type_, ir.Bits | TypeVariable):
                raise error(
                    loc, f"type parameter '{parameter}' of '{name}' cannot be {article(type_)}"
                )

    def _static_assert(self, node: s.Call, arguments: tuple[ir.Expression, ...]) -> Value:
        check = arguments[0]
        if not isinstance(check, ir.BoolLiteral):
            raise error(check.loc, "static_assert needs a compile-time constant")
        if not check.value:
            message = arguments[1] if len(arguments) > 1 else None
            text = f": {message.value}" if isinstance(message, ir.StringLiteral) else ""
            raise error(node.loc, f"static_assert failed{text}")
        return Value(ir.BoolLiteral(BOOL, node.loc, True), BOOL)

    def _params(self, decl: s.FunctionDecl, types: Sequence[ir.Type]) -> tuple[ir.Param, ...]:
        return tuple(
            ir.Param(
                node.name,
                erase(type_),
                node.loc,
                node.name,
                self.annotations(node.annotations),
                direction=node.direction,
                declared=type_ if isinstance(type_, ir.NewType) else None,
            )
            for node, type_ in zip(decl.params, types, strict=True)
        )

    def _resolved_call(
        self,
        decl: s.FunctionDecl,
        node: s.Call,
        outer: dict[str, ir.Type],
        order: int,
    ) -> ResolvedCall:
        """Infers type arguments, then checks the arguments of a function or method."""
        what = f"'{decl.name}'"
        bound = self.bind(decl.params, node, what)
        bindings: dict[str, ir.Type] = dict.fromkeys(decl.type_params, VOID)
        if node.type_arguments:
            if len(node.type_arguments) != len(decl.type_params):
                raise error(
                    node.loc,
                    f"{what} takes {len(decl.type_params)} type arguments, "
                    f"not {len(node.type_arguments)}",
                )
            for name, argument in zip(decl.type_params, node.type_arguments, strict=True):
                if not (isinstance(argument, s.SimpleType) and argument.name == "_"):
                    bindings[name] = self.resolve(argument)
        values: dict[str, Value] = {}
        if bindings and any(isinstance(b, ir.Void) for b in bindings.values()):
            for param, given in zip(decl.params, bound, strict=True):
                if given is None or isinstance(given.value, s.DontCare):
                    continue
                made = self.object_named(given.value)
                if made is not None:
                    self.infer(param.type, made.instance.type, bindings, given.loc)
                else:
                    value = self.expression(given.value)
                    values[param.name] = value
                    self.infer(param.type, value.type, bindings, given.loc)
        if bindings:
            self.check_bound(bindings, what, node.loc)
        types, result = self._signature(decl, {**outer, **bindings}, order)
        static_types: dict[str, ir.Type] = {}
        if decl.body is not None:
            static_types = {
                p.name: t for p, t in zip(decl.params, types, strict=True) if is_static(p, t)
            }
        statics = self.static_arguments(decl.params, bound, static_types)
        arguments: list[ir.Expression] = []
        for param, type_, given in zip(decl.params, types, bound, strict=True):
            if param.name in statics:
                continue
            label = f"parameter '{param.name}' of {what}"
            if param.direction and isinstance(type_, ir.String):
                raise error(node.loc, f"{label} has a direction: it cannot be given a string")
            if param.name in values:
                known = values[param.name]
                arguments.append(self.checked_argument(param, type_, known, label))
            else:
                arguments.append(self.argument(param, type_, given, decl.name))
            if param.direction == "":
                self._check_constant_argument(arguments[-1], label)
        return ResolvedCall(bindings, types, result, tuple(arguments), statics)

    def _signature(
        self, decl: s.FunctionDecl, bindings: dict[str, ir.Type], order: int
    ) -> tuple[list[ir.Type], ir.Type]:
        with self.global_scope(self.unit, order), self.inner_scope():
            self.bind_types(bindings.keys(), bindings.values(), decl.loc)
            return [self.resolve(p.type) for p in decl.params], self.resolve(decl.result)

    def function(
        self,
        decl: s.FunctionDecl,
        bindings: Mapping[str, ir.Type],
        order: int,
        statics: Mapping[str, Entry],
    ) -> ir.Function:
        raise NotImplementedError

    # actions

    def _action_call(self, entry: ActionEntry, node: s.Call) -> Value:
        action = entry.action
        if self.unit.kind == "parser":
            raise error(node.loc, f"action '{action.name}' cannot be called in a parser")
        if self.unit.kind == "function":
            raise error(node.loc, f"action '{action.name}' cannot be called in a function")
        if node.type_arguments:
            raise error(node.loc, "an action takes no type arguments")
        params = [p for p, _, _ in entry.params]
        bound = self.bind(params, node, f"action '{action.name}'")
        arguments = tuple(
            self.argument(param, type_, given, action.name)
            for (param, _, type_), given in zip(entry.params, bound, strict=True)
        )
        return Value(ir.ActionCall(VOID, node.loc, action, arguments), VOID)

    # methods of extern objects

    def _method_call(self, entry: ExternInstanceEntry, callee: s.Member, node: s.Call) -> Value:
        decl = entry.decl
        methods = [m for m in decl.methods if m.name == callee.name and m.name != decl.name]
        if not methods:
            raise error(callee.name_loc, f"extern '{decl.name}' has no method '{callee.name}'")
        method = self.choose(methods, node, callee.name)
        outer = dict(zip(decl.type_params, entry.instance.type.arguments, strict=True))
        order = self._extern_order(decl.name)
        resolved = self._resolved_call(method, node, outer, order)
        self._check_widths(f"{decl.name}.{callee.name}", resolved, node.loc)
        call = ir.MethodCall(
            erase(resolved.result),
            node.loc,
            entry.instance,
            callee.name,
            tuple(erase(t) for t in resolved.bindings.values()),
            self._params(method, resolved.types),
            resolved.arguments,
        )
        return Value(call, resolved.result)

    def _extern_order(self, name: str) -> int:
        entry = self.globals.names.get(name)
        return entry.order if entry is not None else 0
