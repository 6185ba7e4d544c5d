from collections.abc import Iterator
from pathlib import Path

import pytest

from switch.runtime.pipeline import Pipeline

pytest.register_assert_rewrite("tests.pipeline.net")

from . import bmv2  # noqa: E402
from .bmv2 import DataPlane  # noqa: E402
from .net import Net  # noqa: E402

PROGRAM = Path(__file__).parents[2] / "p4src" / "netmigrate.p4"


@pytest.fixture(scope="session")
def compiled() -> Iterator[Pipeline]:
    """The program as our own compiler makes it; whoever uses it resets it first."""
    compiled = Pipeline.compile(PROGRAM)
    yield compiled
    compiled.close()


def _data_planes() -> list[object]:
    """BMv2 is slower, and starts anew for every example of a property."""
    reference = pytest.param("bmv2", marks=pytest.mark.timeout(600))
    return ["embedded", reference] if bmv2.available() else ["embedded"]


@pytest.fixture(scope="session", params=_data_planes())
def pipeline(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DataPlane]:
    """The program on each data plane that is here: what one must do, the other must do."""
    if request.param == "embedded":
        yield request.getfixturevalue("compiled")
    else:
        reference = bmv2.Bmv2(PROGRAM, tmp_path_factory.mktemp("bmv2"))
        yield reference
        reference.close()


@pytest.fixture
def net(pipeline: DataPlane) -> Iterator[Net]:
    """The rack of deployment.py; counters and registers must agree at the end of every test."""
    rack = Net(pipeline)
    yield rack
    rack.check_counters()
    rack.check_registers()
