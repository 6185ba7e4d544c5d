"""A host's processor budget is a share of one core, however many there are."""

import os
import resource
import subprocess
import time
from collections.abc import Iterator

import pytest

from topology.budgets import PERIOD_US, Budget, remove_left

pytestmark = [pytest.mark.root, pytest.mark.timeout(60)]

NAME = f"b{os.getpid() % 100000}"


@pytest.fixture
def budget() -> Iterator[Budget]:
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes a control group")
    made = Budget(NAME, "server1", 0.3)
    yield made
    remove_left(NAME)


def test_processes_share_what_their_host_may_use(budget: Budget) -> None:
    """Two that would each take a whole core."""
    seconds = 2.0
    busy = ["timeout", str(seconds), "sh", "-c", "while :; do :; done"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    for process in [subprocess.Popen([*budget.enter, *busy]) for _ in range(2)]:
        process.wait()
    took = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert 0.05 * took < used < 0.36 * took


def test_a_host_never_stands_still_for_long(budget: Budget) -> None:
    """A slow processor answers late, not in gusts."""
    quota = budget.group / "cpu.max"
    if quota.exists():
        share, period = (int(word) for word in quota.read_text().split())
    else:
        share, period = (
            int((budget.group / f"cpu.cfs_{word}_us").read_text()) for word in ("quota", "period")
        )
    assert period == PERIOD_US
    assert share / period == pytest.approx(0.3)


def test_a_tiny_budget_has_a_longer_period() -> None:
    """The kernel hands out a millisecond at least."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes a control group")
    Budget(NAME, "server2", 0.05)
    remove_left(NAME)


def test_a_group_goes_when_it_is_empty(budget: Budget) -> None:
    budget.remove()
    assert not budget.group.exists()
