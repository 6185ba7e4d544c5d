"""Aligned power-of-two ranges of groups: prefixes of the group number (docs/protocol.md)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self

import numpy as np

from controller.errors import InvalidError
from hosts.wire import GROUPS

GROUP_BITS: Final = 16
"""Width of the header field that the switch's `partition` table matches by prefix."""

_RANGE: Final = re.compile(r"(\d{1,5})-(\d{1,5})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """Groups `first`…`last`, both included."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 0 <= self.first <= self.last < GROUPS:
            raise InvalidError(
                f"groups {self.first}-{self.last}: expected FIRST-LAST within 0-{GROUPS - 1}"
            )

    def __len__(self) -> int:
        return self.last - self.first + 1

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    def __contains__(self, other: "Range") -> bool:
        return self.first <= other.first and other.last <= self.last

    @property
    def is_aligned(self) -> bool:
        """Whether one prefix of the group number covers just this range."""
        size = len(self)
        return size & (size - 1) == 0 and self.first % size == 0

    @property
    def prefix_length(self) -> int:
        """The length of that prefix in the 16-bit group field."""
        return GROUP_BITS - (len(self) - 1).bit_length()

    def overlaps(self, other: "Range") -> bool:
        """Whether the two have a group in common."""
        return self.first <= other.last and other.first <= self.last

    def halves(self) -> tuple[Self, Self]:
        """Return the two ranges whose prefixes are one bit longer."""
        middle = self.first + len(self) // 2
        return type(self)(self.first, middle - 1), type(self)(middle, self.last)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the aligned range that `text` (`0-8191`) names; None if it is no range at all."""
        match = _RANGE.fullmatch(text)
        if match is None:
            return None
        found = cls(int(match[1]), int(match[2]))
        found.require_aligned()
        return found

    def require_aligned(self) -> None:
        """Raise InvalidError unless this range can be a partition."""
        if not self.is_aligned:
            raise InvalidError(
                f"groups {self}: a partition is an aligned power-of-two range, such as 0-8191"
            )


def split(whole: Range, piece: Range) -> list[tuple[str, Range]]:
    """Split `whole` by halving until `piece` stands alone: (bits below `whole`, range) each."""
    pieces: list[tuple[str, Range]] = []
    bits, rest = "", whole
    while rest != piece:
        low, high = rest.halves()
        if piece in low:
            pieces.append((bits + "1", high))
            bits, rest = bits + "0", low
        else:
            pieces.append((bits + "0", low))
            bits, rest = bits + "1", high
    pieces.append((bits, piece))
    return sorted(pieces, key=lambda found: found[1])


def ranges_of(groups: Iterable[int]) -> list[Range]:
    """Return the fewest ranges that hold just `groups`."""
    ordered = sorted(set(groups))
    if not ordered:
        return []
    starts = [ordered[0], *(b for a, b in pairwise(ordered) if b != a + 1)]
    ends = [*(a for a, b in pairwise(ordered) if b != a + 1), ordered[-1]]
    return [Range(first, last) for first, last in zip(starts, ends, strict=True)]


def batch_within(ranges: Iterable[Range], most: int) -> int:
    """Return the largest batch, at most `most` (a power of two), that divides every boundary."""
    bits = most
    for each in ranges:
        bits |= each.first | each.last + 1
    return bits & -bits


def mask_of(ranges: Sequence[Range]) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Return one flag per group: whether one of `ranges` holds it."""
    mask = np.zeros(GROUPS, dtype=np.bool_)
    for each in ranges:
        mask[each.first : each.last + 1] = True
    return mask
