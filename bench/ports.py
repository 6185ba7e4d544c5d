"""The switch between real interfaces: packets per second and added latency, BMv2's beside it.

Runs in a network namespace of its own: `python -m bench.ports` there prints the raw figures.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from bench import bmv2, cable, l3, pipeline, traffic
from bench.figures import Benchmark, Figure
from switch.ports import Generator, Ports
from switch.runtime.pipeline import Pipeline
from tests.pipeline import deployment
from tests.pipeline.model import Migrate
from topology.switches import PROGRAM

_FRAMES: Final = 1024
_TURNS: Final = 5
# Packets per second that are offered; 0 is as many as can be sent. The best of them counts: past
# what it can take, simple_switch spends its time on packets that it then drops.
_OFFERED: Final = (20_000, 50_000, 100_000, 200_000, 0)
_FLOOD_SECONDS: Final = 0.5
_PINGS: Final = 1000
_PING_GAP: Final = 200e-6
_START_SECONDS: Final = 10.0

# One core sends and counts, the other one is the switch's.
_CORES: Final = sorted(os.sched_getaffinity(0))
_OUR_CORE, _SWITCH_CORE = _CORES[0], _CORES[-1]


@dataclass(frozen=True)
class Subject:
    """A program with its table entries; the frames enter at CLIENT and leave at SOURCE."""

    program: Path
    pipeline: Pipeline
    frames: Sequence[bytes]


def _router() -> Subject:
    router = l3.loaded(pipeline.ROUTES, deployment.SOURCE)
    return Subject(l3.PROGRAM, router, l3.packets(router, _FRAMES))


def _product() -> Subject:
    """The moving partition stays at its source, so that all packets leave by one port."""
    switch = traffic.loaded()
    entry = deployment.partition_entry(
        deployment.SERVICE,
        deployment.MOVING_PARTITION,
        4,
        Migrate(deployment.SOURCE, deployment.SOURCE, deployment.SLICE, deployment.MIGRATION),
    )
    switch.modify("Ingress.partition", entry)
    return Subject(PROGRAM, switch, traffic.reads(_FRAMES))


SUBJECTS: Final = {"l3": _router, "kv": _product}


@contextmanager
def _embedded(subject: Subject, interfaces: Mapping[int, str]) -> Iterator[None]:
    """Run our loop; a thread stays on the core that it was started on."""
    ports = Ports(awake=True)
    for number, interface in interfaces.items():
        ports.add(number, interface)
    ports.load(subject.pipeline)
    os.sched_setaffinity(0, {_SWITCH_CORE})
    ports.start()
    os.sched_setaffinity(0, {_OUR_CORE})
    try:
        yield
    finally:
        ports.stop()
        ports.close()


@contextmanager
def _reference(subject: Subject, interfaces: Mapping[int, str]) -> Iterator[None]:
    """Run simple_switch with the same table entries."""
    content = bmv2.with_entries(bmv2.compiled(subject.program), subject.pipeline)
    with bmv2.running(content, interfaces, ["taskset", "-c", str(_SWITCH_CORE)]):
        yield


def _await_forwarding(generator: Generator, frame: bytes) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while np.isnan(generator.ping(frame, 1, timeout=0.2)).any():
        if time.monotonic() > deadline:
            raise RuntimeError(f"nothing was forwarded for {_START_SECONDS:.0f} s")


def _compare(name: str, subject: Subject) -> dict[str, Any]:
    """Take turns between a bare cable, our switch and BMv2's, so that drift hits all alike."""
    switches = {"embedded": _embedded}
    if bmv2.switch():
        switches["simple_switch"] = _reference
    found: dict[str, Any] = {each: {"rates": [], "times": []} for each in ("cable", *switches)}
    with ExitStack() as stack:
        cable.lay(f"{name}-a", f"{name}-b")
        generators = {"cable": stack.enter_context(Generator(f"{name}-a", f"{name}-b"))}
        for each, start in switches.items():
            # Host's end and switch's end of the cables at the two ports that are used.
            ends = {
                port: (f"{name}-{each[0]}{port}", f"{name}-{each[0]}{port}s")
                for port in (deployment.CLIENT, deployment.SOURCE)
            }
            for end in ends.values():
                cable.lay(*end)
            stack.enter_context(start(subject, {port: end[1] for port, end in ends.items()}))
            generators[each] = stack.enter_context(
                Generator(ends[deployment.CLIENT][0], ends[deployment.SOURCE][0])
            )
            _await_forwarding(generators[each], subject.frames[0])
        for _ in range(_TURNS):
            for each, generator in generators.items():
                floods = [
                    generator.flood(subject.frames, _FLOOD_SECONDS, rate) for rate in _OFFERED
                ]
                found[each]["rates"].append(max(flood.received_rate for flood in floods))
            for each, generator in generators.items():
                times = generator.ping(subject.frames[0], _PINGS, gap=_PING_GAP) * 1e6
                found[each]["times"] += times.tolist()
    return found


def inside() -> None:
    """Measure within the namespace; print JSON."""
    raw = {name: _compare(name, make()) for name, make in SUBJECTS.items()}
    for found in raw.values():
        alone = np.nanmedian(found["cable"]["times"])
        for each in found.values():
            times = np.array(each.pop("times"))
            each["lost"] = int(np.count_nonzero(np.isnan(times)))
            for percentile in (50, 99):
                value = float(np.nanpercentile(times, percentile))
                each[f"p{percentile}_us"] = value
                each[f"added_p{percentile}_us"] = value - alone
    print(json.dumps(raw))


def _figures(title: str, found: dict[str, Any], least: float) -> Iterator[Figure]:
    ours, alone = found["embedded"], found["cable"]
    rate = median(ours["rates"])
    yield Figure(f"{title} through two veth ports", rate, "packet/s", least)
    yield Figure(f"{title}, added latency, p50", ours["added_p50_us"], "µs", 30, most=True)
    yield Figure(f"{title}, added latency, p99", ours["added_p99_us"], "µs", 100, most=True)
    yield Figure("a cable alone, p50", alone["p50_us"], "µs")
    yield Figure("a cable alone, p99", alone["p99_us"], "µs")
    if "simple_switch" in found:
        theirs = found["simple_switch"]
        yield Figure(f"{title} on simple_switch", median(theirs["rates"]), "packet/s")
        yield Figure("ratio", rate / median(theirs["rates"]))
        for percentile in (50, 99):
            added = theirs[f"added_p{percentile}_us"]
            yield Figure(f"added latency on simple_switch, p{percentile}", added, "µs")


def measure() -> tuple[list[Figure], Mapping[str, Any]]:
    """Run inside() in a new network namespace."""
    result = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "bench.ports"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, Any] = json.loads(result.stdout)
    return [
        *_figures("plain L3", found["l3"], 300_000),
        *_figures("KV reads", found["kv"], 150_000),
    ], found


BENCHMARK = Benchmark("ports", "The switch between veth ports, one core", measure)

if __name__ == "__main__":
    inside()
