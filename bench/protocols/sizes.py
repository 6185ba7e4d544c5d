"""Migrations of few and of many records: what a key costs, what clients feel, what agents hold."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bench.protocols import usage
from bench.protocols.measure import Rack, Tell
from bench.protocols.plan import Plan
from bench.protocols.run import Case, Run
from controller.model import Protocol

_WORKING: Final = ("source_store", "source_agent", "destination_store", "destination_agent")


@dataclass(frozen=True)
class Size:
    """What migrations by netmigrate of so many records came to; medians where there are several."""

    keys: int
    seconds: float
    """Unthrottled and without load."""
    cpu: Mapping[str, float]
    """µs of processor time a key, of both stores and agents; unthrottled and without load."""
    p99_before: float
    """µs, at the plan's rate, as the next ones."""
    p99: float
    p99_most: float
    """The most of the repetitions."""
    client_extra: float
    """Per cent."""
    server_control: float
    """Per cent."""
    data_bytes: float
    """Group data as it is sent."""
    agent_bytes: float
    """The most that either agent ever had resident above what it had when it was started."""
    errors: float
    violations: float
    problems: tuple[str, ...] = ()

    @property
    def cpu_per_key(self) -> float:
        """What a key costs in all, µs."""
        return sum(self.cpu.values())

    @property
    def memory_share(self) -> float:
        """Agent memory in per cent of the data."""
        return 100 * self.agent_bytes / max(1.0, self.data_bytes)


def measure(plan: Plan, output: Path, tell: Tell) -> Iterator[Size]:
    """Measure each of the plan's sizes on a system of its own."""
    for keys in sorted(plan.sizes):
        tell(f"starting a network, loading {keys:,} records")
        with Rack.loaded(plan, keys, 100, output) as rack:
            yield _size(rack, plan, keys, tell)


def _size(rack: Rack, plan: Plan, keys: int, tell: Tell) -> Size:
    tell(f"{keys:,} records: unthrottled, without load")
    rounds = plan.rounds(keys)
    idle = [_idle(rack) for _ in range(rounds)]
    case = Case(Protocol.NETMIGRATE, plan.pivot[0], settings=plan.settings)
    runs: list[Run] = []
    for _ in range(min(plan.repeat, rounds)):
        tell(f"{keys:,} records: {case.label}, {plan.rate:,} op/s")
        runs.append(rack.run(case, case.settings))

    def middle(name: str) -> float:
        return median(float(run.figures.get(name, math.nan)) for run in runs)

    return Size(
        keys=keys,
        seconds=median(seconds for seconds, _ in idle),
        cpu={part: 1e6 * sum(cpu[part] for _, cpu in idle) / (rounds * keys) for part in _WORKING},
        p99_before=middle("p99_before"),
        p99=middle("p99"),
        p99_most=max(run.figures.get("p99", math.nan) for run in runs),
        client_extra=middle("client_extra"),
        server_control=middle("server_control"),
        data_bytes=middle("moved_bytes"),
        agent_bytes=max(
            usage.most_resident(pid) - start for pid, start in rack.agents_at_start.items()
        ),
        errors=sum(run.figures["errors"] for run in runs),
        violations=sum(run.figures["violations"] for run in runs),
        problems=tuple(run.problem for run in runs if run.problem),
    )


def _idle(rack: Rack) -> tuple[float, dict[str, float]]:
    """Migrate without throttle and load; return how long it took and each part's processor time,
    both in seconds."""
    parts = usage.parts(rack.system, rack.generators)
    working = {part: parts[part] for part in _WORKING}
    rack.settle()
    before = usage.cpu(working)
    ended = rack.migrate(Protocol.NETMIGRATE, ())
    after = usage.cpu(working)
    rack.home()
    return ended.seconds, {part: after[part] - before[part] for part in _WORKING}
