"""The same on BMv2, whose registers are behind its Thrift port."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.controller.rack import free_port
from tests.e2e.rack import Rack
from topology import switches
from topology.load import Load
from topology.processes import Children, StartError

Start = Callable[..., Rack]

needs_bmv2 = pytest.mark.skipif(
    shutil.which("simple_switch_grpc") is None or switches.compiler() is None,
    reason="needs simple_switch_grpc and p4c on PATH",
)


def test_without_bmv2_it_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StartError, match="SWITCH=bmv2 needs p4c and simple_switch_grpc on PATH"):
        switches.start_bmv2(Children(tmp_path), {}, "127.0.0.1:9559", 1)


@needs_bmv2
@pytest.mark.parametrize("wanted", [False, True])
def test_it_logs_what_is_asked_for(tmp_path: Path, wanted: bool) -> None:
    children = Children(tmp_path)
    address = f"127.0.0.1:{free_port()}"
    child = switches.start_bmv2(children, {}, address, 1, log_packets=wanted)
    children.stop_all()
    assert ("[bmv2]" in child.log.read_text()) == wanted


@needs_bmv2
@pytest.mark.root
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_there_and_back(racks: Start) -> None:
    rack = racks(switch="bmv2")
    data = rack.load(1000)
    with rack.driving(Load("A", rate=200, timeout=60.0), data):
        rack.move("p0", "server2", throttle=2_000_000)
        assert rack.controller.registers_match()
        rack.move("p0", "server1", throttle=2_000_000)
    rack.read_back(data)
    rack.verdict()
    rack.wait_empty("server2")
    assert rack.keys("server1") == 1000
    assert rack.controller.registers_match()


@needs_bmv2
@pytest.mark.root
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_migration_survives_the_switch(racks: Start) -> None:
    """It comes back without a program: the controller loads it again, and fills it."""
    rack = racks(switch="bmv2")
    data = rack.load(1000)
    with rack.driving(Load("A", rate=100, timeout=60.0), data):
        migration = rack.controller.migrate("p0", "server2", throttle=500_000)
        rack.until(migration.id, 0.2)
        rack.system.children.kill("switch")
        rack.system.start_switch()
        ended = rack.controller.watch(migration.id)
        assert ended.state == "done", ended.error
    rack.read_back(data)
    rack.verdict()
    rack.wait_empty("server1")
    assert rack.keys("server2") == 1000
    assert rack.controller.registers_match()
