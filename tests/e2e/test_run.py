"""`make run` itself, small."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.agent.harness import stores
from topology import job
from topology.settings import Network, Run

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def _root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: it builds a network")


def _network(directory: Path, clients: int = 1) -> Network:
    return Network(
        directory=directory / "net", switch_name=f"r{os.getpid() % 100000}", clients=clients
    )


@pytest.mark.parametrize(("workload", "clients"), [("A", 1), ("D", 2), ("F", 1)])
def test_run_moves_the_partition_and_reports(tmp_path: Path, workload: str, clients: int) -> None:
    settings = Run(
        keys=5000,
        workload=workload,
        rate=1500,
        throttle=2_000_000,
        before=1.5,
        after=1.5,
        output=tmp_path / "out",
    )
    assert job.run(_network(tmp_path, clients=clients), settings) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["errors"] == summary["violations"] == summary["source_keys_left"] == 0
    assert summary["destination_keys"] == summary["keys"] >= 5000
    assert summary["switch_registers_match"] is True
    assert summary["migrated_keys"] >= 5000
    assert summary["redirected"] > 0
    assert summary["bytes"]["server"] > 5000 * 64
    for phase in ("before", "during", "after"):
        assert summary["throughput"][phase] > 0
        assert summary["latency_us"][phase]["p50"] <= summary["latency_us"][phase]["p99"]
    assert (tmp_path / "out" / "run.png").read_bytes().startswith(b"\x89PNG")
    assert "every check passed" in (tmp_path / "out" / "report.txt").read_text()


def test_run_moves_by_another_protocol(tmp_path: Path) -> None:
    settings = Run(
        keys=2000, rate=1000, throttle=2_000_000, protocol="source", before=1.0, after=1.0,
        output=tmp_path / "out",
    )  # fmt: skip
    assert job.run(_network(tmp_path), settings) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["protocol"] == "source"
    assert summary["errors"] == summary["violations"] == 0


def test_run_starts_from_a_users_dump_file(tmp_path: Path) -> None:
    directory = tmp_path / "donor"
    directory.mkdir()
    with stores(directory, 1) as (donor,):
        client: Any = donor.client
        for number in range(800):
            client.set(f"mine:{number}", f"value {number}")
        client.hset("a:hash", mapping={"field": "1"})
        client.rpush("a:list", *range(50))
        client.execute_command("SAVE")
        kept = tmp_path / "mine.rdb"
        kept.write_bytes((directory / "store1" / "dump.rdb").read_bytes())
    settings = Run(
        rate=1000, throttle=500_000, before=1.0, after=1.0, output=tmp_path / "out", workload="A"
    )
    network = Network(directory=tmp_path / "net", switch_name=f"r{os.getpid() % 100000}", rdb=kept)
    assert job.run(network, settings) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["destination_keys"] == summary["keys"] == 802
