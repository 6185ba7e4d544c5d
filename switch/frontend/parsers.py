"""Checking of parser states (P4_16 section 13)."""

from __future__ import annotations

from switch import ir
from switch.frontend import syntax as s
from switch.frontend.context import literal_int
from switch.frontend.errors import CompileError, error
from switch.frontend.scopes import Value, ValueSetEntry
from switch.frontend.tables import TableChecker
from switch.frontend.type_rules import article, erase, is_scalar


class ParserChecker(TableChecker):
    """States, transitions and value sets."""

    def states(self, decl: s.ParserDecl) -> dict[str, ir.State]:
        names: dict[str, ir.Loc] = {}
        for node in decl.states:
            if node.name in ("accept", "reject"):
                raise error(node.loc, f"state '{node.name}' is built in and cannot be declared")
            if node.name in names:
                raise error(
                    node.loc, f"state '{node.name}' is already declared at {names[node.name]}"
                )
            names[node.name] = node.loc
        if "start" not in names:
            raise error(decl.loc, f"parser '{decl.name}' has no state 'start'")
        known = {*names, "accept", "reject"}
        _check_reach(decl)
        return {node.name: self._state(node, known) for node in decl.states}

    def _state(self, node: s.StateDecl, known: set[str]) -> ir.State:
        transition: ir.Goto | ir.Select = ir.Goto(node.loc, "reject")
        with self.inner_scope():
            body = self.statements(node.body)
            if node.transition is not None:
                try:
                    transition = self._transition(node.transition, known)
                except CompileError as problem:
                    self.report(problem)
        return ir.State(node.name, body, transition, self.annotations(node.annotations), node.loc)

    def _target(self, name: str, loc: ir.Loc, known: set[str]) -> str:
        if name not in known:
            raise error(loc, f"state '{name}' is not declared")
        return name

    def _transition(self, node: s.TransitionNode, known: set[str]) -> ir.Goto | ir.Select:
        if node.state is not None:
            return ir.Goto(node.loc, self._target(node.state, node.loc, known))
        subjects = node.select
        if len(subjects) == 1 and isinstance(subjects[0], s.ListExpr):
            subjects = subjects[0].elements
        whole = [self.sized(e, "an expression of 'select'") for e in subjects]
        values = [leaf for value in whole for leaf in self._leaves(value)]
        types = [v.type for v in whole]
        cases: list[ir.SelectCase] = []
        for case in node.cases:
            with self.reporting():
                cases.append(self._case(case, types, known))
        return ir.Select(node.loc, tuple(v.node for v in values), tuple(cases))

    def _case(self, node: s.CaseNode, types: list[ir.Type], known: set[str]) -> ir.SelectCase:
        state = self._target(node.state, node.state_loc, known)
        keysets = node.keysets
        if len(keysets) == 1:
            only = keysets[0]
            if isinstance(only, s.ListExpr):
                keysets = only.elements
            elif isinstance(only, s.DontCare):
                keysets = [only] * len(types)
            else:
                whole = self._whole_value_set(only, types)
                if whole is not None:
                    return ir.SelectCase((whole,), state, node.loc)
        if len(keysets) != len(types):
            raise error(
                node.loc,
                f"'select' has {len(types)} expressions, this case has {len(keysets)} keysets",
            )
        checked = [
            leaf for k, t in zip(keysets, types, strict=True) for leaf in self._keyset_leaves(k, t)
        ]
        return ir.SelectCase(tuple(checked), state, node.loc)

    def _leaves(self, value: Value) -> list[Value]:
        """A value of a tuple or struct type as its scalars, in order."""
        node, type_ = value.node, erase(value.type)
        parts: list[Value]
        match type_:
            case ir.Tuple():
                if isinstance(node, ir.TupleValue):
                    parts = [Value(e, e.type) for e in node.elements]
                else:
                    parts = [
                        Value(ir.TupleIndex(t, node.loc, node, i), t)
                        for i, t in enumerate(type_.elements)
                    ]
            case ir.Struct():
                parts = [
                    Value(ir.Member(f.type, node.loc, node, f.name), f.type) for f in type_.fields
                ]
            case _:
                if not is_scalar(type_):
                    raise error(node.loc, f"'select' is not defined on {article(type_)}")
                return [value]
        return [leaf for part in parts for leaf in self._leaves(part)]

    def _keyset_leaves(self, node: s.Expr, type_: ir.Type) -> list[ir.Keyset]:
        members = _members(erase(type_))
        if members is None:
            return [self.keyset(node, type_)]
        if isinstance(node, s.DontCare):
            elements: list[s.Expr] = [node] * len(members)
        elif isinstance(node, s.ListExpr) and len(node.elements) == len(members):
            elements = node.elements
        else:
            raise error(node.loc, f"a keyset for {article(type_)} must be a list of its members")
        return [
            leaf
            for element, member in zip(elements, members, strict=True)
            for leaf in self._keyset_leaves(element, member)
        ]

    def _whole_value_set(self, node: s.Expr, types: list[ir.Type]) -> ir.ValueSetKey | None:
        """A value_set of a struct or tuple, matching all expressions together."""
        if not isinstance(node, s.Name):
            return None
        entry = self.lookup(node.name, node.loc, node.from_global)
        if not isinstance(entry, ValueSetEntry):
            return None
        members = _members(entry.value_set.type)
        if members is None:
            return None
        if members != [erase(t) for t in types]:
            raise error(node.loc, f"value_set '{node.name}' does not have the types of 'select'")
        return ir.ValueSetKey(node.loc, entry.value_set)

    def value_set(self, decl: s.ValueSetDecl) -> None:
        type_ = erase(self.resolve(decl.type))
        members = _members(type_) or [type_]
        for member in members:
            if not is_scalar(member):
                raise error(decl.type.loc, f"a value_set cannot be of type {article(type_)}")
        size = literal_int(self.expression(decl.size), "the size of a value_set")
        if size < 1:
            raise error(decl.size.loc, f"size {size} of a value_set must be positive")
        notes = self.annotations(decl.annotations)
        name = self.plane_name(notes, decl.name)
        matches = (
            tuple(_match(f.annotations) for f in type_.fields)
            if isinstance(type_, ir.Struct)
            else (_match(notes),) * len(members)
        )
        value_set = ir.ValueSet(name, type_, size, matches, notes, decl.loc)
        self.declare(decl.name, ValueSetEntry(decl.loc, value_set))
        self.unit.owner.value_sets.append(value_set)


def _check_reach(decl: s.ParserDecl) -> None:
    """Some path must lead from the start to accept or reject."""
    following: dict[str, list[str]] = {}
    for node in decl.states:
        transition = node.transition
        if transition is None:
            following[node.name] = ["reject"]
        elif transition.state is not None:
            following[node.name] = [transition.state]
        else:
            following[node.name] = [case.state for case in transition.cases] or ["reject"]
    reached: set[str] = set()
    waiting = ["start"]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(following.get(name, []))
    # a target that is not declared is complained about where it is named
    if reached <= following.keys():
        raise error(decl.loc, f"parser '{decl.name}' never reaches accept or reject")


def _members(type_: ir.Type) -> list[ir.Type] | None:
    match type_:
        case ir.Struct():
            return [f.type for f in type_.fields]
        case ir.Tuple():
            return list(type_.elements)
    return None


def _match(notes: ir.Annotations) -> str:
    found = ir.annotation(notes, "match")
    return found.text if found is not None and found.text else "exact"
