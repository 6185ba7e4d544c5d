"""Grammar of type references and type parameters (P4_16 section 7)."""

from __future__ import annotations

from switch.frontend import syntax as s
from switch.frontend.cursor import Cursor
from switch.frontend.errors import CompileError

_SIMPLE = frozenset(("bool", "error", "string", "void", "match_kind"))
_SIZED = frozenset(("bit", "int", "varbit"))
_TYPE_KEYWORDS = _SIMPLE | _SIZED | {"tuple"}


class TypeGrammar(Cursor):
    def starts_type(self) -> bool:
        """Whether the current token can only begin a type."""
        token = self.token
        if token.kind == "keyword":
            return token.text in _TYPE_KEYWORDS
        if token.kind == "word":
            return self.is_type(token.text) or (token.text == "list" and self.peek().text == "<")
        return (
            token.text == "."
            and self.peek().kind == "word"
            and self.is_type(self.peek().text, from_global=True)
        )

    def type(self) -> s.TypeNode:
        with self.nested():
            node = self._prefix_type()
            return self.array_suffix(node)

    def array_suffix(self, node: s.TypeNode) -> s.TypeNode:
        while self.at("["):
            loc = self.next().loc
            size = self.expression()
            self.expect("]", "after the size of the stack")
            node = s.StackType(loc, node, size)
        return node

    def _prefix_type(self) -> s.TypeNode:
        token = self.token
        loc = token.loc
        if token.kind == "keyword":
            if token.text in _SIZED:
                return self._sized_type()
            if token.text in _SIMPLE or token.text == "_":
                self.next()
                return s.SimpleType(loc, token.text)
            if token.text == "tuple":
                self.next()
                return s.TupleType(loc, self.type_arguments())
        from_global = self.accept(".") is not None
        if self.token.kind != "word":
            raise self.unexpected("a type")
        name = self.next().text
        if name == "list" and self.at("<") and not self.is_type("list"):
            arguments = self.type_arguments()
            if len(arguments) != 1:
                raise self.unexpected("one type argument of list")
            return s.ListType(loc, arguments[0])
        return s.NamedType(loc, name, self.type_arguments() if self.at("<") else [], from_global)

    def _sized_type(self) -> s.TypeNode:
        token = self.next()
        if not self.accept("<"):
            if token.text == "bit":
                return s.SizedType(token.loc, "bit", s.Int(token.loc, 1, None, False))
            if token.text == "int":
                return s.SimpleType(token.loc, "int")
            raise self.unexpected("'<'", "after varbit")
        width = self.expression_without_greater()
        self.close_angle()
        return s.SizedType(token.loc, token.text, width)

    def type_arguments(self) -> list[s.TypeNode]:
        self.expect("<")
        arguments: list[s.TypeNode] = []
        while not self.at(">"):
            arguments.append(self.type())
            if not self.accept(","):
                break
        self.close_angle()
        return arguments

    def try_call_type_arguments(self) -> list[s.TypeNode] | None:
        """`<types>` when a `(` follows; otherwise nothing is consumed (it is a comparison)."""
        mark = self.mark()
        try:
            arguments = self.type_arguments()
        except CompileError:
            self.rewind(mark)
            return None
        if self.at("("):
            return arguments
        self.rewind(mark)
        return None

    def type_parameters(self) -> list[str]:
        """`<A, B>`, declared as types in the current scope."""
        names: list[str] = []
        if not self.accept("<"):
            return names
        while True:
            name = self.name("the type parameter").text
            self.declare(name, is_type=True)
            names.append(name)
            if not self.accept(","):
                break
        self.close_angle()
        return names

    def expression_without_greater(self) -> s.Expr:
        raise NotImplementedError  # grammar_expressions gives it
