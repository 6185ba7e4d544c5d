"""Constants of the typed program as plain integers, keysets of entries as matches."""

from __future__ import annotations

from collections.abc import Sequence

from switch import ir
from switch.backend import representation as rep
from switch.backend.keys import KeyField
from switch.frontend.errors import unsupported
from switch.runtime.entries import Exact, Lpm, Match, Optional, Range, Ternary


def constant(expression: ir.Expression, errors: Sequence[str]) -> int:
    """The bits of a literal; errors (of the program's list) and enum members by number."""
    match expression:
        case ir.IntLiteral(value=value):
            return value & ((1 << rep.width_of(expression.type)) - 1)
        case ir.BoolLiteral(value=flag):
            return int(flag)
        case ir.EnumLiteral(type=ir.Enum(members=members), member=member):
            return members.index(member)
        case ir.ErrorLiteral(member=member):
            return errors.index(member)
    raise unsupported(expression.loc, "a constant of this kind")


def entry_match(keyset: ir.Keyset, field: KeyField, errors: Sequence[str]) -> Match:
    """A keyset of a table's own entry, as the match kind of its key wants it."""
    everything = (1 << field.width) - 1
    match keyset:
        case ir.AnyKey():
            value, mask, low, high = 0, 0, 0, everything
        case ir.ValueKey(value=literal):
            value = low = high = constant(literal, errors)
            mask = everything
        case ir.MaskKey(value=literal, mask=mask_literal):
            value, mask = constant(literal, errors), constant(mask_literal, errors)
            low, high = value & mask, value & mask | everything ^ mask
        case ir.RangeKey(low=first, high=last):
            low, high = constant(first, errors), constant(last, errors)
            value, mask = low, everything if low == high else 0
        case _:
            raise unsupported(keyset.loc, "this keyset")
    match field.match_kind:
        case "exact":
            return Exact(value)
        case "lpm":
            return Lpm(value, mask.bit_count())
        case "ternary":
            return Ternary(value, mask)
        case "optional":
            return Optional(value if mask else None)
    return Range(low, high)
