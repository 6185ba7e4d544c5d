"""Histories under migrations there and back, with a switch that guesses and a network that errs."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from hosts.agent.protocols import Protocol
from hosts.check import counters, registers
from hosts.load import Driver, History, Names, Pace, Status, Target, make
from hosts.wire import group_of
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


def driver(
    port: int,
    workload: str,
    *,
    pace: Pace,
    operations: int = 0,
    keys: int = KEYS,
    names: Names | None = None,
) -> Driver:
    trace = make(workload, records=keys, operations=operations)
    target = Target("127.0.0.1", port, SERVICE, timeout=20.0)
    first_id = 1 if workload == "load" else 1 << 40
    return Driver(target, trace, pace, records=keys, first_id=first_id, names=names)


async def run(one: Driver) -> History:
    return await asyncio.to_thread(one.run)


async def there_and_back(
    agents: Pair, switch: Fickle, times: int, batch: int = 1, throttle: int = 0
) -> None:
    for move in range(times):
        source, destination = move % 2, 1 - move % 2
        switch.migrations[agents.number + 1] = source, destination
        await agents.migrate(source, destination, batch=batch, throttle=throttle)


NETWORKS = {
    "good network": Fickle([]),
    "bad network": Fickle([], seed=5, lost=0.02, repeated=0.05, delayed=0.1),
}


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("workload", "batch"), [("A", 1), ("A", 64), ("F", 16), ("counter", 16)])
async def test_linearizable(
    two: list[Store], tmp_path: Path, workload: str, batch: int, network: str
) -> None:
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
            await there_and_back(agents, switch, 6, batch)
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


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("protocol", [Protocol.SOURCE, Protocol.ROCKSTEADY, Protocol.FULVA])
async def test_linearizable_by_other_protocols(
    two: list[Store], tmp_path: Path, protocol: Protocol, network: str
) -> None:
    """Slowly enough that most of the keys are asked for while they are under way."""
    switch = replace(NETWORKS[network], followed=False, migrations={})
    async with system(two, tmp_path, switch) as agents:
        agents.protocol, agents.doors = protocol, switch.doors
        parts = [await run(driver(switch.port, "load", pace=Pace(outstanding=32)))]
        load = driver(switch.port, "A", operations=1_000_000, pace=Pace(rate=1500))
        running = asyncio.ensure_future(run(load))
        try:
            await there_and_back(agents, switch, 4, throttle=200_000)
        finally:
            load.stop()
            parts.append(await running)
        parts.append(await run(driver(switch.port, "read", pace=Pace(outstanding=32))))
        counted = [agent.counters["retries"] for agent in agents.agents]
    records = np.concatenate([part.records for part in parts])
    sent = records[records["status"] != Status.UNSENT]
    assert (sent["status"] == Status.OK).all(), parts[1].about["messages"]
    result = registers.check(records, np.zeros(0, np.uint64))
    assert result.ok, "\n".join(v.text for v in result.violations)
    assert (sum(counted) > 0) == (protocol is Protocol.ROCKSTEADY) or protocol is Protocol.FULVA
    assert (switch.direct > 500) == (protocol is Protocol.FULVA)


@pytest.mark.slow
@pytest.mark.parametrize(("throttle", "batch"), [(0, 1), (20_000, 1), (0, 8), (20_000, 8)])
async def test_linearizable_when_hot_keys_move(
    two: list[Store], tmp_path: Path, throttle: int, batch: int
) -> None:
    """Few keys move there and back: faster than packets travel, or so slowly that each is written
    and read many times while its group is under way."""
    names = Names.of(b"{%d}%d" % (i % 3, i) for i in range(12))
    firsts = sorted({group_of(b"%d" % i) // batch * batch for i in range(3)})
    ranges = [range(first, first + batch) for first in firsts]
    switch = Fickle([], seed=7, lost=0.05, repeated=0.05, delayed=0.3, longest=0.4)
    async with system(two, tmp_path, switch) as agents:
        few = partial(driver, switch.port, keys=len(names), names=names)
        parts = [await run(few("load", pace=Pace()))]
        load = few("A", operations=1_000_000, pace=Pace(rate=1500))
        running = asyncio.ensure_future(run(load))
        try:
            end = asyncio.get_running_loop().time() + 10
            while asyncio.get_running_loop().time() < end:
                source, destination = agents.number % 2, 1 - agents.number % 2
                switch.migrations[agents.number + 1] = source, destination
                await agents.migrate(
                    source, destination, ranges, lanes=3, throttle=throttle, batch=batch
                )
        finally:
            load.stop()
            parts.append(await running)
        parts.append(await run(few("read", pace=Pace())))
    assert agents.number > 10
    records = np.concatenate([part.records for part in parts])
    assert (records["status"] == Status.OK).all(), parts[1].about["messages"]
    result = registers.check(records, np.zeros(0, np.uint64))
    assert result.ok, "\n".join(v.text for v in result.violations)
