"""The switch between real interfaces: packets per second, and the latency that it adds.

Runs in a network namespace of its own: `python -m bench.ports` there prints the raw figures.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from bench import traffic
from bench.figures import Benchmark, Figure
from switch.ports import Generator, Ports
from switch.runtime.pipeline import Pipeline
from tests.pipeline import deployment
from tests.pipeline.model import Migrate

# Outer and inner end of the cable of each port.
CABLES: Final = {
    deployment.SOURCE: ("server-a", "port-a"),
    deployment.DESTINATION: ("server-b", "port-b"),
    deployment.CLIENT: ("client", "port-c"),
}


def _cable(outer: str, inner: str) -> None:
    for command in (
        f"ip link add {outer} type veth peer name {inner}",
        f"sysctl -qw net.ipv6.conf.{outer}.disable_ipv6=1",
        f"sysctl -qw net.ipv6.conf.{inner}.disable_ipv6=1",
        f"ip link set {outer} up",
        f"ip link set {inner} up",
    ):
        subprocess.run(command.split(), check=True)


def _served(pipeline: Pipeline) -> None:
    """Let the whole partition stay at its source, so that all packets leave by one port."""
    entry = deployment.partition_entry(
        deployment.SERVICE,
        deployment.MOVING_PARTITION,
        4,
        Migrate(deployment.SOURCE, deployment.SOURCE, deployment.SLICE, deployment.MIGRATION),
    )
    pipeline.modify("Ingress.partition", entry)


def inside() -> None:
    """Measure within the namespace; print JSON."""
    for outer, inner in CABLES.values():
        _cable(outer, inner)
    pipeline = traffic.loaded()
    _served(pipeline)
    ports = Ports()
    for port, (_, inner) in CABLES.items():
        ports.add(port, inner)
    ports.load(pipeline)
    ports.start()
    frames = traffic.reads(1024)
    plain = frames[0]
    client, server = CABLES[deployment.CLIENT][0], CABLES[deployment.SOURCE][0]
    with Generator(client, server) as generator:
        generator.flood(frames, 0.5)
        floods = [generator.flood(frames, 2.0) for _ in range(3)]
        times = generator.ping(plain, 5000, gap=200e-6) * 1e6
    ports.stop()
    ports.close()
    lost = int(np.count_nonzero(np.isnan(times)))
    p50, p99 = np.nanpercentile(times, [50, 99])
    rates = sorted(flood.received_rate for flood in floods)
    print(json.dumps({"rates": rates, "p50_us": p50, "p99_us": p99, "lost": lost}))


def measure() -> tuple[list[Figure], Mapping[str, Any]]:
    """Run inside() in a new network namespace."""
    result = subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "bench.ports"],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(result.stdout)
    rate = found["rates"][len(found["rates"]) // 2]
    return [
        Figure("KV reads through two veth ports", rate, "packet/s", 200_000),
        Figure("latency through the switch, p50", found["p50_us"], "µs"),
        Figure("latency through the switch, p99", found["p99_us"], "µs"),
    ], found


BENCHMARK = Benchmark("ports", "The switch between veth ports, migration registers in use", measure)

if __name__ == "__main__":
    inside()
