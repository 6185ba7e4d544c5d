"""Migrations under load, judged by the history of every key."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from controller.model import Protocol
from hosts.load.history import Operation
from tests.e2e.rack import Rack
from topology import stores
from topology.load import Data, Load

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(400)]

THROTTLE = 4_000_000

Start = Callable[..., Rack]


@pytest.mark.parametrize("workload", ["A", "F"])
def test_there_and_back_three_times(racks: Start, workload: str) -> None:
    rack = racks()
    data = rack.load(4000)
    with rack.driving(Load(workload, rate=1500), data):
        for _ in range(3):
            rack.move("p0", "server2", throttle=THROTTLE)
            rack.move("p0", "server1", throttle=THROTTLE)
    rack.read_back(data)
    rack.verdict()
    rack.wait_empty("server2")
    assert rack.keys("server1") == 4000
    assert rack.controller.registers_match()


def test_pulls_instead_of_double_reads(racks: Start) -> None:
    """All groups move at once, so that many reads meet one on the move."""
    rack = racks()
    data = rack.load(10_000)
    before = rack.controller.counters(), rack.controller.agent_counters()
    with rack.driving(Load("A", rate=3000), data):
        for destination in ("server2", "server1") * 2:
            rack.move("p0", destination, lanes=16, group_batch=1024, pull_reads=True)
    after = rack.controller.counters(), rack.controller.agent_counters()
    rack.read_back(data)
    rack.verdict()
    assert rack.keys("server1") == 10_000
    assert rack.controller.registers_match()
    events, traffic = (
        {cell: count - before[0][name][cell][0] for cell, (count, _) in after[0][name].items()}
        for name in ("events", "traffic")
    )
    assert events["ONGOING_READ"] > 30
    assert events["DOUBLE_READ"] == traffic["DOUBLE_QUERY"] == traffic["DOUBLE_REPLY"] == 0
    assert after[1]["priority_pulls"] - before[1]["priority_pulls"] > 10


@pytest.mark.parametrize("protocol", [each for each in Protocol if not each.is_followed])
def test_other_protocols_there_and_back(racks: Start, protocol: Protocol) -> None:
    """What clients are told, and what they send to a source themselves, the switch counts."""
    rack = racks()
    data = rack.load(4000)
    before = rack.controller.counters()["traffic"]
    with rack.driving(Load("A", rate=1500), data):
        for destination in ("server2", "server1"):
            rack.move("p0", destination, throttle=THROTTLE, protocol=protocol)
    after = rack.controller.counters()["traffic"]
    rack.read_back(data)
    rack.verdict()
    assert rack.keys("server1") == 4000
    counted = {name: packets - before[name][0] for name, (packets, _) in after.items()}
    if protocol is Protocol.FULVA:
        assert counted["DOUBLE_QUERY"] > 100
        # not the same number: a resent query that is held already is answered once
        assert abs(counted["DOUBLE_QUERY"] - counted["DOUBLE_REPLY"]) < counted["DOUBLE_QUERY"] / 4
    else:
        assert counted["DOUBLE_QUERY"] == counted["DOUBLE_REPLY"] == 0
        assert (counted["RETRY"] > 0) == (protocol is Protocol.ROCKSTEADY)


def test_every_acknowledged_increment_counts_once(racks: Start) -> None:
    rack = racks()
    data = Data(300)
    with rack.driving(Load("counter", rate=2000), data):
        for destination in ("server2", "server1") * 3:
            rack.move("p0", destination, throttle=1_000_000)
    increments = np.concatenate(rack.histories)
    increments = increments[increments["operation"] == Operation.INCREMENT]
    final = rack.read_back(data, "read-counter")
    rack.verdict()
    expected = np.bincount(increments["key"], minlength=data.records)
    assert np.array_equal(final["value"][np.argsort(final["key"])], expected)


def test_abort_moves_back_what_was_moved(racks: Start) -> None:
    rack = racks()
    data = rack.load(6000)
    with rack.driving(Load("A", rate=1500), data):
        migration = rack.controller.migrate("p0", "server2", throttle=1_500_000)
        rack.until(migration.id, 0.3)
        back = rack.controller.abort(migration.id)
        ended = rack.controller.watch(back.id)
        assert ended.state == "done", ended.error
        assert 0 < ended.groups_total < 16384
    rack.read_back(data)
    rack.verdict()
    rack.wait_empty("server2")
    assert rack.keys("server1") == 6000
    assert rack.controller.status().partitions[0].server == "server1"
    assert rack.controller.registers_match()


def test_an_empty_partition_moves(racks: Start) -> None:
    rack = racks()
    ended = rack.move("p0", "server2", lanes=64)
    assert ended.groups_done == 16384
    assert ended.keys == 0
    data = rack.load(500)
    rack.read_back(data)
    rack.verdict()
    assert (rack.keys("server1"), rack.keys("server2")) == (0, 500)


def test_two_migrations_at_once(racks: Start) -> None:
    rack = racks(servers=4, clients=2)
    data = rack.load(6000)
    with rack.driving(Load("A", rate=1500), data):
        first = rack.controller.migrate("p0", "server3", throttle=THROTTLE)
        second = rack.controller.migrate("p1", "server4", throttle=THROTTLE)
        running = {each.id: each.slice for each in rack.controller.status().migrations}
        assert len(set(running.values())) == 2
        for migration in (first, second):
            assert rack.controller.watch(migration.id).state == "done"
    rack.read_back(data)
    rack.verdict()
    for server in ("server1", "server2"):
        rack.wait_empty(server)
    assert rack.keys("server3") + rack.keys("server4") == 6000
    assert rack.controller.registers_match()


def _content(client: Any, key: bytes) -> object:
    """Return a value for comparison; a hash table has no order, so its dump is no identity."""
    if client.execute_command("TYPE", key) == b"set":
        return set(client.execute_command("SMEMBERS", key))
    return client.execute_command("DUMP", key)


def test_every_type_and_expiry_arrives(racks: Start) -> None:
    rack = racks()
    code = """
from hosts.client import Client
with Client("10.0.0.1") as kv:
    kv.execute_command("SET", "{t}string", b"\\x00\\xff binary")
    for first in range(0, 300, 50):
        kv.execute_command("RPUSH", "{t}list", *range(first, first + 50))
    kv.execute_command("SADD", "{t}set", "a", "b", "c")
    kv.execute_command("SADD", "{t}ints", *range(100))
    kv.execute_command("ZADD", "{t}zset", 1.5, "x", -2, "y")
    kv.execute_command("HSET", "{t}hash", "f", "v", "g", "w")
    kv.execute_command("XADD", "{t}stream", "1-1", "k", "v")
    kv.execute_command("SETBIT", "{t}bits", 1000, 1)
    kv.execute_command("PFADD", "{t}hll", "a", "b", "c")
    kv.execute_command("GEOADD", "{t}geo", 13.36, 38.11, "Palermo")
    kv.execute_command("SET", "{t}soon", "gone", "PX", 1500)
    kv.execute_command("SET", "{t}later", "here", "PX", 3600000)
"""
    rack.python("client1", code)
    source = stores.connect(rack.system.sockets["server1"])
    keys = sorted(source.execute_command("KEYS", "*"))
    assert len(keys) == 12
    before = {key: _content(source, key) for key in keys}
    deadline = {key: source.execute_command("PEXPIRETIME", key) for key in keys}
    rack.move("p0", "server2")
    found = stores.connect(rack.system.sockets["server2"])
    for key in keys:
        if key == b"{t}soon":
            continue
        assert _content(found, key) == before[key], key
        assert found.execute_command("PEXPIRETIME", key) == deadline[key], key
    code = """
import time
from hosts.client import Client
time.sleep(2)
with Client("10.0.0.1") as kv:
    assert kv.get("{t}soon") is None
    assert kv.get("{t}later") == b"here"
    assert kv.execute_command("LLEN", "{t}list") == 300
"""
    rack.python("client1", code)


def test_a_migration_survives_the_switch(racks: Start) -> None:
    """A switch that comes back empty is filled from the agents' truth; nothing is lost."""
    rack = racks()
    data = rack.load(5000)
    with rack.driving(Load("A", rate=800, timeout=60.0), data):
        migration = rack.controller.migrate("p0", "server2", throttle=1_500_000)
        rack.until(migration.id, 0.3)
        rack.system.children.kill("switch")
        rack.system.start_switch()
        ended = rack.controller.watch(migration.id)
        assert ended.state == "done", ended.error
    rack.read_back(data)
    rack.verdict()
    rack.wait_empty("server1")
    assert rack.keys("server2") == 5000
    assert rack.controller.registers_match()


def test_a_migration_goes_on_without_the_controller(racks: Start) -> None:
    """The controller is killed and comes back: it knows what was running."""
    rack = racks()
    data = rack.load(5000)
    with rack.driving(Load("A", rate=1500), data):
        migration = rack.controller.migrate("p0", "server2", throttle=1_500_000)
        rack.until(migration.id, 0.3)
        rack.system.children.kill("controller")
        rack.system.start_controller()
        with contextlib.suppress(AssertionError):
            rack.until(migration.id, 0.5, seconds=20)
        ended = rack.controller.watch(migration.id)
        assert ended.state == "done", ended.error
    rack.read_back(data)
    rack.verdict()
    assert rack.keys("server2") == 5000
    assert rack.controller.registers_match()
