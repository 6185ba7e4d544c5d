"""Requests and replies beyond a datagram, and Redis clients at agents, while a partition moves."""

import subprocess
from collections.abc import Callable

import pytest

from tests.e2e.rack import Rack

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(200)]

LONG = """
from hosts.client import Client
big = bytes(range(256)) * 4096
with Client("10.0.0.1", 4700, timeout=20) as kv:
    for turn in range({turns}):
        for number in range(4):
            key = f"big{{number}}"
            assert kv.set(key, big)
            assert kv.append(key, big[:100_000]) == len(big) + 100_000
            assert kv.get(key) == big + big[:100_000]
            assert kv.execute_command("GETDEL", key) == big + big[:100_000]
            assert kv.get(key) is None
    print("fine", kv.counts)
"""


def test_ten_megabytes_and_a_benchmark_do_not_notice_a_migration(
    racks: Callable[..., Rack],
) -> None:
    """Our client with values of a megabyte, and Redis' own benchmark straight at an agent."""
    rack = racks()
    rack.load(3000)
    inside = ["mnexec", "-a", str(rack.system.namespace("client1"))]
    servers = [rack.system.ip(name) for name in ("server1", "server2")]
    assert "fine" in rack.python("client1", LONG.format(turns=1))
    benchmarks = [
        subprocess.Popen(
            [
                *(*inside, "redis-benchmark", "-h", ip, "-p", "6380", "-c", "5", "-n", "3000"),
                *("-r", "3000", "-t", "set,get,incr", "--csv"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for ip in servers
    ]
    moves = 0
    while any(benchmark.poll() is None for benchmark in benchmarks):
        migration = rack.controller.migrate(
            "p0", ("server2", "server1")[moves % 2], throttle=4_000_000
        )
        assert "fine" in rack.python("client1", LONG.format(turns=1))
        assert rack.controller.watch(migration.id).state == "done"
        moves += 1
    for benchmark in benchmarks:
        output = benchmark.communicate()[0]
        assert benchmark.returncode == 0, output  # it ends at the first error
        assert {line.split(",")[0] for line in output.splitlines()} >= {'"SET"', '"GET"', '"INCR"'}
        assert "MOVED" not in output
    assert moves > 0
