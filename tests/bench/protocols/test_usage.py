"""What processes use, as /proc says, against what they know of themselves."""

import mmap
import os
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


def test_the_most_that_was_resident_stays_when_memory_is_given_back() -> None:
    start = usage.resident(os.getpid())
    size = 64 << 20
    with mmap.mmap(-1, size) as memory:
        for place in range(0, size, 4096):
            memory[place] = 1
        assert usage.resident(os.getpid()) - start > 0.9 * size
    assert usage.resident(os.getpid()) - start < 0.5 * size
    assert usage.most_resident(os.getpid()) - start > 0.9 * size
