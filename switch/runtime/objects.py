"""What the Python side must know of each object of a program: number, widths, packing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from switch import ir
from switch.backend import profiles
from switch.backend import representation as rep
from switch.backend.analysis import big_limbs
from switch.backend.context import Context, array_size, counts_bytes
from switch.backend.externs import digest_values
from switch.backend.keys import (
    KeyLayout,
    data_words,
    key_layout,
    pack_data,
    unpack_data,
    value_set_layout,
)
from switch.backend.matches import pack_match, unpack_match
from switch.backend.program import register_cell_bytes
from switch.runtime import native
from switch.runtime.entries import (
    Entry,
    InvalidEntry,
    Match,
    OneShot,
    Target,
    ToGroup,
    ToMember,
    UnknownName,
    Weighted,
)

T = TypeVar("T")


def look_up(objects: Mapping[str, T], name: str, kind: str) -> T:
    """Raises UnknownName with what there is instead."""
    if name not in objects:
        known = ", ".join(sorted(objects)) or "none"
        raise UnknownName(f"no {kind} '{name}'; this program has: {known}")
    return objects[name]


def _packed(action: ir.Action, params: Sequence[int], words: int, what: str) -> list[int]:
    """An action's data, checked; `what` is for messages."""
    if len(params) != len(action.data):
        raise InvalidEntry(
            f"{what}: action '{action.name}' takes {len(action.data)} parameters, not {len(params)}"
        )
    for value, param in zip(params, action.data, strict=True):
        width = rep.width_of(param.type)
        if not 0 <= value < 1 << width:
            raise InvalidEntry(
                f"{what}, action '{action.name}': {value:#x} does not fit the "
                f"{width} bits of '{param.source_name or param.name}'"
            )
    return pack_data(params, action.data, words)


class Profile:
    """One action profile: its members' actions and groups to words, and back."""

    def __init__(self, number: int, profile: profiles.Profile) -> None:
        self.number = number
        self.name = profile.instance.name
        self.selector = profile.selector
        self.size = profile.size
        self.data_words = profile.data_words
        self._list = profile.actions
        self.actions = {action.name: i for i, action in enumerate(profile.actions)}

    def action(self, name: str, params: Sequence[int]) -> tuple[int, list[int]]:
        """The action's number in the profile and its packed data."""
        if name not in self.actions:
            known = ", ".join(self.actions) or "none"
            raise InvalidEntry(
                f"action profile '{self.name}': members have no action '{name}', only: {known}"
            )
        number = self.actions[name]
        what = f"action profile '{self.name}'"
        return number, _packed(self._list[number], params, self.data_words, what)

    def bound_action(self, number: int, data: Sequence[int]) -> tuple[str, tuple[int, ...]]:
        action = self._list[number]
        return action.name, unpack_data(data, action.data)

    def watch(self, weight: int, port: int | None) -> tuple[int, int]:
        """Weight and watched port as the runtime has them."""
        if not 0 < weight < 1 << 31:
            raise InvalidEntry(
                f"action profile '{self.name}': a weight is from 1 to {(1 << 31) - 1}, not {weight}"
            )
        if port is not None and not 0 <= port < 512:
            raise InvalidEntry(
                f"action profile '{self.name}': a watched port is from 0 to 511, not {port}"
            )
        return weight, native.NO_PORT if port is None else port

    def check_selector(self) -> None:
        if not self.selector:
            raise InvalidEntry(
                f"action profile '{self.name}' has no selector: there are no groups, only members"
            )

    def refers(self, target: Target) -> tuple[int, native.Words]:
        """An entry's action number and data that stand for what it refers to."""
        if isinstance(target, ToMember):
            return native.MEMBER, native.words((self.check_id(target.id),))
        self.check_selector()
        if isinstance(target, ToGroup):
            return native.GROUP, native.words((self.check_id(target.id),))
        data = [len(target.actions)]
        for each in target.actions:
            number, packed = self.action(each.action, each.params)
            data += [*self.watch(each.weight, each.watch_port), number, *packed]
        return native.ONE_SHOT, native.words(data)

    def check_id(self, number: int) -> int:
        if not 0 <= number < 1 << 32:
            raise InvalidEntry(
                f"action profile '{self.name}': an id is from 0 to {(1 << 32) - 1}, not {number}"
            )
        return number

    def target(self, kind: int, data: Sequence[int]) -> Target | None:
        """What `refers` made these from."""
        if kind == native.MEMBER:
            return ToMember(data[0])
        if kind == native.GROUP:
            return ToGroup(data[0])
        if kind != native.ONE_SHOT:
            return None
        size = 3 + self.data_words
        parts = (data[at : at + size] for at in range(1, len(data), size))
        return OneShot(
            tuple(
                Weighted(*self.bound_action(number, rest), weight, port_of(watch))
                for weight, watch, number, *rest in parts
            )
        )


def port_of(watch: int) -> int | None:
    return None if watch == native.NO_PORT else watch


class Table:
    """One table: names and integers to words, and back."""

    def __init__(self, number: int, table: ir.Table, profile: Profile | None) -> None:
        self.number = number
        self.ir = table
        self.profile = profile
        self.name = table.name
        self.layout: KeyLayout = key_layout(table)
        self.data_words = data_words(table)
        self.actions = {ref.action.name: i for i, ref in enumerate(table.actions)}

    @property
    def row_words(self) -> int:
        """Of a row without a target."""
        return self._data_at + self.data_words

    @property
    def _data_at(self) -> int:
        return native.ROW_HEAD + self.layout.words * (4 if self.layout.ranges else 2)

    def split(self, words: Sequence[int]) -> Iterator[Sequence[int]]:
        """Rows that stand one after the other; those with a target have lengths of their own."""
        at = 0
        while at < len(words):
            size = self.row_words
            data = at + self._data_at
            if self.profile and words[at + 1] >= native.MEMBER:
                size = self._data_at + 1
                if words[at + 1] == native.ONE_SHOT:
                    size += words[data] * (3 + self.profile.data_words)
            yield words[at : at + size]
            at += size

    def does(self, entry: Entry) -> tuple[int, native.Words]:
        """The number of an entry's own action and its data, or what stands for its target."""
        if entry.target is not None:
            return self.refers(entry.target)
        return self.action(entry.action, entry.params)

    def refers(self, target: Target) -> tuple[int, native.Words]:
        if not self.profile:
            raise InvalidEntry(f"table '{self.name}' has no action profile to refer to")
        return self.profile.refers(target)

    def target(self, row: Sequence[int]) -> Target | None:
        return self.profile.target(row[1], row[self._data_at :]) if self.profile else None

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
        packed = _packed(ref.action, params, self.data_words, f"table '{self.name}'")
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
        is_const = bool(row[2] & native.ENTRY_CONST)
        return Entry(match, action, params, priority, is_const, self.target(row))

    def bound_action(self, row: Sequence[int]) -> tuple[str, tuple[int, ...]]:
        """Empty for a row with a target."""
        if row[1] >= native.MEMBER:
            return "", ()
        action = self.ir.actions[row[1]].action
        data = row[self._data_at :]
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
        self.profiles = {
            instance.name: Profile(number, profile)
            for number, (instance, profile) in enumerate(context.profiles.items())
        }
        self.tables = {
            t.name: Table(n, t, self.profiles[t.implementation.name] if t.implementation else None)
            for t, n in context.tables.items()
        }
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
            DigestType(str(type_), tuple(digest_values(type_))) for type_ in context.digests
        ]
