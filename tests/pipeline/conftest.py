from collections.abc import Iterator
from pathlib import Path

import pytest

from switch.runtime.pipeline import Pipeline

pytest.register_assert_rewrite("tests.pipeline.net")

from .net import Net  # noqa: E402

PROGRAM = Path(__file__).parents[2] / "p4src" / "netmigrate.p4"


@pytest.fixture(scope="session")
def pipeline() -> Iterator[Pipeline]:
    """The compiled program; whoever uses it resets it first."""
    compiled = Pipeline.compile(PROGRAM)
    yield compiled
    compiled.close()


@pytest.fixture
def net(pipeline: Pipeline) -> Iterator[Net]:
    """The rack of deployment.py; counters and registers must agree at the end of every test."""
    rack = Net(pipeline)
    yield rack
    rack.check_counters()
    rack.check_registers()
