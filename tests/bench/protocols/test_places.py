"""What a bench that was killed has left in /run."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.protocols import places
from topology.processes import Children

pytestmark = pytest.mark.root


@contextmanager
def bench_of(pid: int) -> Iterator[tuple[Path, "subprocess.Popen[bytes]"]]:
    """A directory of such a bench, and one of its children that still runs."""
    directory = places.network(pid, {}).directory
    directory.mkdir()
    child = subprocess.Popen(["sleep", "60"])
    try:
        Children(directory).record("server1", child.pid)
        yield directory, child
    finally:
        child.kill()
        child.wait()
        for file in directory.glob("*"):
            file.unlink()
        if directory.exists():
            directory.rmdir()


def test_leftovers_are_of_processes_that_are_gone() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: it is about /run")
    with subprocess.Popen(["true"]) as ended:
        pass
    with (
        subprocess.Popen(["sleep", "60"]) as running,
        bench_of(ended.pid) as (gone, orphan),
        bench_of(running.pid) as (there, child),
    ):
        places.clear()
        running.kill()
        assert not gone.exists()
        assert orphan.wait(timeout=5) != 0
        assert there.is_dir()
        assert child.poll() is None
