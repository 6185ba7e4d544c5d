"""Histories of registers: known ones, and agreement with the search on random ones."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hosts.check import registers, search
from hosts.load import FOREIGN, RECORD, Operation, Status

NIL = registers.NIL
UNKNOWN = None
EMPTY = np.zeros(0, np.uint64)

Row = tuple[str, int, int, int | None]  # what, value, begin, end (None: unknown)


def history(*rows: Row, key: int = 0) -> NDArray[Any]:
    records = np.zeros(len(rows), dtype=RECORD)
    for record, (what, value, begin, end) in zip(records, rows, strict=True):
        record["operation"] = Operation.WRITE if what == "w" else Operation.READ
        record["status"] = Status.TIMEOUT if end is None else Status.OK
        record["key"], record["value"] = key, value
        record["invoked"], record["responded"] = begin, begin if end is None else end
    return records


LINEARIZABLE: dict[str, list[Row]] = {
    "nothing": [],
    "read of nothing": [("r", NIL, 0, 1)],
    "write, read": [("w", 1, 0, 1), ("r", 1, 2, 3)],
    "read during the write sees it": [("w", 1, 0, 10), ("r", 1, 2, 3), ("r", 1, 4, 5)],
    "read during the write does not see it": [("w", 1, 0, 10), ("r", NIL, 2, 3)],
    "concurrent writes, either order": [("w", 1, 0, 10), ("w", 2, 0, 10), ("r", 1, 11, 12)],
    "unknown write takes effect late": [
        ("w", 1, 0, 1), ("w", 2, 2, UNKNOWN), ("r", 1, 10, 11), ("r", 2, 12, 13),
    ],
    "unknown write never takes effect": [("w", 1, 0, 1), ("w", 2, 2, UNKNOWN), ("r", 1, 9, 10)],
    "touching ends are concurrent": [("w", 1, 0, 5), ("r", NIL, 5, 6)],
    "delete": [("w", 1, 0, 1), ("w", NIL, 2, 3), ("r", NIL, 4, 5)],
}  # fmt: skip

BROKEN: dict[str, list[Row]] = {
    "stale read": [("w", 1, 0, 1), ("w", 2, 2, 3), ("r", 1, 4, 5)],
    "lost write": [("w", 1, 0, 1), ("r", NIL, 2, 3)],
    "read of nobody's value": [("w", 1, 0, 1), ("r", 7, 2, 3)],
    "read from the future": [("r", 1, 0, 1), ("w", 1, 2, 3)],
    "new then old": [("w", 1, 0, 9), ("w", 2, 0, 9), ("r", 1, 10, 11), ("r", 2, 12, 13)],
    "old after new, during the write": [("w", 1, 0, 9), ("r", 1, 1, 2), ("r", NIL, 3, 4)],
    "written twice": [
        ("w", 1, 0, UNKNOWN), ("r", 1, 2, 3), ("w", 2, 4, 5), ("r", 2, 6, 7), ("r", 1, 8, 9),
    ],
    "deleted value back": [("w", 1, 0, 1), ("w", NIL, 2, 3), ("r", 1, 4, 5)],
    "unknown write, seen before it began": [("r", 1, 0, 1), ("w", 1, 2, UNKNOWN)],
}  # fmt: skip


@pytest.mark.parametrize("name", LINEARIZABLE)
def test_accepts(name: str) -> None:
    result = registers.check(history(*LINEARIZABLE[name]), EMPTY)
    assert result.ok, result.violations


@pytest.mark.parametrize("name", BROKEN)
def test_rejects_and_explains(name: str) -> None:
    rows = BROKEN[name]
    result = registers.check(history(*rows), EMPTY)
    assert not result.ok
    violation = result.violations[0]
    assert violation.text.startswith("key 0: ")
    # What it shows is itself a history that breaks the rule.
    shown = history(*(rows[i] for i in sorted(violation.rows)))
    assert not registers.check(shown, EMPTY).ok


def test_a_failed_write_had_no_effect() -> None:
    records = history(("w", 1, 0, 1), ("r", 1, 2, 3))
    records["status"][0] = Status.ERROR
    (violation,) = registers.check(records, EMPTY).violations
    assert "failed (ERROR, row 0)" in violation.text


def test_a_refused_write_may_have_had_one() -> None:
    records = history(("w", 1, 0, 1), ("r", 1, 2, 3), ("w", 2, 4, 5), ("r", 1, 6, 7))
    records["status"][2] = Status.REFUSED
    result = registers.check(records, EMPTY)
    assert result.ok
    assert result.unknown == 1


def test_initial_values_given() -> None:
    records = history(("r", 5, 0, 1))
    assert registers.check(records, np.array([5], np.uint64)).ok
    assert not registers.check(records, np.array([6], np.uint64)).ok


def test_initial_values_unknown() -> None:
    theirs = FOREIGN | 77
    good = history(("r", theirs, 0, 1), ("w", 1, 2, 3), ("r", 1, 4, 5))
    assert registers.check(good).ok
    back = history(("r", theirs, 0, 1), ("w", 1, 2, 3), ("r", theirs, 4, 5))
    assert not registers.check(back).ok
    damaged = history(("r", theirs, 0, 1), ("r", FOREIGN | 78, 2, 3))
    assert not registers.check(damaged).ok
    gone = history(("r", theirs, 0, 1), ("r", NIL, 2, 3))
    assert not registers.check(gone).ok


def test_keys_do_not_mix() -> None:
    records = np.concatenate(
        [
            history(("w", 1, 0, 1), ("r", 1, 2, 3), key=4),
            history(("r", NIL, 2, 3), ("w", 9, 4, 5), key=3),
            history(("w", 2, 0, 1), ("w", 3, 2, 3), ("r", 2, 4, 5), key=9),
        ]
    )
    result = registers.check(records, EMPTY)
    assert (result.keys, result.operations, result.count) == (3, 7, 1)
    assert result.violations[0].key == 9
    assert result.violations[0].rows == (4, 5, 6)


@st.composite
def small_histories(draw: st.DrawFn) -> list[Row]:
    writes = draw(st.integers(0, 4))
    times = st.integers(0, 12)
    rows: list[Row] = []
    for value in range(1, writes + 1):
        begin = draw(times)
        length = draw(st.one_of(st.none(), st.integers(0, 6)))
        rows.append(("w", value, begin, None if length is None else begin + length))
    for _ in range(draw(st.integers(0, 5))):
        begin = draw(times)
        rows.append(("r", draw(st.integers(0, writes)), begin, begin + draw(st.integers(0, 6))))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1]))):
        begin = draw(times)
        rows.append(("w", NIL, begin, begin + draw(st.integers(0, 6))))
    return rows


def by_search(rows: list[Row], initial: int) -> bool:
    calls = [
        search.Call(
            ("SET", value) if what == "w" else ("GET",), begin, end, "OK" if what == "w" else value
        )
        for what, value, begin, end in rows
    ]
    return search.linearizable(calls, search.register, initial)


@settings(max_examples=3000, deadline=None)
@given(small_histories())
def test_agrees_with_the_search(rows: list[Row]) -> None:
    assert registers.check(history(*rows), EMPTY).ok == by_search(rows, NIL)
