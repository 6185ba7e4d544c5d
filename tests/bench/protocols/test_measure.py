"""The bench itself, small: one protocol after the other on a real system, and two sizes."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bench.protocols import measure, sizes
from bench.protocols.plan import QUICK
from bench.protocols.run import FIGURES, PARTS
from controller.model import Protocol

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def _root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: it builds a network")


def test_runs_have_every_figure(tmp_path: Path) -> None:
    plan = replace(
        QUICK, keys=2000, throttle=2_000_000, rate=500, sweep="none", before=0.5, after=0.5
    )
    plan = replace(plan, protocols=(Protocol.NETMIGRATE, Protocol.SOURCE))
    found = list(measure.runs(plan, tmp_path / "raw", lambda _: None))
    assert [run.case for run in found] == list(plan.cases(100))
    for run in found:
        figures = run.figures
        assert run.problem == ""
        assert set(FIGURES) - set(figures) == {"redirects"}  # of stock clusters alone
        assert figures["errors"] == figures["violations"] == 0
        assert figures["throughput"] > 0 and figures["throughput_before"] > 0
        assert figures["moved_bytes"] > 2000 * 64
        assert figures["server_bytes"] > figures["moved_bytes"]
        assert figures["client_bytes"] > 0
        begin, end = run.migration
        assert end - begin == pytest.approx(figures["migration_seconds"], abs=1e-3)
        assert (run.timeline["throughput"][run.timeline["seconds"] < begin] > 0).any()
        assert 0 < sum(figures[f"cpu_{part}"] for part in PARTS) < 2 * (os.cpu_count() or 1)
    ours, source = found[0].figures, found[1].figures
    assert ours["server_control"] > 0 == ours["server_again"] == ours["downtime_seconds"]
    assert source["server_control"] == 0 < source["downtime_seconds"]


def test_sizes(tmp_path: Path) -> None:
    plan = replace(QUICK, sizes=(2000, 1000), throttle=2_000_000, rate=500, before=0.5, after=0.5)
    few, many = sizes.measure(plan, tmp_path / "raw", lambda _: None)
    assert (few.keys, many.keys) == (1000, 2000)
    assert 1.5 < many.data_bytes / few.data_bytes < 2.5
    for size in (few, many):
        assert size.errors == size.violations == 0 and not size.problems
        assert size.cpu_per_key > 0 and size.seconds > 0 and size.p99 > 0
        assert size.agent_bytes > 0
