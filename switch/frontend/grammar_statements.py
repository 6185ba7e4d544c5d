"""Grammar of statements (P4_16 section 12)."""

from __future__ import annotations

from switch.frontend import syntax as s
from switch.frontend.errors import error
from switch.frontend.grammar_expressions import ExpressionGrammar
from switch.ir import Loc

_ASSIGNMENTS = {
    f"{op}=": op for op in ("+", "-", "*", "/", "%", "|+|", "|-|", "<<", "&", "|", "^")
} | {"=": ""}  # fmt: skip


class StatementGrammar(ExpressionGrammar):
    def block(self, annotations: s.Annotations | None = None) -> s.Block:
        loc = self.expect("{").loc
        statements: list[s.Statement] = []
        with self.nested(), self.scope():
            while not self.at("}"):
                if self.token.kind == "end":
                    raise self.unexpected("'}'", f"to close the '{{' of line {loc.line}")
                statements.append(self.statement())
        end = self.next().loc
        return s.Block(loc, statements, annotations or [], end)

    def statement(self) -> s.Statement:
        with self.nested():
            return self._statement()

    def _statement(self) -> s.Statement:
        token = self.token
        loc = token.loc
        if token.kind == "keyword":
            special = {
                "if": self._if,
                "switch": self._switch,
                "for": self._for,
                "return": self._return,
            }.get(token.text)
            if special is not None:
                return special()
            if token.text in ("exit", "break", "continue"):
                self.next()
                self.expect(";", f"after '{token.text}'")
                return s.Jump(loc, token.text)
            if token.text == "const":
                return s.DeclStatement(loc, self.constant([]))
        if self.at("{"):
            return self.block()
        if self.accept(";"):
            return s.Empty(loc)
        annotations = self.annotations()
        if annotations:
            if self.at("{"):
                return self.block(annotations)
            if self.at("const"):
                return s.DeclStatement(loc, self.constant(annotations))
            if self.at("for"):
                return self._for()
            return s.DeclStatement(loc, self.variable_or_instance(annotations))
        if self._starts_declaration():
            return s.DeclStatement(loc, self.variable_or_instance([]))
        statement = self.assignment_or_call()
        self.expect(";", "after the statement")
        return statement

    def _starts_declaration(self) -> bool:
        """A type, not used as `T.apply()`; an unknown name before a name is meant as one too."""
        if self.starts_type():
            dotted = 1 if self.at(".") else 0
            if self.token.kind == "word" and self.peek(1 + dotted).text == "<":
                mark = self.mark()
                self.type()
                applied = self.at(".")
                self.rewind(mark)
                return not applied
            return self.peek(1 + dotted).text != "."
        return self.token.kind == "word" and self.peek().kind == "word"

    def assignment_or_call(self) -> s.Statement:
        loc = self.loc
        target = self._unary()
        if self.token.kind == "symbol":
            text = self.token.text
            if text in _ASSIGNMENTS:
                at = self.next().loc
                return s.Assign(at, target, _ASSIGNMENTS[text], self.expression())
            if text == ">" and self.peek().text == ">=" and self.peek().glued:
                at = self.next().loc
                self.next()
                return s.Assign(at, target, ">>", self.expression())
        if isinstance(target, s.Call):
            return s.CallStatement(loc, target)
        raise self.unexpected("'=' or a call")

    def _if(self) -> s.Statement:
        loc = self.next().loc
        self.expect("(", "after 'if'")
        condition = self.expression()
        self.expect(")", "after the condition")
        then = self.statement()
        otherwise: s.Statement | None = None
        if self.accept("else"):
            with self.nested():  # each else-if of a chain is one level
                otherwise = self._if() if self.at("if") else self.statement()
        return s.If(loc, condition, then, otherwise)

    def _return(self) -> s.Statement:
        loc = self.next().loc
        value = None if self.at(";") else self.expression()
        self.expect(";", "after 'return'")
        return s.Return(loc, value)

    def _switch(self) -> s.Statement:
        loc = self.next().loc
        self.expect("(", "after 'switch'")
        subject = self.expression()
        self.expect(")", "after the expression of 'switch'")
        self.expect("{")
        cases: list[s.SwitchCase] = []
        while not self.accept("}"):
            at = self.loc
            label = None if self.accept("default") else self.expression()
            self.expect(":", "after the label")
            body = self.block() if self.at("{") else None
            cases.append(s.SwitchCase(at, label, body))
        return s.Switch(loc, subject, cases)

    def _for(self) -> s.Statement:
        loc = self.next().loc
        self.expect("(", "after 'for'")
        with self.scope():
            init: list[s.Statement] = []
            while not self.at(";"):
                annotations = self.annotations()
                at = self.loc
                if annotations or self._starts_declaration():
                    variable = self.loop_variable(annotations)
                    if self.accept("in"):
                        return self._for_in(loc, variable)
                    init.append(s.DeclStatement(at, variable))
                else:
                    init.append(self.assignment_or_call())
                if not self.accept(","):
                    break
            self.expect(";", "after the start of 'for'")
            condition = self.expression()
            self.expect(";", "after the condition of 'for'")
            update: list[s.Statement] = []
            while not self.at(")"):
                update.append(self.assignment_or_call())
                if not self.accept(","):
                    break
            self.expect(")", "after the head of 'for'")
            return s.For(loc, init, condition, update, self.statement())

    def loop_variable(self, annotations: s.Annotations) -> s.VarDecl:
        kind = self.type()
        name = self.name("the variable")
        self.declare(name.text)
        value = self.expression() if self.accept("=") else None
        return s.VarDecl(name.loc, annotations, name.text, kind, value)

    def _for_in(self, loc: Loc, variable: s.VarDecl) -> s.Statement:
        collection = self.keyset_element()
        self.expect(")", "after the head of 'for'")
        return s.ForIn(loc, variable, collection, self.statement())

    # declarations that are statements too

    def constant(self, annotations: s.Annotations) -> s.ConstDecl:
        self.expect("const")
        kind = self.type()
        name = self.name("the constant")
        kind = self.array_suffix(kind)
        self.expect("=", "after the name of the constant")
        value = self.expression()
        self.expect(";", "after the constant")
        self.declare(name.text)
        return s.ConstDecl(name.loc, annotations, name.text, kind, value)

    def variable_or_instance(self, annotations: s.Annotations) -> s.Decl:
        """`T x;`, `T x = e;` or `T(arguments) x;`."""
        kind = self.type()
        if self.at("("):
            return self.instance(annotations, kind)
        name = self.name("the variable")
        kind = self.array_suffix(kind)
        value = self.expression() if self.accept("=") else None
        self.expect(";", "after the declaration")
        self.declare(name.text)
        return s.VarDecl(name.loc, annotations, name.text, kind, value)

    def instance(self, annotations: s.Annotations, kind: s.TypeNode) -> s.InstanceDecl:
        arguments = self.arguments()
        name = self.name("the instance")
        if self.accept("="):
            raise error(
                name.loc, "an instance with its own implementation block is not supported yet"
            )
        self.expect(";", "after the instance")
        self.declare(name.text)
        return s.InstanceDecl(name.loc, annotations, name.text, kind, arguments)
