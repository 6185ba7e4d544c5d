"""Grammar of expressions, by operator precedence (P4_16 section 8.1)."""

from __future__ import annotations

from switch.frontend import syntax as s
from switch.frontend.errors import CompileError, error
from switch.frontend.grammar_types import TypeGrammar
from switch.frontend.lexer import parse_number
from switch.ir import Loc

_PRECEDENCE = {
    "||": 1, "&&": 2, "==": 3, "!=": 3, "<": 4, ">": 4, "<=": 4, ">=": 4,
    "|": 5, "^": 6, "&": 7, "<<": 8, ">>": 8,
    "++": 9, "+": 9, "-": 9, "|+|": 9, "|-|": 9, "*": 10, "/": 10, "%": 10,
}  # fmt: skip


class ExpressionGrammar(TypeGrammar):
    def expression(self) -> s.Expr:
        with self.nested():
            return self._conditional(angles=True)

    def expression_without_greater(self) -> s.Expr:
        """Inside `bit<…>`: a bare `>` ends it."""
        with self.nested():
            return self._conditional(angles=False)

    def _conditional(self, angles: bool) -> s.Expr:
        condition = self._binary(1, angles)
        if not self.at("?"):
            return condition
        loc = self.next().loc
        with self.nested():
            then = self._conditional(angles)
            self.expect(":", "between the branches of '?'")
            return s.Conditional(loc, condition, then, self._conditional(angles))

    def _operator(self, angles: bool) -> str:
        """The binary operator at the current token, or ""."""
        token = self.token
        if token.kind != "symbol":
            return ""
        text = token.text
        if text == ">":
            if not angles:
                return ""
            following = self.peek()
            if following.glued and following.text == ">":
                return ">>"
            # `>>=` is an assignment
            return "" if following.glued and following.text == ">=" else ">"
        return text if text in _PRECEDENCE else ""

    def _binary(self, lowest: int, angles: bool) -> s.Expr:
        left = self._unary()
        length = 0
        while op := self._operator(angles):
            precedence = _PRECEDENCE[op]
            if precedence < lowest:
                break
            length += 1
            self.check_chain(length)
            loc = self.next().loc
            if op == ">>":
                self.next()
            with self.nested():
                left = s.Binary(loc, op, left, self._binary(precedence + 1, angles))
        return left

    def _unary(self) -> s.Expr:
        token = self.token
        if token.kind == "symbol":
            if token.text in ("-", "~", "!", "+"):
                self.next()
                with self.nested():
                    return s.Unary(token.loc, token.text, self._unary())
            if token.text == "(":
                return self._postfix(self._parenthesis())
        return self._postfix(self._primary())

    def _parenthesis(self) -> s.Expr:
        loc = self.next().loc
        if self.starts_type():
            mark = self.mark()
            try:
                target = self.type()
                is_cast = self.at(")")
            except CompileError:
                is_cast = False
            if is_cast:
                self.next()
                with self.nested():
                    return s.Cast(loc, target, self._unary())
            self.rewind(mark)
        inside = self.expression()
        self.expect(")")
        return inside

    def _primary(self) -> s.Expr:
        token = self.token
        loc = token.loc
        if token.kind == "number":
            number = parse_number(self.next())
            return s.Int(loc, number.value, number.width, number.signed, number.base)
        if token.kind == "string":
            self.next()
            return s.Str(loc, _unescape(token.text[1:-1]))
        if token.kind == "keyword":
            if token.text in ("true", "false"):
                self.next()
                return s.Bool(loc, token.text == "true")
            if token.text == "this":
                self.next()
                return s.Name(loc, "this")
            if self.starts_type():
                return s.TypeName(loc, self.type())
        if token.text == "{" and token.kind == "symbol":
            return self.braces()
        if token.text == "...":
            self.next()
            return s.Rest(loc)
        if self.starts_type():
            return self._type_in_expression()
        from_global = self.accept(".") is not None
        if self.token.kind != "word":
            raise self.unexpected("an expression")
        return s.Name(loc, self.next().text, from_global)

    def _type_in_expression(self) -> s.Expr:
        """A name that is a type: of an enum, or of what a constructor call makes."""
        loc = self.loc
        mark = self.mark()
        from_global = self.accept(".") is not None
        name = self.next().text
        if self.at("<"):
            self.rewind(mark)
            try:
                return s.TypeName(loc, self.type())
            except CompileError:
                self.rewind(mark)
                from_global = self.accept(".") is not None
                name = self.next().text
        return s.TypeName(loc, s.NamedType(loc, name, [], from_global))

    def _postfix(self, base: s.Expr) -> s.Expr:
        length = 0
        while self.token.kind == "symbol":
            length += 1
            self.check_chain(length)
            text, loc = self.token.text, self.loc
            if text == ".":
                self.next()
                # keywords are fine after a dot: hdr.error, meta.state
                if self.token.kind not in ("word", "keyword"):
                    raise self.unexpected("a member name", "after '.'")
                member = self.next()
                base = s.Member(base.loc, base, member.text, member.loc)
            elif text == "[":
                self.next()
                first = self.expression()
                if self.accept(":"):
                    base = s.Slice(loc, base, first, self.expression())
                elif self.accept("+:"):  # [low +: width]
                    width = self.expression()
                    one = s.Int(loc, 1, None, False)
                    end = s.Binary(loc, "+", first, width)
                    base = s.Slice(loc, base, s.Binary(loc, "-", end, one), first)
                else:
                    base = s.Index(loc, base, first)
                self.expect("]", "after the index")
            elif text == "(":
                base = s.Call(base.loc, base, [], self.arguments())
            elif text == "<":
                types = self.try_call_type_arguments()
                if types is None:
                    return base
                base = s.Call(base.loc, base, types, self.arguments())
            else:
                return base
        return base

    def arguments(self) -> list[s.Argument]:
        """`(a, name = b, _)`."""
        self.expect("(")
        found: list[s.Argument] = []
        while not self.at(")"):
            name = None
            loc = self.loc
            if self.token.kind == "word" and self.peek().text == "=":
                name = self.next().text
                self.next()
            value = s.DontCare(self.next().loc) if self.at("_") else self.expression()
            found.append(s.Argument(loc if name else value.loc, name, value))
            if not self.accept(","):
                break
        self.expect(")", "after the arguments")
        return found

    def braces(self) -> s.Expr:
        """A list or structure expression, or `{#}` (sections 8.13 to 8.15, 8.26)."""
        loc = self.expect("{").loc
        if self.accept("#"):
            self.expect("}")
            return s.Invalid(loc)
        if self.token.kind in ("word", "keyword") and self.peek().text == "=":
            return self._fields(loc)
        elements: list[s.Expr] = []
        rest = False
        while not self.at("}"):
            if self.at("...") and self.peek().text in ("}", ","):
                self.next()
                rest = True
                self.accept(",")
                break
            elements.append(self.expression())
            if not self.accept(","):
                break
        self.expect("}", "after the list")
        return s.ListExpr(loc, elements, rest)

    def _fields(self, loc: Loc) -> s.Expr:
        fields: list[tuple[str, s.Expr, Loc]] = []
        rest = False
        while not self.at("}"):
            if self.accept("..."):
                rest = True
                self.accept(",")
                break
            key = self.next()
            if key.kind not in ("word", "keyword"):
                raise error(key.loc, f"syntax error: expected a field name, found {key}")
            self.expect("=", "after the field name")
            fields.append((key.text, self.expression(), key.loc))
            if not self.accept(","):
                break
        self.expect("}", "after the fields")
        return s.StructExpr(loc, fields, rest)

    # keysets (section 13.6)

    def keyset_element(self) -> s.Expr:
        loc = self.loc
        if self.at("default", "_"):
            return s.DontCare(self.next().loc)
        value = self.expression()
        if self.accept("&&&"):
            return s.Mask(loc, value, self.expression())
        if self.accept(".."):
            return s.Range(loc, value, self.expression())
        return value

    def keysets(self) -> list[s.Expr]:
        """One keyset, or a parenthesised tuple of them."""
        if not self.at("("):
            return [self.keyset_element()]
        # a parenthesis may also just begin an expression, as in (a + 1) * 2
        mark = self.mark()
        self.next()
        elements = [self.keyset_element()]
        while self.accept(","):
            if self.at(")"):
                break
            elements.append(self.keyset_element())
        self.expect(")", "after the keysets")
        if len(elements) == 1 and not self.at(":"):
            self.rewind(mark)
            return [self.keyset_element()]
        return elements


_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", '"': '"', "\\": "\\"}


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    out: list[str] = []
    letters = iter(text)
    for letter in letters:
        if letter == "\\":
            following = next(letters, "")
            out.append(_ESCAPES.get(following, "\\" + following))
        else:
            out.append(letter)
    return "".join(out)
