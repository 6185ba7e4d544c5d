"""The parser's place in the token stream, and which names are types there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from switch.frontend.errors import CompileError, error
from switch.frontend.lexer import Token
from switch.frontend.syntax import AnnotationNode, Expr
from switch.ir import Loc

# Nesting or chaining beyond these is refused: no program needs it, and every later walk over the
# tree recurses.
MAX_DEPTH = 120
MAX_CHAIN = 200


class Cursor:
    """Token access shared by all grammar mix-ins.

    P4's grammar depends on which names are types (section 6.3.1): `(a) - b` is a cast only when
    `a` is a type. `_scopes` maps each declared name to whether it is one.
    """

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._scopes: list[dict[str, bool]] = [{}]
        self._depth = 0

    # tokens

    @property
    def token(self) -> Token:
        return self._tokens[self._at]

    def peek(self, ahead: int = 1) -> Token:
        return self._tokens[min(self._at + ahead, len(self._tokens) - 1)]

    @property
    def loc(self) -> Loc:
        return self._tokens[self._at].loc

    def next(self) -> Token:
        token = self._tokens[self._at]
        if token.kind != "end":
            self._at += 1
        return token

    def at(self, *texts: str) -> bool:
        """Whether the current token is one of these symbols or words."""
        token = self._tokens[self._at]
        return token.text in texts and token.kind != "string"

    def accept(self, text: str) -> Token | None:
        return self.next() if self.at(text) else None

    def expect(self, text: str, after: str = "") -> Token:
        if self.at(text):
            return self.next()
        raise self.unexpected(f"'{text}'", after)

    def unexpected(self, wanted: str, after: str = "") -> CompileError:
        where = f" {after}" if after else ""
        if self.token.kind == "unknown":
            return error(self.loc, f"character {self.token.text!r} is not allowed here")
        return error(self.loc, f"syntax error: expected {wanted}{where}, found {self.token}")

    def name(self, what: str) -> Token:
        if self.token.kind != "word":
            raise self.unexpected(f"a name for {what}" if what else "a name")
        return self.next()

    def close_angle(self) -> None:
        """The `>` that ends a type argument list."""
        self.expect(">", "after the type arguments")

    def mark(self) -> int:
        return self._at

    def rewind(self, mark: int) -> None:
        self._at = mark

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Guards each level of recursion."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise error(self.loc, f"nesting deeper than {MAX_DEPTH} levels is not supported")
        try:
            yield
        finally:
            self._depth -= 1

    def check_chain(self, length: int) -> None:
        if length > MAX_CHAIN:
            raise error(self.loc, f"more than {MAX_CHAIN} operators in a row are not supported")

    # names

    @contextmanager
    def scope(self) -> Iterator[None]:
        self._scopes.append({})
        try:
            yield
        finally:
            self._scopes.pop()

    def declare(self, name: str, is_type: bool = False) -> None:
        self._scopes[-1][name] = is_type

    def is_type(self, name: str, from_global: bool = False) -> bool:
        if from_global:
            return self._scopes[0].get(name, False)
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        return False

    # annotations (section 20)

    def annotations(self) -> list[AnnotationNode]:
        found = []
        while self.at("@"):
            found.append(self._annotation())
        return found

    def _annotation(self) -> AnnotationNode:
        loc = self.next().loc
        if self.token.kind not in ("word", "keyword"):
            raise self.unexpected("a name after '@'")
        name = self.next().text
        node = AnnotationNode(loc, name, "", [], [])
        if name == "pragma":  # the older form: its body is the rest of the line
            words: list[str] = []
            while (self.loc.file, self.loc.line) == (loc.file, loc.line) and self.token.text:
                words.append(self.next().text)
            node.name, node.text = " ".join(words[:1]), " ".join(words[1:])
            return node
        opening = self.token.text
        if opening not in ("(", "["):
            return node
        self.next()
        node.structured = opening == "["
        closing = ")" if opening == "(" else "]"
        start = self.mark()
        node.text = self._skip_body(closing, loc)
        end = self.mark()
        self.rewind(start)
        try:
            self._structured(node, closing)
            if self.mark() != end - 1:
                raise self.unexpected(f"'{closing}'")
        except CompileError:
            # the body is free text unless it happens to be a list of expressions
            node.values, node.pairs = [], []
            if opening == "[":
                raise
        self.rewind(end)
        return node

    def _skip_body(self, closing: str, loc: Loc) -> str:
        words: list[str] = []
        expected = [closing]
        pairs = {"(": ")", "[": "]", "{": "}"}
        while True:
            token = self.next()
            if token.kind == "end":
                raise error(loc, "annotation is not closed")
            if token.kind == "symbol" and token.text in pairs:
                expected.append(pairs[token.text])
            elif token.kind == "symbol" and token.text == expected[-1]:
                expected.pop()
                if not expected:
                    return " ".join(words)
            words.append(token.text)

    def _structured(self, node: AnnotationNode, closing: str) -> None:
        while not self.at(closing):
            if self.token.kind == "word" and self.peek().text == "=":
                key = self.next().text
                self.next()
                node.pairs.append((key, self.expression()))
            else:
                node.values.append(self.expression())
            if not self.accept(","):
                break

    def expression(self) -> Expr:
        raise NotImplementedError  # grammar_expressions gives it
