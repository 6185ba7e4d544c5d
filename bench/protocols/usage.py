"""What the processes of a system take of the machine, from /proc (proc(5))."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from topology.load import Generators
from topology.system import System

_TICKS: Final = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the seconds of processor time of all threads, user and system together, and of the
    processes that it forked: stores do so to send a snapshot.

    The kernel's work for a packet counts where it is done, which is mostly at its sender.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own_and_ended = sum(map(int, fields[11:15])) / _TICKS
    return own_and_ended + sum(map(_forked, _children(pid)))


def _children(pid: int) -> list[int]:
    """Return those that have not ended, or that nobody has waited for."""
    found: list[int] = []
    for each in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError):  # a thread that has ended
            found += map(int, each.read_text().split())
    return found


def _forked(pid: int) -> float:
    try:
        return cpu_seconds(pid)
    except FileNotFoundError:  # waited for meanwhile
        return 0.0


def _status(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise KeyError(field)


def resident(pid: int) -> int:
    """Return the bytes of memory that the process has resident."""
    return _status(pid, "VmRSS")


def most_resident(pid: int) -> int:
    """Return the most that was ever resident, in bytes."""
    return _status(pid, "VmHWM")


def parts(system: System, generators: Generators) -> dict[str, list[int]]:
    """Return the processes of each of `run.PARTS`; server1 is the source."""
    children = system.children.children
    return {
        "source_store": [children["server1-store"].pid],
        "source_agent": [children["server1-agent"].pid],
        "destination_store": [children["server2-store"].pid],
        "destination_agent": [children["server2-agent"].pid],
        "switch": [children["switch"].pid],
        "client": [generator.pid for generator in generators.running],
        "controller": [children["controller"].pid],
    }


def cpu(processes: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Return the seconds of processor time of each part so far."""
    return {part: sum(map(cpu_seconds, pids)) for part, pids in processes.items()}
