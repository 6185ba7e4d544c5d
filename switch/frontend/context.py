"""What all parts of the checker share: scopes, diagnostics, and the unit being elaborated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from switch import ir
from switch.frontend import syntax as s
from switch.frontend.errors import CompileError, Diagnostic, error
from switch.frontend.scopes import (
    BrokenEntry,
    Entry,
    Scope,
    ScopeKind,
    TypeEntry,
    Value,
    silent,
)


@dataclass(slots=True)
class Owner:
    """A control or parser instance while it is elaborated; what it collects."""

    name: str
    externs: list[ir.ExternInstance] = field(default_factory=list)
    controls: list[ir.Control] = field(default_factory=list)
    parsers: list[ir.Parser] = field(default_factory=list)
    actions: list[ir.Action] = field(default_factory=list)
    tables: list[ir.Table] = field(default_factory=list)
    value_sets: list[ir.ValueSet] = field(default_factory=list)


@dataclass(slots=True)
class Unit:
    """The code being checked.

    `kind`: "control", "parser", "action", "function" or "" (top level). `owner`: the control or
    parser it belongs to. `names`: variable names in use there.
    """

    kind: str
    owner: Owner
    names: set[str]
    result: ir.Type | None = None
    loops: int = 0


@dataclass(frozen=True, slots=True)
class Label:
    """What an instance is called, and where that was said."""

    name: str
    annotations: ir.Annotations
    loc: ir.Loc


class Context:
    """State shared by all checker mix-ins."""

    def __init__(self) -> None:
        self.globals = Scope(None)
        self.scope = self.globals
        self.diagnostics: list[Diagnostic] = []
        self.unit = Unit("", Owner(""), set())
        self.horizon: int | None = None
        """Top-level declarations after this one cannot be seen (names are declared before use)."""
        self.order = 0
        self.errors: list[str] = []
        self.match_kinds: set[str] = set()
        self.types: dict[str, ir.Type] = {}
        self.functions: list[ir.Function] = []
        self.depth = 0
        self.settled: set[ir.Variable] = set()
        """Parameters without direction: known before the code that uses them runs."""

    # diagnostics

    def report(self, problem: CompileError) -> None:
        self.diagnostics.extend(problem.diagnostics)

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Collects the complaint and goes on after the block."""
        try:
            yield
        except CompileError as problem:
            self.report(problem)

    @contextmanager
    def deeper(self, loc: ir.Loc) -> Iterator[None]:
        """Guards recursion through instances and functions."""
        self.depth += 1
        if self.depth > 40:
            raise error(loc, "instances or functions nested too deeply (is it recursive?)")
        try:
            yield
        finally:
            self.depth -= 1

    # names

    def declare(self, name: str, entry: Entry) -> None:
        self._check_shadowing(name, entry)
        if self.scope is self.globals:
            self.order += 1
            entry.order = self.order
        self.scope.declare(name, entry)

    def _check_shadowing(self, name: str, entry: Entry) -> None:
        """A declaration may shadow anything but a parameter, and the locals of a block its
        parameters too."""
        if self.scope.kind == "parameters":
            return
        levels = list(self.scope.chain())[1:]
        if self.scope.kind == "locals":
            levels = levels[1:]
        for level in levels:
            before = level.names.get(name)
            if level.kind == "parameters" and not isinstance(before, TypeEntry | None):
                raise error(entry.loc, f"'{name}' shadows the parameter declared at {before.loc}")

    def declare_broken(self, name: str, loc: ir.Loc) -> None:
        """So that uses of a declaration that failed are not complained about."""
        if name not in self.scope.names:
            self.scope.names[name] = BrokenEntry(loc)

    def find(self, name: str, from_global: bool = False) -> Entry | None:
        scope = self.globals if from_global else self.scope
        for level in scope.chain():
            entry = level.names.get(name)
            if entry is None:
                continue
            if level is self.globals and self.horizon is not None and entry.order > self.horizon:
                continue
            if isinstance(entry, BrokenEntry):
                raise silent()
            return entry
        return None

    def lookup(self, name: str, loc: ir.Loc, from_global: bool = False) -> Entry:
        entry = self.find(name, from_global)
        if entry is None:
            later = self.globals.names.get(name)
            if later is not None and later.order - 1 == self.horizon:
                raise error(loc, f"'{name}' cannot be used in its own declaration")
            if later is not None:
                raise error(
                    loc, f"'{name}' is declared only later, at {later.loc}: it must come before"
                )
            raise error(loc, f"'{name}' is not declared")
        return entry

    @contextmanager
    def inner_scope(self, kind: ScopeKind = "") -> Iterator[Scope]:
        before = self.scope
        self.scope = Scope(before, kind)
        try:
            yield self.scope
        finally:
            self.scope = before

    @contextmanager
    def global_scope(self, unit: Unit, horizon: int | None) -> Iterator[None]:
        """Checks a top-level declaration, seeing only what was declared before it."""
        before = self.scope, self.unit, self.horizon
        self.scope, self.unit, self.horizon = self.globals, unit, horizon
        try:
            yield
        finally:
            self.scope, self.unit, self.horizon = before

    def fresh(self, name: str) -> str:
        """A variable name that is unique in the unit."""
        names = self.unit.names
        candidate, count = name, 0
        while candidate in names:
            count += 1
            candidate = f"{name}_{count}"
        names.add(candidate)
        return candidate

    # annotations and control-plane names

    def annotations(self, nodes: s.Annotations) -> ir.Annotations:
        """Converts annotations; structured ones (`@name[…]`) may not be repeated (section 20.2)."""
        structured: set[str] = set()
        for node in nodes:
            if node.structured and node.name in structured:
                raise error(node.loc, f"structured annotation '@{node.name}' is given twice")
            if node.structured:
                structured.add(node.name)
        return tuple(self._annotation(node) for node in nodes)

    def _annotation(self, node: s.AnnotationNode) -> ir.Annotation:
        if node.structured:
            return self._structured(node)
        values: list[ir.AnnotationValue] = []
        pairs: list[tuple[str, ir.AnnotationValue]] = []
        for expression in node.values:
            value = self._annotation_value(expression)
            if value is None:
                break
            values.append(value)
        for key, expression in node.pairs:
            value = self._annotation_value(expression)
            if value is not None:
                pairs.append((key, value))
        if len(values) != len(node.values):
            values = []
        if node.name in ("name", "deprecated") and not (
            len(values) == 1 and isinstance(values[0], str)
        ):
            raise error(node.loc, f"@{node.name} needs one string")
        return ir.Annotation(node.name, node.text, tuple(values), tuple(pairs), loc=node.loc)

    def _structured(self, node: s.AnnotationNode) -> ir.Annotation:
        if node.values and node.pairs:
            raise error(node.loc, f"@{node.name} mixes values and 'name = value'")
        keys = [key for key, _ in node.pairs]
        for index, (key, value) in enumerate(node.pairs):
            if key in keys[:index]:
                raise error(value.loc, f"@{node.name} has '{key}' twice")
        values = tuple(self._structured_value(node.name, v) for v in node.values)
        pairs = tuple((key, self._structured_value(node.name, v)) for key, v in node.pairs)
        return ir.Annotation(node.name, node.text, values, pairs, True, node.loc)

    def _structured_value(self, name: str, node: s.Expr) -> ir.AnnotationValue:
        value = self.expression(node)
        literals = ir.IntLiteral | ir.BoolLiteral | ir.StringLiteral
        if not isinstance(value.node, literals) or not isinstance(
            value.type, ir.InfInt | ir.Bool | ir.String
        ):
            raise error(
                node.loc, f"the values of @{name} must be constants of type int, bool or string"
            )
        return value.node.value

    def _annotation_value(self, expression: s.Expr) -> ir.AnnotationValue | None:
        if isinstance(expression, s.Str | s.Bool):
            return expression.value
        try:
            node = self.expression(expression).node
        except CompileError:
            return None  # annotations are free text: what is no constant stays text
        literals = ir.IntLiteral | ir.BoolLiteral | ir.StringLiteral
        return node.value if isinstance(node, literals) else None

    def plane_name(self, annotations: ir.Annotations, name: str) -> str:
        """The fully-qualified control-plane name of a declaration in the current owner."""
        found = ir.annotation(annotations, "name")
        if found is not None:
            name = str(found.values[0])
            if not name:
                raise error(found.loc or ir.Loc("", 0, 0), "@name is empty")
            if name.startswith("."):
                return name[1:]
        prefix = self.unit.owner.name
        return f"{prefix}.{name}" if prefix else name

    # given by the mix-ins

    def expression(self, node: s.Expr, expected: ir.Type | None = None) -> Value:
        raise NotImplementedError

    def resolve(self, node: s.TypeNode) -> ir.Type:
        raise NotImplementedError


def literal_int(value: Value, what: str) -> int:
    """The value of an integer constant."""
    if not isinstance(value.node, ir.IntLiteral):
        raise error(value.node.loc, f"{what} must be a compile-time known integer")
    return value.node.value
