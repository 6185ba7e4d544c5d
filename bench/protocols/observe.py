"""A migration under load: the phases, what is counted in them, and the history of every key."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from bench.protocols.figures import Counted
from bench.protocols.plan import Plan
from bench.protocols.run import BIN_SECONDS, Case, Run
from hosts.load.history import History
from topology.load import Data, Generators, Load
from topology.report import timeline
from topology.summary import Phases


@dataclass(frozen=True)
class Seen:
    """A migration under load, as it went; what was counted at its start and around it."""

    phases: Phases
    history: History
    started: Counted
    before: Counted
    after: Counted
    problem: str

    def run(self, case: Case, measured: Mapping[str, float]) -> Run:
        """Return it as a run with these figures.

        The timeline begins a little after the load, so that the request to migrate is between two
        bins: none has what was before and during.
        """
        phases = self.phases
        early = (phases.migration_started - phases.started) % round(BIN_SECONDS * 1e9)
        shown = replace(phases, started=phases.started + early)
        span = (
            (shown.migration_started - shown.started) / 1e9,
            (shown.migration_ended - shown.started) / 1e9,
        )
        line = timeline(self.history.records, shown, BIN_SECONDS)
        return Run(case, {**measured, **_usual(line, span)}, line, span, self.problem)


def _usual(line: Mapping[str, NDArray[np.float64]], span: tuple[float, float]) -> dict[str, float]:
    during = (line["seconds"] > span[0]) & (line["seconds"] < span[1])
    found = {name: line[name][during & ~np.isnan(line[name])] for name in ("p50", "p99")}
    return {f"{name}_usual": float(np.median(each)) for name, each in found.items() if each.size}


def observe(
    plan: Plan,
    case: Case,
    generators: Generators,
    data: Data,
    number: int,
    longest: float,
    now: Callable[[], Counted],
    migrate: Callable[[], tuple[int, str]],
) -> Seen:
    """Load for at most `longest` seconds, and migrate meanwhile.

    `number` tells runs over the same data apart. `migrate` returns when it ended (nanoseconds of
    the monotonic clock) and what is wrong with it, if anything.
    """
    pace = {"closed": plan.outstanding} if case.loop == "closed" else {"rate": plan.rate}
    generators.drive(Load(f"W{case.writes}", seed=number, run=number, **pace), data, longest)
    while any(not (g.latest and g.latest.done) and not g.ended() for g in generators.running):
        time.sleep(0.02)
    started = now()
    time.sleep(plan.before)
    before = now()
    end, problem = migrate()
    after = now()
    time.sleep(plan.after)
    if any(generator.ended() for generator in generators.running):
        problem = problem or "the load ended before the migration did"
    generators.stop()
    phases = Phases(started.at, before.at, end, time.monotonic_ns())
    return Seen(phases, generators.histories(), started, before, after, problem)


def values(sweep: History, records: int) -> NDArray[np.uint64]:
    """Return what each key held when a sweep read it, or wrote it, once."""
    found = np.zeros(records, np.uint64)
    found[sweep.records["key"]] = sweep.records["value"]
    return found
