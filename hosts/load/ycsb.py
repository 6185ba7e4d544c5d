"""YCSB's choice of keys, as its core package defines it, many at a time with numpy."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.uint64]

THETA: Final = 0.99
# ScrambledZipfianGenerator draws from ten billion items whose zeta it knows, then hashes.
SCRAMBLED_ITEMS: Final = 10_000_000_001
SCRAMBLED_ZETA: Final = 26.46902820178302

_FNV_OFFSET: Final = np.uint64(0xCBF29CE484222325)
_FNV_PRIME: Final = np.uint64(1099511628211)


def fnv_hash(numbers: Integers) -> Integers:
    """Utils.hash: FNV-1a over the eight bytes, lowest first, made positive as a signed number."""
    value = np.full(numbers.shape, _FNV_OFFSET)
    rest = numbers.astype(np.uint64)
    for _ in range(8):
        value = (value ^ (rest & np.uint64(0xFF))) * _FNV_PRIME
        rest = rest >> np.uint64(8)
    positive: Integers = np.abs(value.view(np.int64)).view(np.uint64)
    return positive


def zeta(items: int, theta: float = THETA) -> float:
    """The sum of 1 / i^theta for i from 1 to items."""
    return float(np.sum(np.arange(1, items + 1, dtype=np.float64) ** -theta))


def _zipfian(
    u: NDArray[np.float64], items: Any, zetan: Any, *, first_items: float, theta: float = THETA
) -> Integers:
    """ZipfianGenerator.nextLong (Gray et al., SIGMOD 1994) of uniform draws `u`.

    `items` and `zetan` may differ from draw to draw as the set grows; YCSB keeps the first number
    of items in eta.
    """
    eta = (1 - (2.0 / first_items) ** (1 - theta)) / (1 - zeta(2, theta) / zetan)
    drawn: Integers = (items * (eta * u - eta + 1) ** (1 / (1 - theta))).astype(np.uint64)
    uz = u * zetan
    drawn[uz < 1.0 + 0.5**theta] = 1
    drawn[uz < 1.0] = 0
    return drawn


def scrambled_zipfian(random: np.random.Generator, records: int, count: int) -> Integers:
    """Keys of `records` records as CoreWorkload draws them for requestdistribution=zipfian.

    CoreWorkload makes the generator one item too large and draws again when it gets that one.
    """
    keys = np.empty(count, dtype=np.uint64)
    missing = np.arange(count)
    while missing.size:
        drawn = _zipfian(
            random.random(missing.size),
            SCRAMBLED_ITEMS,
            SCRAMBLED_ZETA,
            first_items=SCRAMBLED_ITEMS,
        )
        keys[missing] = fnv_hash(drawn) % np.uint64(records + 1)
        missing = missing[keys[missing] == records]
    return keys


def latest_distances(random: np.random.Generator, newest: NDArray[np.int64]) -> Integers:
    """SkewedLatestGenerator: how far before the newest key (its number given) each draw lies."""
    zetas = np.cumsum(np.arange(1, int(newest.max()) + 1, dtype=np.float64) ** -THETA)
    return _zipfian(
        random.random(newest.size), newest, zetas[newest - 1], first_items=float(newest[0])
    )
