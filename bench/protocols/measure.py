"""One migration under load by each protocol in turn, all on the same system and data."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from controller.client import Controller
from controller.model import Protocol
from hosts.check import registers
from hosts.load.history import History
from topology import stores
from topology.load import Data, Generators, Load
from topology.report import timeline
from topology.settings import Network
from topology.summary import Phases, Snapshot, errors, figures
from topology.system import System

GRPC_PORT: Final = 9660
_GRACE_SECONDS: Final = 60.0
_KEY_BITS: Final = 1_000  # of group data a record of 64 bytes takes, at most


@dataclass(frozen=True)
class Plan:
    """What to measure. Rates in operations per second and bits per second, times in seconds."""

    keys: int = 200_000
    writes: tuple[int, ...] = (0, 5, 10, 20, 30)
    budgets: tuple[int, ...] = (100,)
    """Percentages of one core that the source host may use; 100: no limit."""
    rate: int = 8_000
    outstanding: int = 32
    throttle: int = 40_000_000
    repeat: int = 3
    protocols: tuple[Protocol, ...] = tuple(Protocol)
    before: float = 5.0
    after: float = 3.0

    @property
    def longest(self) -> float:
        """Seconds after which the load ends even if the migration has not."""
        moving = self.keys * _KEY_BITS / self.throttle if self.throttle else 0.0
        return self.before + self.after + 10.0 + 3 * moving

    def combinations(self) -> Iterator[tuple[int, str, Protocol]]:
        """Yield (writes, loop, protocol), protocols innermost: a drift of the machine hits all."""
        for _ in range(self.repeat):
            for writes in self.writes:
                for loop in ("closed", "open"):
                    for protocol in self.protocols:
                        yield writes, loop, protocol


@dataclass(frozen=True)
class Run:
    """One measured migration."""

    protocol: str
    budget: int
    writes: int
    loop: str
    summary: dict[str, Any]
    timeline: dict[str, NDArray[np.float64]]
    migration: tuple[float, float]
    """From when to when, in seconds of the timeline."""


def runs(plan: Plan, output: Path, tell: Callable[[str], None]) -> Iterator[Run]:
    """Measure everything that the plan says, one system for each budget."""
    output.mkdir(parents=True, exist_ok=True)
    for budget in plan.budgets:
        budgets = {} if budget >= 100 else {"server1": budget / 100}
        directory = Path("/run/netmigrate-protocols")
        network = Network(directory=directory, switch_name="protocols", cpu_budgets=budgets)
        tell(f"starting a network, loading {plan.keys} records")
        with System(network, grpc_port=GRPC_PORT) as system:
            yield from _System(system, network, plan, budget, output).runs(tell)


class _System:
    def __init__(
        self, system: System, network: Network, plan: Plan, budget: int, output: Path
    ) -> None:
        self._system = system
        self._plan = plan
        self._budget = budget
        self._generators = Generators(system, network, output)
        self._data = Data(plan.keys)

    def runs(self, tell: Callable[[str], None]) -> Iterator[Run]:
        load = self._generators.sweep("load", self._data, 64).history()
        if failed := errors(load.records):
            raise RuntimeError(f"{failed} of {self._plan.keys} records could not be loaded")
        values = self._values(load)
        with Controller(self._system.config_path) as controller:
            for number, (writes, loop, protocol) in enumerate(self._plan.combinations()):
                tell(f"{protocol}, {writes} % writes, {loop} loop, source CPU {self._budget} %")
                run, history = self._run(controller, number, writes, loop, protocol)
                final = self._generators.sweep("read", self._data, 64).history()
                every = np.concatenate([history.records, final.records])
                run.summary["violations"] = registers.check(every, values).count
                run.summary["errors"] += errors(final.records)
                values = self._values(final)
                self._home(controller)
                yield run

    def _values(self, sweep: History) -> NDArray[np.uint64]:
        """Return what each key held when it was read, or was written, once."""
        values = np.zeros(self._data.records, np.uint64)
        values[sweep.records["key"]] = sweep.records["value"]
        return values

    def _run(
        self, controller: Controller, number: int, writes: int, loop: str, protocol: Protocol
    ) -> tuple[Run, History]:
        plan = self._plan
        pace = {"closed": plan.outstanding} if loop == "closed" else {"rate": plan.rate}
        start = self._snapshot(controller)
        load = Load(f"W{writes}", seed=1 + number, run=number, **pace)
        self._generators.drive(load, self._data, plan.longest)
        while any(g.latest is None or not g.latest.done for g in self._generators.running):
            time.sleep(0.02)
        started = time.monotonic_ns()
        time.sleep(plan.before)
        migrating = time.monotonic_ns()
        migration = controller.watch(
            controller.migrate("p0", "server2", throttle=plan.throttle, protocol=protocol).id
        )
        migrated = time.monotonic_ns()
        time.sleep(plan.after)
        ended = any(generator.ended() for generator in self._generators.running)
        self._generators.stop()
        phases = Phases(started, migrating, migrated, time.monotonic_ns())
        history = self._generators.histories()
        counted = self._snapshot(controller).since(start)
        summary = figures(history, phases, counted)
        summary |= {
            "state": "load ended too early" if ended else migration.state,
            "downtime_seconds": migration.downtime,
            "rounds": migration.rounds,
            "keys_sent": migration.keys,
            "retries": counted.switch["traffic"]["RETRY"][0],
        }
        span = ((migrating - started) / 1e9, (migrated - started) / 1e9)
        line = timeline(history.records, phases)
        return Run(protocol, self._budget, writes, loop, summary, line, span), history

    def _home(self, controller: Controller) -> None:
        """Bring the partition home, without load, and wait until the copies are gone."""
        home = controller.watch(controller.migrate("p0", "server1").id)
        if home.state != "done":
            raise RuntimeError(f"the partition did not come home: {home.state}, {home.error}")
        deadline = time.monotonic() + _GRACE_SECONDS
        client = stores.connect(self._system.sockets["server2"])
        while client.dbsize() and time.monotonic() < deadline:
            time.sleep(0.1)

    def _snapshot(self, controller: Controller) -> Snapshot:
        return Snapshot(controller.counters(), controller.agent_counters())
