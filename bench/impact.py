"""What a throttled migration costs the clients, at half the steady-state rate."""

from collections.abc import Mapping
from typing import Any, Final

from bench import rack
from bench.figures import OUTPUT, Benchmark, Figure
from topology.job import Job, summarise
from topology.report import plot
from topology.screen import Screen
from topology.settings import Run
from topology.system import System

KEYS: Final = 200_000
THROTTLE: Final = 10_000_000


def measure() -> tuple[list[Figure], Mapping[str, Any]]:
    """Find the steady-state rate, then migrate under half of it."""
    with rack.running(KEYS) as (_, generators, data):
        steady = rack.closed_loop(generators, data, 5.0, 50)
    settings = Run(keys=KEYS, rate=round(steady / 2), throttle=THROTTLE, output=OUTPUT / "impact")
    with System(rack.NETWORK, grpc_port=9659) as system:
        outcome = Job(system, rack.NETWORK, settings, Screen("impact")).measure()
    summary, failures = summarise(rack.NETWORK, settings, outcome)
    title = f"Migration under {settings.rate} op/s, {settings.throttle / 1e6:g} Mbit/s"
    plot(outcome.run.records, outcome.phases, title, OUTPUT / "impact.png")
    rate, latency, size = summary["throughput"], summary["latency_us"], summary["bytes"]
    extra = 100 * size["client_extra"] / size["client"]
    tail = latency["during"]["p99"] / latency["before"]["p99"]
    return [
        Figure("offered rate", settings.rate, "op/s"),
        Figure("migration time", summary["migration_seconds"], "s"),
        Figure("throughput during / before", rate["during"] / rate["before"], "", 0.95),
        Figure("p99 before", latency["before"]["p99"], "µs"),
        Figure("p99 during / before", tail, "", 1.5, most=True),
        Figure("extra bytes between client and servers", extra, "%", 0.5, most=True),
        Figure("failed checks", len(failures), "", 0, most=True),
    ], {"summary": summary, "failures": failures}


BENCHMARK = Benchmark("impact", "A throttled migration at half the steady-state rate", measure)
