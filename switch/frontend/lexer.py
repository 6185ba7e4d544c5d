"""The tokens of P4_16 (section 6.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from switch.frontend.errors import error
from switch.frontend.preprocess import SourceText
from switch.ir import Loc

# Words that can never be names. `apply`, `key`, `actions`, `state`, `entries`, `type`, `list` and
# `priority` are only special in their places.
KEYWORDS = frozenset(
    """
    abstract action bit bool break const continue control default else enum error exit extern
    false for header header_union if in inout int match_kind out package parser return select
    string struct switch table this transition true tuple typedef value_set varbit void _
    """.split()  # noqa: SIM905
)

_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r\f\v]+)
    | (?P<newline>\n)
    | (?P<comment>//[^\n]*|/\*.*?\*/)
    | (?P<number>(?:[0-9][0-9_]*[ws])?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|0[dD][0-9_]+
                 |[0-9][0-9_]*)(?![A-Za-z0-9_]))
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<string>"(?:[^"\\]|\\.)*")
    | (?P<symbol>&&&=?|\|\+\|=?|\|-\|=?|\.\.\.|\.\.|\+\+=?|\+:|&&|\|\||==|!=|<=|>=|<<=|<<
                 |[-+*/%&|^]=|[-+*/%&|^<>=!~?:;,.(){}\[\]@\#])
    """,
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"(?:([0-9_]+)([ws]))?(0[xX]|0[bB]|0[oO]|0[dD])?(.*)", re.DOTALL)
_BASES = {"x": 16, "b": 2, "o": 8, "d": 10}


@dataclass(slots=True)
class Token:
    """`kind`: "word" (a name), "keyword", "number", "string", "symbol", "unknown",
    "end".

    `glued`: no space before it (so that `>` `>` can be told from `>>`).
    """

    kind: str
    text: str
    loc: Loc
    glued: bool

    def __str__(self) -> str:
        return "the end of the program" if self.kind == "end" else f"'{self.text}'"


@dataclass(frozen=True, slots=True)
class Number:
    """An integer literal: `width` None for one without; `base` it was written in."""

    value: int
    width: int | None
    signed: bool
    base: int


def tokenize(source: SourceText) -> list[Token]:
    """All tokens, and an end token."""
    text, origins = source.text, source.origins
    tokens: list[Token] = []
    at, line, line_start = 0, 0, 0
    glued = False
    match = _TOKEN.match
    while at < len(text):
        found = match(text, at)
        file, number = origins[line]
        if found is None:
            loc = Loc(file, number, at - line_start + 1)
            problem = _unclosed(text, at)
            if problem:
                raise error(loc, problem)
            tokens.append(Token("unknown", text[at], loc, glued))  # only annotations may have it
            at += 1
            glued = True
            continue
        kind = found.lastgroup or ""
        end = found.end()
        if kind in ("space", "newline", "comment"):
            glued = False
            newlines = text.count("\n", at, end)
            if newlines:
                line += newlines
                line_start = text.rindex("\n", at, end) + 1
        else:
            word = found.group()
            if kind == "word" and word in KEYWORDS:
                kind = "keyword"
            tokens.append(Token(kind, word, Loc(file, number, at - line_start + 1), glued))
            glued = True
        at = end
    file, number = origins[min(line, len(origins) - 1)]
    tokens.append(Token("end", "", Loc(file, number, at - line_start + 1), False))
    return tokens


def _unclosed(text: str, at: int) -> str:
    if text[at] == '"':
        return "string literal is not closed"
    if text.startswith("/*", at):
        return "comment is not closed"
    if text[at].isdigit():
        word = re.match(r"\w+", text[at:])
        return f"'{word[0] if word else text[at]}' is not a number"
    return ""


def parse_number(token: Token) -> Number:
    """The value of a number token (section 6.3.4.2)."""
    match = _NUMBER.match(token.text)
    assert match is not None  # the token's pattern is stricter than this one
    width, kind, prefix, digits = match.groups()
    if width is not None and len(width) > 9:
        raise error(token.loc, f"a width of {len(width)} digits is too large")
    digits = digits.replace("_", "")
    if not digits:
        raise error(token.loc, f"'{token.text}' is not a number")
    if len(digits) > 4000:
        raise error(token.loc, f"an integer literal of {len(digits)} digits is too long")
    base = _BASES[prefix[1].lower()] if prefix else 10
    value = int(digits, base)
    if width is None:
        return Number(value, None, False, base)
    return Number(value, int(width.replace("_", "")), kind == "s", base)
