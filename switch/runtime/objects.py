"""What the Python side must know of each object of a program: number, widths, packing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from switch import ir
from switch.backend import representation as rep
from switch.backend.analysis import big_limbs
from switch.backend.context import Context, array_size, counts_bytes
from switch.backend.keys import (
    KeyLayout,
    data_offsets,
    data_words,
    key_layout,
    unpack_data,
    value_set_layout,
)
from switch.backend.matches import pack_match, unpack_match
from switch.backend.program import register_cell_bytes
from switch.backend.types import flatten
from switch.runtime import native
from switch.runtime.entries import Entry, InvalidEntry, Match, UnknownName

T = TypeVar("T")


def look_up(objects: Mapping[str, T], name: str, kind: str) -> T:
    """Raises UnknownName with what there is instead."""
    if name not in objects:
        known = ", ".join(sorted(objects)) or "none"
        raise UnknownName(f"no {kind} '{name}'; this program has: {known}")
    return objects[name]


class Table:
    """One table: names and integers to words, and back."""

    def __init__(self, number: int, table: ir.Table) -> None:
        self.number = number
        self.ir = table
        self.name = table.name
        self.layout: KeyLayout = key_layout(table)
        self.data_words = data_words(table)
        self.actions = {ref.action.name: i for i, ref in enumerate(table.actions)}

    @property
    def row_words(self) -> int:
        keys = self.layout.words * (4 if self.layout.ranges else 2)
        return native.ROW_HEAD + keys + self.data_words

    def action(
        self, name: str, params: Sequence[int], *, default: bool = False
    ) -> tuple[int, native.Words]:
        """The action's number in the table and its packed data."""
        if name not in self.actions:
            known = ", ".join(self.actions)
            raise InvalidEntry(f"table '{self.name}' has no action '{name}', only: {known}")
        number = self.actions[name]
        ref = self.ir.actions[number]
        if ref.default_only and not default:
            raise InvalidEntry(
                f"table '{self.name}': action '{name}' may only be the default action"
            )
        if ref.table_only and default:
            raise InvalidEntry(
                f"table '{self.name}': action '{name}' may not be the default action"
            )
        data = ref.action.data
        if len(params) != len(data):
            raise InvalidEntry(
                f"table '{self.name}': action '{name}' takes {len(data)} parameters, "
                f"not {len(params)}"
            )
        offsets, _ = data_offsets(ref.action)
        packed = [0] * self.data_words
        for value, param, offset in zip(params, data, offsets, strict=True):
            width = rep.width_of(param.type)
            if not 0 <= value < 1 << width:
                raise InvalidEntry(
                    f"table '{self.name}', action '{name}': {value:#x} does not fit the "
                    f"{width} bits of '{param.source_name or param.name}'"
                )
            for i in range(rep.words_of(param.type)):
                packed[offset + i] = value >> 64 * i & (1 << 64) - 1
        return number, native.words(packed)

    def match(self, entry: Entry) -> tuple[native.Match, native.Words]:
        packed = pack_match(self.name, self.layout, entry)
        return native.match(packed.key, packed.mask, packed.low, packed.high, packed.priority)

    def entry(self, row: Sequence[int]) -> Entry:
        """The entry that a row of the runtime describes."""
        words = self.layout.words
        keys = native.ROW_HEAD
        ranges = keys + 2 * words
        data = ranges + (2 * words if self.layout.ranges else 0)
        match = unpack_match(
            self.layout,
            row[keys : keys + words],
            row[keys + words : ranges],
            row[ranges:data] if self.layout.ranges else [0] * (2 * words),
        )
        action, params = self.bound_action(row)
        priority = row[0] if self.layout.kind == "ternary" else 0
        return Entry(match, action, params, priority, bool(row[2] & native.ENTRY_CONST))

    def bound_action(self, row: Sequence[int]) -> tuple[str, tuple[int, ...]]:
        action = self.ir.actions[row[1]].action
        data = row[len(row) - self.data_words :]
        return action.name, unpack_data(data, action.data)


@dataclass(frozen=True, slots=True)
class Register:
    """One register array; cells wider than 64 bits are little-endian words."""

    number: int
    name: str
    size: int
    width: int
    cell_bytes: int

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger]:
        return np.dtype(f"u{min(8, self.cell_bytes)}")

    def check(self, value: int) -> int:
        if not 0 <= value < 1 << self.width:
            raise InvalidEntry(
                f"register '{self.name}': {value:#x} does not fit its {self.width} bits"
            )
        return value

    def unpack(self, cells: npt.NDArray[np.unsignedinteger]) -> list[int]:
        """Integers from the words of wide cells."""
        per_cell = self.cell_bytes // 8
        return [
            sum(int(word) << 64 * i for i, word in enumerate(cells[at : at + per_cell]))
            for at in range(0, len(cells), per_cell)
        ]

    def pack(self, values: Iterable[int]) -> npt.NDArray[np.unsignedinteger]:
        checked = [self.check(int(value)) for value in values]
        if self.cell_bytes <= 8:
            return np.array(checked, dtype=self.dtype)
        per_cell = self.cell_bytes // 8
        words = [v >> 64 * i & (1 << 64) - 1 for v in checked for i in range(per_cell)]
        return np.array(words, dtype=self.dtype)


@dataclass(frozen=True, slots=True)
class Array:
    """A counter or meter array."""

    number: int
    name: str
    size: int
    bytes: bool = False


class ValueSet:
    """One value_set of a parser."""

    def __init__(self, number: int, value_set: ir.ValueSet) -> None:
        self.number = number
        self.name = value_set.name
        self.size = value_set.size
        self.layout = value_set_layout(value_set)

    @property
    def row_words(self) -> int:
        return native.ROW_HEAD + self.layout.words * (4 if self.layout.ranges else 2)

    def match(self, member: tuple[Match, ...], priority: int) -> tuple[native.Match, native.Words]:
        """The priorities that ternary members need are their places in the list."""
        entry = Entry(member, "", (), priority if self.layout.kind == "ternary" else 0)
        packed = pack_match(self.name, self.layout, entry)
        return native.match(packed.key, packed.mask, packed.low, packed.high, packed.priority)

    def member(self, row: Sequence[int]) -> tuple[Match, ...]:
        words = self.layout.words
        mask = native.ROW_HEAD + words
        ranges = row[mask + words :] if self.layout.ranges else [0] * (2 * words)
        key = row[native.ROW_HEAD : mask]
        return unpack_match(self.layout, key, row[mask : mask + words], ranges)


@dataclass(frozen=True, slots=True)
class DigestType:
    name: str
    widths: tuple[int, ...]
    """Words of each value."""


class Objects:
    """All objects of one program, by control-plane name."""

    def __init__(self, program: ir.Program) -> None:
        context = Context(program)
        self.tables = {t.name: Table(n, t) for t, n in context.tables.items()}
        self.value_sets = {v.name: ValueSet(n, v) for v, n in context.value_sets.items()}
        self.registers: dict[str, Register] = {}
        for instance, number in context.registers.items():
            cell = register_cell_bytes(instance)
            self.registers[instance.name] = Register(
                number,
                instance.name,
                array_size(instance),
                rep.width_of(instance.type.arguments[0]),
                cell if cell > 0 else 8 * big_limbs(program),
            )
        self.counters = {
            i.name: Array(n, i.name, array_size(i)) for i, n in context.counters.items()
        }
        self.meters = {
            i.name: Array(n, i.name, array_size(i), counts_bytes(i))
            for i, n in context.meters.items()
        }
        self.digests = [
            DigestType(str(type_), tuple(rep.words_of(leaf) for _, leaf in flatten(type_)))
            for type_ in context.digests
        ]
