"""A running system with what a test does to it: load, drive, migrate, break, judge."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.client import Controller
from hosts.check import Result
from hosts.load.history import Status
from topology import stores
from topology.load import Data, Generators, Load
from topology.settings import Network
from topology.summary import check
from topology.system import System

Records = NDArray[Any]


class Rack:
    """One system and the record of everything that clients did to it."""

    def __init__(self, system: System, settings: Network, output: Path) -> None:
        output.mkdir()
        self.system = system
        self.generators = Generators(system, settings, output)
        self.controller = Controller(system.config_path)
        self.histories: list[Records] = []

    def close(self) -> None:
        """Stop everything."""
        self.system.stop()

    # What clients do.

    def load(self, keys: int) -> Data:
        """Write `keys` records through the switch."""
        data = Data(keys)
        self._keep(self.generators.sweep("load", data, 64).history().records)
        return data

    @contextlib.contextmanager
    def driving(self, load: Load, data: Data) -> Iterator[None]:
        """Drive a workload meanwhile."""
        self.generators.drive(load, data, 300.0)
        while any(g.latest is None or not g.latest.done for g in self.generators.running):
            assert not any(generator.ended() for generator in self.generators.running)
            time.sleep(0.05)
        yield
        self.generators.stop()
        self._keep(self.generators.histories().records)

    def read_back(self, data: Data, kind: str = "read") -> Records:
        """Read every record once more; what is read belongs to the history."""
        records = self.generators.sweep(kind, data, 64).history().records
        self._keep(records)
        return records

    def _keep(self, records: Records) -> None:
        self.histories.append(records)

    def verdict(self) -> Result:
        """Judge all that has happened so far; no operation may have failed."""
        records = np.concatenate(self.histories)
        failed = records[records["status"] != Status.OK]
        assert failed.size == 0, f"{failed.size} operations failed, the first: {failed[0]}"
        result = check(records, fresh=True)
        assert result.ok, "\n".join(violation.text for violation in result.violations)
        return result

    # What an operator does.

    def move(self, partition: str, destination: str, **settings: Any) -> Any:
        """Migrate to the end."""
        migration = self.controller.migrate(partition, destination, **settings)
        ended = self.controller.watch(migration.id)
        assert ended.state == "done", f"{ended.state}: {ended.error}"
        return ended

    def until(self, migration: int, share: float, seconds: float = 60.0) -> Any:
        """Wait until that share of a migration's groups has moved."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for each in self.controller.status().migrations:
                if each.id == migration and each.groups_done >= share * each.groups_total:
                    return each
            time.sleep(0.05)
        raise AssertionError(f"migration {migration} did not come to {share:.0%} in {seconds} s")

    def cli(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run `netmigrate`."""
        command = [sys.executable, "-m", "controller.cli", *arguments]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"NETMIGRATE_NET": str(self.system.config_path), "PATH": "/usr/bin:/bin:/usr/sbin"},
        )

    def python(self, host: str, code: str) -> str:
        """Run Python inside a host; return what it prints."""
        result = subprocess.run(
            ["mnexec", "-a", str(self.system.namespace(host)), sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    # What is where.

    def keys(self, server: str) -> int:
        """Return how many keys a server's store has."""
        return int(stores.connect(self.system.sockets[server]).dbsize())

    def wait_empty(self, server: str, seconds: float = 30.0) -> None:
        """Wait until a server has deleted its copies."""
        deadline = time.monotonic() + seconds
        while left := self.keys(server):
            assert time.monotonic() < deadline, f"{server} still has {left} keys"
            time.sleep(0.1)

    def event(self, name: str) -> int:
        """Return the packets of one event that the switch has counted."""
        return self.controller.counters()["events"][name][0]
