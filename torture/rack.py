"""The system under torture: whole, with the means to break its parts and bring them back."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from controller.client import Controller
from switch import fault_control
from switch.ports import FaultError
from topology import network
from topology.processes import Child
from topology.settings import Network
from topology.system import System
from torture.workload import Keys

SESSIONS: Final = 6
"""In each client process."""


@dataclass(frozen=True)
class Load:
    """What clients do; `rate` is that of all together, in commands per second."""

    seed: int
    keys: Keys
    rate: float = 500.0
    timeout: float = 4.0


class Rack:
    """A running system, and clients in it.

    Parts are named as their processes: `switch`, `controller`, `server1-agent`, `client1-load`.
    """

    def __init__(self, system: System, settings: Network, output: Path, load: Load) -> None:
        self.system = system
        self.servers = [f"server{i}" for i in range(1, settings.servers + 1)]
        self.clients = [f"client{i}" for i in range(1, settings.clients + 1)]
        self.controller = Controller(system.config_path)
        self.packets: dict[str, int] = {}
        """Packet faults that were injected, by kind, as far as they were counted."""
        self.moving: list[str] = []
        """Servers that took part in a migration when somebody looked last."""
        self.placement: list[tuple[range, str]] = []
        """Which server had which groups then, without those that were moving."""
        self.keys = load.keys
        self._output = output
        self._load = load
        self._lives: dict[str, int] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._faults: dict[str, str] = {}
        self._seed = load.seed
        # Children get SIGTERM when the thread that started them ends: these last as long as we do.
        self._starters = ThreadPoolExecutor(max_workers=8)

    def close(self) -> None:
        """Let the threads go that started the children, which ends these."""
        self._starters.shutdown()

    def lock(self, part: str) -> threading.Lock:
        """Return what a fault of one part holds, so that no two meet there."""
        return self._locks.setdefault(part, threading.Lock())

    def agent(self, server: str) -> str:
        """Return where a server's agent listens for the controller."""
        return self.controller.config.server_named(server).agent

    def groups_of(self, server: str) -> tuple[range, ...]:
        """Return groups that a server had of late, and were not moving; with "", of all servers."""
        return tuple(groups for groups, owner in self.placement if server in ("", owner))

    def is_moving(self, server: str) -> bool:
        """Whether a server took part in a migration of late; with "", any server."""
        return bool(self.moving) if not server else server in self.moving

    # Processes

    def start(self, part: str) -> None:
        """Start a part and wait until it is ready."""
        future: Future[Any] = self._starters.submit(self._start, part)
        future.result()

    def _start(self, part: str) -> None:
        host = part.partition("-")[0]
        match part.partition("-")[2]:
            case "agent":
                self.system.start_agent(int(host.removeprefix("server")))
            case "store":
                self.system.start_store(int(host.removeprefix("server")))
            case "load":
                self._start_client(host)
            case _ if part == "switch":
                self.system.start_switch()
                self._tell_faults(list(self._faults.values()), self._seed)
            case _:
                self.system.start_controller()

    def sweep(self) -> Path:
        """Let the first client read every key once; return its record."""
        (host, *_) = self.clients
        self._starters.submit(self._start_client, host, sweep=1).result()
        self._child(f"{host}-load").process.wait()
        return self._output / f"{host}.{self._lives[host]}.jsonl"

    def records(self) -> list[Path]:
        """Return all that clients have written."""
        return [
            self._output / f"{host}.{life}.jsonl"
            for host in self.clients
            for life in range(self._lives[host] + 1)
        ]

    def _start_client(self, host: str, sweep: int = 0) -> None:
        life = self._lives.setdefault(host, -1) + 1
        self._lives[host] = life
        index = self.clients.index(host) + len(self.clients) * life
        load = self._load
        options = {
            "name": f"{host}/{life}",
            "vip": network.VIP,
            "port": network.SERVICE_PORT,
            "record": self._output / f"{host}.{life}.jsonl",
            "seed": load.seed,
            "first": index * SESSIONS,
            "sessions": SESSIONS,
            "rate": load.rate / len(self.clients),
            "timeout": load.timeout,
            "hot": load.keys.hot,
            "cold": load.keys.cold,
            "sweep": sweep,
        }
        self.system.start_python(host, f"{host}-load", "torture.client", options)

    def kill(self, part: str) -> None:
        """End a part as a crash does."""
        if part == "switch":
            self.count_packets()
        self._keep_log(part)
        self.system.children.kill(part)

    def _keep_log(self, part: str) -> None:
        """Its next life writes another log."""
        log = self._child(part).log
        life = self._lives.get(f"log of {part}", 0)
        self._lives[f"log of {part}"] = life + 1
        shutil.copyfile(log, self._output / f"{part}.{life}.log")

    def freeze(self, part: str, *, frozen: bool) -> None:
        """Stop a process where it stands, or let it go on."""
        os.kill(self._child(part).pid, signal.SIGSTOP if frozen else signal.SIGCONT)

    def stop_clients(self) -> None:
        """Let every client finish what it has begun."""
        for host in self.clients:
            self.system.children.stop(f"{host}-load", self._load.timeout + 5)

    def keep_logs(self) -> None:
        """Copy what all parts have written, and what the controller remembers."""
        store = self.system.controller_store
        if store.exists():
            with contextlib.closing(sqlite3.connect(store)) as database:
                database.execute("VACUUM INTO ?", (str(self._output / store.name),))
        for part in list(self.system.children.children):
            self._keep_log(part)

    def _child(self, part: str) -> Child:
        return self.system.children.children[part]

    # Links

    def set_faults(self, way: str, what: str) -> None:
        """Inject faults into one way of the switch (`p4switch faults`); `off` ends it."""
        self._faults[way] = f"{way}:{what}"
        self._tell_faults([self._faults[way]])

    def _tell_faults(self, specs: Sequence[str], seed: int | None = None) -> None:
        with contextlib.suppress(FaultError):  # the switch is away: told when it is back
            fault_control.request(self.system.directory / "faults.sock", specs, seed)

    def count_packets(self) -> None:
        """Add what the present switch has injected to `packets`."""
        with contextlib.suppress(FaultError):
            found = fault_control.request(self.system.directory / "faults.sock")
            for ways in found.values():
                for way in ways.values():
                    for kind, count in way.items():
                        self.packets[kind] = self.packets.get(kind, 0) + count

    def run_in(self, host: str, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a host's network."""
        return subprocess.run(
            ["mnexec", "-a", str(self.system.namespace(host)), *argv],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
