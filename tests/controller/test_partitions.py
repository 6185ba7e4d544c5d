"""Ranges of groups and how they split."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import InvalidError
from controller.partitions import Range, batch_within, mask_of, ranges_of, split

WHOLE = Range(0, 16383)


@st.composite
def aligned(draw: st.DrawFn, within: Range = WHOLE) -> Range:
    size = 1 << draw(st.integers(0, len(within).bit_length() - 1))
    number = draw(st.integers(0, len(within) // size - 1))
    return Range(within.first + number * size, within.first + (number + 1) * size - 1)


@given(st.data())
def test_a_split_covers_the_whole_once_with_the_piece_alone(data: st.DataObject) -> None:
    whole = data.draw(aligned())
    piece = data.draw(aligned(whole))
    pieces = split(whole, piece)
    groups = [each for _, each in pieces]
    assert piece in groups
    assert all(each.is_aligned for each in groups)
    assert [g for each in groups for g in range(each.first, each.last + 1)] == list(
        range(whole.first, whole.last + 1)
    )
    # The bits below the whole are the bits by which the prefix grew.
    for bits, each in pieces:
        assert len(bits) == each.prefix_length - whole.prefix_length
        if bits:
            assert (each.first - whole.first) // len(each) == int(bits, 2)
    assert len({bits for bits, _ in pieces}) == len(pieces)


@given(aligned())
def test_one_prefix_covers_just_the_range(groups: Range) -> None:
    mask = 0xFFFF & ~(len(groups) - 1)
    assert {g for g in range(16384) if g & mask == groups.first} == set(
        range(groups.first, groups.last + 1)
    )
    assert bin(mask).count("1") == groups.prefix_length


@given(st.sets(st.integers(0, 16383), max_size=60))
def test_ranges_hold_just_the_groups(groups: set[int]) -> None:
    ranges = ranges_of(groups)
    assert {g for each in ranges for g in range(each.first, each.last + 1)} == groups
    assert all(b.first > a.last + 1 for a, b in pairwise(ranges))
    assert set(mask_of(ranges).nonzero()[0].tolist()) == groups


@given(
    st.sets(st.integers(0, 16383).map(lambda g: g & ~3), min_size=1, max_size=20),
    st.sampled_from([1 << bits for bits in range(11)]),
)
def test_the_batch_is_the_largest_that_keeps_within(firsts: set[int], most: int) -> None:
    ranges = ranges_of(g for first in firsts for g in range(first, first + 4))
    batch = batch_within(ranges, most)
    members = set(mask_of(ranges).nonzero()[0].tolist())

    def whole(size: int) -> bool:
        """Whether every batch of that size is in the ranges or out of them."""
        heads = {g // size for g in members}
        return len(heads) * size == len(members)

    assert batch <= most
    assert whole(batch)
    assert batch == most or not whole(2 * batch)


def test_text() -> None:
    assert Range.parse("0-8191") == Range(0, 8191)
    assert Range.parse("7-7") == Range(7, 7)
    assert Range.parse("p0") is None
    for text in ("0-100", "1-2", "8191-0", "0-16384"):
        with pytest.raises(InvalidError, match=f"groups {text}"):
            Range.parse(text)
