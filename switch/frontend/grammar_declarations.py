"""Grammar of declarations and of a whole program (P4_16 sections 7, 10 and 15)."""

from __future__ import annotations

from switch.frontend import syntax as s
from switch.frontend.errors import error
from switch.frontend.grammar_blocks import BlockGrammar
from switch.frontend.lexer import Token
from switch.ir import Loc


class Grammar(BlockGrammar):
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
                    return self.action(annotations)
                case "parser":
                    return self.parser(annotations)
                case "control":
                    return self.control(annotations)
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

    # functions and extern objects

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

    def _package(self, annotations: s.Annotations) -> s.Decl:
        self.next()
        name = self.name("the package")
        self.declare(name.text, is_type=True)
        with self.scope():
            type_params = self.type_parameters()
            params = self.parameters()
        self.expect(";", "after the package")
        return s.BlockTypeDecl(name.loc, annotations, name.text, "package", type_params, params)
