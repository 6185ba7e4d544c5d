"""Keysets, of select cases and of table entries."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from switch.ir.expressions import Expression
from switch.ir.source import Loc

if TYPE_CHECKING:  # whose select cases have keysets
    from switch.ir.parsers import ValueSet


@dataclass(frozen=True, slots=True)
class Keyset:
    loc: Loc = field(compare=False)


@dataclass(frozen=True, slots=True)
class AnyKey(Keyset):
    """`_` or `default`."""


@dataclass(frozen=True, slots=True)
class ValueKey(Keyset):
    """Equal to `value`, a literal of the key's type."""

    value: Expression


@dataclass(frozen=True, slots=True)
class MaskKey(Keyset):
    """`value &&& mask`, literals of the key's type. An LPM entry is one, with a prefix mask."""

    value: Expression
    mask: Expression


@dataclass(frozen=True, slots=True)
class RangeKey(Keyset):
    """`low .. high`, inclusive; literals. Empty when low > high."""

    low: Expression
    high: Expression


@dataclass(frozen=True, slots=True)
class ValueSetKey(Keyset):
    """Any member of a value_set. For a value_set of a struct or tuple the key is the whole tuple:
    it is then the only keyset of its SelectCase, spanning all of the select's expressions."""

    value_set: ValueSet
