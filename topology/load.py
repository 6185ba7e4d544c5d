"""Load generators in the client hosts: started, watched, stopped, their histories gathered."""

import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from hosts.load.history import History
from hosts.load.keys import Names
from topology import network
from topology.processes import StartError
from topology.settings import Network
from topology.system import System


@dataclass
class Sample:
    """One progress line of a generator: counts so far, rates and latencies of the last interval."""

    t: float
    issued: int
    done: int
    errors: int
    outstanding: int
    doubled: int
    resent: int
    redirected: int
    p50: float | None
    p99: float | None
    rate: float


class Generator:
    """One `python -m hosts.load` in the namespace of a client host."""

    def __init__(
        self, system: System, host: str, where: list[str], history: Path, arguments: list[str]
    ) -> None:
        self.host = host
        self._history = history
        self._errors = system.directory / f"{host}-load.log"
        self.latest: Sample | None = None
        self.final: dict[str, Any] = {}
        argv = ["setpriv", "--pdeathsig", "TERM", "mnexec", "-a", str(system.namespace(host))]
        argv += [sys.executable, "-m", "hosts.load", *where, "--history", str(history), *arguments]
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        system.children.record(f"{host}-load", self._process.pid)
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,))
        self._reader.start()

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            message = json.loads(line)
            if message.get("final"):
                self.final = message
            else:
                self.latest = Sample(**message)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def ended(self) -> bool:
        """Whether the generator has ended by itself."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """Let it start nothing more."""
        if not self.ended():
            assert self._process.stdin is not None
            self._process.stdin.write("stop\n")
            self._process.stdin.flush()

    def history(self) -> History:
        """Wait for the end and return all that happened. Failed operations are in there too."""
        self._process.wait()
        self._reader.join()
        if self._process.stdin is not None:
            self._process.stdin.close()
        if not self.final:
            raise StartError(
                f"the load generator in {self.host} ended with status "
                f"{self._process.returncode}:\n{self._errors.read_text()}"
            )
        return History.load(self._history)


@dataclass(frozen=True)
class Load:
    """What to drive: `rate` operations per second in all, or `closed` outstanding per client."""

    workload: str
    rate: float = 0.0
    closed: int = 0
    value_size: int = 64
    seed: int = 1
    run: int = 0
    """Which run over the same data this is: its writes differ from those of the others."""
    timeout: float = 5.0
    """Seconds after which a client gives an operation up."""


@dataclass
class Data:
    """What is in the store: so many records, under YCSB's names or a user's own."""

    records: int
    names: Path | None = None

    def arguments(self) -> list[str]:
        """Return what a generator must be told of it."""
        return ["--keys", str(self.records)] + (["--names", str(self.names)] if self.names else [])


class Generators:
    """One generator in every client host, sharing the work, or the first one alone.

    They load the service, or the stock cluster with such a node (`HOST:PORT`).
    """

    def __init__(
        self, system: System, settings: Network, output: Path, cluster: str | None = None
    ) -> None:
        self._system = system
        self._output = output
        self._clients = [f"client{i}" for i in range(1, settings.clients + 1)]
        service = ["--vip", network.VIP, "--port", str(network.SERVICE_PORT)]
        self._where = ["--cluster", cluster] if cluster else service
        self.running: list[Generator] = []

    def sweep(self, kind: str, data: Data, value_size: int) -> Generator:
        """Load (`kind` "load") or read ("read") every record once, from the first client."""
        arguments = ["--workload", kind, *data.arguments(), "--value-size", str(value_size)]
        history = self._output / f"{kind}.npz"
        generator = Generator(self._system, self._clients[0], self._where, history, arguments)
        self.running = [generator]
        return generator

    def drive(self, load: Load, data: Data, seconds: float) -> None:
        """Start a workload in every client host, until stop() or for `seconds` at most."""
        count = len(self._clients)
        pace = ["--closed", str(load.closed)] if load.closed else ["--rate", str(load.rate / count)]
        self.running = [
            Generator(
                self._system,
                client,
                self._where,
                self._output / f"{client}.npz",
                [
                    *("--workload", load.workload, *data.arguments()),
                    *("--value-size", str(load.value_size), "--seed", str(load.seed)),
                    *("--run", str(load.run)),
                    *("--share", f"{index}/{count}", "--seconds", str(seconds), *pace),
                    *("--timeout", str(load.timeout)),
                ],
            )
            for index, client in enumerate(self._clients)
        ]

    def stop(self) -> None:
        """Let all of them start nothing more."""
        for generator in self.running:
            generator.stop()

    def histories(self) -> History:
        """Wait for all of them and return their joint history."""
        parts = [generator.history() for generator in self.running]
        return History(np.concatenate([part.records for part in parts]))

    def latest(self) -> Sample | None:
        """Return the sum of the latest samples (the worst of their latencies)."""
        samples = [g.latest for g in self.running if g.latest is not None]
        if not samples:
            return None
        return Sample(
            t=max(s.t for s in samples),
            issued=sum(s.issued for s in samples),
            done=sum(s.done for s in samples),
            errors=sum(s.errors for s in samples),
            outstanding=sum(s.outstanding for s in samples),
            doubled=sum(s.doubled for s in samples),
            resent=sum(s.resent for s in samples),
            redirected=sum(s.redirected for s in samples),
            p50=max((s.p50 for s in samples if s.p50 is not None), default=None),
            p99=max((s.p99 for s in samples if s.p99 is not None), default=None),
            rate=sum(s.rate for s in samples),
        )


def user_names(client: Any, largest: int, path: Path) -> int:
    """Collect the store's string keys whose values fit a datagram into `path`; return how many."""
    names: list[bytes] = []
    cursor = 0
    while True:
        cursor, keys = client.execute_command("SCAN", cursor, "COUNT", 1000, "TYPE", "string")
        pipeline = client.pipeline(transaction=False)
        for key in keys:
            pipeline.execute_command("STRLEN", key)
        lengths = pipeline.execute() if keys else []
        names += [k for k, n in zip(keys, lengths, strict=True) if n + len(k) <= largest]
        if int(cursor) == 0:
            break
    Names.of(names).save(path)
    return len(names)
