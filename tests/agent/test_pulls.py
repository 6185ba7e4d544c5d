"""One priority pull at a time, and how long it is expected to take."""

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


def used_to(clock: Clock, seconds: float) -> Pulls:
    """Return pulls that have taken so long for quite a while."""
    one = Pulls()
    for _ in range(200):
        one.begin()
        clock.now += seconds
        one.end()
    return one


def test_expects_what_it_saw(clock: Clock) -> None:
    one = used_to(clock, 0.004)
    assert one.wait(sent=False) == pytest.approx(4000, rel=0.01)  # the next one begins at once
    one.begin()
    assert one.wait(sent=True) == pytest.approx(4000, rel=0.01)


def test_what_is_wanted_later_comes_with_the_next(clock: Clock) -> None:
    one = used_to(clock, 0.004)
    one.begin()
    clock.now += 0.001
    assert one.wait(sent=True) == pytest.approx(3000, rel=0.01)
    assert one.wait(sent=False) == pytest.approx(7000, rel=0.01)


def test_one_that_is_late_may_come_soon(clock: Clock) -> None:
    one = used_to(clock, 0.004)
    one.begin()
    clock.now += 0.01
    assert one.wait(sent=True) == pytest.approx(1000, rel=0.01)


def test_an_answer_that_does_not_come_holds_up_nothing_for_long(clock: Clock) -> None:
    """The source may have been restarted: it does not know that it was asked."""
    one = used_to(clock, 0.004)
    one.begin()
    clock.now += 0.09
    before = one.under_way
    clock.now += 0.02
    assert (before, one.under_way) == (True, False)
    assert one.wait(sent=True) == pytest.approx(4000, rel=0.01)


def test_a_broken_channel_says_nothing_of_how_long_they_take(clock: Clock) -> None:
    one = used_to(clock, 0.004)
    one.begin()
    clock.now += 0.05
    one.forget()
    assert not one.under_way
    one.end()  # of one that nobody waits for any more
    assert one.wait(sent=False) == pytest.approx(4000, rel=0.01)


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, 100), (10.0, 100_000)])
def test_has_bounds(clock: Clock, seconds: float, expected: int) -> None:
    assert used_to(clock, seconds).wait(sent=False) == expected
