"""A whole system, and somebody on a client host who wants more than is his."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts.wire import group_of
from tests.controller.rack import free_port
from tests.e2e.rack import Rack
from tests.security.sockets import listening, udp_ports
from topology import network, stores
from topology.load import Load
from topology.settings import Network
from topology.system import System

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(200)]

VIP = (network.VIP, network.SERVICE_PORT)
AGENTS = [("10.0.1.1", network.AGENT_PORT), ("10.0.1.2", network.AGENT_PORT)]
TCP_PORT = 6380
GATEWAY = "127.0.0.1:7001"


@pytest.fixture(scope="module")
def rack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    """Two servers, and two client hosts: an attacker's and a victim's."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it builds networks")
    place = tmp_path_factory.mktemp("security")
    settings = Network(directory=place / "net", switch_name=f"a{os.getpid() % 100000}", clients=2)
    with System(settings, grpc_port=free_port()) as system:
        yield Rack(system, settings, place / "out")


def attack(rack: Rack, name: str, *values: Any, host: str = "client1") -> Any:
    """Run one of attacks.py on a host; return what it found."""
    code = f"import json; from tests.security import attacks as a; print(json.dumps(a.{name}"
    return json.loads(rack.python(host, f"{code}(*{values!r})))"))


def test_nothing_listens_beyond_what_it_was_told(rack: Rack) -> None:
    system, directory = rack.system, rack.system.directory
    inside = ["mnexec", "-a", str(system.namespace("client1")), sys.executable]
    gateway = subprocess.Popen(
        [*inside, "-m", "hosts.gateway.main", "--vip", "10.0.0.1:4700", "--listen", GATEWAY],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert gateway.stdout is not None
        assert gateway.stdout.readline().startswith("ready: ")
        expected = {"switch": {f"tcp {system.grpc}", f"unix {directory}/faults.sock", "packet"}}
        expected["controller"] = {f"unix {directory}/controller.sock"}
        for server in ("server1", "server2"):
            ip, own = system.ip(server), directory / server
            expected[f"{server}-agent"] = {
                f"udp {ip}:{network.AGENT_PORT}",
                f"tcp {ip}:{network.AGENT_PORT}",
                f"tcp {ip}:{TCP_PORT}",
                f"unix {own}/agent.sock",
            }
            port = stores.STORE_PORT
            expected[f"{server}-store"] = {
                *(f"tcp 127.0.0.1:{port}", f"tcp 127.0.0.1:{port + 10000}"),  # the cluster's bus
                f"unix {own}/store.sock",
            }
        found = {name: listening(child.pid) for name, child in system.children.children.items()}
        assert found == expected
        assert listening(gateway.pid) == {f"tcp {GATEWAY}"}
    finally:
        gateway.terminate()
        gateway.wait()


def test_files_that_give_power_are_their_user_s(rack: Rack) -> None:
    directory = rack.system.directory
    names = ["channel.secret", "server1/agent.password", "controller.sock", "faults.sock"]
    for name in (*names, "server1/agent.sock", "server1/store.sock"):
        assert Path(directory / name).stat().st_mode & 0o077 == 0, name


def test_stores_and_control_are_out_of_reach(rack: Rack) -> None:
    """Of a client host: stores, their bus, P4Runtime."""
    p4runtime = int(rack.system.grpc.rpartition(":")[2])
    ports = (stores.STORE_PORT, stores.STORE_PORT + 10000, p4runtime)
    where = [(host, port) for host in ("10.0.1.1", "10.0.1.2", VIP[0]) for port in ports]
    assert attack(rack, "reachable", where) == [False] * len(where)
    assert attack(rack, "reachable", AGENTS) == [True, True]  # the channel: test_channel.py


@pytest.mark.parametrize("where", [VIP, AGENTS[0], ("10.0.1.1", TCP_PORT)], ids=str)
def test_no_command_administers(rack: Rack, where: tuple[str, int]) -> None:
    store = stores.connect(rack.system.sockets["server1"])
    store.set("kept", "1")
    commands = [
        ["FLUSHALL"],
        ["CONFIG", "SET", "maxmemory", "1"],
        ["SHUTDOWN"],
        ["ACL", "SETUSER", "mallory", "on", "nopass", "~*", "+@all"],
        ["REPLICAOF", "10.0.2.1", "6379"],
        ["CLUSTER", "RESET", "HARD"],
        ["MIGRATE", "10.0.2.1", "6379", "kept", "0", "100"],
        ["EVAL", "return redis.call('FLUSHALL')", "1", "kept"],
        ["EVAL", "return redis.call('CONFIG','SET','maxmemory','1')", "1", "kept"],
        ["EVAL", "return redis.call('ACL','LIST')", "1", "kept"],
    ]
    if where[1] == TCP_PORT:
        answers = attack(rack, "ask_by_tcp", where, commands)
    else:
        answers = attack(rack, "ask", where, commands, group_of(b"kept"))
    assert all(answer is not None and answer.startswith("-") for answer in answers), answers
    assert store.get("kept") == b"1"
    assert store.config_get("maxmemory") == {"maxmemory": "0"}
    assert sorted(store.acl_users()) == ["default", stores.AGENT_USER]


def test_no_service_but_the_addressed_one(rack: Rack) -> None:
    """The switch drops what names another; so does an agent that is asked past the switch."""
    commands, group = [["SET", "k", "v"]], group_of(b"k")
    before = rack.event("WRONG_SERVICE")
    assert attack(rack, "ask", VIP, commands, group, 2) == [None]
    assert rack.event("WRONG_SERVICE") == before + 1
    (answer,) = attack(rack, "ask", AGENTS[0], commands, group, 2)
    assert answer.startswith("-ERR netmigrate: service 2 is not served here")


@pytest.mark.parametrize("where", [VIP, AGENTS[0]], ids=["the service", "an agent"])
def test_a_wrong_group_is_refused(rack: Rack, where: tuple[str, int]) -> None:
    (answer,) = attack(rack, "ask", where, [["SET", "k", "v"]], group_of(b"k") ^ 1)
    assert "but the header says" in answer


def test_only_the_owner_executes_however_it_is_reached(rack: Rack) -> None:
    """A write past the switch, to a server that does not have the group."""
    (answer,) = attack(rack, "ask", AGENTS[1], [["SET", "k", "past"]], group_of(b"k"))
    assert answer == "+OK\r\n"
    assert stores.connect(rack.system.sockets["server1"]).get("k") == b"past"
    assert stores.connect(rack.system.sockets["server2"]).get("k") is None


def test_forged_control_packets_move_nothing(rack: Rack) -> None:
    """During a migration under load: START, COMPLETE and ACK, with sequences that would silence the
    source for ever, from the attacker's own address and from the servers'."""
    data = rack.load(2000)
    groups = range(0, 16384, 64)
    with rack.driving(Load("A", rate=300), data):
        migration = rack.controller.migrate("p0", "server2", throttle=400_000)
        rack.until(migration.id, 0.1)
        refused = rack.event("CONTROL_REFUSED")
        sent = 0
        for forged in (None, AGENTS[0]):
            kinds = ["START", "COMPLETE"]
            number = migration.id
            sent += attack(rack, "pretend_to_move", VIP, kinds, [*groups], number, forged)
        assert rack.event("CONTROL_REFUSED") >= refused + sent
        for to, forged in ((AGENTS[0], AGENTS[1]), (AGENTS[1], AGENTS[0])):
            for claimed in (None, forged):
                kinds = ["START", "COMPLETE", "ACK"]
                attack(rack, "pretend_to_move", to, kinds, [*groups], migration.id, claimed)
        ignored = {each.name: each.counters["control_ignored"] for each in servers(rack)}
        assert min(ignored.values()) >= len(groups)
        assert rack.controller.watch(migration.id).state == "done"
    assert rack.read_back(data).size == 2000
    rack.verdict()
    rack.wait_empty("server1")
    rack.move("p0", "server1")


def servers(rack: Rack) -> Any:
    """Return what the controller knows of the servers."""
    return rack.controller.status().servers


def test_a_forged_reply_is_not_believed(rack: Rack) -> None:
    """The attacker knows address, port and seq of the victim; not its number (64 random bits)."""
    code = f"from tests.security import attacks as a; print(a.count({VIP!r}, 1500))"
    victim = subprocess.Popen(
        ["mnexec", "-a", str(rack.system.namespace("client2")), sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
    )
    port = 0
    while not port:
        time.sleep(0.02)
        assert victim.poll() is None
        port = next(iter(udp_ports(victim.pid)), 0)
    sent: list[int] = []

    def forge(source: tuple[str, int]) -> None:
        to = (rack.system.ip("client2"), port)
        sent.append(attack(rack, "answer_for", source, to, group_of(b"counter"), 2.0))

    forging = [threading.Thread(target=forge, args=(source,)) for source in (VIP, AGENTS[0])]
    for each in forging:
        each.start()
    for each in forging:
        each.join()
    output, _ = victim.communicate(timeout=60)
    assert min(sent) >= 100
    assert json.loads(output) == list(range(1, 1501))
