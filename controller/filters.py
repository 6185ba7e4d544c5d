"""The switch's filters in Python: which register cells hold a group, and what they say of it.

The same hashes and sizes as p4src/include/migration.p4 and constants.p4; tests hold them equal.
docs/dataplane.md tells how the hashes were chosen. Where groups move in batches, the cells are
those of each batch's first group.
"""

from binascii import crc32
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hosts.wire import GROUPS

SLICES: Final = 8
LANES: Final = 64
HASHES: Final = 4
ONGOING_CELLS: Final = 2048
"""Counting cells (8 bits, saturating) per slice and array."""
MIGRATED_CELLS: Final = 32768
"""Bits per slice and array."""

ONGOING_MAX: Final = 255

NOT_MIGRATED: Final = 0
ONGOING: Final = 1
MIGRATED: Final = 2

Cells = NDArray[np.int64]
"""Register indices, or the values found there."""

_FIELD_VALUES: Final = 1 << 16
_WINDOWS: Final = (0, 5, 13, 17)
"""Where the windows of the CRC begin that are the four hashes."""


def _hash_table() -> Cells:
    """Return the four 15-bit hashes of every value of the 16-bit group field: shape (4, 65536)."""
    values = (crc32(group.to_bytes(2, "big")) for group in range(_FIELD_VALUES))
    crc = np.fromiter(values, dtype=np.int64, count=_FIELD_VALUES)
    return np.stack([crc >> shift for shift in _WINDOWS]) % MIGRATED_CELLS


_HASHES: Final = _hash_table()


def batch_mask(batch: int) -> int:
    """Return the mask of the group field that takes a group to the first of its batch."""
    return -batch % _FIELD_VALUES


def firsts(groups: ArrayLike, batch: int) -> Cells:
    """Return the first group of each group's batch; each batch once."""
    return np.unique(np.asarray(groups, dtype=np.int64) & batch_mask(batch))


def migrated_hashes(groups: ArrayLike) -> Cells:
    """Return the cell of each group in each `migrated` array, within a slice: shape (4, n)."""
    return _HASHES[:, np.asarray(groups, dtype=np.int64)]


def ongoing_hashes(groups: ArrayLike) -> Cells:
    """Return the cell of each group in each `ongoing` array, within a slice: shape (4, n)."""
    return migrated_hashes(groups) % ONGOING_CELLS


def cells(group: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the cells of one group, within a slice: in the ongoing and the migrated arrays."""
    return tuple(ongoing_hashes(group).tolist()), tuple(migrated_hashes(group).tolist())


def ongoing_contents(groups: ArrayLike) -> Cells:
    """Return what a slice of the `ongoing` arrays holds when these groups are on the move."""
    counts = [np.bincount(row, minlength=ONGOING_CELLS) for row in ongoing_hashes(groups)]
    return np.minimum(np.stack(counts), ONGOING_MAX)


def migrated_contents(groups: ArrayLike) -> Cells:
    """Return what a slice of the `migrated` arrays holds when these groups have arrived."""
    contents = np.zeros((HASHES, MIGRATED_CELLS), dtype=np.int64)
    contents[np.arange(HASHES)[:, None], migrated_hashes(groups)] = 1
    return contents


def states(ongoing: ArrayLike, migrated: ArrayLike, groups: ArrayLike, batch: int = 1) -> Cells:
    """Return how the switch sees each group, given the contents of a slice (docs/dataplane.md).

    `ongoing` and `migrated` have one row per array, as the `…_contents` functions return them.
    """
    row = np.arange(HASHES)[:, None]
    heads = np.asarray(groups, dtype=np.int64) & batch_mask(batch)
    moving = (np.asarray(ongoing)[row, ongoing_hashes(heads)] > 0).all(axis=0)
    arrived = (np.asarray(migrated)[row, migrated_hashes(heads)] > 0).all(axis=0)
    return np.where(moving, ONGOING, np.where(arrived, MIGRATED, NOT_MIGRATED))


def state_of_all(ongoing: ArrayLike, migrated: ArrayLike) -> Cells:
    """Return how the switch sees every group there is, given the contents of a slice."""
    return states(ongoing, migrated, np.arange(GROUPS))
