"""The P4 program in process: how many KV reads per second one core takes, registers in use."""

from collections.abc import Mapping
from typing import Any

from bench import traffic
from bench.figures import Benchmark, Figure
from tests.pipeline import deployment


def measure() -> tuple[list[Figure], Mapping[str, Any]]:
    """Time reads of a partition that is moving."""
    pipeline, frames, rounds = traffic.loaded(), traffic.reads(2048), 500
    pipeline.benchmark(deployment.CLIENT, frames, 10)
    times = [pipeline.benchmark(deployment.CLIENT, frames, rounds) for _ in range(5)]
    rates = sorted(len(frames) * rounds / seconds for seconds in times)
    return [Figure("KV reads in process", rates[len(rates) // 2], "packet/s", 1e6)], {
        "rates": rates
    }


BENCHMARK = Benchmark("pipeline", "The switch program in process, one core", measure)
