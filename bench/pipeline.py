"""Programs in process: how many packets per second one core takes, without any interface."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, Final

from bench import l3, traffic
from bench.figures import Benchmark, Figure
from switch.runtime.pipeline import Pipeline
from tests.pipeline import deployment

ROUTES: Final = 1000
_PACKETS: Final = 2048
_TURNS: Final = 7
_ROUNDS: Final = 250


def rate(pipeline: Pipeline, frames: Sequence[bytes], rounds: int = _ROUNDS) -> float:
    """Return the packets per second that the pipeline takes from a client."""
    seconds = pipeline.benchmark(deployment.CLIENT, frames, rounds)
    return len(frames) * rounds / seconds


def measure() -> tuple[list[Figure], Mapping[str, Any]]:
    """Take turns between the programs, so that a drift of the machine hits both alike."""
    router, product = l3.loaded(ROUTES, deployment.SOURCE), traffic.loaded()
    addressed, reads = l3.packets(router, _PACKETS), traffic.reads(_PACKETS)
    plain: list[float] = []
    ours: list[float] = []
    for _ in range(_TURNS):
        plain.append(rate(router, addressed))
        ours.append(rate(product, reads))
    return [
        Figure(f"plain L3, {ROUTES:,} routes", median(plain), "packet/s", 5e6),
        Figure("KV reads of a moving partition", median(ours), "packet/s", 2.5e6),
    ], {"l3": plain, "kv": ours}


BENCHMARK = Benchmark("pipeline", "Programs in process, one core", measure)
