"""Grammar of declarations and of a whole program (P4_16 sections 7, 10, 13, 14, 15)."""

from __future__ import annotations

from typing import Literal, cast

from switch.frontend import syntax as s
from switch.frontend.errors import error
from switch.frontend.grammar_tables import TableGrammar
from switch.frontend.lexer import Token
from switch.ir import Loc


class Grammar(TableGrammar):
    """The whole grammar."""

    def program(self) -> list[s.Decl]:
        declarations: list[s.Decl] = []
        while self.token.kind != "end":
            if self.accept(";"):
                continue
            declaration = self._top_level()
            if isinstance(declaration, s.TypedefDecl) and declaration.inline is not None:
                declarations.append(declaration.inline)
            declarations.append(declaration)
        return declarations

    def _top_level(self) -> s.Decl:
        annotations = self.annotations()
        token = self.token
        if token.kind == "keyword":
            match token.text:
                case "const":
                    return self.constant(annotations)
                case "struct" | "header" | "header_union":
                    return self._composite(annotations)
                case "enum":
                    return self._enum(annotations)
                case "error" if self.peek().text == "{":
                    return self._errors(annotations)
                case "match_kind" if self.peek().text == "{":
                    return self._match_kinds(annotations)
                case "typedef":
                    return self._typedef(annotations)
                case "extern":
                    return self._extern(annotations)
                case "action":
                    return self._action(annotations)
                case "parser":
                    return self._parser(annotations)
                case "control":
                    return self._control(annotations)
                case "package":
                    return self._package(annotations)
        if self.at("type") and not self.is_type("type"):
            return self._typedef(annotations)
        if not (self.starts_type() or token.kind == "word"):
            raise self.unexpected("a declaration")
        return self._function_or_instance(annotations)

    def _function_or_instance(self, annotations: s.Annotations) -> s.Decl:
        mark = self.mark()
        # `F f<T>(…)`: the result may be a type parameter that is declared after it
        result = self.type()
        if self.at("("):
            return self.instance(annotations, result)
        name = self.token
        if name.kind == "word" and self.peek().text in ("(", "<"):
            self.rewind(mark)
            return self._function(annotations)
        self.name("a function or instance")
        raise error(name.loc, f"'{name.text}': variables cannot be declared at top level")

    # types

    def _composite(self, annotations: s.Annotations) -> s.Decl:
        kind = self.next().text
        name = self.name(f"the {kind}")
        self.declare(name.text, is_type=True)
        with self.scope():
            type_params = self.type_parameters()
            self.expect("{", f"after the {kind}'s name")
            fields: list[s.FieldNode] = []
            while not self.accept("}"):
                notes = self.annotations()
                field_type = self.type()
                field = self.next()
                if field.kind not in ("word",):
                    raise error(field.loc, f"syntax error: expected a field name, found {field}")
                field_type = self.array_suffix(field_type)
                self.expect(";", "after the field")
                fields.append(s.FieldNode(field.loc, notes, field.text, field_type))
        return s.CompositeDecl(name.loc, annotations, name.text, kind, type_params, fields)

    def _enum(self, annotations: s.Annotations) -> s.Decl:
        self.next()
        underlying = None
        if self.token.kind != "word" or self.peek().text != "{":
            underlying = self.type()
        name = self.name("the enum")
        self.declare(name.text, is_type=True)
        self.expect("{", "after the enum's name")
        members: list[tuple[str, s.Expr | None, Loc]] = []
        while not self.at("}"):
            self.annotations()
            member = self.name("the enum member")
            value = self.expression() if self.accept("=") else None
            members.append((member.text, value, member.loc))
            if not self.accept(","):
                break
        self.expect("}", "after the enum's members")
        return s.EnumDecl(name.loc, annotations, name.text, underlying, members)

    def _member_list(self) -> list[tuple[str, Loc]]:
        self.expect("{")
        members: list[tuple[str, Loc]] = []
        while not self.at("}"):
            self.annotations()
            member = self.name("the member")
            members.append((member.text, member.loc))
            if not self.accept(","):
                break
        self.expect("}", "after the members")
        return members

    def _errors(self, annotations: s.Annotations) -> s.Decl:
        loc = self.next().loc
        return s.ErrorDecl(loc, annotations, "error", self._member_list())

    def _match_kinds(self, annotations: s.Annotations) -> s.Decl:
        loc = self.next().loc
        return s.MatchKindDecl(loc, annotations, "match_kind", self._member_list())

    def _typedef(self, annotations: s.Annotations) -> s.Decl:
        fresh = self.next().text == "type"
        inline: s.Decl | None = None
        if self.at("struct", "header", "header_union", "enum"):
            loc, notes = self.loc, self.annotations()
            inline = self._enum(notes) if self.at("enum") else self._composite(notes)
            target: s.TypeNode = s.NamedType(loc, inline.name, [])
        else:
            target = self.type()
        name = self.name("the new type")
        target = self.array_suffix(target)
        self.expect(";", "after the typedef")
        self.declare(name.text, is_type=True)
        return s.TypedefDecl(name.loc, annotations, name.text, target, fresh, inline)

    # parameters and callables

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

    def _function(self, annotations: s.Annotations) -> s.FunctionDecl:
        function = self._prototype(annotations, with_body=True)
        self.declare(function.name)
        return function

    def _prototype(self, annotations: s.Annotations, with_body: bool) -> s.FunctionDecl:
        with self.scope():
            self._declare_type_params_ahead()
            result = self.type()
            name = self.name("the function")
            type_params = self.type_parameters()
            params = self.parameters()
            body = None
            if with_body:
                body = self.block()
            else:
                self.expect(";", "after the extern's parameters")
        return s.FunctionDecl(name.loc, annotations, name.text, result, type_params, params, body)

    def _declare_type_params_ahead(self) -> None:
        """In `T f<T>(…)` the result type comes before its declaration."""
        mark = self.mark()
        self.type()
        if self.token.kind == "word":
            self.next()
            self.type_parameters()
        self.rewind(mark)

    def _extern(self, annotations: s.Annotations) -> s.Decl:
        self.next()
        if self.token.kind == "word" and self.peek().text in ("{", "<"):
            name = self.token
            if self.peek().text == "{" or self._extern_type_ahead():
                return self._extern_type(annotations, self.name("the extern"))
        if self.token.kind == "word" and self.peek().text == ";":
            name = self.next()
            self.next()
            self.declare(name.text, is_type=True)
            return s.ExternDecl(name.loc, annotations, name.text, [], [])
        function = self._prototype(annotations, with_body=False)
        self.declare(function.name)
        return function

    def _extern_type_ahead(self) -> bool:
        """`extern X<T> {`, not `extern X<T> function(…)`."""
        ahead = 1
        while self.peek(ahead).text not in ("{", "(", ";") and self.peek(ahead).kind != "end":
            ahead += 1
        return self.peek(ahead).text == "{"

    def _extern_type(self, annotations: s.Annotations, name: Token) -> s.Decl:
        self.declare(name.text, is_type=True)
        with self.scope():
            type_params = self.type_parameters()
            self.expect("{", "after the extern's name")
            methods: list[s.FunctionDecl] = []
            while not self.accept("}"):
                notes = self.annotations()
                if self.at("abstract"):
                    raise error(self.loc, "an abstract method is not supported yet")
                if self.at(name.text) and self.peek().text == "(":
                    constructor = self.next()
                    with self.scope():
                        params = self.parameters()
                    self.expect(";", "after the constructor")
                    void = s.SimpleType(constructor.loc, "void")
                    methods.append(
                        s.FunctionDecl(constructor.loc, notes, name.text, void, [], params, None)
                    )
                else:
                    method = self._prototype(notes, with_body=False)
                    if method.name == name.text:
                        raise error(method.loc, "a constructor cannot have a return type")
                    methods.append(method)
        return s.ExternDecl(name.loc, annotations, name.text, type_params, methods)

    def _action(self, annotations: s.Annotations) -> s.ActionDecl:
        self.expect("action")
        name = self.name("the action")
        self.declare(name.text)
        with self.scope():
            params = self.parameters()
            body = self.block()
        return s.ActionDecl(name.loc, annotations, name.text, params, body)

    def _package(self, annotations: s.Annotations) -> s.Decl:
        self.next()
        name = self.name("the package")
        self.declare(name.text, is_type=True)
        with self.scope():
            type_params = self.type_parameters()
            params = self.parameters()
        self.expect(";", "after the package")
        return s.BlockTypeDecl(name.loc, annotations, name.text, "package", type_params, params)

    # parsers and controls

    def _control(self, annotations: s.Annotations) -> s.Decl:
        self.next()
        name = self.name("the control")
        self.declare(name.text, is_type=True)
        with self.scope():
            type_params = self.type_parameters()
            params = self.parameters()
            if self.accept(";"):
                return s.BlockTypeDecl(
                    name.loc, annotations, name.text, "control", type_params, params
                )
            constructor = self.parameters() if self.at("(") else []
            self.expect("{", "before the control's body")
            locals_: list[s.Decl] = []
            while not self.at("apply"):
                locals_.append(self._control_local())
            self.next()
            body = self.block(self.annotations())
            self.expect("}", "after the control's apply block")
        return s.ControlDecl(
            name.loc, annotations, name.text, type_params, params, constructor, locals_, body
        )

    def _control_local(self) -> s.Decl:
        annotations = self.annotations()
        match self.token.text:
            case "const":
                return self.constant(annotations)
            case "action":
                return self._action(annotations)
            case "table":
                return self.table(annotations)
            case "}":
                raise self.unexpected("'apply'", "in the control")
        return self.variable_or_instance(annotations)

    def _parser(self, annotations: s.Annotations) -> s.Decl:
        self.next()
        name = self.name("the parser")
        self.declare(name.text, is_type=True)
        with self.scope():
            type_params = self.type_parameters()
            params = self.parameters()
            if self.accept(";"):
                return s.BlockTypeDecl(
                    name.loc, annotations, name.text, "parser", type_params, params
                )
            constructor = self.parameters() if self.at("(") else []
            self.expect("{", "before the parser's body")
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
        return s.ParserDecl(
            name.loc, annotations, name.text, type_params, params, constructor, locals_, states
        )

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
