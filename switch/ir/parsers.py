"""Parsers, their states and value sets."""

from __future__ import annotations

from dataclasses import dataclass, field

from switch.ir.expressions import Expression
from switch.ir.externs import ExternInstance
from switch.ir.keysets import Keyset
from switch.ir.source import Annotations, Loc
from switch.ir.statements import Statement
from switch.ir.types import Type
from switch.ir.variables import Param


@dataclass(frozen=True, slots=True)
class Goto:
    """`transition state`; `state` is a name in `Parser.states`, or "accept" or "reject"."""

    loc: Loc = field(compare=False)
    state: str


@dataclass(frozen=True, slots=True)
class SelectCase:
    """One keyset per expression of the select (see ValueSetKey for the exception)."""

    keysets: tuple[Keyset, ...]
    state: str
    loc: Loc = field(compare=False)


@dataclass(frozen=True, slots=True)
class Select:
    """`transition select(expressions)`: first matching case in order; none: error.NoMatch, reject.

    Expressions are Bits, Bool, enums or Error.
    """

    loc: Loc = field(compare=False)
    expressions: tuple[Expression, ...]
    cases: tuple[SelectCase, ...]


@dataclass(eq=False, slots=True)
class State:
    """A parser state; one without transition in the source goes to "reject"."""

    name: str
    body: tuple[Statement, ...]
    transition: Goto | Select
    annotations: Annotations
    loc: Loc


@dataclass(eq=False, slots=True)
class ValueSet:
    """`value_set<T>(size) name`, filled by the control plane; `type` Bits, enum, Struct or Tuple.

    `matches` gives the @match kind of each member ("exact" when not annotated).
    """

    name: str
    type: Type
    size: int
    matches: tuple[str, ...]
    annotations: Annotations
    loc: Loc


@dataclass(eq=False, slots=True)
class Parser:
    """A parser instance. `name` is the fully-qualified instance name ("P" for the top one)."""

    name: str
    type_name: str
    params: tuple[Param, ...]
    prologue: tuple[Statement, ...]
    """Declarations with their initialisers, run at each start of the parser, before `start`."""
    states: dict[str, State]
    """In source order; "start" is there; accept and reject are not."""
    value_sets: tuple[ValueSet, ...]
    externs: tuple[ExternInstance, ...]
    parsers: tuple[Parser, ...]
    annotations: Annotations
    loc: Loc
