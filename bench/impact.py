"""What a throttled migration costs the clients, at half the steady-state rate."""

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any, Final

from bench import rack
from bench.figures import OUTPUT, Benchmark, Figure
from topology.job import Job, summarise
from topology.report import plot
from topology.screen import Screen
from topology.settings import Run
from topology.system import System

KEYS: Final = 200_000
THROTTLE: Final = 5_000_000
_ROUNDS: Final = 3


def measure() -> tuple[list[Figure], Mapping[str, Any]]:
    """Find the steady-state rate, then migrate under half of it."""
    with rack.running(KEYS) as (_, generators, data):
        steady = rack.closed_loop(generators, data, 5.0, 50)
    settings = Run(keys=KEYS, rate=round(steady / 2), throttle=THROTTLE, output=OUTPUT / "impact")
    summaries: list[dict[str, Any]] = []
    failures: list[str] = []
    for _ in range(_ROUNDS):
        with System(rack.NETWORK, grpc_port=9659) as system:
            outcome = Job(system, rack.NETWORK, settings, Screen("impact")).measure()
        summary, wrong = summarise(rack.NETWORK, settings, outcome)
        summaries.append(summary)
        failures += wrong
    title = f"Migration under {settings.rate} op/s, {settings.throttle / 1e6:g} Mbit/s"
    plot(outcome.run.records, outcome.phases, title, OUTPUT / "impact.png")

    def middle(figure: Callable[[dict[str, Any]], float]) -> float:
        return median(figure(summary) for summary in summaries)

    return [
        Figure("offered rate", settings.rate, "op/s"),
        Figure("migration time", middle(lambda s: s["migration_seconds"]), "s"),
        Figure(
            "throughput during / before",
            middle(lambda s: s["throughput"]["during"] / s["throughput"]["before"]),
            "",
            0.95,
        ),
        Figure("p99 before", middle(lambda s: s["latency_us"]["before"]["p99"]), "µs"),
        Figure("p99 during", middle(lambda s: s["latency_us"]["during"]["p99"]), "µs"),
        Figure(
            "p99 during / before",
            middle(lambda s: s["latency_us"]["during"]["p99"] / s["latency_us"]["before"]["p99"]),
            "",
            1.5,
            most=True,
        ),
        Figure(
            "extra bytes between client and servers",
            middle(lambda s: 100 * s["bytes"]["client_extra"] / s["bytes"]["client"]),
            "%",
            0.5,
            most=True,
        ),
        Figure("failed checks", len(failures), "", 0, most=True),
    ], {"summaries": summaries, "failures": failures}


BENCHMARK = Benchmark("impact", "A throttled migration at half the steady-state rate", measure)
