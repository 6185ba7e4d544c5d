"""Whole systems in Mininet, each with names of its own, so that `make net` may run beside."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.controller.rack import free_port
from tests.e2e.rack import Rack
from topology.settings import Network
from topology.system import System


@pytest.fixture
def racks(tmp_path: Path) -> Iterator[Callable[..., Rack]]:
    """Start racks; they end with the test."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it builds networks")
    started: list[Rack] = []

    def start(*, servers: int = 2, clients: int = 1, switch: str = "embedded") -> Rack:
        number = len(started)
        network = Network(
            directory=tmp_path / f"net{number}",
            switch_name=f"t{os.getpid() % 100000}x{number}",
            servers=servers,
            clients=clients,
            switch=switch,
        )
        system = System(network, grpc_port=free_port())
        system.__enter__()
        started.append(Rack(system, network, tmp_path / f"out{number}"))
        return started[-1]

    yield start
    for rack in reversed(started):
        rack.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    """One rack for the tests of a module that leave it as it was."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it builds networks")
    directory = tmp_path_factory.mktemp("shared")
    network = Network(directory=directory / "net", switch_name=f"s{os.getpid() % 100000}")
    with System(network, grpc_port=free_port()) as system:
        yield Rack(system, network, directory / "out")
