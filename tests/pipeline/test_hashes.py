"""docs/dataplane.md, "The filters": the hash functions, and the false positives of both filters."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller import filters
from hosts.wire import GROUPS

from .deployment import MOVING_PARTITION, SLICE, SOURCE
from .net import Net, complete, start

ALL = np.arange(GROUPS)


def theory(groups: int, cells: int) -> float:
    """Return (1 − e^(−kn/m))^k for k arrays of `cells` each."""
    return float((1 - np.exp(-groups / cells)) ** filters.HASHES)


NOTHING_MIGRATED = filters.migrated_contents([])


def look_ongoing(members: filters.Cells) -> filters.Cells:
    """Return the groups that look ONGOING when `members` are."""
    seen = filters.state_of_all(filters.ongoing_contents(members), NOTHING_MIGRATED)
    return np.flatnonzero(seen == filters.ONGOING)


def test_the_switch_computes_the_same_hashes(net: Net) -> None:
    for sequence, group in enumerate(range(0, 4096, 37), 1):
        net.send(SOURCE, start(MOVING_PARTITION + group, sequence))
        net.send(SOURCE, complete(MOVING_PARTITION + group, sequence, lane=1))
    for sequence, group in enumerate(range(5, 4096, 111), 1):
        net.send(SOURCE, start(MOVING_PARTITION + group, sequence, lane=2))
    moving = [MOVING_PARTITION + group for group in range(5, 4096, 111)]
    arrived = [MOVING_PARTITION + group for group in range(0, 4096, 37)]
    for kind, wanted in (
        ("ongoing", filters.ongoing_contents(moving)),
        ("migrated", filters.migrated_contents(arrived)),
    ):
        for array, row in enumerate(wanted):
            found = np.asarray(net.pipeline.registers(f"Ingress.{kind}_{array}"))
            first = SLICE * len(row)
            assert (found[first : first + len(row)] == row).all()


def test_no_two_groups_share_a_migrated_cell() -> None:
    for row in filters.migrated_hashes(ALL):
        assert len(np.unique(row)) == GROUPS


def test_ongoing_cells_are_evenly_used() -> None:
    for row in filters.ongoing_hashes(ALL):
        assert set(np.bincount(row)) == {GROUPS // filters.ONGOING_CELLS}


def test_groups_that_share_a_cell_of_one_array_share_none_of_another() -> None:
    """CRCs are linear, so it is enough to know who collides with group 0."""
    with_zero = [set(np.flatnonzero(row == row[0])) for row in filters.ongoing_hashes(ALL)]
    for one, other in combinations(with_zero, 2):
        assert one & other == {0}


def test_the_hashes_are_linear() -> None:
    """Which is what lets the test above stand for all pairs of groups."""
    hashes = filters.migrated_hashes(ALL)
    one, other = np.random.default_rng(1).integers(GROUPS, size=(2, 1000))
    assert (hashes[:, one ^ other] == hashes[:, one] ^ hashes[:, other] ^ hashes[:, [0]]).all()


@pytest.mark.parametrize("size", [16 << i for i in range(10)])
def test_random_sets_look_ongoing_no_more_often_than_in_theory(size: int) -> None:
    random = np.random.default_rng(size)
    trials = 40
    wrong = sum(
        len(look_ongoing(random.choice(GROUPS, size, replace=False))) - size for _ in range(trials)
    )
    ideal = trials * (GROUPS - size) * theory(size, filters.ONGOING_CELLS)
    # Cells that are used evenly fill up a little faster, once there are more groups than cells.
    assert wrong <= ideal * (1.05 if size > filters.ONGOING_CELLS else 1) + 3 * np.sqrt(ideal) + 1


@pytest.mark.parametrize("size", [1, 2, 4, 8, 16, 32, 64])
def test_groups_in_a_row_are_never_taken_for_others(size: int) -> None:
    """The lanes of a source move neighbours: a CRC could make just those collide."""
    for first in range(0, GROUPS - size, 61):
        members = ALL[first : first + size]
        assert look_ongoing(members).tolist() == members.tolist()


@pytest.mark.parametrize("lanes", [2, 4, 8, 16, 32, 64])
@pytest.mark.parametrize("partition", [1024, 4096, GROUPS])
def test_lanes_with_shares_of_a_partition_are_never_taken_for_others(
    partition: int, lanes: int
) -> None:
    share = partition // lanes
    for first in range(0, GROUPS, partition):
        for progress in range(0, share, max(share // 3, 1)):
            members = first + progress + share * np.arange(lanes)
            assert look_ongoing(members).tolist() == members.tolist()


@pytest.mark.parametrize("batch", [2, 8, 16, 64, 256])
def test_batches_in_a_row_are_never_taken_for_others(batch: int) -> None:
    """What the lanes of a source move at the same time, where groups move in batches."""
    heads = ALL[::batch]
    for lanes in (2, 4, 16, 64):
        for first in range(0, len(heads) - lanes, 1 + len(heads) // 200):
            members = heads[first : first + lanes]
            seen = filters.states(filters.ongoing_contents(members), NOTHING_MIGRATED, ALL, batch)
            wanted = ALL[first * batch : (first + lanes) * batch]
            assert np.flatnonzero(seen == filters.ONGOING).tolist() == wanted.tolist()


BATCHES = st.sampled_from([1 << bits for bits in range(15)])


@given(BATCHES, st.integers(0, GROUPS - 1))
def test_the_mask_takes_a_group_to_the_first_of_its_batch(batch: int, group: int) -> None:
    first = group & filters.batch_mask(batch)
    assert first % batch == 0
    assert first <= group < first + batch
    assert first & filters.batch_mask(batch) == first
    assert 0 <= filters.batch_mask(batch) <= 0xFFFF


@given(BATCHES, st.sets(st.integers(0, GROUPS - 1), max_size=50), st.data())
def test_a_batch_is_in_one_state(batch: int, groups: set[int], data: st.DataObject) -> None:
    """However its groups were named, all are seen as its first is; each batch counts once."""
    firsts = filters.firsts(sorted(groups), batch)
    assert len(set(firsts.tolist())) == len(firsts) <= max(1, GROUPS // batch)
    half = data.draw(st.integers(0, len(firsts)))
    ongoing = filters.ongoing_contents(firsts[:half])
    migrated = filters.migrated_contents(firsts[half:])
    assert ongoing.sum() == filters.HASHES * half
    seen = filters.states(ongoing, migrated, ALL, batch)
    assert (seen == seen[ALL & filters.batch_mask(batch)]).all()
    assert (seen[firsts[:half]] == filters.ONGOING).all()
    assert (seen[firsts[half:]] != filters.NOT_MIGRATED).all()


@given(st.sets(st.integers(0, GROUPS - 1), max_size=300), st.sets(st.integers(0, GROUPS - 1)))
def test_there_are_no_false_negatives(moving: set[int], arrived: set[int]) -> None:
    ongoing, migrated = sorted(moving), sorted(arrived)
    seen = filters.state_of_all(
        filters.ongoing_contents(ongoing), filters.migrated_contents(migrated)
    )
    assert (seen[ongoing] == filters.ONGOING).all()
    assert np.isin(seen[migrated], [filters.MIGRATED, filters.ONGOING]).all()
    if not ongoing:
        assert np.flatnonzero(seen == filters.MIGRATED).tolist() == migrated


@pytest.mark.parametrize("group", [0, 1, 8191, GROUPS - 1])
def test_one_group_s_cells_are_those_of_the_vectors(group: int) -> None:
    moving, arrived = filters.cells(group)
    assert moving == tuple(filters.ongoing_hashes([group])[:, 0])
    assert arrived == tuple(filters.migrated_hashes([group])[:, 0])
