"""A network namespace for the calling thread alone, and veth pairs in it."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLONE_NEWNET = 0x40000000


@contextmanager
def private_network() -> Iterator[None]:
    """Sockets made in here see only the loopback and what is added."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/thread-self/ns/net").open() as before:
        if libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        try:
            ip("link set lo up")
            yield
        finally:
            libc.setns(before.fileno(), CLONE_NEWNET)


def ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True)


def veth(one: str, other: str) -> None:
    """A quiet pair of interfaces that are up: no address, no neighbour discovery."""
    ip(f"link add {one} type veth peer name {other}")
    for name in (one, other):
        ip(f"link set {name} addrgenmode none")
        ip(f"link set {name} up")
