"""Histories under migrations there and back, with a switch that guesses and a network that errs."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from hosts.check import counters, registers
from hosts.load import Driver, History, Pace, Status, Target, make
from tests.agent.harness import SERVICE, Pair, Store, pair, stores
from tests.client.fickle import Fickle

KEYS = 300


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Store]]:
    with stores(tmp_path_factory.mktemp("stores"), 2) as running:
        yield running


@asynccontextmanager
async def system(two: list[Store], directory: Path, switch: Fickle) -> AsyncIterator[Pair]:
    async with pair(two, directory) as agents:
        switch.servers = [agents.server(0).udp_port, agents.server(1).udp_port]
        await switch.start()
        try:
            yield agents
        finally:
            switch.close()


def driver(port: int, workload: str, *, operations: int = 0, pace: Pace, seed: int = 1) -> Driver:
    trace = make(workload, records=KEYS, operations=operations, seed=seed)
    target = Target("127.0.0.1", port, SERVICE, timeout=20.0)
    first_id = 1 if workload == "load" else 1 << 40
    return Driver(target, trace, pace, records=KEYS, first_id=first_id)


async def run(one: Driver) -> History:
    return await asyncio.to_thread(one.run)


async def there_and_back(agents: Pair, switch: Fickle, times: int) -> None:
    for move in range(times):
        source, destination = move % 2, 1 - move % 2
        switch.migrations[agents.number + 1] = source, destination
        await agents.migrate(source, destination)


NETWORKS = {
    "good network": Fickle([]),
    "bad network": Fickle([], seed=5, lost=0.02, repeated=0.05, delayed=0.1),
}


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("workload", ["A", "F", "counter"])
async def test_linearizable(two: list[Store], tmp_path: Path, workload: str, network: str) -> None:
    given = NETWORKS[network]
    switch = Fickle(
        [], seed=given.seed, lost=given.lost, repeated=given.repeated, delayed=given.delayed
    )
    counting = workload == "counter"
    async with system(two, tmp_path, switch) as agents:
        parts = []
        if not counting:
            parts.append(await run(driver(switch.port, "load", pace=Pace(outstanding=32))))
        load = driver(switch.port, workload, operations=1_000_000, pace=Pace(rate=2000))
        running = asyncio.ensure_future(run(load))
        try:
            await there_and_back(agents, switch, 6)
        finally:
            load.stop()
            parts.append(await running)
        sweep = "read-counter" if counting else "read"
        parts.append(await run(driver(switch.port, sweep, pace=Pace(outstanding=32))))
    records = np.concatenate([part.records for part in parts])
    sent = records[records["status"] != Status.UNSENT]
    assert np.count_nonzero(sent["status"] != Status.OK) == 0, parts[-2].about["messages"]
    if counting:
        result = counters.check(records)
    else:
        result = registers.check(records, np.zeros(0, np.uint64))
    assert result.ok, "\n".join(v.text for v in result.violations)
    assert switch.doubled > 100
