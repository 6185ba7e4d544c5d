"""The hooks of a program built for tracing (switch/runtime/trace.h).

A hook is one call in the C code with a number and some words: everything else about it, its names,
types and place in the source, stays here, as a `Site`. The plain build has the same sites, but
hooks for messages only, so that one list explains what either says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from switch import ir
from switch.backend import representation as rep
from switch.backend.keys import matched_keys
from switch.backend.text import Lines

FIRST_SITE: Final = 32
"""P4_TRACE_SITES."""
MESSAGES: Final = ("log_msg", "assert", "assume")
"""What is said of packets that are not traced, too."""

Kind = Literal[
    "state", "select", "extract", "advance", "emit", "condition", "switch", "assign", "table",
    "member", "action", "read", "write", "counter", "meter", "result", "checksum", "digest",
    "request", "exit", "log_msg", "assert", "assume",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Value:
    """A scalar (or varbit) that a hook hands over, by its name in the program."""

    name: str
    type: ir.Type


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the program that a trace tells of."""

    kind: Kind
    name: str
    loc: ir.Loc
    values: tuple[Value, ...] = ()


Datum = tuple[str, str, ir.Type]
"""A value's name, its C expression (free of effects) and its type."""


class Trace:
    """The sites of one program, as its code is written."""

    def __init__(self, active: bool) -> None:
        self.active = active
        self.sites: list[Site] = []

    def hook(self, out: Lines, kind: Kind, name: str, loc: ir.Loc, *data: Datum) -> None:
        """The code for one site: nothing in the plain build, except for messages."""
        number = self._site(kind, name, loc, data)
        words = [word for _, value, type_ in data for word in words_of(value, type_)]
        arguments = f"{number}, P4_WORDS({', '.join(words)})"
        if kind in MESSAGES:
            out.add(f"p4_trace_message(s, &c->p, c->std.ingress_port_, {arguments});")
        elif self.active:
            out.add(f"p4_trace_words(s, &c->p, {arguments});")

    def table(self, out: Lines, table: ir.Table, keys: Sequence[tuple[str, ir.Type]]) -> None:
        """What a table with these keys has found, as `t`, `e` and `hit` say."""
        data = [(key.name, *item) for key, item in zip(matched_keys(table), keys, strict=True)]
        number = self._site("table", table.name, table.loc, data)
        words = [word for value, type_ in keys for word in words_of(value, type_)]
        if self.active:
            values = f"P4_WORDS({', '.join(words)})"
            out.add(f"p4_trace_table(s, &c->p, {number}, t, e, hit, {values});")

    def _site(self, kind: Kind, name: str, loc: ir.Loc, data: Sequence[Datum]) -> int:
        values = tuple(Value(label, type_) for label, _, type_ in data)
        self.sites.append(Site(kind, name, loc, values))
        return FIRST_SITE + len(self.sites) - 1


def words_of(value: str, type_: ir.Type) -> Iterator[str]:
    """A value as 64-bit words, lowest first; a varbit's width comes before its bytes."""
    if isinstance(type_, ir.Varbit):
        yield f"{value}.bits"
        size = -(-type_.max_width // 8)
        for at in range(0, size, 8):
            yield f"p4_load({value}.data + {at}, {min(8, size - at)})"
        return
    if isinstance(type_, ir.Bool):
        yield f"(uint64_t)({value})"
        return
    width = rep.width_of(type_)
    if width <= 64:
        yield value
        return
    for i in range(rep.words_of(type_)):
        yield f"(uint64_t)(({value}) >> {64 * i})" if width <= rep.BIG else f"({value}).w[{i}]"
