"""One stock way to move slots, under the same load and on the same hosts as our protocols."""

import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from redis import RedisError

from bench.peers import ways
from bench.peers.nodes import Nodes
from bench.protocols import usage
from bench.protocols.figures import Counted, cores, service
from bench.protocols.observe import Seen, observe, values
from bench.protocols.plan import Plan
from bench.protocols.run import Case, Run
from controller.client import Controller
from hosts.check import registers
from topology.load import Data, Generators
from topology.processes import StartError
from topology.summary import Snapshot, errors
from topology.system import System

PARTS: Final = ("source_store", "destination_store", "switch", "client", "controller")
"""Those of `bench.protocols.run.PARTS` that there are; redis-cli counts as the controller."""


class Peers:
    """Measures the peers in a running system, each on two new nodes in its server hosts.

    Load and moves go through the system's switch; its own stores and agents have nothing to do.
    """

    def __init__(
        self,
        system: System,
        controller: Controller,
        plan: Plan,
        settle: Callable[[], None],
        output: Path,
    ) -> None:
        """`settle` waits until what a run before has left is cleaned up."""
        self._system = system
        self._controller = controller
        self._plan = plan
        self._settle = settle
        self._output = output
        self._number = 0

    def run(self, case: Case) -> Run:
        """Load a new cluster, move all its slots under load, and judge the history of every key.

        A cluster that does not come up, or that does not answer, is a run that does not count: the
        others go on.
        """
        way = ways.find(case.protocol)
        if isinstance(way, str):
            return Run.failed(case, way)
        self._number += 1
        self._settle()
        try:
            with Nodes(self._system, way.executable) as nodes:
                return self._run(case, way, nodes)
        except (StartError, RedisError) as error:
            return Run.failed(case, str(error))

    def _run(self, case: Case, way: ways.Way, nodes: Nodes) -> Run:
        plan, data = self._plan, Data(self._plan.keys)
        address = nodes.source.address
        generators = Generators(self._system, self._system.settings, self._output, address)
        load = generators.sweep("load", data, 64).history()
        if failed := errors(load.records):
            raise StartError(f"{failed} of {data.records} records could not be loaded")

        def now() -> Counted:
            return Counted(time.monotonic_ns(), self._counters(), self._cpu(nodes, generators))

        def migrate() -> tuple[int, str]:
            problem = ""
            try:
                way.move(nodes.source, nodes.destination, case.settings, nodes.prefix)
            except (ways.MoveError, RedisError) as error:
                problem = str(error)
            return time.monotonic_ns(), problem

        longest = plan.longest_of_peer
        seen = observe(plan, case, generators, data, self._number, longest, now, migrate)
        since = self._counters().since(seen.before.counters)
        counts = [generator.final["counts"] for generator in generators.running]
        final = generators.sweep("read", data, 64).history()
        every = np.concatenate([seen.history.records, final.records])
        measured = {
            **_figures(seen, since, {n: sum(each[n] for each in counts) for n in counts[0]}),
            "errors": errors(every),
            "violations": registers.check(every, values(load, data.records)).count,
        }
        return seen.run(case, measured)

    def _counters(self) -> Snapshot:
        return Snapshot(self._controller.counters(), self._controller.agent_counters())

    def _cpu(self, nodes: Nodes, generators: Generators) -> dict[str, float]:
        source, destination = nodes.children
        spent = usage.cpu(
            {
                "source_store": [source.pid],
                "destination_store": [destination.pid],
                "switch": [self._system.children.children["switch"].pid],
                "client": [generator.pid for generator in generators.running],
            }
        )
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {**spent, "controller": ended.ru_utime + ended.ru_stime}


def _figures(seen: Seen, since: Snapshot, counts: Mapping[str, int]) -> dict[str, Any]:
    """Return the figures of a run, errors and violations apart.

    `since` is what was counted from the request to migrate to the end of the load: clients learn
    where the slots are until then. `counts` are the clients'.
    """
    moved = seen.after.counters.since(seen.before.counters).switch["traffic"]
    redirects = sum(counts[name] for name in ("moved", "asked", "try_again", "cluster_down"))
    phases = seen.phases
    return {
        **service(seen.history.records, phases),
        "migration_seconds": (phases.migration_ended - phases.migration_started) / 1e9,
        "client_bytes": moved["OTHER"][1],
        "client_extra": 100
        * counts["redirect_bytes"]
        / max(1, since.switch["traffic"]["OTHER"][1]),
        "server_bytes": moved["BETWEEN_SERVERS"][1],
        "redirects": redirects,
        "resent": counts["sent"] - counts["started"] - redirects,
        **{f"cpu_{part}": cores(seen.before, seen.after, part) for part in PARTS},
        **{f"cpu_{part}_before": cores(seen.started, seen.before, part) for part in PARTS},
    }
