"""Queries through switch and agent against redis-benchmark straight to the same store."""

import subprocess
from collections.abc import Mapping
from statistics import median
from typing import Any, Final

from bench import rack
from bench.figures import Benchmark, Figure
from topology import stores
from topology.system import System

KEYS: Final = 100_000
_ROUNDS: Final = 3
_SECONDS: Final = 5.0


def _fill(system: System) -> None:
    """Write the keys that redis-benchmark's GETs ask for, of the same size as the others."""
    client = stores.connect(system.sockets["server1"])
    for first in range(0, KEYS, 10_000):
        pipeline = client.pipeline(transaction=False)
        for number in range(first, first + 10_000):
            pipeline.set(f"user{number:012d}", b"x" * 64)
        pipeline.execute()


def straight(system: System, outstanding: int) -> float:
    """Return the GETs per second of redis-benchmark, one request outstanding a connection."""
    command = ["mnexec", "-a", str(system.namespace("server1")), "redis-benchmark"]
    command += ["-h", "127.0.0.1", "-p", "6379", "-c", str(outstanding), "-P", "1"]
    command += ["-n", "300000", "-r", str(KEYS), "--csv", "GET", "user__rand_int__"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(output.strip().splitlines()[-1].rsplit('"GET', 1)[-1].split('","')[1])


def measure() -> tuple[list[Figure], Mapping[str, Any]]:
    """Take turns, so that a drift of the machine hits both alike."""
    ours: list[float] = []
    theirs: list[float] = []
    with rack.running(KEYS) as (system, generators, data):
        _fill(system)
        for _ in range(_ROUNDS):
            theirs.append(straight(system, 50))
            ours.append(rack.closed_loop(generators, data, _SECONDS, 50))
    return [
        Figure("through switch and agent, 50 outstanding", median(ours), "op/s"),
        Figure("redis-benchmark -c 50 -P 1, straight", median(theirs), "op/s"),
        Figure("ratio", median(ours) / median(theirs), "", 1.0),
    ], {"ours": ours, "redis_benchmark": theirs}


BENCHMARK = Benchmark("steady", "Steady state against redis-benchmark", measure)
