"""A real server with the example program and no interfaces."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from switch.p4runtime import DeviceConfig, Server, device_config
from tests.switch.p4runtime.client import Client
from tests.switch.p4runtime.entities import Entities
from tests.switch.p4runtime.servers import controlling, serving

EXAMPLE = Path(__file__).with_name("example.p4")


@pytest.fixture(scope="session")
def config() -> DeviceConfig:
    return device_config(EXAMPLE)[0]


@pytest.fixture
def empty_server() -> Iterator[Server]:
    """Without a program."""
    with serving() as server:
        yield server


@pytest.fixture
def server(empty_server: Server, config: DeviceConfig) -> Server:
    empty_server.load(config)
    return empty_server


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with controlling(server) as client:
        yield client


@pytest.fixture
def entities(client: Client) -> Entities:
    return Entities(client)


@pytest.fixture(scope="session")
def profiles_config() -> DeviceConfig:
    return device_config(EXAMPLE.with_name("profiles.p4"))[0]


@pytest.fixture(scope="session")
def sets_config() -> DeviceConfig:
    return device_config(EXAMPLE.with_name("sets.p4"))[0]


@pytest.fixture
def sets_server(empty_server: Server, sets_config: DeviceConfig) -> Server:
    empty_server.load(sets_config)
    return empty_server


@pytest.fixture
def sets_client(sets_server: Server) -> Iterator[Client]:
    with controlling(sets_server) as client:
        yield client
