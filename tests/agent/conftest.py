"""Stores shared by the tests of a session; each test starts with empty ones."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from hosts.agent.agent import Agent
from hosts.agent.protocols import Protocol
from tests.agent.harness import (
    Client,
    Pair,
    Peer,
    Store,
    local,
    owner,
    pair,
    stores,
)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Store]]:
    """Three stores."""
    with stores(tmp_path_factory.mktemp("stores"), 3) as found:
        yield found


@pytest.fixture
def store(running: list[Store]) -> Store:
    """One empty store."""
    running[0].client.flushall()
    return running[0]


@pytest_asyncio.fixture
async def alone(store: Store, tmp_path: Path) -> AsyncIterator[Agent]:
    """One agent that owns every group."""
    async with owner(store, tmp_path) as one:
        yield one


@pytest_asyncio.fixture
async def two(running: list[Store], tmp_path: Path) -> AsyncIterator[Pair]:
    """Two agents; the first owns every group."""
    async with pair(running, tmp_path) as found:
        yield found


WAYS = {protocol.name.lower(): (protocol, 1) for protocol in Protocol}
WAYS["batches"] = (Protocol.NETMIGRATE, 16)


@pytest_asyncio.fixture(params=WAYS)
async def each_two(two: Pair, request: pytest.FixtureRequest) -> Pair:
    """Two agents, for a test that holds for every protocol, and for batches of groups."""
    two.protocol, two.batch = WAYS[request.param]
    return two


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    """One client session."""
    one = await Client.open()
    yield one
    one.close()


@pytest_asyncio.fixture
async def peer() -> AsyncIterator[Peer]:
    """A scripted agent, server 2."""
    one = await Peer(local(2)).start()
    yield one
    await one.stop()
