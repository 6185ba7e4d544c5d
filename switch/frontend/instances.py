"""Instances of externs, controls and parsers (P4_16 sections 11.3, 14.1, 15.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from switch import ir
from switch.frontend import syntax as s
from switch.frontend.arguments import is_static
from switch.frontend.context import Label, Owner, Unit
from switch.frontend.errors import CompileError, error, unsupported
from switch.frontend.parsers import ParserChecker
from switch.frontend.scopes import (
    BlockEntry,
    BlockInstanceEntry,
    ConstEntry,
    Entry,
    ExternEntry,
    ExternInstanceEntry,
    MadeBlock,
    Plan,
    TypeEntry,
    Value,
)
from switch.frontend.type_rules import VOID, TypeVariable, article, erase, is_literal


class InstanceChecker(ParserChecker):
    """What `T(arguments) name;` makes."""

    def instance(self, decl: s.InstanceDecl) -> None:
        """`T(arguments) name;` as a local of a control or parser, or at top level."""
        try:
            entry = self._instance(decl)
        except CompileError:
            self.declare_broken(decl.name, decl.loc)
            raise
        self.declare(decl.name, entry)

    def _instance(self, decl: s.InstanceDecl) -> Entry:
        type_ = decl.type
        if not isinstance(type_, s.NamedType):
            raise error(decl.loc, "only externs, controls and parsers can be instantiated")
        entry = self.lookup(type_.name, type_.loc, type_.from_global)
        notes = self.annotations(decl.annotations)
        label = Label(self.plane_name(notes, decl.name), notes, decl.loc)
        found = self.extern_object(type_, decl.arguments, label)
        if found is not None:
            self.unit.owner.externs.append(found.instance)
            return found
        match entry:
            case BlockEntry(decl=s.ControlDecl() | s.ParserDecl()):
                if self.unit.kind == "":
                    raise error(decl.loc, "controls and parsers cannot be instantiated here")
                return self.sub_block(entry, type_, decl.arguments, label)
        raise error(decl.loc, f"'{type_.name}' cannot be instantiated here")

    # controls and parsers

    def sub_block(
        self,
        entry: BlockEntry,
        type_: s.NamedType,
        arguments: list[s.Argument],
        label: Label,
    ) -> BlockInstanceEntry:
        decl, loc = entry.decl, label.loc
        if isinstance(decl, s.BlockTypeDecl):
            raise error(loc, f"'{decl.name}' is only declared, it has no body to instantiate")
        wanted = "parser" if isinstance(decl, s.ParserDecl) else "control"
        if self.unit.kind != wanted:
            raise error(loc, f"a {wanted} cannot be instantiated in a {self.unit.kind}")
        plan = self.plan(entry, type_, arguments, label)
        self.check_type_arguments(plan, loc)
        instance = BlockInstanceEntry(loc, plan)
        if not self.static_params(plan):
            self.made_block(instance, {})
        return instance

    def plan(
        self, entry: BlockEntry, type_: s.NamedType, arguments: list[s.Argument], label: Label
    ) -> Plan:
        """Type arguments (VOID when not known yet) and constructor arguments of an instance."""
        decl = entry.decl
        assert not isinstance(decl, s.BlockTypeDecl)
        types: dict[str, ir.Type] = dict.fromkeys(decl.type_params, VOID)
        if type_.arguments:
            if len(type_.arguments) != len(types):
                raise error(
                    type_.loc,
                    f"'{decl.name}' needs {len(types)} type arguments, not {len(type_.arguments)}",
                )
            for name, argument in zip(decl.type_params, type_.arguments, strict=True):
                if not (isinstance(argument, s.SimpleType) and argument.name == "_"):
                    types[name] = self.resolve(argument)
        call = s.Call(label.loc, s.Name(label.loc, decl.name), [], arguments)
        bound = self.bind(decl.constructor, call, f"'{decl.name}'")
        self._infer_from(decl.constructor, bound, types)
        given = [
            self._constructor_argument(param, argument, types, label)
            for param, argument in zip(decl.constructor, bound, strict=True)
        ]
        return Plan(entry, decl, types, given, label.name, label.annotations)

    def _infer_from(
        self,
        params: Sequence[s.ParamNode],
        bound: Sequence[s.Argument | None],
        types: dict[str, ir.Type],
    ) -> None:
        """Type parameters that values given to a constructor tell."""
        if all(not isinstance(t, ir.Void) for t in types.values()):
            return
        for param, given in zip(params, bound, strict=True):
            if given is None:
                continue
            made = self.object_named(given.value)
            if made is not None:
                self.infer(param.type, made.instance.type, types, given.loc)
            elif not isinstance(given.value, s.Call | s.DontCare):
                self.infer(param.type, self.expression(given.value).type, types, given.loc)

    def check_type_arguments(self, plan: Plan, loc: ir.Loc) -> None:
        for name, type_ in plan.types.items():
            if isinstance(type_, ir.Void):
                raise error(
                    loc, f"cannot infer type parameter '{name}' of '{plan.decl.name}': name it"
                )

    @contextmanager
    def inside(self, plan: Plan, unit: Unit | None = None) -> Iterator[None]:
        """The scope of the block's parameters: what was declared before it, and its types."""
        unit = unit or Unit("", Owner(""), set())
        with self.global_scope(unit, plan.entry.order - 1), self.inner_scope("parameters"):
            self.bind_types(plan.types.keys(), plan.types.values(), plan.decl.loc)
            yield

    def static_params(self, plan: Plan) -> dict[str, ir.Type]:
        """Parameters that `apply` gives objects or compile-time values: each choice of those makes
        a block of its own."""
        with self.inside(plan):
            types = {p.name: self.resolve(p.type) for p in plan.decl.params}
        return {p.name: types[p.name] for p in plan.decl.params if is_static(p, types[p.name])}

    def made_block(self, instance: BlockInstanceEntry, statics: Mapping[str, Entry]) -> MadeBlock:
        key = tuple(identity(entry) for entry in statics.values())
        made = instance.made.get(key)
        if made is None:
            made = self.elaborate(instance.plan, statics)
            instance.made[key] = made
            if isinstance(made.block, ir.Parser):
                self.unit.owner.parsers.append(made.block)
            else:
                self.unit.owner.controls.append(made.block)
        return made

    def elaborate(self, plan: Plan, statics: Mapping[str, Entry]) -> MadeBlock:
        raise NotImplementedError

    def direct_instance(self, entry: BlockEntry, base: s.TypeName) -> BlockInstanceEntry:
        """`C.apply(…)`: an instance named after its type (section 15.1)."""
        assert isinstance(base.type, s.NamedType)
        name = self.plane_name((), base.type.name)
        return self.sub_block(entry, base.type, [], Label(name, (), base.loc))

    # constructor arguments

    def _constructor_argument(
        self,
        param: s.ParamNode,
        given: s.Argument | None,
        types: Mapping[str, ir.Type],
        label: Label,
    ) -> Entry:
        """What a constructor parameter stands for in this instance."""
        value = given.value if given is not None else param.default
        assert value is not None
        if isinstance(value, s.Name):
            entry = self.lookup(value.name, value.loc, value.from_global)
            if isinstance(entry, BlockInstanceEntry):
                return BlockInstanceEntry(value.loc, entry.plan, entry.made)
        if isinstance(value, s.Call) and isinstance(value.callee, s.TypeName):
            return self._constructed(param, value, f"{label.name}.{param.name}")
        with self.inner_scope():
            self.bind_types(types.keys(), types.values(), param.loc)
            type_ = self.resolve(param.type)
        return self.static_argument(param, type_, value)

    def _constructed(self, param: s.ParamNode, call: s.Call, name: str) -> Entry:
        """An object made in the argument list itself."""
        assert isinstance(call.callee, s.TypeName)
        type_ = call.callee.type
        label = Label(name, (), call.loc)
        found = self.extern_object(type_, call.arguments, label)
        if found is not None:
            self.unit.owner.externs.append(found.instance)
            return found
        entry = self.lookup(type_.name, type_.loc) if isinstance(type_, s.NamedType) else None
        if not isinstance(entry, BlockEntry):
            raise error(call.loc, f"parameter '{param.name}' cannot be given this object")
        assert isinstance(type_, s.NamedType)
        return self.sub_block(entry, type_, call.arguments, label)

    # externs

    def extern_object(
        self, node: s.TypeNode, arguments: list[s.Argument], label: Label
    ) -> ExternInstanceEntry | None:
        """An object of the extern that `node` names, perhaps through a typedef; None when it
        names none."""
        if not isinstance(node, s.NamedType):
            return None
        entry = self.lookup(node.name, node.loc, node.from_global)
        if isinstance(entry, ExternEntry) and entry.decl.type_params and not node.arguments:
            types = self._inferred(entry.decl, arguments, node.loc)
            type_: ir.Type = ir.Extern(node.name, types)
        elif isinstance(entry, ExternEntry | TypeEntry):
            type_ = self.resolve(node)
        else:
            return None
        if not isinstance(type_, ir.Extern):
            return None
        extern = self.lookup(type_.name, node.loc, True)
        assert isinstance(extern, ExternEntry)
        instance = self._extern_instance(extern.decl, type_, arguments, label)
        return ExternInstanceEntry(label.loc, instance, extern.decl)

    def _inferred(
        self, decl: s.ExternDecl, arguments: list[s.Argument], loc: ir.Loc
    ) -> tuple[ir.Type, ...]:
        """Type arguments that the constructor's arguments tell."""
        constructor = self._constructor(decl, arguments, loc)
        call = s.Call(loc, s.Name(loc, decl.name), [], arguments)
        types: dict[str, ir.Type] = dict.fromkeys(decl.type_params, VOID)
        self._infer_from(
            constructor.params, self.bind(constructor.params, call, f"'{decl.name}'"), types
        )
        self.check_bound(types, f"extern '{decl.name}'", loc)
        return tuple(types.values())

    def _constructor(
        self, decl: s.ExternDecl, arguments: list[s.Argument], loc: ir.Loc
    ) -> s.FunctionDecl:
        constructors = [m for m in decl.methods if m.name == decl.name]
        if not constructors:
            raise error(loc, f"extern '{decl.name}' cannot be instantiated: it has no constructor")
        call = s.Call(loc, s.Name(loc, decl.name), [], arguments)
        return self.choose(constructors, call, decl.name)

    def _extern_instance(
        self, decl: s.ExternDecl, type_: ir.Extern, arguments: list[s.Argument], label: Label
    ) -> ir.ExternInstance:
        loc = label.loc
        constructor = self._constructor(decl, arguments, loc)
        call = s.Call(loc, s.Name(loc, decl.name), [], arguments)
        bindings = dict(zip(decl.type_params, type_.arguments, strict=True))
        types, _ = self._signature(constructor, bindings, self._extern_order(decl.name))
        bound = self.bind(constructor.params, call, f"'{decl.name}'")
        values: list[ir.Expression] = []
        for param, param_type, given in zip(constructor.params, types, bound, strict=True):
            value = self.argument(param, param_type, given, decl.name)
            if not is_literal(value):
                raise error(
                    value.loc, f"parameter '{param.name}' of '{decl.name}' must be a constant"
                )
            values.append(value)
        if not self._is_system(decl.loc):
            raise unsupported(loc, f"extern '{decl.name}' (v1model does not have it)")
        extern = erase(type_)
        assert isinstance(extern, ir.Extern)
        if extern.name == "direct_meter":
            colour = extern.arguments[0]
            if not isinstance(colour, ir.Bits | ir.SerializableEnum | ir.Enum):
                raise error(loc, f"the colour of a direct_meter cannot be {article(colour)}")
        return ir.ExternInstance(label.name, extern, tuple(values), label.annotations, loc)

    # without an instance

    def check_alone(self, entry: BlockEntry) -> None:
        """Checks a control or parser for itself, with made-up types and arguments."""
        decl = entry.decl
        if isinstance(decl, s.BlockTypeDecl):
            return
        types: dict[str, ir.Type] = {name: TypeVariable(name) for name in decl.type_params}
        plan = Plan(entry, decl, types, [], decl.name, ())
        with self.inside(plan):
            constructor = self.made_up(decl.constructor)
            statics = self.made_up(p for p in decl.params if is_static(p, self.resolve(p.type)))
        if constructor is not None and statics is not None:
            plan.arguments = list(constructor.values())
            self.elaborate(plan, statics)

    def made_up(self, params: Iterable[s.ParamNode]) -> dict[str, Entry] | None:
        """Stand-ins for arguments; None when nothing can stand in."""
        found: dict[str, Entry] = {}
        for param in params:
            if isinstance(param.type, s.NamedType) and isinstance(
                self.lookup(param.type.name, param.loc), BlockEntry
            ):
                return None
            type_ = self.resolve(param.type)
            if isinstance(type_, ir.Extern):
                known = self.lookup(type_.name, param.loc, True)
                assert isinstance(known, ExternEntry)
                instance = ir.ExternInstance(param.name, type_, (), (), param.loc)
                found[param.name] = ExternInstanceEntry(param.loc, instance, known.decl)
            else:
                value = Value(self._any_value(type_, param.loc), type_)
                found[param.name] = ConstEntry(param.loc, value)
        return found

    def _any_value(self, type_: ir.Type, loc: ir.Loc) -> ir.Expression:
        match type_:
            case ir.InfInt():
                return ir.IntLiteral(type_, loc, 1)
            case ir.String():
                return ir.StringLiteral(type_, loc, "")
            case TypeVariable():
                return ir.InvalidValue(type_, loc)  # it only has to count as a constant
        return self.default_value(type_, loc)


def identity(entry: Entry) -> object:
    """What makes two arguments the same."""
    if isinstance(entry, ExternInstanceEntry):
        return id(entry.instance)
    assert isinstance(entry, ConstEntry)
    return entry.value.node
