"""Unchanged Redis tools, through the gateway, while the partition moves."""

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.e2e.rack import Rack

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(200)]

PORT = "7000"


def test_redis_benchmark_does_not_notice_a_migration(racks: Callable[..., Rack]) -> None:
    rack = racks()
    rack.load(3000)
    inside = ["mnexec", "-a", str(rack.system.namespace("client1"))]
    gateway = subprocess.Popen(
        [
            *(*inside, sys.executable, "-m", "hosts.gateway.main", "--vip", "10.0.0.1:4700"),
            *("--listen", f"127.0.0.1:{PORT}"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert gateway.stdout is not None
        assert gateway.stdout.readline().startswith("ready: ")
        benchmark = subprocess.Popen(
            [
                *(*inside, "redis-benchmark", "-p", PORT, "-c", "10", "-n", "20000"),
                *("-r", "3000", "-t", "set,get,incr", "--csv"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        moves = 0
        while benchmark.poll() is None:
            rack.move("p0", ("server2", "server1")[moves % 2], throttle=4_000_000)
            moves += 1
        output = benchmark.communicate()[0]
        assert benchmark.returncode == 0, output  # it ends at the first error
        assert {line.split(",")[0] for line in output.splitlines()} >= {'"SET"', '"GET"', '"INCR"'}
        assert moves > 0
        cli = [*inside, "redis-cli", "-p", PORT, "--pipe"]
        piped = "".join(f"SET piped:{i} {i}\n" for i in range(500))
        result = subprocess.run(cli, input=piped, capture_output=True, text=True, check=False)
        assert "errors: 0, replies: 500" in result.stdout, result.stdout + result.stderr
    finally:
        gateway.terminate()
        gateway.wait()
