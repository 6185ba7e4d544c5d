"""What a user does wrong, and what strangers send: a clear word, and nothing lost."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.rack import Rack
from topology import stores
from topology.load import Load
from topology.processes import StartError

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]

Start = Callable[..., Rack]


def test_the_command_line_on_a_running_system(racks: Start) -> None:
    rack = racks()
    rack.load(500)
    assert rack.cli("set", "greeting", "hello").returncode == 0
    assert rack.cli("get", "greeting").stdout == "hello\n"
    assert rack.cli("exec", "INCR", "visits").stdout == "(integer) 1\n"
    status = json.loads(rack.cli("status", "--json").stdout)
    assert [p["server"] for p in status["partitions"]] == ["server1"]
    moved = rack.cli("migrate", "p0", "--to", "server2", "--wait", "--json")
    assert json.loads(moved.stdout)["state"] == "done", moved.stderr
    assert rack.cli("get", "greeting").stdout == "hello\n"
    history = json.loads(rack.cli("history", "--json").stdout)
    assert json.dumps(history).count('"done"') == 1
    for command in (
        ("registers", "list"),
        ("registers", "read", "ctrl_seq", "--slice", "0"),
        ("tables",),
        ("tables", "partition"),
        ("counters",),
        ("groups",),
    ):
        result = rack.cli(*command, "--json")
        assert result.returncode == 0, (command, result.stderr)
        json.loads(result.stdout)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("migrate", "p9", "--to", "server2"), "p9"),
        (("migrate", "p0", "--to", "server9"), "server9"),
        (("migrate", "p0", "--to", "server1"), "server1"),
        (("migrate", "p0", "--to", "server2", "--throttle", "fast"), "fast"),
        (("abort", "17"), "17"),
        (("registers", "read", "nonsense"), "nonsense"),
        (("tables", "nonsense"), "nonsense"),
        (("exec", "FLUSHALL"), "FLUSHALL"),
        (("exec", "NONSENSE", "x"), "NONSENSE"),
        (("exec", "MSET", "a", "1", "b", "2"), "group"),
        (("get", "x", "--host", "nowhere"), "nowhere"),
    ],
)
def test_a_wrong_command_is_one_clear_line(
    shared: Rack, command: tuple[str, ...], says: str
) -> None:
    result = shared.cli(*command)
    assert result.returncode == 2, (result.stdout, result.stderr)
    (line,) = result.stderr.strip().splitlines()
    assert says.lower() in line.lower()
    assert not shared.controller.status().migrations


def test_a_value_beyond_a_datagram_is_like_any_other(shared: Rack) -> None:
    value = "x" * 60_000
    assert shared.cli("set", "big", value).returncode == 0
    assert shared.cli("get", "big").stdout == value + "\n"


def test_a_start_from_a_client_is_ignored_and_counted(racks: Start) -> None:
    rack = racks()
    data = rack.load(3000)
    with rack.driving(Load("A", rate=800), data):
        migration = rack.controller.migrate("p0", "server2", throttle=800_000)
        rack.until(migration.id, 0.1)
        before = rack.event("CONTROL_REFUSED")
        rack.python(
            "client1",
            f"""
import socket
from hosts.wire import Control, Header, Op
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for op in (Op.GROUP_START, Op.GROUP_COMPLETE):
    for group in range(16000, 16100):
        header = Header(op, service=1, group=group, migration={migration.id})
        packet = header.pack() + Control(1, 1 << 31).pack()
        sock.sendto(packet, ("10.0.0.1", 4700))
""",
        )
        ended = rack.controller.watch(migration.id)
        assert ended.state == "done", ended.error
    assert rack.event("CONTROL_REFUSED") >= before + 150
    rack.read_back(data)
    rack.verdict()


def test_rubbish_from_a_client_harms_nobody(racks: Start) -> None:
    rack = racks()
    data = rack.load(1000)
    with rack.driving(Load("A", rate=500), data):
        before = rack.event("MALFORMED")
        rack.python(
            "client1",
            """
import random, socket
from hosts.wire import Header, Op
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
chooser = random.Random(1)
good = Header(Op.WRITE, service=1, group=1).pack()
good += b"*3\\r\\n$3\\r\\nSET\\r\\n$1\\r\\nx\\r\\n$1\\r\\ny\\r\\n"
for i in range(2000):
    packet = bytearray(good[: chooser.randrange(len(good) + 1)])
    for _ in range(chooser.randrange(4)):
        if packet:
            packet[chooser.randrange(len(packet))] = chooser.randrange(256)
    sock.sendto(bytes(packet) if i % 2 else chooser.randbytes(chooser.randrange(200)),
                ("10.0.0.1", 4700))
""",
        )
        rack.move("p0", "server2", throttle=2_000_000)
    assert rack.event("MALFORMED") > before
    rack.read_back(data)
    rack.verdict()


def _topology(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "topology", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "--servers", "1"), "SERVERS=1"),
        (("run", "--workload", "Z"), "WORKLOAD=Z"),
        (("run", "--rdb", "/no/such.rdb"), "/no/such.rdb"),
        (("run", "--switch", "wooden"), "SWITCH=wooden"),
        (("run", "--value-size", "5000"), "VALUE_SIZE=5000"),
        (("run", "--group-batch", "3"), "GROUP_BATCH=3"),
        (("run", "--pull-reads", "1", "--protocol", "fulva"), "PULL_READS=1"),
    ],
)
def test_a_wrong_setting_is_named(arguments: tuple[str, ...], says: str) -> None:
    result = _topology(*arguments)
    assert result.returncode == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_the_store_is_the_one_that_was_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("redis-server", "valkey-server", "mine"):
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for chosen, found in (("", "valkey-server"), ("redis-server", "redis-server")):
        monkeypatch.setenv("STORE", chosen)
        assert stores.executable() == str(tmp_path / found)
    monkeypatch.setenv("STORE", str(tmp_path / "mine"))
    assert stores.executable() == str(tmp_path / "mine")
    monkeypatch.setenv("STORE", "wooden")
    with pytest.raises(StartError, match="STORE=wooden"):
        stores.executable()


def test_without_root_rights_it_says_so() -> None:
    result = subprocess.run(
        ["setpriv", "--reuid", "65534", "--clear-groups", sys.executable, "-c",
         "from topology.__main__ import app; app(['run'])"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert result.returncode == 2, result.stderr
    assert "root" in result.stderr
