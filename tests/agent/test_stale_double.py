"""A DOUBLE read stamped with another migration than the one the group is in proves nothing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from hosts.agent.table import State
from hosts.wire import Flags, Header, Op, group_of
from tests.agent.harness import SERVICE, Client, Store, pair, resp, stores, until


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Store]]:
    with stores(tmp_path_factory.mktemp("stores"), 2) as running:
        yield running


def double(client: Client, key: bytes, migration: int, seq: int) -> bytes:
    header = Header(Op.READ, Flags.DOUBLE, SERVICE, group_of(key), migration, client.client, seq)
    return header.pack() + resp("GET", key)


async def test_not_here_yet_is_said_about_the_stamped_migration_only(
    two: list[Store], tmp_path: Path
) -> None:
    key, group = b"{g}k", group_of(b"g")
    groups = [range(group, group + 1)]
    async with pair(two, tmp_path) as agents:
        for i in range(40):
            agents.stores[0].client.set(b"{g}%d" % i, b"x" * 5000)  # more than is read ahead
        agents.stores[0].client.set(key, b"old")
        client = await Client.open()
        first = agents.start(0, 1, groups, lanes=1, throttle=2_000_000)
        table = agents.agents[0].table
        await until(lambda: table.states[group] == State.EMIGRATING)
        client.send_raw(agents.server(0), double(client, key, 1, 1))
        assert Flags.FROM_SOURCE in (await client.answer()).flags
        await until(lambda: first.status.name == "DONE", 30)
        # Now the group comes back, slowly; the second copy of the first read arrives only now.
        agents.start(1, 0, groups, lanes=1, throttle=20_000)
        await until(lambda: table.states[group] == State.IMMIGRATING)
        client.send_raw(agents.server(0), double(client, key, 1, 1))
        answer = await client.answer(20)
        assert answer.flags != Flags.NONE, "FROM_SOURCE and 'not here yet' from one server"
        client.close()
        await asyncio.sleep(0)
