"""`make torture`, in small: faults strike, and nothing is lost."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]


def torture(output: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Run it; return exit status and summary."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it builds networks")
    result = subprocess.run(
        [sys.executable, "-m", "torture", "--output", str(output), *options],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert (output / "summary.json").exists(), result.stdout + result.stderr
    return result.returncode, json.loads((output / "summary.json").read_text())


def test_a_bad_network_a_switch_that_restarts_and_agents_that_stand_still(tmp_path: Path) -> None:
    status, found = torture(
        tmp_path / "out", "--seconds", "12", "--seed", "1", "--faults", "packets,switch,stop"
    )
    assert (status, found["ok"]) == (0, True), json.dumps(found, indent=2)
    assert all(found["faults"][kind] > 0 for kind in ("packets", "switch", "stop"))
    assert min(found["packets"][kind] for kind in ("lost", "duplicated", "delayed")) > 10
    assert found["migrations_completed"] > 0
    assert found["operations"] > 500


def test_what_runs_out_and_stores_that_crash(tmp_path: Path) -> None:
    status, found = torture(
        tmp_path / "out", "--seconds", "20", "--seed", "1", "--faults", "store,memory,disk,stall"
    )
    assert (status, found["ok"]) == (0, True), json.dumps(found, indent=2)
    assert all(found["faults"][kind] > 0 for kind in ("store", "memory", "disk", "stall"))
    assert found["migrations_completed"] > 0
    assert found["migrations_resumed"] > 0, "those that paused because a store had no memory left"
    times = found["recovery_times"]["store"]
    assert 0 < times["served_after_median"] <= times["served_after_longest"]


def test_what_is_wrong_is_said() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "torture", "--faults", "packets,meteors"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2
    assert "meteors" in result.stderr
