"""Checking of statements (P4_16 section 12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace

from switch import ir
from switch.frontend import syntax as s
from switch.frontend.arguments import CALLS
from switch.frontend.calls import CallChecker
from switch.frontend.errors import CompileError, error, unsupported
from switch.frontend.scopes import ActionEntry, ConstEntry, Value, VarEntry
from switch.frontend.type_rules import BOOL, article, erase, is_literal


class StatementChecker(CallChecker):
    """Statements and the declarations among them."""

    def block(self, node: s.Block) -> ir.Block:
        with self.inner_scope():
            body = self.statements(node.statements)
        return ir.Block(node.loc, body, self.annotations(node.annotations))

    def statements(self, nodes: Sequence[s.Statement]) -> tuple[ir.Statement, ...]:
        """Checks each; a wrong one is reported and the others are still checked."""
        checked: list[ir.Statement] = []
        for node in nodes:
            with self.reporting():
                statement = self.statement(node)
                if statement is not None:
                    checked.append(statement)
        return tuple(checked)

    def statement(self, node: s.Statement) -> ir.Statement | None:
        match node:
            case s.Assign():
                return self._assign(node)
            case s.CallStatement():
                return self._call_statement(node)
            case s.Block():
                return self.block(node)
            case s.If():
                return self._if(node)
            case s.DeclStatement():
                return self._declaration(node)
            case s.Switch():
                return self._switch(node)
            case s.Return():
                return self._return(node)
            case s.Jump():
                return self._jump(node)
            case s.For():
                return self._for(node)
            case s.ForIn():
                return self._for_in(node)
            case s.Empty():
                return None
        raise AssertionError(node)

    # declarations

    def _declaration(self, node: s.DeclStatement) -> ir.Statement | None:
        match node.declaration:
            case s.ConstDecl() as decl:
                self.declare_constant(decl)
                return None
            case s.VarDecl() as decl:
                return self.declare_variable(decl)
        decl_ = node.declaration
        raise error(
            decl_.loc,
            f"'{decl_.name}' cannot be instantiated here, only as a local of a control or parser",
        )

    def declare_constant(self, decl: s.ConstDecl) -> None:
        try:
            type_ = self.resolve(decl.type)
            value = self.constant(decl.value, type_, f"the value of constant '{decl.name}'")
            self.declare(decl.name, ConstEntry(decl.loc, Value(value, type_)))
        except CompileError:
            self.declare_broken(decl.name, decl.loc)
            raise

    def declare_variable(self, decl: s.VarDecl) -> ir.Statement:
        try:
            type_ = self.resolve(decl.type)
            plain = erase(type_)
            if isinstance(plain, ir.Extern | ir.Void | ir.String | ir.InfInt):
                raise error(
                    decl.type.loc, f"variable '{decl.name}' cannot be of type {article(plain)}"
                )
            value = None
            if decl.value is not None:
                value = self.expect(decl.value, type_, f"the initial value of '{decl.name}'")
            variable = ir.Variable(
                self.fresh(decl.name),
                plain,
                decl.loc,
                decl.name,
                self.annotations(decl.annotations),
            )
            self.declare(decl.name, VarEntry(decl.loc, variable, type_, True))
        except CompileError:
            self.declare_broken(decl.name, decl.loc)
            raise
        return ir.Declare(decl.loc, variable, value)

    # simple statements

    def _assign(self, node: s.Assign) -> ir.Statement:
        target = self.expression(node.target)
        if not target.writable:
            raise error(node.target.loc, "this cannot be assigned: it is not a left-value here")
        if isinstance(target.type, ir.Extern):
            raise error(node.target.loc, f"a value of type {target.type} cannot be assigned")
        indices: list[ir.Statement] = []
        if node.op:
            # Read and written, but its indices are computed once (section 12.1).
            target = replace(target, node=self._steady(target.node, indices))
            operand = self._as_bits(self.expression(node.value))
            value = self.binary_values(node.op, self._as_bits(target), operand, node.loc)
            converted = self.coerce(value, target.type, "the assignment")
        else:
            converted = self.expect(node.value, target.type, "the assignment")
        assign = ir.Assign(node.loc, target.node, converted)
        return ir.Block(node.loc, (*indices, assign)) if indices else assign

    def _steady(self, place: ir.Expression, before: list[ir.Statement]) -> ir.Expression:
        """The same place, with what calls compute for its indices put into variables before."""
        match place:
            case ir.Member(base=base) | ir.Slice(base=base):
                return replace(place, base=self._steady(base, before))
            case ir.StackIndex(stack=stack, index=index):
                stack = self._steady(stack, before)
                if _calls(index):
                    variable = ir.Variable(self.fresh("index"), index.type, index.loc, "index", ())
                    before.append(ir.Declare(index.loc, variable, index))
                    index = ir.Var(index.type, index.loc, variable)
                return replace(place, stack=stack, index=index)
        return place

    def _call_statement(self, node: s.CallStatement) -> ir.Statement | None:
        value = self.call(node.call, None)
        if is_literal(value.node):
            return None  # static_assert, minSizeInBits: nothing remains at run time
        return ir.CallStatement(node.loc, value.node)

    def _if(self, node: s.If) -> ir.Statement:
        condition = self.condition(node.condition, "condition of 'if'")
        then = self._branch(node.then)
        otherwise = self._branch(node.otherwise) if node.otherwise is not None else None
        return ir.If(node.loc, condition, then, otherwise)

    def _branch(self, node: s.Statement) -> ir.Statement:
        if isinstance(node, s.Block):
            return self.block(node)
        with self.inner_scope():
            return ir.Block(node.loc, self.statements([node]))

    def _return(self, node: s.Return) -> ir.Statement:
        kind, result = self.unit.kind, self.unit.result
        if kind == "parser":
            raise error(node.loc, "'return' is not allowed in a parser")
        if kind != "function":
            if node.value is not None:
                raise error(node.loc, f"'return' in {_an(kind)} cannot have a value")
            return ir.Return(node.loc)
        assert result is not None
        if isinstance(result, ir.Void):
            if node.value is not None:
                raise error(node.loc, "'return' of a void function cannot have a value")
            return ir.Return(node.loc)
        if node.value is None:
            raise error(node.loc, f"'return' needs a value of type {article(result)}")
        return ir.Return(node.loc, self.expect(node.value, result, "'return'"))

    def _jump(self, node: s.Jump) -> ir.Statement:
        if node.kind == "exit":
            if self.unit.kind in ("parser", "function"):
                raise error(node.loc, f"'exit' is not allowed in {_an(self.unit.kind)}")
            return ir.Exit(node.loc)
        if self.unit.loops == 0:
            raise error(node.loc, f"'{node.kind}' is only allowed in a loop")
        return ir.Break(node.loc) if node.kind == "break" else ir.Continue(node.loc)

    # switch (section 12.7)

    def _switch(self, node: s.Switch) -> ir.Statement:
        if self.unit.kind == "parser":
            raise error(node.loc, "'switch' is not allowed in a parser")
        if self.unit.kind == "action":
            raise error(node.loc, "'switch' in an action: BMv2 takes none there")
        for index, case in enumerate(node.cases):
            if case.label is None and index != len(node.cases) - 1:
                raise error(node.cases[index + 1].loc, "no label may follow 'default'")
        subject = node.expression
        if isinstance(subject, s.Member) and subject.name == "action_run":
            table = self.applied_table(subject.base)
            if table is not None:
                assert isinstance(subject.base, s.Call)
                self.check_table_call(table, subject.base)
                return self._switch_action(node, table)
        return self._switch_value(node)

    def _switch_action(self, node: s.Switch, table: ir.Table) -> ir.Statement:
        cases: list[tuple[tuple[ir.Action, ...] | None, ir.Block]] = []
        seen: list[ir.Action] = []
        waiting: list[ir.Action] = []
        for case in node.cases:
            if case.label is not None:
                if not isinstance(case.label, s.Name):
                    raise error(case.label.loc, "the label must be an action of the table")
                entry = self.lookup(case.label.name, case.label.loc, case.label.from_global)
                if not isinstance(entry, ActionEntry) or all(
                    ref.action is not entry.action for ref in table.actions
                ):
                    raise error(
                        case.label.loc,
                        f"'{case.label.name}' is not an action of table '{table.name}'",
                    )
                if entry.action in seen:
                    raise error(case.label.loc, f"label '{case.label.name}' occurs twice")
                seen.append(entry.action)
                waiting.append(entry.action)
            body = self._case_body(node, case)
            if body is not None:
                cases.append((None if case.label is None else tuple(waiting), body))
                waiting = []
        return ir.SwitchAction(node.loc, table, tuple(cases))

    def _case_body(self, node: s.Switch, case: s.SwitchCase) -> ir.Block | None:
        """None when it falls through; the last label has nothing to fall into."""
        if case.body is not None:
            return self.block(case.body)
        return ir.Block(case.loc, ()) if case is node.cases[-1] else None

    def _switch_value(self, node: s.Switch) -> ir.Statement:
        subject = self.sized(node.expression, "the expression of 'switch'")
        type_ = subject.type
        if not isinstance(
            erase(type_), ir.Bits | ir.Enum | ir.SerializableEnum | ir.Error | ir.Bool
        ):
            raise error(
                node.expression.loc, f"'switch' is not defined on a value of {article(type_)}"
            )
        cases: list[tuple[tuple[ir.Expression, ...] | None, ir.Block]] = []
        seen: list[ir.Expression] = []
        waiting: list[ir.Expression] = []
        for case in node.cases:
            if case.label is not None:
                label = self.constant(case.label, type_, "the label")
                if label in seen:
                    raise error(case.label.loc, "this label occurs twice")
                seen.append(label)
                waiting.append(label)
            body = self._case_body(node, case)
            if body is not None:
                cases.append((None if case.label is None else tuple(waiting), body))
                waiting = []
        return ir.SwitchValue(node.loc, subject.node, tuple(cases))

    # loops

    def _for(self, node: s.For) -> ir.Statement:
        with self.inner_scope():
            init = self.statements(node.init)
            condition = self.condition(node.condition, "condition of 'for'")
            update = self.statements(node.update)
            return ir.For(node.loc, init, condition, update, self._loop_body(node.body))

    def _loop_body(self, body: s.Statement) -> ir.Statement:
        self.unit.loops += 1
        try:
            return self._branch(body)
        finally:
            self.unit.loops -= 1

    def _for_in(self, node: s.ForIn) -> ir.Statement:
        """`for (x in low .. high)`, counted in one bit more so that `high` may be the maximum."""
        span = node.collection
        if not isinstance(span, s.Range):
            raise unsupported(node.collection.loc, "a 'for' loop over anything but a range")
        with self.inner_scope():
            before = [self.declare_variable(node.variable)]
            name = s.Name(node.variable.loc, node.variable.name)
            target = self.expression(name)
            type_ = target.type
            if not target.writable or not isinstance(type_, ir.Bits):
                raise error(
                    name.loc, "the variable of 'for' must be a left-value of type bit or int"
                )
            low = self.expect(span.low, type_, "the range")
            high = self.expect(span.high, type_, "the range")
            wide = ir.Bits(type_.width + 1, type_.signed)
            loc = node.loc
            counter = ir.Variable(self.fresh("counter"), wide, loc, "counter")
            last = ir.Variable(self.fresh("last"), wide, loc, "last")
            before.append(ir.Declare(loc, counter, self.cast_node(low, wide)))
            before.append(ir.Declare(loc, last, self.cast_node(high, wide)))
            now = ir.Var(wide, loc, counter)
            condition = ir.Binary(BOOL, loc, "<=", now, ir.Var(wide, loc, last))
            one = ir.IntLiteral(wide, loc, 1)
            step = ir.Assign(loc, now, ir.Binary(wide, loc, "+", now, one))
            current = ir.Assign(loc, target.node, ir.Cast(type_, loc, now))
            body = ir.Block(loc, (current, self._loop_body(node.body)))
            return ir.For(loc, tuple(before), condition, (step,), body)


def _an(kind: str) -> str:
    return f"an {kind}" if kind == "action" else f"a {kind}"


def _calls(node: object) -> bool:
    """Whether evaluating an expression calls something."""
    if isinstance(node, CALLS):
        return True
    if isinstance(node, ir.Expression):
        return any(_calls(getattr(node, field.name)) for field in fields(node))
    return False
