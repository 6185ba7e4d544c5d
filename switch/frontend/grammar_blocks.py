"""Grammar of controls, parsers and actions (P4_16 sections 13 and 14)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, cast

from switch.frontend import syntax as s
from switch.frontend.grammar_tables import TableGrammar
from switch.ir import Loc

# what controls and parsers begin with; with the constructor's parameters at the end
_Head: TypeAlias = tuple[Loc, s.Annotations, str, list[str], list[s.ParamNode], list[s.ParamNode]]


class BlockGrammar(TableGrammar):
    def parameters(self) -> list[s.ParamNode]:
        self.expect("(", "before the parameters")
        found: list[s.ParamNode] = []
        while not self.at(")"):
            annotations = self.annotations()
            direction = self.next().text if self.at("in", "out", "inout") else ""
            kind = self.type()
            name = self.name("the parameter")
            kind = self.array_suffix(kind)
            default = self.expression() if self.accept("=") else None
            self.declare(name.text)
            found.append(
                s.ParamNode(
                    name.loc,
                    annotations,
                    name.text,
                    cast(Literal["", "in", "out", "inout"], direction),
                    kind,
                    default,
                )
            )
            if not self.accept(","):
                break
        self.expect(")", "after the parameters")
        return found

    def action(self, annotations: s.Annotations) -> s.ActionDecl:
        self.expect("action")
        name = self.name("the action")
        self.declare(name.text)
        with self.scope():
            params = self.parameters()
            body = self.block()
        return s.ActionDecl(name.loc, annotations, name.text, params, body)

    def control(self, annotations: s.Annotations) -> s.Decl:
        """A control, or the type of one."""
        return self._block("control", annotations, self._control_body)

    def parser(self, annotations: s.Annotations) -> s.Decl:
        """A parser, or the type of one."""
        return self._block("parser", annotations, self._parser_body)

    def _block(
        self, kind: str, annotations: s.Annotations, body: Callable[[_Head], s.Decl]
    ) -> s.Decl:
        self.next()
        name = self.name(f"the {kind}")
        self.declare(name.text, is_type=True)
        with self.scope():
            type_params = self.type_parameters()
            params = self.parameters()
            if self.accept(";"):
                return s.BlockTypeDecl(name.loc, annotations, name.text, kind, type_params, params)
            constructor = self.parameters() if self.at("(") else []
            self.expect("{", f"before the {kind}'s body")
            return body((name.loc, annotations, name.text, type_params, params, constructor))

    # controls

    def _control_body(self, head: _Head) -> s.Decl:
        locals_: list[s.Decl] = []
        while not self.at("apply"):
            locals_.append(self._control_local())
        self.next()
        body = self.block(self.annotations())
        self.expect("}", "after the control's apply block")
        return s.ControlDecl(*head, locals_, body)

    def _control_local(self) -> s.Decl:
        annotations = self.annotations()
        match self.token.text:
            case "const":
                return self.constant(annotations)
            case "action":
                return self.action(annotations)
            case "table":
                return self.table(annotations)
            case "}":
                raise self.unexpected("'apply'", "in the control")
        return self.variable_or_instance(annotations)

    # parsers

    def _parser_body(self, head: _Head) -> s.Decl:
        locals_: list[s.Decl] = []
        states: list[s.StateDecl] = []
        while not self.at("}"):
            notes = self.annotations()
            if self.at("state"):
                states.append(self._state(notes))
            elif states:
                raise self.unexpected("'state'", "in the parser")
            else:
                locals_.append(self._parser_local(notes))
        self.next()
        return s.ParserDecl(*head, locals_, states)

    def _parser_local(self, annotations: s.Annotations) -> s.Decl:
        if self.at("const"):
            return self.constant(annotations)
        if self.at("value_set"):
            return self._value_set(annotations)
        return self.variable_or_instance(annotations)

    def _value_set(self, annotations: s.Annotations) -> s.Decl:
        self.next()
        self.expect("<", "after 'value_set'")
        kind = self.type()
        self.close_angle()
        self.expect("(", "before the size of the value_set")
        size = self.expression()
        self.expect(")", "after the size of the value_set")
        name = self.name("the value_set")
        self.expect(";", "after the value_set")
        self.declare(name.text)
        return s.ValueSetDecl(name.loc, annotations, name.text, kind, size)

    def _state(self, annotations: s.Annotations) -> s.StateDecl:
        self.next()
        name = self.name("the state")
        self.expect("{", "after the state's name")
        body: list[s.Statement] = []
        transition = None
        with self.scope():
            while not self.at("}", "transition"):
                if self.token.kind == "end":
                    raise self.unexpected("'}'", f"to close state '{name.text}'")
                body.append(self.statement())
            if self.at("transition"):
                transition = self._transition()
        self.expect("}", "after the transition")
        return s.StateDecl(name.loc, annotations, name.text, body, transition)

    def _transition(self) -> s.TransitionNode:
        loc = self.next().loc
        if not self.at("select"):
            name = self.name("the next state")
            self.expect(";", "after the next state")
            return s.TransitionNode(name.loc, name.text, [], [])
        loc = self.next().loc
        self.expect("(", "after 'select'")
        subjects: list[s.Expr] = []
        while not self.at(")"):
            subjects.append(self.expression())
            if not self.accept(","):
                break
        self.expect(")", "after the expressions of select")
        self.expect("{")
        cases: list[s.CaseNode] = []
        while not self.accept("}"):
            at = self.loc
            keysets = self.keysets()
            self.expect(":", "after the keyset")
            state = self.name("the next state")
            self.expect(";", "after the next state")
            cases.append(s.CaseNode(at, keysets, state.text, state.loc))
        return s.TransitionNode(loc, None, subjects, cases)
