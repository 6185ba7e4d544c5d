"""Workloads are YCSB's: key names, proportions, popularity."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hosts.load import WORKLOADS, Driver, Kind, Names, Pace, Target, TraceError, make, ycsb
from hosts.load._driver import value, value_id
from hosts.load.history import FOREIGN


def fnv(number: int) -> int:
    """FNV-1a of the eight bytes of a number, by the book."""
    digest = 0xCBF29CE484222325
    for byte in number.to_bytes(8, "little"):
        digest = (digest ^ byte) * 0x100000001B3 % (1 << 64)
    return digest if digest < 1 << 63 else (1 << 64) - digest


def keys_of(count: int, names: Names | None = None) -> Driver:
    trace = make("load", records=count)
    return Driver(Target("127.0.0.1", 9), trace, Pace(), records=count, names=names)


def test_key_names() -> None:
    driver = keys_of(10)
    # What every YCSB load inserts first.
    assert driver.key(0) == b"user6284781860667377211"
    for number in (1, 2, 77, 1 << 31, (1 << 32) - 1):
        assert driver.key(number) == b"user%d" % fnv(number)


def test_own_names_come_first() -> None:
    names = Names.of([b"a", b"", b"\0long name"])
    driver = keys_of(10, names)
    assert [driver.key(i) for i in range(3)] == [b"a", b"", b"\0long name"]
    assert driver.key(3) == b"user%d" % fnv(3)


def test_hash_of_many() -> None:
    numbers = np.array([0, 1, 255, 256, 10**10, 2**40 + 1], dtype=np.uint64)
    assert ycsb.fnv_hash(numbers).tolist() == [fnv(int(n)) for n in numbers]


@pytest.mark.parametrize("items", [3, 10, 1000])
def test_zipfian_probabilities(items: int) -> None:
    """The two most popular items are exact in the generator's approximation; the rest nearly so."""
    draws = ycsb.latest_distances(np.random.default_rng(1), np.full(400_000, items))
    assert draws.max() < items
    expected = np.arange(1, items + 1) ** -ycsb.THETA / ycsb.zeta(items)
    found = np.bincount(draws.astype(np.int64), minlength=items) / draws.size
    assert found[:2] == pytest.approx(expected[:2], rel=0.02)
    assert np.abs(np.cumsum(found) - np.cumsum(expected)).max() < 0.03


def test_scrambled_zipfian() -> None:
    records = 5000
    keys = ycsb.scrambled_zipfian(np.random.default_rng(1), records, 300_000)
    assert keys.max() < records
    count = np.bincount(keys.astype(np.int64), minlength=records)
    # Item 0 of ten billion has 1 / zeta of the draws, wherever its hash puts it.
    assert count.argmax() == fnv(0) % (records + 1)
    assert count.max() / keys.size == pytest.approx(1 / ycsb.SCRAMBLED_ZETA, rel=0.05)


@pytest.mark.parametrize(
    ("workload", "share"),
    [
        ("A", {Kind.READ: 0.5, Kind.UPDATE: 0.5}),
        ("B", {Kind.READ: 0.95, Kind.UPDATE: 0.05}),
        ("C", {Kind.READ: 1.0}),
        ("D", {Kind.READ_LATEST: 0.95, Kind.INSERT: 0.05}),
        ("F", {Kind.READ: 0.5, Kind.READ_MODIFY_WRITE: 0.5}),
        ("counter", {Kind.READ_COUNTER: 0.5, Kind.INCREMENT: 0.5}),
        ("W0", {Kind.READ: 1.0}),
        ("W30", {Kind.READ: 0.7, Kind.UPDATE: 0.3}),
    ],
)
def test_proportions(workload: str, share: dict[Kind, float]) -> None:
    trace = make(workload, records=1000, operations=100_000)
    found = np.bincount(trace.kinds, minlength=len(Kind)) / trace.kinds.size
    assert found == pytest.approx([share.get(kind, 0.0) for kind in Kind], abs=0.01)


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_seed_says_it_all(workload: str) -> None:
    one, same, other = (
        make(workload, records=1000, operations=5000, seed=seed) for seed in (1, 1, 2)
    )
    assert (one.kinds == same.kinds).all()
    assert (one.keys == same.keys).all()
    swept = workload in ("load", "read", "read-counter")
    assert (one.keys == other.keys).all() == swept


def test_a_long_trace_takes_little_more_memory_than_it_is_long() -> None:
    operations = 3_000_000
    tracemalloc.start()
    try:
        trace = make("B", records=1000, operations=operations)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    kept = trace.kinds.nbytes + trace.keys.nbytes
    assert 5 * operations == kept < most < 2.5 * kept
    ends = trace.keys[:100_000], trace.keys[-100_000:]
    assert len({np.bincount(end).argmax() for end in ends}) == 1
    assert (ends[0] != ends[1]).any()


@pytest.mark.parametrize("workload", ["load", "read"])
def test_sweeps_share_all_keys(workload: str) -> None:
    parts = [make(workload, records=1001, share=(i, 3)).keys for i in range(3)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(1001))


def test_inserts_of_two_generators_do_not_meet() -> None:
    inserted = []
    for i in range(2):
        trace = make("D", records=100, operations=2000, share=(i, 2))
        inserted.append(set(trace.keys[trace.kinds == Kind.INSERT].tolist()))
    assert not inserted[0] & inserted[1]
    assert min(inserted[0] | inserted[1]) == 100


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"workload": "E", "records": 10, "operations": 10}, "workload 'E'"),
        ({"workload": "A", "records": 0, "operations": 10}, "0 records"),
        ({"workload": "A", "records": 10}, "0 operations"),
        ({"workload": "D", "records": 3, "operations": 10}, "at least 4"),
        ({"workload": "load", "records": 10, "share": (2, 2)}, "share 2 of 2"),
    ],
)
def test_what_no_trace_can_be_made_from(arguments: dict[str, object], why: str) -> None:
    with pytest.raises(TraceError, match=why):
        make(**arguments)  # type: ignore[arg-type]


@given(st.integers(1, FOREIGN - 1), st.integers(16, 1400))
def test_values_name_their_write(number: int, size: int) -> None:
    assert value_id(value(number, size)) == number
    assert len(value(number, size)) == size


@given(st.integers(1, FOREIGN - 1), st.integers(16, 100), st.data())
def test_damaged_values_name_no_write(number: int, size: int, data: st.DataObject) -> None:
    damaged = bytearray(value(number, size))
    damaged[data.draw(st.integers(0, size - 1))] ^= data.draw(st.integers(1, 255))
    assert value_id(bytes(damaged)) & FOREIGN


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_other_values_are_told_apart(one: bytes, other: bytes) -> None:
    assert value_id(one) & FOREIGN
    assert (value_id(one) == value_id(other)) == (one == other)
