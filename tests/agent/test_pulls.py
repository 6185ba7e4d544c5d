"""How long priority pulls are expected to take."""

import pytest

from hosts.agent.immigration import pulls
from hosts.agent.immigration.pulls import Pulls


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(pulls, "monotonic", found)
    return found


def fetch(one: Pulls, clock: Clock, key: bytes, seconds: float) -> None:
    """Pull a key, which takes so long."""
    one.asked(1, [key])
    clock.now += seconds
    one.arrived({1: {key}})


def test_expects_what_it_saw(clock: Clock) -> None:
    one = Pulls()
    for number in range(60):
        fetch(one, clock, b"%d" % number, 0.004)
    assert 1950 <= one.wait <= 2050  # half of it


def test_each_answer_counts_from_its_own_question(clock: Clock) -> None:
    """Of several on their way, the answer to the first says nothing about the last."""
    one = Pulls()
    for _ in range(100):
        one.asked(1, [b"a"])
        clock.now += 0.002
        one.asked(1, [b"b"])
        clock.now += 0.002
        one.arrived({1: {b"a"}})
        clock.now += 0.002
        one.arrived({1: {b"a", b"b"}})
    assert one.wait == pytest.approx(2000, rel=0.1)


def test_a_group_that_has_come_ends_its_pulls(clock: Clock) -> None:
    """Its keys need not be in any set any more."""
    one = Pulls()
    one.asked(1, [b"missing"])
    fetch(one, clock, b"k", 0.004)  # behind the first, which nobody has answered
    before = one.wait
    one.arrived({})
    assert one.wait > before


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, 100), (10.0, 100_000)])
def test_has_bounds(clock: Clock, seconds: float, expected: int) -> None:
    one = Pulls()
    for number in range(200):
        fetch(one, clock, b"%d" % number, seconds)
    assert one.wait == expected
