"""Disks that become full."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, size: int, *, busy: bool = False) -> Iterator[Path]:
    """A file system of so many bytes at `place`. Unless it may still be `busy` at the end, nobody
    may have kept a file of it open."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it mounts a file system")
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", *(["--lazy"] if busy else []), place], check=True)


def fill(disk: Path) -> Path:
    """Leave no room; return what takes it."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 12))
    return ballast
