"""Statements, and the calls that stand as statements."""

from __future__ import annotations

from collections.abc import Iterable

from switch import ir
from switch.backend import representation as rep
from switch.backend.context import Context
from switch.backend.headers import HeaderWriter
from switch.backend.source import source
from switch.backend.text import Lines
from switch.frontend.errors import unsupported


class StatementWriter(HeaderWriter):
    """Writes the body of a C function; `frame` is its argument for actions and tables."""

    def __init__(
        self, context: Context, out: Lines, variables: dict[ir.Variable, str], frame: str = ""
    ) -> None:
        super().__init__(context, out, variables)
        self.frame = frame
        self._loops: list[tuple[str, str]] = []

    def statements(self, statements: Iterable[ir.Statement]) -> None:
        for statement in statements:
            self.statement(statement)

    def statement(self, statement: ir.Statement) -> None:
        match statement:
            case ir.Block(statements=statements):
                with self.out.block():
                    self.statements(statements)
            case ir.Declare(variable=variable, value=value):
                self._declare(variable, value)
            case ir.Assign(target=target, value=value):
                self._assign(target, value)
            case ir.CallStatement(call=call):
                self.call(call)
            case ir.If(condition=condition, then=then, otherwise=otherwise):
                holds = self.value(condition)
                self.hook("condition", source(condition), statement.loc, ("", holds, ir.Bool()))
                with self.out.block(f"if ({holds})"):
                    self.statement(then)
                if otherwise is not None:
                    self.out.lines[-1] += " else {"
                    self.out.depth += 1
                    self.statement(otherwise)
                    self.out.depth -= 1
                    self.out.add("}")
            case ir.SwitchAction():
                self._switch_action(statement)
            case ir.SwitchValue():
                self._switch_value(statement)
            case ir.For():
                self._for(statement)
            case ir.Break():
                self.out.add(f"goto {self._loops[-1][0]};")
            case ir.Continue():
                self.out.add(f"goto {self._loops[-1][1]};")
            case ir.Return(value=value):
                self.out.add(self.leave if value is None else f"return {self.value(value)};")
            case ir.Exit():
                self.hook("exit", "exit", statement.loc)
                self.out.add("c->p.exited = true;")
                self.out.add(self.leave)
            case _:
                raise unsupported(statement.loc, type(statement).__name__)

    def _declare(self, variable: ir.Variable, value: ir.Expression | None) -> None:
        initial = self.types.zero(variable.type) if value is None else self.value(value)
        if value is not None:
            self._assigned(ir.Var(variable.type, variable.loc, variable), initial, value)
        if variable in self.variables:
            self.out.add(f"{self.variables[variable]} = {initial};")
            return
        name = self.context.names.of(variable, variable.name)
        self.out.add(f"{self.types.value(variable.type)} {name} = {initial};")
        self.variables[variable] = name

    def _assign(self, target: ir.Expression, value: ir.Expression) -> None:
        if isinstance(target.type, ir.HeaderStack) and isinstance(value, ir.StackValue):
            # Element by element, so that nextIndex stays.
            elements = [
                self.temporary(e.type, v)
                for e, v in zip(value.elements, self.values(value.elements), strict=True)
            ]
            stack = self.place(target).c
            for i, element in enumerate(elements):
                self.out.add(f"{stack}.e[{i}] = {element};")
            return
        place = self.place(target)
        new = self.value(value)
        self._assigned(target, new, value)
        if isinstance(target.type, ir.Header):
            self.count_header(place.c, target.type, value)
        self.store(place, new)
        if isinstance(target.type, ir.Header):
            for other in self._others(target):
                self.out.add(f"if ({place.c}.valid) {other}.valid = false;")

    def _assigned(self, target: ir.Expression, new: str, value: ir.Expression) -> None:
        if rep.is_scalar(target.type):
            self.hook("assign", source(target), target.loc, ("", new, target.type))
        else:
            self.hook("assign", f"{source(target)} = {source(value)}", target.loc)

    # --- branches and loops -----------------------------------------------------------------------

    def _switch_action(self, statement: ir.SwitchAction) -> None:
        ran = self.fresh("a")
        self.out.add(f"uint32_t {ran} = {self._apply(statement.table)} & 0x7fffffff;")
        numbers = {ref.action: i for i, ref in enumerate(statement.table.actions)}
        conditions = [
            None if actions is None else [f"{ran} == {numbers[action]}" for action in actions]
            for actions, _ in statement.cases
        ]
        self._cases(conditions, [block for _, block in statement.cases])

    def _switch_value(self, statement: ir.SwitchValue) -> None:
        type_ = statement.expression.type
        value = self.temporary(type_, self.value(statement.expression))
        self.hook("switch", source(statement.expression), statement.loc, ("", value, type_))
        conditions = [
            None
            if labels is None
            else [self.types.equal(value, self.value(label), type_) for label in labels]
            for labels, _ in statement.cases
        ]
        self._cases(conditions, [block for _, block in statement.cases])

    def _cases(self, conditions: list[list[str] | None], blocks: list[ir.Block]) -> None:
        opened = False
        for condition, block in zip(conditions, blocks, strict=True):
            head = "" if condition is None else f"if ({' || '.join(condition)})"
            if opened:
                self.out.lines[-1] += f" else {head}".rstrip() + " {"
            else:
                self.out.add(f"{head} {{" if head else "{")
            opened = True
            self.out.depth += 1
            self.statements(block.statements)
            self.out.depth -= 1
            self.out.add("}")

    def _for(self, statement: ir.For) -> None:
        after, again = self.fresh("after"), self.fresh("again")
        with self.out.block():
            self.statements(statement.init)
            with self.out.block("for (;;)"):
                self.out.add(f"if (!{self.value(statement.condition)}) break;")
                endless = "{ c->p.failed = true; break; }"
                self.out.add(f"if (P4_UNLIKELY(++c->p.turns > P4_MOST_TURNS)) {endless}")
                self._loops.append((after, again))
                with self.out.block():
                    self.statement(statement.body)
                self._loops.pop()
                self.out.add(f"{again}:;")
                self.statements(statement.update)
        self.out.add(f"{after}:;")

    # --- calls ------------------------------------------------------------------------------------

    def _apply(self, table: ir.Table) -> str:
        """Apply a table: the action that ran, with the top bit for a hit."""
        result = self.fresh("r")
        name = self.context.function_name(table)
        self.out.add(f"P4_UNUSED uint32_t {result} = {name}(s, c, {self.frame});")
        if self.context.exits.may_exit(table):
            self.out.add(f"if (c->p.exited) {self.leave}")
        return result

    def call(self, expression: ir.Expression) -> str:
        match expression:
            case ir.SetValid(header=header):
                self.hook("request", f"{source(header)}.setValid", expression.loc)
                self.set_valid(header)
            case ir.SetInvalid(header=header):
                self.hook("request", f"{source(header)}.setInvalid", expression.loc)
                self.set_invalid(header)
            case ir.PushFront(stack=stack, count=count):
                self.hook("request", f"{source(stack)}.push_front", expression.loc)
                self.push_front(stack, count)
            case ir.PopFront(stack=stack, count=count):
                self.hook("request", f"{source(stack)}.pop_front", expression.loc)
                self.pop_front(stack, count)
            case ir.Extract():
                self.extract(expression)
            case ir.Advance():
                self.advance(expression)
            case ir.Emit(value=value):
                self.emit(value)
            case ir.Verify(check=check, error=error):
                condition, number = self.values((check, error))
                failed = f"{{ c->p.error = (uint32_t){number}; goto reject; }}"
                self.out.add(f"if (P4_UNLIKELY(!{condition})) {failed}")
            case ir.TableApply(table=table, result=asked):
                ran = self._apply(table)
                return f"({'!' if asked == 'miss' else '!!'}({ran} >> 31))" if asked else ""
            case ir.ExternCall():
                self.extern_call(expression)
            case ir.MethodCall():
                self.method_call(expression)
            case ir.ControlApply(control=control, arguments=arguments):
                self.call_p4(control, control.params, arguments, ir.Void())
            case ir.ParserApply(parser=parser, arguments=arguments):
                self.call_p4(parser, parser.params, arguments, ir.Void())
            case ir.ActionCall(action=action, arguments=arguments):
                frame = self.frame if self.owns(action) else ""
                self.call_p4(action, action.params, arguments, ir.Void(), frame)
            case ir.FunctionCall(function=function, arguments=arguments):
                return self.call_p4(function, function.params, arguments, function.result)
            case ir.Lookahead() | ir.IsValid() | ir.PacketLength():
                self.value(expression)
            case _:
                raise unsupported(expression.loc, type(expression).__name__)
        return ""

    def owns(self, action: ir.Action) -> bool:
        """Whether an action belongs to a control and so gets its frame."""
        return action not in self.context.program.actions
