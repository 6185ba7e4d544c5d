"""Ids and aliases of P4Info objects, assigned as p4c assigns them (P4Runtime spec 6.3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import IntEnum

from switch import ir
from switch.frontend.errors import error

SUFFIX_MASK = 0xFFFFFF


class Kind(IntEnum):
    """The top byte of an id."""

    ACTION = 0x01
    TABLE = 0x02
    VALUE_SET = 0x03
    CONTROLLER_HEADER = 0x04
    ACTION_PROFILE = 0x11
    COUNTER = 0x12
    DIRECT_COUNTER = 0x13
    METER = 0x14
    DIRECT_METER = 0x15
    REGISTER = 0x16
    DIGEST = 0x17


def one_at_a_time(name: str) -> int:
    """Jenkins' one-at-a-time hash, 32 bits."""
    value = 0
    for byte in name.encode():
        value = (value + byte) & 0xFFFFFFFF
        value = (value + (value << 10)) & 0xFFFFFFFF
        value ^= value >> 6
    value = (value + (value << 3)) & 0xFFFFFFFF
    value ^= value >> 11
    return (value + (value << 15)) & 0xFFFFFFFF


def explicit_id(annotations: ir.Annotations) -> int | None:
    """The value of `@id`, if there is one."""
    found = ir.annotation(annotations, "id")
    if found is None:
        return None
    if len(found.values) != 1 or type(found.values[0]) is not int or found.values[0] <= 0:
        raise error(found.loc or ir.Loc("", 0, 0), "@id takes one positive integer")
    return found.values[0]


class Symbols:
    """All named objects of a program: add every one first, then ask for ids and aliases."""

    def __init__(self) -> None:
        self._explicit: dict[tuple[Kind, str], int | None] = {}
        self._ids: dict[tuple[Kind, str], int] = {}
        self._suffixes: Counter[str] = Counter()

    def add(self, kind: Kind, name: str, annotations: ir.Annotations = ()) -> None:
        """Adding the same object twice is harmless (an action of two tables)."""
        if (kind, name) in self._explicit:
            return
        number = explicit_id(annotations)
        if number is not None:
            number = self._with_prefix(kind, number, annotations)
            if number in self._explicit.values():
                self._reject(annotations, f"@id {number:#x} is given to two objects")
        if name not in {other for _, other in self._explicit}:
            self._suffixes.update(_suffixes(name))
        self._explicit[kind, name] = number

    def _with_prefix(self, kind: Kind, number: int, annotations: ir.Annotations) -> int:
        prefix = number >> 24
        if prefix not in (0, kind):
            self._reject(
                annotations, f"@id {number:#x} does not begin with {kind:#04x}, for a {kind.name}"
            )
        return kind << 24 | number & SUFFIX_MASK

    @staticmethod
    def _reject(annotations: ir.Annotations, message: str) -> None:
        found = ir.annotation(annotations, "id")
        raise error((found and found.loc) or ir.Loc("", 0, 0), message)

    def assign(self) -> None:
        """Hash the names; linear probing in name order makes the outcome deterministic."""
        taken = {number for number in self._explicit.values() if number is not None}
        for kind, name in sorted(self._explicit):
            number = self._explicit[kind, name]
            value = one_at_a_time(name)
            while number is None:
                candidate = kind << 24 | value & SUFFIX_MASK
                number = None if candidate in taken else candidate
                value += 1
            taken.add(number)
            self._ids[kind, name] = number

    def id(self, kind: Kind, name: str) -> int:
        return self._ids[kind, name]

    def alias(self, name: str) -> str:
        """The shortest suffix of dotted parts that no other object's name ends in."""
        return next((s for s in _suffixes(name) if self._suffixes[s] == 1), name)


def _suffixes(name: str) -> list[str]:
    """From the shortest to the whole name."""
    parts = name.split(".")
    return [".".join(parts[-count:]) for count in range(1, len(parts) + 1)]


def member_ids(members: Sequence[ir.Annotations]) -> Iterable[int]:
    """Ids of match fields, parameters or metadata: `@id`, and the free numbers from 1 in order."""
    explicit = [explicit_id(member) for member in members]
    taken: set[int] = set()
    for number, member in zip(explicit, members, strict=True):
        if number in taken:
            found = ir.annotation(member, "id")
            raise error((found and found.loc) or ir.Loc("", 0, 0), f"@id {number} is used twice")
        if number is not None:
            taken.add(number)
    following = 1
    for number in explicit:
        if number is not None:
            following += 1
            yield number
            continue
        while following in taken:
            following += 1
        taken.add(following)
        yield following
