"""The check of long histories: known ones, and random ones against the search."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hosts.check.histories import Failure, check, first_failure, tell
from hosts.check.search import Call, linearizable, store


def call(begin: int, end: int | None, *command: Any, reply: Any = None) -> Call:
    return Call(command, begin, end, reply)


GOOD = {
    "empty": [],
    "one after the other": [
        call(0, 1, "SET", b"a", reply=b"OK"),
        call(2, 3, "APPEND", b"b", reply=2),
        call(4, 5, "GET", reply=b"ab"),
        call(6, 7, "GETSET", b"7", reply=b"ab"),
        call(8, 9, "INCR", reply=8),
        call(10, 11, "SET", b"x", "NX", reply=None),
        call(12, 13, "DEL", reply=1),
        call(14, 15, "SET", b"x", "XX", reply=None),
        call(16, 17, "HSET", b"f", b"v", reply=1),
        call(18, 19, "HGET", b"f", reply=b"v"),
        call(20, 21, "INCR", reply="WRONGTYPE"),
    ],
    "a read overtakes a write under way": [
        call(0, 9, "SET", b"a", reply=b"OK"),
        call(1, 2, "GET", reply=b"a"),
        call(3, 4, "GET", reply=b"a"),
    ],
    "a late effect of a write that timed out": [
        call(0, None, "SET", b"a"),
        call(1, 2, "SET", b"b", reply=b"OK"),
        call(3, 4, "GET", reply=b"b"),
        call(5, 6, "GET", reply=b"a"),
    ],
    "a write that timed out never took effect": [
        call(0, None, "INCR"),
        call(1, 2, "INCR", reply=1),
        call(3, 4, "INCR", reply=2),
    ],
    "two that timed out took effect in the other order": [
        call(0, None, "APPEND", b"a"),
        call(1, None, "APPEND", b"b"),
        call(2, 3, "GET", reply=None),
        call(4, 5, "GET", reply=b"ba"),
    ],
    "times that touch are at once": [
        call(0, 5, "SET", b"a", reply=b"OK"),
        call(5, 6, "GET", reply=None),
    ],
}

BAD = {
    "a lost write": [
        call(0, 1, "SET", b"a", reply=b"OK"),
        call(2, 3, "GET", reply=None),
    ],
    "an overwritten newer value": [
        call(0, 1, "SET", b"old", reply=b"OK"),
        call(2, 3, "SET", b"new", reply=b"OK"),
        call(4, 5, "GET", reply=b"new"),
        call(6, 7, "GET", reply=b"old"),
    ],
    "an increment done twice": [
        call(0, 1, "INCR", reply=1),
        call(2, 3, "GET", reply=b"2"),
    ],
    "one increment acknowledged twice": [
        call(0, 9, "INCR", reply=1),
        call(1, 8, "INCR", reply=1),
    ],
    "an append of unknown outcome done twice": [
        call(0, None, "APPEND", b"x"),
        call(1, 2, "GET", reply=b"xx"),
    ],
    "two conditional writes both won": [
        call(0, 9, "SETNX", b"a", reply=1),
        call(0, 9, "SETNX", b"b", reply=1),
    ],
    "reads go back": [
        call(0, 1, "SET", b"a", reply=b"OK"),
        call(2, 9, "SET", b"b", reply=b"OK"),
        call(3, 4, "GET", reply=b"b"),
        call(5, 6, "GET", reply=b"a"),
    ],
    "a field is gone": [
        call(0, 1, "HSET", b"f", b"1", reply=1),
        call(2, 3, "HSET", b"g", b"2", reply=1),
        call(4, 5, "HGET", b"f", reply=None),
    ],
    "an effect before the call": [
        call(0, 1, "GET", reply=b"a"),
        call(2, None, "SET", b"a"),
    ],
    "a deleted key came back": [
        call(0, 1, "SET", b"a", reply=b"OK"),
        call(2, 3, "DEL", reply=1),
        call(4, 5, "SET", b"b", "XX", reply=b"OK"),
    ],
}


@pytest.mark.parametrize("name", GOOD)
def test_linearizable_histories_are_accepted(name: str) -> None:
    assert first_failure(GOOD[name]) is None


@pytest.mark.parametrize("name", BAD)
def test_others_are_refused(name: str) -> None:
    failure = first_failure(BAD[name])
    assert failure is not None
    assert BAD[name][failure.last].end == time_of_failure(BAD[name])


def time_of_failure(calls: Sequence[Call]) -> int | None:
    """When there first is no order, by search in every prefix in time."""
    for end in sorted({c.end for c in calls if c.end is not None}):
        before = [
            replace(c, end=None) if c.end is not None and c.end > end else c
            for c in calls
            if c.begin <= end
        ]
        if not linearizable(before, store, None):
            return end
    return None


def test_a_violation_is_told_by_its_shortest_history() -> None:
    before = [call(i, i + 1, "SET", b"%d" % i, reply=b"OK") for i in range(0, 200, 2)]
    before += [call(i, i + 1, "GET", reply=b"198") for i in range(200, 300, 2)]
    lost = [
        call(400, 401, "SET", b"lost", reply=b"OK"),
        call(402, 403, "GET", reply=b"lost"),
        call(404, 405, "GET", reply=b"198"),
    ]
    result = check({"good": before, "bad": [*before, *lost]})
    assert (result.ok, result.count, result.keys) == (False, 1, 2)
    (violation,) = result.violations
    assert violation.key == "bad"
    # Two reads with no write in between are enough.
    assert violation.rows == (len(before) + 1, len(before) + 2)
    assert "from anything that it may have held before on" in violation.text
    assert violation.text.splitlines()[-1].endswith("GET → 198  ← cannot be")


@pytest.mark.parametrize(
    ("last", "shown"),
    [
        (call(50, 51, "INCR", reply=10**17), 2),
        (call(50, 51, "INCR", reply=12), 2),  # a read before it says 10
        (call(50, 51, "APPEND", b"1", reply=4), 2),
        (call(50, 51, "SETNX", b"1", reply=1), 2),
        (call(50, 51, "GETSET", b"1", reply=None), 2),
        (call(50, 51, "STRLEN", reply=9), 2),
        (call(50, 51, "HSET", b"f", b"1", reply=0), 2),
    ],
)
def test_what_is_shown_rules_every_other_state_out(last: Call, shown: int) -> None:
    calls = [call(0, 1, "SET", b"9", reply=b"OK"), call(2, 3, "INCR", reply=10)]
    calls += [call(i, i + 1, "GET", reply=b"10") for i in range(4, 40, 2)]
    failure = first_failure([*calls, last])
    assert failure is not None
    assert not failure.from_start
    assert len(failure.shown) == shown


def test_what_was_never_there_needs_the_whole_history() -> None:
    calls = [call(i, i + 1, "INCR", reply=i // 2 + 1) for i in range(0, 10, 2)]
    failure = first_failure([*calls, call(20, 21, "GET", reply=b"never")])
    assert failure is not None
    assert tell("k", [*calls, call(20, 21, "GET", reply=b"never")], failure).count("→") >= 1


# ---- random histories

COMMANDS: list[tuple[Any, ...]] = [
    *(("GET",), ("GET",), ("DEL",), ("INCR",), ("SETNX", b"1"), ("SETNX", b"2")),
    *(("SET", b"1"), ("SET", b"2"), ("APPEND", b"1"), ("APPEND", b"2"), ("GETSET", b"3")),
    *(("SET", b"4", "XX"), ("SET", b"5", "NX"), ("SET", b"6", "GET")),
    *(("HSET", b"f", b"1"), ("HSET", b"g", b"2"), ("HGET", b"f"), ("HGET", b"g"), ("HDEL", b"f")),
]


def executed(chooser: random.Random, count: int, sessions: int, unknown: float) -> list[Call]:
    """What sessions saw of a store that executed their commands one after the other."""
    commands = chooser.choice([COMMANDS[:14], COMMANDS[:14], COMMANDS[14:] + COMMANDS[2:3]])
    planned = []
    free = [0] * sessions
    for _ in range(count):
        session = chooser.randrange(sessions)
        begin = free[session] + chooser.randrange(1, 8)
        point = begin + chooser.randrange(1, 8)
        end: int | None = point + chooser.randrange(1, 8)
        free[session] = end or 0
        if chooser.random() < unknown:
            end = None
            point += chooser.randrange(40)  # late, or never
            if chooser.random() < 0.5:
                point = -1
        planned.append((point, begin, end, chooser.choice(commands)))
    state: Any = None
    calls = []
    for point, begin, end, command in sorted(planned, key=lambda plan: plan[0]):
        reply = None
        if point >= 0:
            state, reply = store(state, command)
        calls.append(Call(command, begin, end, reply if end is not None else None))
    chooser.shuffle(calls)
    return calls


def mutated(calls: list[Call], chooser: random.Random) -> list[Call]:
    """The same with one thing changed: a reply, an outcome or a time."""
    ended = [i for i, c in enumerate(calls) if c.end is not None]
    if not ended:
        return calls
    i = chooser.choice(ended)
    one, other = calls[i], calls[chooser.choice(ended)]
    assert one.end is not None
    changes = [
        replace(one, reply=other.reply),
        replace(one, reply=chooser.choice([None, 0, 1, 2, b"OK", b"1", b"2", b"12"])),
        replace(one, command=other.command),
        replace(one, begin=one.begin + 20, end=one.end + 20),
        replace(one, end=one.begin),
    ]
    return [*calls[:i], chooser.choice(changes), *calls[i + 1 :]]


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 1 << 32), count=st.integers(1, 40), unknown=st.sampled_from([0, 0.2]))
def test_what_a_store_did_is_accepted(seed: int, count: int, unknown: float) -> None:
    chooser = random.Random(seed)
    assert first_failure(executed(chooser, count, chooser.randrange(1, 6), unknown)) is None


@settings(max_examples=600, deadline=None)
@given(seed=st.integers(0, 1 << 32), count=st.integers(1, 9), unknown=st.sampled_from([0, 0.3]))
def test_the_search_says_the_same(seed: int, count: int, unknown: float) -> None:
    chooser = random.Random(seed)
    calls = mutated(executed(chooser, count, chooser.randrange(1, 5), unknown), chooser)
    failure = first_failure(calls)
    assert (failure is None) == linearizable(calls, store, None)
    if failure:
        _shown_is_enough(calls, failure)


def _shown_is_enough(calls: Sequence[Call], failure: Failure) -> None:
    """What is shown, with the truth about the moment where it begins, has no order either."""
    assert failure.last in failure.shown
    begins = [calls[i].begin for i in failure.shown]
    assert begins == sorted(begins)
    if failure.from_start:
        assert not linearizable([calls[i] for i in failure.shown], store, None)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 1 << 32), count=st.integers(1, 5))
def test_trying_all_orders_says_the_same(seed: int, count: int) -> None:
    """Against nothing clever at all."""
    chooser = random.Random(seed)
    calls = mutated(executed(chooser, count, 3, 0.3), chooser)
    assert (first_failure(calls) is None) == _any_order(calls)


def _any_order(calls: Sequence[Call]) -> bool:
    known = [i for i, c in enumerate(calls) if c.end is not None]
    unknown = [i for i, c in enumerate(calls) if c.end is None]
    for size in range(len(unknown) + 1):
        for taken in itertools.combinations(unknown, size):
            if any(_explains(calls, order) for order in itertools.permutations([*known, *taken])):
                return True
    return False


def _explains(calls: Sequence[Call], order: Sequence[int]) -> bool:
    state: Any = None
    for place, i in enumerate(order):
        for later in order[place + 1 :]:
            end = calls[later].end
            if end is not None and end < calls[i].begin:
                return False
        state, reply = store(state, calls[i].command)
        if calls[i].end is not None and reply != calls[i].reply:
            return False
    return True


def test_a_long_history_with_outcomes_unknown_is_accepted() -> None:
    calls = executed(random.Random(6), 4000, 8, 0.01)
    assert sum(c.end is None for c in calls) > 20
    assert check({"hot": calls}).ok


def test_a_long_history_is_refused_for_its_end() -> None:
    calls = executed(random.Random(6), 2000, 6, 0.001)
    assert any(c.end is None for c in calls)
    last = max(c.end for c in calls if c.end is not None)
    wrong = call(last + 1, last + 2, "GET", reply=b"never written")
    result = check({"hot": [*calls, wrong]})
    assert (result.count, result.undecided) == (1, 0)
    assert len(result.violations[0].rows) < 20
