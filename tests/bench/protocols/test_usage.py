"""What processes use, as /proc says, against what they know of themselves."""

import mmap
import os
import signal
import time

import pytest

from bench.protocols import usage


def test_processor_time_is_counted_with_all_threads() -> None:
    before, known = usage.cpu_seconds(os.getpid()), time.process_time()
    while time.process_time() - known < 0.3:
        pass
    assert usage.cpu_seconds(os.getpid()) - before == pytest.approx(0.3, abs=0.05)
    twice = usage.cpu({"one": [os.getpid()], "two": [os.getpid(), os.getpid()]})
    assert twice["two"] == pytest.approx(2 * twice["one"], abs=0.1)


def test_what_was_forked_counts_while_it_runs_and_afterwards() -> None:
    before = usage.cpu_seconds(os.getpid())
    ready, busy = os.pipe()
    if (child := os.fork()) == 0:
        while time.process_time() < 0.3:
            pass
        os.write(busy, b"1")
        time.sleep(60)
    try:
        os.read(ready, 1)
        while_it_runs = usage.cpu_seconds(os.getpid())
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert while_it_runs - before == pytest.approx(0.3, abs=0.1)
    assert usage.cpu_seconds(os.getpid()) == pytest.approx(while_it_runs, abs=0.1)


def test_the_most_that_was_resident_stays_when_memory_is_given_back() -> None:
    start = usage.resident(os.getpid())
    size = 64 << 20
    with mmap.mmap(-1, size) as memory:
        for place in range(0, size, 4096):
            memory[place] = 1
        assert usage.resident(os.getpid()) - start > 0.9 * size
    assert usage.resident(os.getpid()) - start < 0.5 * size
    assert usage.most_resident(os.getpid()) - start > 0.9 * size
