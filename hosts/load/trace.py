"""What a run does: a reproducible sequence of operations (YCSB core workloads, and our own)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hosts.load import ycsb


class Kind(IntEnum):
    """hosts/load/core/driver.h: enum trace_kind."""

    READ = 0
    UPDATE = 1
    INSERT = 2
    READ_MODIFY_WRITE = 3
    INCREMENT = 4
    READ_COUNTER = 5
    READ_LATEST = 6


@dataclass(frozen=True)
class Mix:
    """A workload: what its first kind is, how often, and what the others are."""

    read: Kind
    reads: float
    other: Kind
    prefix: bytes = b"user"


# The proportions of YCSB's files workloada … workloadf; `counter` is ours.
MIXES: Final = {
    "A": Mix(Kind.READ, 0.5, Kind.UPDATE),
    "B": Mix(Kind.READ, 0.95, Kind.UPDATE),
    "C": Mix(Kind.READ, 1.0, Kind.UPDATE),
    "D": Mix(Kind.READ_LATEST, 0.95, Kind.INSERT),
    "F": Mix(Kind.READ, 0.5, Kind.READ_MODIFY_WRITE),
    "counter": Mix(Kind.READ_COUNTER, 0.5, Kind.INCREMENT, b"counter"),
}
# These go once over all keys, in order.
SWEEPS: Final = {
    "load": Mix(Kind.INSERT, 1.0, Kind.INSERT),
    "read": Mix(Kind.READ, 1.0, Kind.READ),
    "read-counter": Mix(Kind.READ_COUNTER, 1.0, Kind.READ_COUNTER, b"counter"),
}
WORKLOADS: Final = (*MIXES, *SWEEPS)
_WRITES: Final = re.compile(r"W(\d{1,2}|100)")
"""`W10`: as B, with 10 % of updates."""
_PIECE: Final = 1 << 18


class TraceError(ValueError):
    """Settings from which no trace can be made."""


@dataclass(frozen=True)
class Trace:
    """Operation i is `kinds[i]` of key number `keys[i]`; key numbers name keys as YCSB does."""

    kinds: NDArray[np.uint8]
    keys: NDArray[np.uint32]
    prefix: bytes

    @property
    def rows(self) -> int:
        """How many requests it makes at most: a read-modify-write makes two."""
        return int(self.kinds.size + np.count_nonzero(self.kinds == Kind.READ_MODIFY_WRITE))


def mix_of(workload: str) -> Mix:
    """Return what a workload that is no sweep does."""
    if workload in MIXES:
        return MIXES[workload]
    if found := _WRITES.fullmatch(workload):
        return Mix(Kind.READ, 1 - int(found[1]) / 100, Kind.UPDATE)
    raise TraceError(
        f"workload {workload!r}: one of {', '.join(WORKLOADS)}, or W and the percentage of writes"
    )


def make(
    workload: str,
    *,
    records: int,
    operations: int = 0,
    seed: int = 1,
    share: tuple[int, int] = (0, 1),
) -> Trace:
    """Make the trace of a workload over `records` records.

    `share` (i, n): this is the i-th of n generators; it draws its own operations, its inserts do
    not meet the others', and of a sweep it does its part.
    """
    index, of = share
    if records < 1 or records + operations >= 1 << 32:
        raise TraceError(f"{records} records, {operations} operations: 1 to 2^32 keys are possible")
    if not 0 <= index < of:
        raise TraceError(f"share {index} of {of}: shares count from 0")
    if workload in SWEEPS:
        mix = SWEEPS[workload]
        keys = np.arange(index, records, of, dtype=np.uint32)
        return Trace(np.full(keys.size, mix.read, dtype=np.uint8), keys, mix.prefix)
    mix = mix_of(workload)
    if operations < 1:
        raise TraceError(f"workload {workload}: {operations} operations, at least 1 is needed")
    random = np.random.default_rng([seed, index])
    kinds = np.empty(operations, np.uint8)
    _fill(kinds, lambda count: np.where(random.random(count) < mix.reads, mix.read, mix.other))
    if mix.read == Kind.READ_LATEST:
        if records < 4:  # Gray's formula divides by zero for 2 items
            raise TraceError("workload D needs at least 4 records")
        reads = kinds == mix.read
        # How many were inserted before each operation.
        inserted: NDArray[np.int64] = np.cumsum(~reads) - ~reads
        newest = np.asarray(records - 1 + inserted)
        keys = ycsb.latest_distances(random, newest).astype(np.uint32)
        keys[~reads] = records + index + of * inserted[~reads]
    elif mix.prefix == b"counter":
        keys = random.integers(records, size=operations, dtype=np.uint32)
    else:
        keys = np.empty(operations, np.uint32)
        _fill(keys, lambda count: ycsb.scrambled_zipfian(random, records, count))
    return Trace(kinds, keys, mix.prefix)


def _fill(drawn: NDArray[Any], draw: Callable[[int], NDArray[Any]]) -> None:
    """Fill an array with what `draw` returns, piece by piece.

    Drawing takes many times the memory that is kept. Two seconds after much was freed, which is in
    the midst of the run, a virtual machine may stand still while its host takes that back (free
    page reporting).
    """
    for first in range(0, drawn.size, _PIECE):
        piece = drawn[first : first + _PIECE]
        piece[:] = draw(piece.size)
