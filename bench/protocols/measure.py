"""One migration after the other under load, all on the same system and data."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from bench.peers.measure import Peers
from bench.protocols import places, reporting, usage
from bench.protocols.figures import Counted, figures
from bench.protocols.observe import observe, values
from bench.protocols.pace import Pace
from bench.protocols.plan import Plan
from bench.protocols.run import AS_LONG_AS_STOCK, Case, Run, Settings
from controller import controller_pb2 as pb
from controller.client import Controller
from controller.model import MAX_LANES
from hosts.check import registers
from hosts.load.history import History
from topology import stores
from topology.load import Data, Generators
from topology.settings import Network
from topology.summary import Snapshot, errors
from topology.system import System, free_port

_GRACE_SECONDS: Final = 120.0

Tell = Callable[[str], None]


def runs(plan: Plan, output: Path, tell: Tell) -> Iterator[Run]:
    """Measure the cases of the plan, one system for each budget."""
    for budget in plan.budgets:
        cases = list(plan.cases(budget))
        if not cases:
            continue
        tell(f"starting a network, loading {plan.keys:,} records")
        with Rack.loaded(plan, plan.keys, budget, output) as rack:
            pace = Pace()
            peers = Peers(rack.system, rack.controller, plan, rack.settle, output)
            for case in cases:
                tell(
                    f"{case.protocol}, {case.writes} % writes, {case.loop} loop, "
                    f"source CPU {case.budget} %, {case.label}"
                )
                settings = pace.settings(case)
                if settings is None:
                    run = Run.failed(case, "no reshard was measured before it")
                elif case.protocol in plan.protocols:
                    run = rack.run(case, settings)
                else:
                    run = peers.run(case)
                pace.learn(run)
                yield run


class Rack:
    """A system with records loaded, its partition on server1 between the runs."""

    def __init__(
        self, system: System, network: Network, controller: Controller, plan: Plan, output: Path
    ) -> None:
        self.system = system
        self.controller = controller
        self.generators = Generators(system, network, output)
        self.data = Data(0)
        self._plan = plan
        children = system.children.children
        agents = (children[f"{server}-agent"].pid for server in system.sockets)
        self.agents_at_start = {pid: usage.resident(pid) for pid in agents}
        """Process → bytes resident before there was any data."""
        self._values = np.zeros(0, np.uint64)
        self._number = 0

    @classmethod
    @contextmanager
    def loaded(cls, plan: Plan, keys: int, budget: int, output: Path) -> Iterator[Self]:
        """Start a system and load `keys` records of 64 bytes through the switch."""
        output.mkdir(parents=True, exist_ok=True)
        budgets = {} if budget >= 100 else {"server1": budget / 100}
        network = places.network(os.getpid(), budgets)
        try:
            with (
                System(network, grpc_port=free_port()) as system,
                Controller(system.config_path) as controller,
            ):
                rack = cls(system, network, controller, plan, output)
                rack._load(keys)
                yield rack
        finally:
            shutil.rmtree(network.directory, ignore_errors=True)

    def _load(self, keys: int) -> None:
        self.data = Data(keys)
        load = self.generators.sweep("load", self.data, 64).history()
        if failed := errors(load.records):
            raise RuntimeError(f"{failed} of {keys} records could not be loaded")
        self._values = values(load, keys)

    def run(self, case: Case, settings: Settings) -> Run:
        """Measure one case, the migration told `settings`; bring the partition home, and judge the
        history of every key."""
        self._number += 1
        self.settle()
        run, history = self._measure(case, settings)
        self.home()
        final = self.generators.sweep("read", self.data, 64).history()
        every = np.concatenate([history.records, final.records])
        violations = registers.check(every, self._values).count
        self._values = values(final, self.data.records)
        failed = run.figures["errors"] + errors(final.records)
        return replace(run, figures={**run.figures, "errors": failed, "violations": violations})

    def _measure(self, case: Case, settings: Settings) -> tuple[Run, History]:
        migrations: list[pb.Migration] = []

        def migrate() -> tuple[int, str]:
            migrations.append(migration := self.migrate(case.protocol, settings))
            problem = "" if migration.state == "done" else f"{migration.state}: {migration.error}"
            return _end_of(migration), problem

        seconds = self._plan.longest(self.data.records)
        if case.settings == AS_LONG_AS_STOCK:
            seconds = max(seconds, self._plan.longest_of_peer)
        seen = observe(
            self._plan, case, self.generators, self.data, self._number, seconds, self._now, migrate
        )
        measured = figures(
            seen.history.records,
            seen.phases,
            migrations[0],
            self.data.records,
            seen.started,
            seen.before,
            seen.after,
        )
        return seen.run(case, measured), seen.history

    def migrate(self, protocol: str, settings: Settings) -> pb.Migration:
        """Move the partition to server2."""
        told: dict[str, Any] = dict(settings)
        started = self.controller.migrate("p0", "server2", protocol=protocol, **told)
        return self.controller.watch(started.id)

    def _now(self) -> Counted:
        counted = Snapshot(self.controller.counters(), self.controller.agent_counters())
        cpu = usage.cpu(usage.parts(self.system, self.generators))
        return Counted(time.monotonic_ns(), counted, cpu)

    def home(self) -> None:
        """Bring the partition back to server1, without load, as fast as it goes.

        By our own protocol, so that what the agents then hold is not another's doing.
        """
        begun = self.controller.migrate("p0", "server1", lanes=MAX_LANES)
        home = self.controller.watch(begun.id)
        if home.state != "done":
            raise RuntimeError(f"the partition did not come home: {home.state}, {home.error}")

    def settle(self) -> None:
        """Wait until nothing is left of a run before, which this one would feel."""
        deadline = time.monotonic() + _GRACE_SECONDS
        spare = stores.connect(self.system.sockets["server2"])
        while spare.dbsize() or set(self.controller.status().slices.values()) != {"free"}:
            if time.monotonic() > deadline:
                raise RuntimeError("copies or slices were not cleared after a migration")
            time.sleep(0.1)
        reporting.wait()


def _end_of(migration: pb.Migration) -> int:
    """Return when the controller knew of the end, in nanoseconds of the monotonic clock."""
    return time.monotonic_ns() - time.time_ns() + round(migration.ended * 1e9)
