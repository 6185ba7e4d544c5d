"""Histories of counters: known ones, and agreement with the search on random ones."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hosts.check import counters, search
from hosts.load import RECORD, Operation, Status

Row = tuple[str, int, int, int | None]  # what, number, begin, end (None: unknown)


def history(*rows: Row) -> NDArray[Any]:
    records = np.zeros(len(rows), dtype=RECORD)
    for record, (what, value, begin, end) in zip(records, rows, strict=True):
        record["operation"] = Operation.INCREMENT if what == "+" else Operation.READ_COUNTER
        record["status"] = Status.TIMEOUT if end is None else Status.OK
        record["value"] = value
        record["invoked"], record["responded"] = begin, begin if end is None else end
    return records


GOOD: dict[str, list[Row]] = {
    "reads around one": [("r", 0, 0, 1), ("+", 1, 0, 5), ("r", 1, 6, 7)],
    "unknown counted": [("+", 1, 0, 1), ("+", 0, 2, None), ("r", 2, 3, 4)],
    "unknown not counted": [("+", 1, 0, 1), ("+", 0, 2, None), ("r", 1, 3, 4)],
    "concurrent": [("+", 2, 0, 5), ("+", 1, 0, 5), ("r", 2, 6, 7)],
}
BAD: dict[str, tuple[list[Row], str]] = {
    "one number twice": ([("+", 1, 0, 1), ("+", 1, 2, 3)], "one number"),
    "lost at the end": ([("+", 1, 0, 1), ("+", 2, 2, 3), ("r", 1, 4, 5)], "ended before"),
    "executed twice": ([("+", 1, 0, 1), ("r", 2, 2, 3)], "nothing made it 2"),
    "unknown twice": ([("+", 0, 0, None), ("r", 2, 2, 3)], "nothing made it 2"),
    "counted too early": ([("r", 1, 0, 1), ("+", 0, 2, None)], "nothing made it 1"),
    "absurd": ([("r", 1 << 62, 0, 1)], "nothing made it"),
    "below one": ([("+", 0, 0, 1)], "start from 0"),
    "against time": ([("+", 2, 0, 1), ("+", 1, 2, 3)], "ended before"),
}


@pytest.mark.parametrize("name", GOOD)
def test_accepts(name: str) -> None:
    assert counters.check(history(*GOOD[name])).ok


@pytest.mark.parametrize("name", BAD)
def test_rejects_and_explains(name: str) -> None:
    rows, why = BAD[name]
    (violation,) = counters.check(history(*rows)).violations
    assert why in violation.text


@st.composite
def small_histories(draw: st.DrawFn) -> list[Row]:
    rows: list[Row] = []
    for _ in range(draw(st.integers(0, 6))):
        begin, end = draw(st.integers(0, 12)), draw(st.integers(0, 6))
        what = draw(st.sampled_from("+++r"))
        unknown = what == "+" and draw(st.integers(0, 3)) == 0
        rows.append((what, draw(st.integers(0, 4)), begin, None if unknown else begin + end))
    return rows


@settings(max_examples=3000, deadline=None)
@given(small_histories())
def test_agrees_with_the_search(rows: list[Row]) -> None:
    calls = [
        search.Call(
            ("INCR",) if what == "+" else ("GET",),
            begin,
            end,
            value if what == "+" or value == 0 else b"%d" % value,
        )
        for what, value, begin, end in rows
    ]
    calls = [
        search.Call(c.command, c.begin, c.end, None)
        if c.command == ("GET",) and c.reply == 0
        else c
        for c in calls
    ]
    assert counters.check(history(*rows)).ok == search.linearizable(calls, search.store, None)
