"""The stores' own ways to move slots, each while it serves, on a real cluster."""

import os
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest

from bench.peers import ways
from bench.peers.measure import Peers
from bench.peers.nodes import owner, until
from bench.protocols.plan import Plan
from bench.protocols.run import FIGURES, Case
from controller.client import Controller
from hosts.check import registers
from hosts.load import Cluster, Driver, Pace, Status, make
from hosts.wire import group_of
from tests.controller.rack import free_port
from tests.load.stock import cluster
from topology import stores
from topology.settings import Network
from topology.system import System

KEYS = 2000


def way(name: str) -> ways.Way:
    found = ways.find(name)
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)  # a reshard takes its time over 16,384 slots
@pytest.mark.parametrize("name", ways.SETTINGS)
def test_all_slots_move_under_load(name: str, tmp_path: Path) -> None:
    """Nothing is lost, no operation fails, and every key stays linearizable."""
    found = way(name)
    with cluster(tmp_path, found.executable) as (source, destination):
        target = Cluster((("127.0.0.1", source.port),))
        parts = [Driver(target, make("load", records=KEYS), Pace(), records=KEYS, first_id=1).run()]
        trace = make("W30", records=KEYS, operations=2_000_000)
        driver = Driver(target, trace, Pace(rate=1500.0), records=KEYS, first_id=1 << 56)
        thread = threading.Thread(target=lambda: parts.append(driver.run()))
        thread.start()
        try:
            found.move(source, destination, ways.SETTINGS[name][-1], ())
        finally:
            driver.stop()
            thread.join()
        sweep = make("read", records=KEYS)
        parts.append(Driver(target, sweep, Pace(), records=KEYS).run())
        until(lambda: owner(source) == owner(destination) == destination.id, "does not agree")
        assert destination.client.dbsize() == KEYS
    for part in parts:
        assert (part.records["status"] == Status.OK).all(), part.about["messages"]
    assert parts[1].about["counts"]["moved"] > 0
    result = registers.check(np.concatenate([p.records for p in parts]), np.zeros(0, np.uint64))
    assert result.ok, [violation.text for violation in result.violations]


def test_a_way_that_is_not_there_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program, said in (("valkey-server", "Valkey server v=8.1.3 sha=0"),):
        (tmp_path / program).write_text(f"#!/bin/sh\necho '{said}'\n")
        (tmp_path / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ways.find("reshard") == "neither redis-cli nor valkey-cli is on PATH"
    why = "valkey-server is 8.1.3, and only 9.0 brought this command"
    assert ways.find("valkey-migrateslots") == why
    assert ways.find("redis-migration") == "redis-server is not on PATH"


def test_a_move_that_fails_says_so(tmp_path: Path) -> None:
    found = way("reshard")
    with cluster(tmp_path, found.executable) as (source, destination):
        destination.client.config_set("maxmemory", "1mb")
        early = next(str(i) for i in range(1 << 20) if group_of(str(i).encode()) < 10)
        source.client.set(early, "x" * 100)
        with pytest.raises(ways.MoveError, match="redis-cli ended with status 1"):
            found.move(source, destination, ways.SETTINGS["reshard"][0], ())


def _listens(namespace: int) -> bool:
    command = ["mnexec", "-a", str(namespace), "ss", "-Htln", "sport = :7000"]
    return bool(subprocess.run(command, capture_output=True, check=True).stdout)


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_reshard_is_measured_beside_our_protocols(tmp_path: Path) -> None:
    """On the hosts of a whole system, through its switch."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it builds a network")
    case = Case("reshard", 5, 100, "open", ways.SETTINGS["reshard"][0])
    plan = Plan(keys=1000, rate=1000, before=1.0, after=0.5)
    network = Network(directory=tmp_path / "net", switch_name=f"p{os.getpid() % 100000}")
    with (
        System(network, grpc_port=free_port()) as system,
        Controller(system.config_path) as controller,
    ):
        peers = Peers(system, controller, plan, lambda: None, tmp_path)
        run = peers.run(case)
        inside = ["mnexec", "-a", str(system.namespace("server1"))]
        squatter = [*inside, stores.executable(), "--save", ""]
        with subprocess.Popen(
            [*squatter, "--bind", system.ip("server1"), "--port", "7000"]
        ) as took:
            try:
                until(lambda: _listens(system.namespace("server1")), "is not there")
                failed = peers.run(case)
            finally:
                took.terminate()
    assert failed.problem.startswith("server1-node ended with status 1")
    figures = run.figures
    assert run.problem == ""
    assert set(figures) <= set(FIGURES)
    assert (figures["errors"], figures["violations"], figures["resent"]) == (0, 0, 0)
    begin, end = run.migration
    assert figures["migration_seconds"] == pytest.approx(end - begin)
    # Each slot with keys is learned of once by each client that asks for it in vain.
    assert 100 < figures["redirects"] < 16384
    assert 0 < figures["client_extra"] < 50
    # A query and its reply are more than 200 bytes with their headers, a record less than 300.
    assert figures["client_bytes"] > 200 * 0.8 * plan.rate * (end - begin)
    assert figures["server_bytes"] > 64 * plan.keys
    assert figures["cpu_source_store"] > 0 < figures["cpu_switch"]
    assert run.timeline["throughput"].size * 0.1 == pytest.approx(end + plan.after, abs=1.0)
