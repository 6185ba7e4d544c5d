"""A gateway before a real agent before a real store; the agent's address stands for the VIP."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hosts.client import _core
from hosts.gateway.connection import Connection
from hosts.gateway.gateway import Gateway
from hosts.gateway.room import Limit
from tests.agent.harness import SERVICE, Store, owner, stores

LOOPBACK = 0x7F000001


@pytest.fixture(scope="package")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with stores(tmp_path_factory.mktemp("store"), 1) as (only,):
        yield only


@pytest.fixture
async def port(store: Store, tmp_path: Path) -> AsyncIterator[int]:
    async with owner(store, tmp_path) as one:
        session = _core.Session(LOOPBACK, one.settings.own.udp_port, SERVICE, 5.0, 0.05, raw=True)
        gateway = Gateway(session, SERVICE, 5.0, "the service", Limit())
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(gateway), "127.0.0.1", 0)
        yield server.sockets[0].getsockname()[1]
        server.close()
        gateway.close()
