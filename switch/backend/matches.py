"""A table entry's match as the C runtime wants it: packed words, canonical, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from switch.backend.keys import KeyField, KeyLayout
from switch.runtime.entries import (
    Entry,
    Exact,
    InvalidEntry,
    Lpm,
    Match,
    Optional,
    Range,
    Ternary,
)


@dataclass(frozen=True, slots=True)
class PackedMatch:
    """Words of key, mask, low and high, and the priority (the prefix length for LPM)."""

    key: list[int]
    mask: list[int]
    low: list[int]
    high: list[int]
    priority: int


_KINDS: dict[str, type[Match]] = {
    "exact": Exact,
    "lpm": Lpm,
    "ternary": Ternary,
    "range": Range,
    "optional": Optional,
}


def _check(table: str, field: KeyField, value: int) -> int:
    if not 0 <= value < 1 << field.width:
        raise InvalidEntry(
            f"table '{table}', key '{field.name}': {value:#x} does not fit its {field.width} bits"
        )
    return value


def _value_and_mask(table: str, field: KeyField, match: Match) -> tuple[int, int]:
    everything = (1 << field.width) - 1
    match match:
        case Exact(value=value):
            return _check(table, field, value), everything
        case Ternary(value=value, mask=mask):
            return _check(table, field, value), _check(table, field, mask)
        case Lpm(value=value, prefix_len=length):
            if not 0 <= length <= field.width:
                raise InvalidEntry(
                    f"table '{table}', key '{field.name}': prefix length {length} is not between "
                    f"0 and {field.width}"
                )
            return _check(table, field, value), everything ^ (everything >> length)
        case Optional(value=None):
            return 0, 0
        case Optional(value=int(value)):
            return _check(table, field, value), everything
        case Range(low=low, high=high):
            if _check(table, field, low) > _check(table, field, high):
                raise InvalidEntry(
                    f"table '{table}', key '{field.name}': the range {low:#x}..{high:#x} is empty"
                )
            # The bits that all values of the range share find it in the hash.
            shared = everything >> (low ^ high).bit_length() << (low ^ high).bit_length()
            return low, shared
    raise AssertionError(match)


def pack_match(table: str, layout: KeyLayout, entry: Entry) -> PackedMatch:
    """Raises InvalidEntry with the table's and the key's name."""
    if layout.kind == "none":
        raise InvalidEntry(f"table '{table}' has no keys: only its default action can be set")
    if len(entry.match) != len(layout.fields):
        keys = ", ".join(field.name for field in layout.fields)
        raise InvalidEntry(
            f"table '{table}' has {len(layout.fields)} keys ({keys}); "
            f"the entry has {len(entry.match)} matches"
        )
    words = layout.words
    packed = PackedMatch([0] * words, [0] * words, [0] * words, [0] * words, entry.priority)
    prefix = 0
    for field, match in zip(layout.fields, entry.match, strict=True):
        if not isinstance(match, _KINDS[field.match_kind]):
            raise InvalidEntry(
                f"table '{table}', key '{field.name}' is matched {field.match_kind}, "
                f"not {type(match).__name__.lower()}"
            )
        value, mask = _value_and_mask(table, field, match)
        field.put(packed.key, value & mask)
        field.put(packed.mask, mask)
        if isinstance(match, Range):
            field.put(packed.low, match.low)
            field.put(packed.high, match.high)
        if isinstance(match, Lpm):
            prefix = match.prefix_len
    return PackedMatch(
        packed.key, packed.mask, packed.low, packed.high, _priority(table, layout, entry, prefix)
    )


def _priority(table: str, layout: KeyLayout, entry: Entry, prefix: int) -> int:
    if layout.kind == "ternary":
        if not 0 < entry.priority < 1 << 31:
            raise InvalidEntry(
                f"table '{table}': an entry needs a priority from 1 to {(1 << 31) - 1}, "
                f"not {entry.priority}"
            )
        return entry.priority
    if entry.priority != 0:
        raise InvalidEntry(
            f"table '{table}' has only exact and LPM keys: its entries have no priority"
        )
    return prefix


def unpack_match(
    layout: KeyLayout, key: Sequence[int], mask: Sequence[int], ranges: Sequence[int]
) -> tuple[Match, ...]:
    """`ranges` is low words, then high words."""
    low, high = ranges[: layout.words], ranges[layout.words :]
    matches: list[Match] = []
    for field in layout.fields:
        value, bits = field.get(key), field.get(mask)
        match field.match_kind:
            case "exact":
                matches.append(Exact(value))
            case "lpm":
                matches.append(Lpm(value, bits.bit_count()))
            case "ternary":
                matches.append(Ternary(value, bits))
            case "optional":
                matches.append(Optional(value if bits else None))
            case _:
                matches.append(Range(field.get(low), field.get(high)))
    return tuple(matches)
