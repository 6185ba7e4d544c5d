"""The torture finds what it is for: three builds of the agent with one mistake each."""

import json
from pathlib import Path

import pytest

from tests.controller.rack import free_port
from tests.torture.broken import MISTAKES, build
from torture import job
from torture.workload import Keys

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(600)]

_TRIES = 5
"""What meets what is chance, so a mistake may hide for once."""


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_torture_finds(mistake: str, tmp_path: Path) -> None:
    module = build(MISTAKES[mistake], tmp_path / "build")
    found = {}
    for seed in range(_TRIES):
        wanted = job.Torture(
            seconds=15.0,
            seed=seed,
            faults=("packets",),
            protocol="netmigrate",
            output=tmp_path / "out",
            keys=Keys(hot=1, cold=100),
            agent=("-m", "tests.torture.broken", str(module)),
        )
        found = job.run(wanted, free_port())
        assert not found["error"]
        assert found["operations"] > 500
        if found["violations"]:
            break
    assert found["violations"] > 0, json.dumps(found, indent=2)
    assert found["ok"] is False
    assert "cannot be" in found["told"][0]
