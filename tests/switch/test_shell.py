"""`make shell`: p4runtime-shell, a client that others wrote, in its own venv."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.switch.p4runtime.client import Client, insert, modify
from tests.switch.p4runtime.entities import Entities
from tests.switch.pki import tls
from tests.switch.test_cli import EXAMPLE, REPOSITORY, running

SESSION = """
entry = table_entry["MyIngress.station"](action="MyIngress.forward")
entry.match["hdr.ethernet.dst"] = "02:00:00:00:00:02"
entry.action["port"] = "7"
entry.insert()
stations = table_entry["MyIngress.station"]
def ports(): return [each.action["port"].value[0] for each in stations.read()]

print("inserted", ports())
entry.action["port"] = "8"
entry.modify()
print("modified", ports())
counter = counter_entry["MyIngress.seen"](index=2)
counter.read(lambda cell: print("counted", cell.packet_count, cell.byte_count))
entry.delete()
print("deleted", ports())
entry.match["hdr.ethernet.dst"] = "02:00:00:00:00:03"
entry.insert()
exit
"""

ENTITIES = r"""
te = table_entry["MyIngress.filter"](action="MyIngress.drop")
te.match.set(type="0x0800&&&0xff00", mark="1..5", port="3")
te.priority = 7
te.metadata = b"mine"
te.insert()
print("ternary", [(e.priority, e.metadata) for e in table_entry["MyIngress.filter"].read()])
te = table_entry["MyIngress.prefix"](action="MyIngress.set_mark")
te.match["hdr.ethernet.src"] = "02:00:00:00:00:00/8"
te.action.set(mark="3", colour="1")
te.insert()
print("lpm", len(list(table_entry["MyIngress.prefix"].read())))
te = table_entry["MyIngress.keyless"](action="NoAction", is_default=True)
te.modify()
print("default", [e.action.action_name for e in te.read()])
te = table_entry["MyIngress.station"](action="MyIngress.to_controller")
te.match["hdr.ethernet.dst"] = "00:00:00:00:00:02"
te.action["reason"] = "5"
te.counter_data.packet_count = 4
te.insert()
dc = direct_counter_entry["MyIngress.station_counter"]
dc.table_entry.match["hdr.ethernet.dst"] = "00:00:00:00:00:02"
print("direct counter", [c.packet_count for c in dc.read()])
dm = direct_meter_entry["MyIngress.station_meter"]
dm.table_entry.match["hdr.ethernet.dst"] = "00:00:00:00:00:02"
dm.cir = 1000; dm.cburst = 100; dm.pir = 2000; dm.pburst = 200
dm.modify()
print("direct meter", [m.cir for m in dm.read()])
ce = counter_entry["MyIngress.seen"](index=1)
ce.packet_count = 6
ce.modify()
print("counters", [c.packet_count for c in counter_entry["MyIngress.seen"].read()])
me = meter_entry["MyIngress.rates"](index=1)
me.cir = 1; me.cburst = 2; me.pir = 3; me.pburst = 4
me.modify()
print("meters", [m.pburst for m in meter_entry["MyIngress.rates"].read()])
group = multicast_group_entry(1).add(1, 1).add(2, 2)
group.insert()
group.add(3, 3).modify()
print("groups", [len(g.replicas) for g in multicast_group_entry(1).read()])
group.delete()
print("no groups", len(list(multicast_group_entry().read())))
clones = clone_session_entry(9).add(1, 1)
clones.insert()
print("sessions", [s.session_id for s in clone_session_entry().read()])
learn = digest_entry["learned_t"]
learn.max_list_size = 1
learn.insert()
print("digest", [d.max_list_size for d in digest_entry["learned_t"].read()])
out = packet_out(payload=bytes.fromhex("000000000002") + bytes(6) + b"\x99\x99" + bytes(50))
out.send()
packets = [message.packet for message in packet_in.sniff(timeout=2)]
print("packets", [(len(each.payload), each.metadata[1].value) for each in packets])
print("learned", [len(d.digest.data) for d in digest_list.sniff(timeout=2)])
te.insert()
exit
"""

IDLE = """
te = table_entry["MyIngress.stations"](action="MyIngress.touch")
te.match["hdr.frame.station"] = "5"
te.idle_timeout_ns = 20000000
te.insert()
told = [message.idle_timeout_notification for message in idle_timeout_notification.sniff(timeout=2)]
print("timeouts", {entry.idle_timeout_ns for each in told for entry in each.table_entry})
exit
"""
# What each session prints, among other things.
SESSIONS = [
    (
        "example.p4",
        ENTITIES,
        [
            "ternary [(7, b'mine')]",
            "lpm 1",
            "default ['NoAction']",
            "direct counter [4]",
            "direct meter [1000]",
            "counters [0, 6, 0, 0]",
            "meters [0, 4, 0, 0]",
            "groups [3]",
            "no groups 0",
            "sessions [9]",
            "digest [1]",
            "packets [(64, b'\\x05')]",
            "learned [1]",
            "ALREADY_EXISTS, 'table 'MyIngress.station' already has an entry for (0x2)'",
        ],
    ),
    ("sets.p4", IDLE, ["timeouts {20000000}"]),
]


def shell(address: str, session: str = "", *flags: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", REPOSITORY / "switch" / "shell.sh", address, *flags],
        input=session,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def installable(tmp_path: Path) -> None:
    """p4runtime-shell is here, or can be had from PyPI."""
    if (REPOSITORY / ".venv-shell").exists():
        return
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", str(tmp_path)]
    if subprocess.run([*command, "p4runtime-shell"], capture_output=True, check=False).returncode:
        pytest.skip("PyPI cannot be reached")


@pytest.mark.slow
@pytest.mark.timeout(360)
@pytest.mark.usefixtures("installable")
def test_a_session() -> None:
    with running(EXAMPLE) as (_, port):
        client = Client(port)
        entities = Entities(client)
        client.write(modify(entities.counter(2, 42, 4200)))
        done = shell(f"127.0.0.1:{port}", SESSION)
        said = done.stdout
        assert done.returncode == 0, done.stderr
        for line in ("inserted [7]", "modified [8]", "counted 42 4200", "deleted []"):
            assert line in said, said
        # The shell has a role of its own: the controller is primary still.
        assert client.stream
        assert client.stream.quiet()
        assert client.read(entities.entry("station")) == [entities.station(0x020000000003, 8)]
        client.write(insert(entities.station(0x020000000004, 1)))
        client.close()


@pytest.mark.slow
@pytest.mark.timeout(360)
@pytest.mark.usefixtures("installable")
@pytest.mark.parametrize(("program", "session", "lines"), SESSIONS)
def test_every_kind_of_entity(program: str, session: str, lines: list[str]) -> None:
    with running(EXAMPLE.with_name(program)) as (_, port):
        done = shell(f"127.0.0.1:{port}", session)
    assert done.returncode == 0, done.stderr
    for line in lines:
        assert line in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(360)
@pytest.mark.usefixtures("installable")
def test_a_session_over_tls(pki: Path) -> None:
    with running(EXAMPLE, *tls(pki, mutual=True)) as (_, port):
        session = "entry = table_entry['MyIngress.station']\nprint('opened', entry.name)\nexit\n"
        known = ("--cert", pki / "client.pem", "--private-key", pki / "client.key")
        trusting = ("--ssl", "--cacert", pki / "ca.pem")
        done = shell(f"127.0.0.1:{port}", session, *trusting, *known)
        assert "opened" in done.stdout, done.stderr
        assert "opened" not in shell(f"127.0.0.1:{port}", session, *trusting).stdout


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "no switch listens on 127.0.0.1:1"),
        ("127.0.0.1", "write ADDRESS:PORT"),
        ("127.0.0.1:port", "write ADDRESS:PORT"),
    ],
)
def test_no_switch_is_one_line(address: str, message: str) -> None:
    done = shell(address)
    assert done.returncode == 2
    assert done.stderr.startswith("shell: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
