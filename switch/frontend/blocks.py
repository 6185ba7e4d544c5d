"""Elaboration of controls, parsers, actions, functions and instances (sections 11, 14, 15)."""

from __future__ import annotations

from collections.abc import Sequence

from switch import ir
from switch.frontend import syntax as s
from switch.frontend.context import Label, Owner, Unit
from switch.frontend.errors import CompileError, error, unsupported
from switch.frontend.parsers import ParserChecker
from switch.frontend.scopes import (
    ActionEntry,
    BlockEntry,
    BlockInstanceEntry,
    ConstEntry,
    Entry,
    ExternEntry,
    ExternInstanceEntry,
    TypeEntry,
    Value,
    VarEntry,
)
from switch.frontend.type_rules import article, erase, is_literal, is_scalar

# Nested instances multiply; a program with more is a mistake that would only exhaust memory.
MAX_INSTANCES = 4096


class BlockElaborator(ParserChecker):
    """Makes one object per instance."""

    def __init__(self) -> None:
        super().__init__()
        self._functions: dict[tuple[int, tuple[ir.Type, ...]], ir.Function] = {}
        self._instances = 0
        self.elaborated: set[str] = set()
        """Names of controls and parsers that had an instance."""

    # parameters

    def params(
        self, nodes: Sequence[s.ParamNode], kind: str
    ) -> list[tuple[s.ParamNode, ir.Param, ir.Type]]:
        """Declares run-time parameters in the current scope."""
        found: list[tuple[s.ParamNode, ir.Param, ir.Type]] = []
        for node in nodes:
            type_ = self.resolve(node.type)
            plain = erase(type_)
            self._check_param(node, plain, kind)
            param = ir.Param(
                self.fresh(node.name),
                plain,
                node.loc,
                node.name,
                self.annotations(node.annotations),
                direction=self._passing(node, plain, kind),
                declared=type_ if isinstance(type_, ir.NewType) else None,
            )
            writable = node.direction in ("out", "inout")
            self.declare(node.name, VarEntry(node.loc, param, type_, writable))
            found.append((node, param, type_))
        return found

    def _passing(self, node: s.ParamNode, plain: ir.Type, kind: str) -> ir.Direction:
        """Outside of actions a value without direction is passed in (and must be a constant)."""
        if node.direction == "" and kind != "action" and not isinstance(plain, ir.Extern):
            return "in"
        return node.direction

    def _check_param(self, node: s.ParamNode, plain: ir.Type, kind: str) -> None:
        if isinstance(plain, ir.Extern):
            if node.direction:
                raise error(node.loc, f"parameter '{node.name}' of type {plain} has a direction")
            if kind in ("action", "function"):
                raise unsupported(node.loc, f"a parameter of type {plain} of {kind}")
            if plain.name not in ("packet_in", "packet_out"):
                raise unsupported(node.loc, f"a run-time parameter of type {plain}")
        elif isinstance(plain, ir.InfInt | ir.String | ir.Void):
            raise error(node.loc, f"parameter '{node.name}' cannot be of type {plain}")
        elif (
            node.direction == ""
            and kind == "action"
            and not isinstance(plain, ir.Bits | ir.Bool | ir.SerializableEnum | ir.Enum | ir.Error)
        ):
            raise error(node.loc, f"action data '{node.name}' cannot be of type {article(plain)}")

    # actions

    def action(self, decl: s.ActionDecl) -> None:
        notes = self.annotations(decl.annotations)
        action = ir.Action(
            self.plane_name(notes, decl.name),
            (),
            ir.Block(decl.loc, ()),
            notes,
            decl.loc,
        )
        before = self.unit
        self.unit = Unit("action", before.owner, before.names)
        try:
            with self.inner_scope():
                params = self.params(decl.params, "action")
                seen_data = False
                for node, _, _ in params:
                    if seen_data and node.direction:
                        raise error(
                            node.loc,
                            f"parameter '{node.name}' has a direction: it must come before those "
                            "without",
                        )
                    seen_data = seen_data or not node.direction
                action.params = tuple(p for _, p, _ in params)
                action.body = self.block(decl.body)
        except CompileError:
            self.declare_broken(decl.name, decl.loc)
            raise
        finally:
            self.unit = before
        self.declare(decl.name, ActionEntry(decl.loc, action, params))
        self.unit.owner.actions.append(action)

    # functions

    def function(
        self, decl: s.FunctionDecl, bindings: dict[str, ir.Type], order: int
    ) -> ir.Function:
        """The function with its type parameters bound; each combination is made once."""
        key = id(decl), tuple(bindings.values())
        known = self._functions.get(key)
        if known is not None:
            return known
        assert decl.body is not None
        unit = Unit("function", Owner(""), set())
        # a function sees what was declared before it, so it cannot call itself
        complaints = len(self.diagnostics)
        with self.deeper(decl.loc), self.global_scope(unit, order - 1), self.inner_scope():
            self.bind_types(bindings.keys(), bindings.values(), decl.loc)
            result = self.resolve(decl.result)
            unit.result = result
            with self.inner_scope():
                params = self.params(decl.params, "function")
                body = self.block(decl.body)
        whole = len(self.diagnostics) == complaints
        if whole and not isinstance(result, ir.Void) and not _always_returns(body):
            raise error(decl.loc, f"function '{decl.name}' does not return a value on all paths")
        suffix = f"<{', '.join(map(str, bindings.values()))}>" if bindings else ""
        function = ir.Function(
            decl.name + suffix, erase(result), tuple(p for _, p, _ in params), body, decl.loc
        )
        self._functions[key] = function
        self.functions.append(function)
        return function

    # instances

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
        found = self.extern_type(type_)
        if found is not None:
            instance = self.extern_instance(*found, decl.arguments, label)
            self.unit.owner.externs.append(instance)
            return ExternInstanceEntry(decl.loc, instance, found[0])
        match entry:
            case BlockEntry(decl=s.ControlDecl() | s.ParserDecl()):
                if self.unit.kind == "":
                    raise error(decl.loc, "controls and parsers cannot be instantiated here")
                return self.sub_block(entry, type_, decl.arguments, label)
        raise error(decl.loc, f"'{type_.name}' cannot be instantiated here")

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
        if type_.arguments:
            raise error(loc, f"'{decl.name}' is not generic")
        bound = self._constructor_arguments(decl, arguments, label.name, loc)
        block, types = self.elaborate(entry, bound, label.name, label.annotations)
        if isinstance(block, ir.Parser):
            self.unit.owner.parsers.append(block)
        else:
            self.unit.owner.controls.append(block)
        return BlockInstanceEntry(loc, block, types, decl)

    def direct_instance(self, entry: BlockEntry, base: s.TypeName) -> BlockInstanceEntry:
        """`C.apply(…)`: an instance named after its type (section 15.1)."""
        assert isinstance(base.type, s.NamedType)
        name = self.plane_name((), base.type.name)
        return self.sub_block(entry, base.type, [], Label(name, (), base.loc))

    def extern_type(self, node: s.TypeNode) -> tuple[s.ExternDecl, ir.Extern] | None:
        """The extern that `node` names, perhaps through a typedef; None when it is none."""
        if not isinstance(node, s.NamedType):
            return None
        entry = self.lookup(node.name, node.loc, node.from_global)
        if not isinstance(entry, ExternEntry | TypeEntry):
            return None
        type_ = self.resolve(node)
        if not isinstance(type_, ir.Extern):
            return None
        extern = self.lookup(type_.name, node.loc, True)
        assert isinstance(extern, ExternEntry)
        return extern.decl, type_

    def extern_instance(
        self, decl: s.ExternDecl, type_: ir.Extern, arguments: list[s.Argument], label: Label
    ) -> ir.ExternInstance:
        loc = label.loc
        if not self._is_system(decl.loc):
            raise unsupported(loc, f"extern '{decl.name}' (v1model does not have it)")
        constructors = [m for m in decl.methods if m.name == decl.name]
        if not constructors:
            raise error(loc, f"extern '{decl.name}' cannot be instantiated")
        call = s.Call(loc, s.Name(loc, decl.name), [], arguments)
        constructor = self.choose(constructors, call, decl.name)
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
        extern = erase(type_)
        assert isinstance(extern, ir.Extern)
        if extern.name == "register" and not is_scalar(extern.arguments[0]):
            raise unsupported(loc, f"a register of {article(extern.arguments[0])}")
        return ir.ExternInstance(label.name, extern, tuple(values), label.annotations, loc)

    def _constructor_arguments(
        self,
        decl: s.ControlDecl | s.ParserDecl,
        arguments: list[s.Argument],
        name: str,
        loc: ir.Loc,
    ) -> list[Entry]:
        """What each constructor parameter stands for in this instance."""
        call = s.Call(loc, s.Name(loc, decl.name), [], arguments)
        bound = self.bind(decl.constructor, call, f"'{decl.name}'")
        return [
            self._constructor_argument(param, given, name)
            for param, given in zip(decl.constructor, bound, strict=True)
        ]

    def _constructor_argument(
        self, param: s.ParamNode, given: s.Argument | None, name: str
    ) -> Entry:
        if param.direction:
            raise error(param.loc, f"constructor parameter '{param.name}' cannot have a direction")
        value = given.value if given is not None else param.default
        assert value is not None
        if isinstance(value, s.Name):
            entry = self.lookup(value.name, value.loc, value.from_global)
            if isinstance(entry, ExternInstanceEntry):
                if self.resolve(param.type) != entry.instance.type:
                    raise error(
                        value.loc,
                        f"parameter '{param.name}' is of another type than '{value.name}'",
                    )
                return ExternInstanceEntry(value.loc, entry.instance, entry.decl)
            if isinstance(entry, BlockInstanceEntry):
                return BlockInstanceEntry(value.loc, entry.block, entry.types, entry.decl)
        if isinstance(value, s.Call) and isinstance(value.callee, s.TypeName):
            return self._constructed(param, value, f"{name}.{param.name}")
        type_ = self.resolve(param.type)
        node = self.constant(value, type_, f"constructor parameter '{param.name}'")
        return ConstEntry(value.loc, Value(node, type_))

    def _constructed(self, param: s.ParamNode, call: s.Call, name: str) -> Entry:
        """An object made in the argument list itself."""
        assert isinstance(call.callee, s.TypeName)
        type_ = call.callee.type
        label = Label(name, (), call.loc)
        found = self.extern_type(type_)
        if found is not None:
            instance = self.extern_instance(*found, call.arguments, label)
            self.unit.owner.externs.append(instance)
            return ExternInstanceEntry(param.loc, instance, found[0])
        entry = self.lookup(type_.name, type_.loc) if isinstance(type_, s.NamedType) else None
        if not isinstance(entry, BlockEntry):
            raise error(call.loc, f"parameter '{param.name}' cannot be given this object")
        assert isinstance(type_, s.NamedType)
        return self.sub_block(entry, type_, call.arguments, label)

    # controls and parsers

    def elaborate(
        self, entry: BlockEntry, arguments: Sequence[Entry], name: str, notes: ir.Annotations
    ) -> tuple[ir.Control | ir.Parser, tuple[ir.Type, ...]]:
        """An instance with its constructor parameters bound, and its parameters' types."""
        decl = entry.decl
        assert not isinstance(decl, s.BlockTypeDecl)
        if decl.type_params:
            raise error(decl.loc, f"'{decl.name}' has a body: it cannot be generic")
        self.elaborated.add(decl.name)
        self._instances += 1
        if self._instances > MAX_INSTANCES:
            raise error(decl.loc, f"more than {MAX_INSTANCES} instances of controls and parsers")
        kind = "parser" if isinstance(decl, s.ParserDecl) else "control"
        unit = Unit(kind, Owner(name), set())
        with self.deeper(decl.loc), self.global_scope(unit, entry.order), self.inner_scope():
            for param, argument in zip(decl.constructor, arguments, strict=True):
                self.declare(param.name, argument)
            params = self.params(decl.params, kind)
            all_notes = (*self.annotations(decl.annotations), *notes)
            with self.inner_scope():
                prologue = self._locals(decl.locals)
                types = tuple(t for _, _, t in params)
                found = tuple(p for _, p, _ in params)
                if isinstance(decl, s.ParserDecl):
                    return self._parser(decl, found, prologue, all_notes), types
                return self._control(decl, found, prologue, all_notes), types

    def _locals(self, decls: Sequence[s.Decl]) -> tuple[ir.Statement, ...]:
        prologue: list[ir.Statement] = []
        for decl in decls:
            with self.reporting():
                match decl:
                    case s.VarDecl():
                        prologue.append(self.declare_variable(decl))
                    case s.ConstDecl():
                        self.declare_constant(decl)
                    case s.InstanceDecl():
                        self.instance(decl)
                    case s.ActionDecl():
                        self.action(decl)
                    case s.TableDecl():
                        self.table(decl)
                    case s.ValueSetDecl():
                        self.value_set(decl)
        return tuple(prologue)

    def _parser(
        self,
        decl: s.ParserDecl,
        params: tuple[ir.Param, ...],
        prologue: tuple[ir.Statement, ...],
        notes: ir.Annotations,
    ) -> ir.Parser:
        states = self.states(decl)
        owner = self.unit.owner
        return ir.Parser(
            name=owner.name,
            type_name=decl.name,
            params=params,
            prologue=prologue,
            states=states,
            value_sets=tuple(owner.value_sets),
            externs=tuple(owner.externs),
            parsers=tuple(owner.parsers),
            annotations=notes,
            loc=decl.loc,
        )

    def _control(
        self,
        decl: s.ControlDecl,
        params: tuple[ir.Param, ...],
        prologue: tuple[ir.Statement, ...],
        notes: ir.Annotations,
    ) -> ir.Control:
        body = self.block(decl.body)
        owner = self.unit.owner
        return ir.Control(
            name=owner.name,
            type_name=decl.name,
            params=params,
            prologue=prologue,
            actions=tuple(owner.actions),
            tables=tuple(owner.tables),
            externs=tuple(owner.externs),
            controls=tuple(owner.controls),
            body=body,
            annotations=notes,
            loc=decl.loc,
        )

    def check_unused(self, entry: BlockEntry) -> None:
        """Checks a control or parser that has no instance, with made-up constructor arguments."""
        decl = entry.decl
        if isinstance(decl, s.BlockTypeDecl):
            return
        arguments: list[Entry] = []
        with self.global_scope(Unit("", Owner(""), set()), entry.order):
            for param in decl.constructor:
                if isinstance(param.type, s.NamedType) and isinstance(
                    self.lookup(param.type.name, param.loc), BlockEntry
                ):
                    return  # what it would be given is not known
                type_ = self.resolve(param.type)
                if isinstance(type_, ir.Extern):
                    known = self.lookup(type_.name, param.loc)
                    assert isinstance(known, ExternEntry)
                    instance = ir.ExternInstance(param.name, type_, (), (), param.loc)
                    arguments.append(ExternInstanceEntry(param.loc, instance, known.decl))
                elif isinstance(type_, ir.InfInt | ir.String):
                    literal: ir.Expression = (
                        ir.IntLiteral(type_, param.loc, 1)
                        if isinstance(type_, ir.InfInt)
                        else ir.StringLiteral(type_, param.loc, "")
                    )
                    arguments.append(ConstEntry(param.loc, Value(literal, type_)))
                else:
                    value = Value(self.default_value(type_, param.loc), type_)
                    arguments.append(ConstEntry(param.loc, value))
        self.elaborate(entry, arguments, decl.name, ())


def _always_returns(statement: ir.Statement) -> bool:
    match statement:
        case ir.Return() | ir.Exit():
            return True
        case ir.Block(statements=statements):
            return any(_always_returns(s_) for s_ in statements)
        case ir.If(then=then, otherwise=otherwise):
            return otherwise is not None and _always_returns(then) and _always_returns(otherwise)
        case ir.SwitchValue(cases=cases):
            has_default = bool(cases) and cases[-1][0] is None
            return has_default and all(_always_returns(body) for _, body in cases)
    return False
