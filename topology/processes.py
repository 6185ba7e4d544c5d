"""Child processes of a running network: started until ready, recorded, and stopped for certain.

Every child is recorded with its start time in `processes.json`, so that a later `make clean` can
stop what a crash left behind and never a stranger that got the same pid.
"""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_RECORD: Final = "processes.json"


class StartError(RuntimeError):
    """A process that did not come up; the message ends with the last lines of its log."""


def started_at(pid: int) -> int | None:
    """Return the start time of `pid` in clock ticks since boot, or None where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[19])


@dataclass
class Child:
    """One running child and its log."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def tail(self, lines: int = 8) -> str:
        """Return the last lines of the child's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Children:
    """All children of one network, in the order of their start."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.children: dict[str, Child] = {}
        self._recording = threading.Lock()

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        namespace: int | None = None,
        enter: Sequence[str] = (),
        niceness: int = 0,
        ready: str | None = "ready:",
        seconds: float = 30.0,
    ) -> Child:
        """Start `argv`, in the network namespace of process `namespace`, and wait for `ready`.

        `enter` is what comes before a command for it to be under a budget (`Budget.enter`). `ready`
        is the text its log must show; None returns at once. The child gets SIGTERM when this thread
        ends, however this process dies.
        """
        log = self.directory / f"{name}.log"
        prefix = ["setpriv", "--pdeathsig", "TERM", "nice", "-n", str(niceness), *enter]
        if namespace is not None:
            prefix += ["mnexec", "-a", str(namespace)]
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*prefix, *argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        child = Child(name, process, log)
        self.children[name] = child
        self.record(name, process.pid)
        if ready is not None:
            self._wait(child, ready, seconds)
        return child

    def _wait(self, child: Child, ready: str, seconds: float) -> None:
        self._wait_until(child, lambda: ready in child.log.read_text(errors="replace"), seconds)

    def await_listening(self, child: Child, port: int, seconds: float = 30.0) -> None:
        """Wait until somebody listens on a local TCP port, as long as `child` runs."""

        def listening() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) == 0

        self._wait_until(child, listening, seconds)

    def _wait_until(self, child: Child, done: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            if child.process.poll() is not None:
                raise StartError(
                    f"{child.name} ended with status {child.process.returncode} "
                    f"while starting:\n{child.tail()}"
                )
            if time.monotonic() > deadline:
                raise StartError(f"{child.name} not ready after {seconds:.0f} s:\n{child.tail()}")
            time.sleep(0.02)

    def record(self, name: str, pid: int) -> None:
        """Remember `pid` for a later `clean`; also for processes that Mininet started."""
        entry = {"name": name, "pid": pid, "started": started_at(pid)}
        with self._recording:
            (self.directory / _RECORD).write_text(json.dumps([*_read(self.directory), entry]))

    def stop(self, name: str, seconds: float = 5.0) -> None:
        """Stop one child: SIGTERM, then SIGKILL after `seconds`."""
        child = self.children.pop(name)
        if child.process.poll() is None:
            child.process.terminate()
            try:
                child.process.wait(seconds)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()

    def kill(self, name: str) -> None:
        """Take one child down as a crash would (SIGKILL)."""
        child = self.children.pop(name)
        child.process.kill()
        child.process.wait()

    def stop_all(self) -> None:
        """Stop every child, the youngest first."""
        for name in reversed(list(self.children)):
            self.stop(name)
        (self.directory / _RECORD).unlink(missing_ok=True)


def _read(directory: Path) -> list[dict[str, Any]]:
    path = directory / _RECORD
    found: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    return found


def leftovers(directory: Path) -> list[tuple[str, int]]:
    """Return name and pid of the recorded processes of `directory` that still run."""
    return [
        (entry["name"], entry["pid"])
        for entry in _read(directory)
        if entry["started"] is not None and started_at(entry["pid"]) == entry["started"]
    ]


def stop_leftovers(directory: Path, seconds: float = 3.0) -> list[str]:
    """Stop the recorded processes of a network that crashed; return their names."""
    running = leftovers(directory)
    for _, pid in reversed(running):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while leftovers(directory) and time.monotonic() < deadline:
        time.sleep(0.05)
    for _, pid in leftovers(directory):
        os.kill(pid, signal.SIGKILL)
    return [name for name, _ in running]
