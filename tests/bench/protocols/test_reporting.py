"""Waiting for free page reporting, by a counter that only some kernels have."""

import threading
import time
from pathlib import Path

from bench.protocols import reporting

PASSES = 3


def waited(counter: Path, longest: float = 60.0) -> float:
    begun = time.monotonic()
    reporting.wait(counter, longest)
    return time.monotonic() - begun


def report(counter: Path, kib: int, stop: threading.Event) -> None:
    """Count so much more every half a second, some times."""
    for _ in range(PASSES):
        if stop.wait(0.5):
            return
        fresh = counter.with_suffix(".new")
        fresh.write_text(f"{int(counter.read_text()) + kib}\n")
        fresh.replace(counter)


def waited_meanwhile(counter: Path, kib: int, longest: float = 60.0) -> float:
    counter.write_text("1000\n")
    stop = threading.Event()
    kernel = threading.Thread(target=report, args=(counter, kib, stop))
    kernel.start()
    try:
        return waited(counter, longest)
    finally:
        stop.set()
        kernel.join()


def test_nothing_to_wait_for_without_the_counter(tmp_path: Path) -> None:
    assert waited(tmp_path / "absent") < 0.5


def test_the_last_pass_is_waited_for_but_not_the_trickle(tmp_path: Path) -> None:
    passes = waited_meanwhile(tmp_path / "reported_kib", 128 << 10)
    trickle = waited_meanwhile(tmp_path / "reported_kib", 100)
    assert passes > PASSES * 0.5 + 3.0
    assert 3.0 < trickle < passes - 0.5


def test_not_for_ever(tmp_path: Path) -> None:
    assert waited_meanwhile(tmp_path / "reported_kib", 128 << 10, longest=1.0) < 1.5
