"""How table keys and action data are packed into 64-bit words; the C code and Python agree here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from switch import ir
from switch.backend.representation import width_of, words_of
from switch.backend.types import flatten
from switch.frontend.errors import unsupported

WORD: Final = (1 << 64) - 1
TableKind = Literal["none", "exact", "lpm", "ternary"]


@dataclass(frozen=True, slots=True)
class KeyField:
    """One key: `width` bits at `shift` of word `word`, over as many words as it needs."""

    name: str
    match_kind: str
    width: int
    word: int
    shift: int

    def put(self, words: list[int], value: int) -> None:
        placed = value << self.shift
        for i in range(self.word, len(words)):
            words[i] |= placed & WORD
            placed >>= 64

    def get(self, words: Sequence[int]) -> int:
        value = sum(word << 64 * i for i, word in enumerate(words[self.word :]))
        return value >> self.shift & ((1 << self.width) - 1)


@dataclass(frozen=True, slots=True)
class KeyLayout:
    """The packing of one table's keys: no key of up to 64 bits straddles two words."""

    kind: TableKind
    fields: tuple[KeyField, ...]
    words: int

    @property
    def ranges(self) -> tuple[KeyField, ...]:
        return tuple(f for f in self.fields if f.match_kind == "range")


def table_kind(kinds: Sequence[str]) -> TableKind:
    """Which structure a table needs; one LPM key among exact ones needs no priorities."""
    if not kinds:
        return "none"
    others = [kind for kind in kinds if kind != "exact"]
    if not others:
        return "exact"
    return "lpm" if others == ["lpm"] else "ternary"


def _layout(keys: Sequence[tuple[str, str, ir.Type]], loc: ir.Loc) -> KeyLayout:
    """Names, match kinds and types of the fields, in order."""
    fields: list[KeyField] = []
    used = 0
    for name, match_kind, type_ in keys:
        if match_kind not in ("exact", "lpm", "ternary", "range", "optional"):
            raise unsupported(loc, f"match kind '{match_kind}'")
        width = width_of(type_)
        room = -used % 64
        if width > room:
            used += room
        fields.append(KeyField(name, match_kind, width, used // 64, used % 64))
        used += width
    kind = table_kind([field.match_kind for field in fields])
    return KeyLayout(kind, tuple(fields), -(-used // 64) if fields else 0)


def matched_keys(table: ir.Table) -> list[ir.Key]:
    """Those that entries match; what a selector hashes is none of them."""
    return [key for key in table.keys if key.match_kind != "selector"]


def key_layout(table: ir.Table) -> KeyLayout:
    keys = [(key.name, key.match_kind, key.expression.type) for key in matched_keys(table)]
    return _layout(keys, table.keys[0].loc if table.keys else table.loc)


def value_set_layout(value_set: ir.ValueSet) -> KeyLayout:
    """A value_set is a table without actions; a member's match is one per field of its type."""
    leaves = list(flatten(value_set.type))
    keys = [
        (path.removeprefix(".").removesuffix("_") or value_set.name, kind, type_)
        for (path, type_), kind in zip(leaves, value_set.matches, strict=True)
    ]
    return _layout(keys, value_set.loc)


def data_offsets(action: ir.Action) -> tuple[list[int], int]:
    """The first word of each of an action's data, and the number of words."""
    offsets, used = [], 0
    for param in action.data:
        offsets.append(used)
        used += words_of(param.type)
    return offsets, used


def data_words(table: ir.Table) -> int:
    """Of an entry; one that refers to an action profile needs one."""
    most = max((data_offsets(ref.action)[1] for ref in table.actions), default=0)
    return max(most, 1) if table.implementation else most


def pack_data(values: Sequence[int], params: Sequence[ir.Param], words: int) -> list[int]:
    packed: list[int] = []
    for value, param in zip(values, params, strict=True):
        packed += [value >> 64 * i & WORD for i in range(words_of(param.type))]
    return packed + [0] * (words - len(packed))


def unpack_data(words: Sequence[int], params: Sequence[ir.Param]) -> tuple[int, ...]:
    values, used = [], 0
    for param in params:
        count = words_of(param.type)
        values.append(sum(word << 64 * i for i, word in enumerate(words[used : used + count])))
        used += count
    return tuple(values)


def table_size(table: ir.Table) -> int:
    """p4c's default for v1model is 1024; the program's own entries always fit."""
    return max(1024 if table.size is None else table.size, len(table.entries))
