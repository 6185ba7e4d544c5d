"""`make run`: load a store, move its partition under live load, check everything, report."""

import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from rich.console import Console

from controller import controller_pb2 as pb
from controller.client import Controller
from hosts.check import Result
from hosts.load.history import RECORD, History, Operation
from topology import report, stores
from topology.load import Data, Generators, Load, user_names
from topology.processes import StartError
from topology.screen import Screen
from topology.settings import Network, Run
from topology.summary import Phases, Snapshot, check, errors, figures
from topology.system import System

# Beside its value, what a record costs on the wire between the agents.
_RECORD_OVERHEAD: Final = 80
_GRACE_SECONDS: Final = 20.0


@dataclass
class Outcome:
    """All that a run produced, before it is summed up."""

    phases: Phases
    load: History
    run: History
    reads: History
    counted: Snapshot
    migration: pb.Migration
    registers_match: bool
    source_keys_left: int
    destination_keys: int
    expected_keys: int


@dataclass
class Job:
    """One run in a running system."""

    system: System
    network: Network
    run: Run
    screen: Screen
    generators: Generators = field(init=False)
    _loaded_keys: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.run.output.mkdir(parents=True, exist_ok=True)
        self.generators = Generators(self.system, self.network, self.run.output)

    def measure(self) -> Outcome:
        """Go through all phases."""
        with Controller(self.system.config_path) as controller:
            partition = controller.status().partitions[0]
            source, destination = partition.server, self._destination(controller)
            data, load = self._load(partition)
            keys_before = self._keys(destination)
            start = self._snapshot(controller)
            self.generators.drive(
                Load(
                    self.run.workload,
                    rate=self.run.rate,
                    value_size=self.run.value_size,
                    seed=self.run.seed,
                ),
                data,
                self._longest(data),
            )
            started = self._started()
            self._watch("load before the migration", self.run.before)
            migration_started = time.monotonic_ns()
            migration = self._migrate(controller, partition.name, destination)
            migration_ended = time.monotonic_ns()
            self._watch("load after the migration", self.run.after)
            self.generators.stop()
            ended = time.monotonic_ns()
            history = self.generators.histories()
            counted = self._snapshot(controller).since(start)
            matched = controller.registers_match()
            self.screen.phase("reading everything back")
            records = max(data.records, int(history.records["key"].max()) + 1)
            reads = self._sweep("read", Data(records, data.names))
            left = self._wait_for_grace(source)
            return Outcome(
                Phases(started, migration_started, migration_ended, ended),
                load,
                history,
                reads,
                counted,
                migration,
                matched,
                left,
                self._keys(destination),
                keys_before + self._expected(data, history),
            )

    def _destination(self, controller: Controller) -> str:
        """Return the first server that holds no partition."""
        status = controller.status()
        taken = {partition.server for partition in status.partitions}
        return next(server.name for server in status.servers if server.name not in taken)

    def _keys(self, server: str) -> int:
        return int(stores.connect(self.system.sockets[server]).dbsize())

    def _load(self, partition: pb.Partition) -> tuple[Data, History]:
        """Fill the store, or take what the user's dump file brought."""
        if self.network.rdb is None:
            self.screen.phase(f"loading {self.run.keys} records")
            data = Data(self.run.keys)
            load = self._sweep("load", data)
        else:
            self.screen.phase("reading the names of the user's keys")
            names = self.run.output / "names.npz"
            client = stores.connect(self.system.sockets[partition.server])
            count = user_names(client, 1200, names)
            if count == 0:
                raise StartError(f"RDB={self.network.rdb}: no string keys small enough to query")
            data = Data(count, names)
            load = History(np.zeros(0, dtype=RECORD))
        self._loaded_keys = self._keys(partition.server)
        return data, load

    def _sweep(self, kind: str, data: Data) -> History:
        generator = self.generators.sweep(kind, data, self.run.value_size)
        while not generator.ended():
            latest = generator.latest
            if latest is not None:
                self.screen.progress(latest.done / data.records)
                self.screen.sample(latest)
            time.sleep(0.1)
        return generator.history()

    def _started(self) -> int:
        """Wait until every generator is under way."""
        self.screen.phase("starting the load")
        while any(g.latest is None or not g.latest.done for g in self.generators.running):
            self._fail_if_ended()
            time.sleep(0.02)
        return time.monotonic_ns()

    def _fail_if_ended(self) -> None:
        for generator in self.generators.running:
            if generator.ended():
                generator.history()  # says why, where it failed
                raise StartError(f"the load in {generator.host} ended before the migration did")

    def _watch(self, phase: str, seconds: float) -> None:
        self.screen.phase(phase)
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < seconds:
            self._fail_if_ended()
            self.screen.progress(passed / seconds)
            self.screen.sample(self.generators.latest())
            time.sleep(0.1)

    def _migrate(self, controller: Controller, partition: str, destination: str) -> pb.Migration:
        """Move the partition."""
        self.screen.phase(f"moving {partition} to {destination}")
        latest = controller.migrate(
            partition,
            destination,
            throttle=self.run.throttle,
            lanes=self.run.lanes,
            group_batch=self.run.group_batch,
            pull_reads=self.run.pull_reads,
            protocol=self.run.protocol,
        )

        def follow(migration: pb.Migration) -> None:
            nonlocal latest
            latest = migration
            self.screen.migration(migration)

        watcher = threading.Thread(target=lambda: controller.watch(latest.id, follow), daemon=True)
        watcher.start()
        while watcher.is_alive():
            self._fail_if_ended()
            self.screen.progress(latest.share)
            self.screen.sample(self.generators.latest())
            watcher.join(0.1)
        return latest

    def _snapshot(self, controller: Controller) -> Snapshot:
        return Snapshot(controller.counters(), controller.agent_counters())

    def _wait_for_grace(self, source: str) -> int:
        """Wait until the source has deleted its copies; return how many keys it still has."""
        deadline = time.monotonic() + _GRACE_SECONDS
        while (left := self._keys(source)) and time.monotonic() < deadline:
            time.sleep(0.1)
        return left

    def _expected(self, data: Data, history: History) -> int:
        """Return how many keys there must be: what was loaded, and what was inserted since."""
        written = history.records["key"][history.records["operation"] == Operation.WRITE]
        return self._loaded_keys + np.unique(written[written >= data.records]).size

    def _longest(self, data: Data) -> float:
        """Return the seconds for which the load must last in the worst case."""
        size = data.records * (self.run.value_size + _RECORD_OVERHEAD)
        moving = size * 8 / self.run.throttle if self.run.throttle else 0.0
        return self.run.before + self.run.after + 3 * moving + 60.0


def summarise(network: Network, run: Run, outcome: Outcome) -> tuple[dict[str, Any], list[str]]:
    """Return the summary, and what is wrong with the run, in words."""
    every = np.concatenate([outcome.load.records, outcome.run.records, outcome.reads.records])
    verdict: Result = check(every, fresh=network.rdb is None)
    summary: dict[str, Any] = {
        "protocol": outcome.migration.protocol,
        "switch": network.switch,
        "workload": run.workload,
        "keys": outcome.expected_keys,
        "migrated_keys": outcome.migration.keys,
        **figures(outcome.run, outcome.phases, outcome.counted),
        "violations": verdict.count,
        "source_keys_left": outcome.source_keys_left,
        "destination_keys": outcome.destination_keys,
        "switch_registers_match": outcome.registers_match,
    }
    failures = [violation.text for violation in verdict.violations]
    if outcome.migration.state != "done":
        failures.append(f"migration {outcome.migration.state}: {outcome.migration.error}")
    for name, history in (("load", outcome.load), ("run", outcome.run), ("reads", outcome.reads)):
        failed = errors(history.records)
        if failed:
            failures.append(f"{failed} of {history.records.size} operations failed ({name})")
    if outcome.source_keys_left:
        failures.append(f"the source still has {outcome.source_keys_left} keys")
    if outcome.destination_keys != outcome.expected_keys:
        failures.append(
            f"the destination has {outcome.destination_keys} keys, not {outcome.expected_keys}"
        )
    if not outcome.registers_match:
        failures.append("the switch's view is not the agents' truth: see `netmigrate groups`")
    return summary, failures


def run(network: Network, settings: Run) -> int:
    """Do all of it; exit status 0 only if every operation and every check succeeded."""
    title = f"{settings.protocol}: YCSB-{settings.workload} at {settings.rate} op/s"
    with Screen(title) as screen:
        screen.phase("starting the network")
        with System(network) as system:
            outcome = Job(system, network, settings, screen).measure()
        screen.phase("checking the history of every key")
        summary, failures = summarise(network, settings, outcome)
        screen.phase("drawing")
        report.plot(outcome.run.records, outcome.phases, title, settings.output / "run.png")
    (settings.output / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    report.show(summary, failures, settings.output / "report.txt")
    Console().print(f"[dim]{settings.output}/: summary.json, report.txt, run.png[/]")
    return 1 if failures else 0
