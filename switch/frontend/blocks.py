"""Elaboration of controls, parsers, actions and functions (P4_16 sections 10, 13 to 15)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from switch import ir
from switch.frontend import syntax as s
from switch.frontend.context import Owner, Unit
from switch.frontend.errors import CompileError, error, unsupported
from switch.frontend.instances import InstanceChecker, identity
from switch.frontend.parameters import check_params
from switch.frontend.scopes import ActionEntry, Entry, MadeBlock, Plan, VarEntry
from switch.frontend.type_rules import article, erase

# Nested instances multiply; a program with more is a mistake that would only exhaust memory.
MAX_INSTANCES = 4096


class BlockElaborator(InstanceChecker):
    """Makes one object per instance."""

    def __init__(self) -> None:
        super().__init__()
        self._functions: dict[tuple[int, tuple[ir.Type, ...], tuple[object, ...]], ir.Function] = {}
        self._instances = 0
        self.elaborated: set[str] = set()
        """Names of controls and parsers that had an instance."""

    # parameters

    def params(
        self, nodes: Sequence[s.ParamNode], kind: str, statics: Mapping[str, Entry] | None = None
    ) -> list[tuple[s.ParamNode, ir.Param, ir.Type]]:
        """Declares parameters in the current scope; those that are not in `statics` are for run
        time."""
        found: list[tuple[s.ParamNode, ir.Param, ir.Type]] = []
        for node in nodes:
            if statics is not None and node.name in statics:
                self.declare(node.name, statics[node.name])
                continue
            type_ = self.resolve(node.type)
            plain = erase(type_)
            self._check_param(node, plain, kind)
            if node.default is not None:
                self.constant(node.default, type_, f"the default of parameter '{node.name}'")
            param = ir.Param(
                self.fresh(node.name),
                plain,
                node.loc,
                node.name,
                self.annotations(node.annotations),
                direction=self._passing(node, plain, kind),
                declared=type_ if isinstance(type_, ir.NewType) else None,
            )
            if not node.direction:
                self.settled.add(param)
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
            if kind == "action":
                raise error(node.loc, f"parameter '{node.name}' of {kind} cannot be of {plain}")
            if kind == "function":
                raise unsupported(node.loc, f"a parameter of type {plain} of {kind}")
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
        check_params(decl)
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
            with self.inner_scope("parameters"):
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
        self,
        decl: s.FunctionDecl,
        bindings: Mapping[str, ir.Type],
        order: int,
        statics: Mapping[str, Entry],
    ) -> ir.Function:
        """The function with its type parameters, objects and `int` values bound; each combination
        is made once."""
        key = id(decl), tuple(bindings.values()), tuple(map(identity, statics.values()))
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
            with self.inner_scope("parameters"):
                params = self.params(decl.params, "function", statics)
                body = self.block(decl.body)
        whole = len(self.diagnostics) == complaints
        if whole and not isinstance(result, ir.Void) and not _always_returns(body):
            raise error(decl.loc, f"function '{decl.name}' does not return a value on all paths")
        suffix = f"<{', '.join(map(str, bindings.values()))}>" if bindings else ""
        if statics:
            suffix += f"#{len(self._functions)}"  # no type tells these apart
        function = ir.Function(
            decl.name + suffix, erase(result), tuple(p for _, p, _ in params), body, decl.loc
        )
        self._functions[key] = function
        self.functions.append(function)
        return function

    # controls and parsers

    def elaborate(self, plan: Plan, statics: Mapping[str, Entry]) -> MadeBlock:
        """An instance, with what `statics` says about parameters that stand for objects."""
        decl = plan.decl
        self.elaborated.add(decl.name)
        self._instances += 1
        if self._instances > MAX_INSTANCES:
            raise error(decl.loc, f"more than {MAX_INSTANCES} instances of controls and parsers")
        kind = "parser" if isinstance(decl, s.ParserDecl) else "control"
        with self.deeper(decl.loc), self.inside(plan, Unit(kind, Owner(plan.name), set())):
            for param, argument in zip(decl.constructor, plan.arguments, strict=True):
                self.declare(param.name, argument)
            params = self.params(decl.params, kind, statics)
            notes = (*self.annotations(decl.annotations), *plan.annotations)
            with self.inner_scope("locals"):
                prologue = self._locals(decl.locals)
                types = tuple(t for _, _, t in params)
                found = tuple(p for _, p, _ in params)
                if isinstance(decl, s.ParserDecl):
                    return MadeBlock(self._parser(decl, found, prologue, notes), types)
                return MadeBlock(self._control(decl, found, prologue, notes), types)

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
