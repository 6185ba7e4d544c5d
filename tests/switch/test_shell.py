"""`make shell`: p4runtime-shell, a client that others wrote, in its own venv."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.switch.p4runtime.client import Client, insert, modify
from tests.switch.p4runtime.entities import Entities
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


def shell(address: str, session: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", REPOSITORY / "switch" / "shell.sh", address],
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
