"""`p4switch` as a user starts it: its own process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from finsy.proto import p4i
from google.protobuf import json_format, text_format

from switch.p4runtime import DeviceConfig
from tests.switch.p4runtime.client import Client
from tests.switch.ports.veth import private_network, veth

EXAMPLE = Path(__file__).parent / "p4runtime" / "example.p4"
REPOSITORY = Path(__file__).resolve().parents[2]
FRAME = bytes.fromhex("02000000000202000000000188b5") + bytes(46)


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), **changes}


def p4switch(
    *arguments: str | Path, prefix: tuple[str, ...] = (), **changes: str
) -> subprocess.CompletedProcess[str]:
    command = [*prefix, sys.executable, "-m", "switch.cli", *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(**changes),
    )


@contextmanager
def running(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A switch that is ready, and its P4Runtime port."""
    command = [sys.executable, "-m", "switch.cli", "run", "--grpc", "127.0.0.1:0"]
    process = subprocess.Popen(
        [*command, *map(str, arguments)], stdout=subprocess.PIPE, text=True, env=environment()
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line.startswith("ready: P4Runtime on 127.0.0.1:")
        yield process, int(line.split(":")[2].split(",")[0])
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_told(number: signal.Signals) -> None:
    with running(EXAMPLE) as (process, port):
        client = Client(port)
        process.send_signal(number)
        assert process.wait(10) == 0
        client.close()


def test_without_a_program_it_waits_for_one(tmp_path: Path) -> None:
    config = tmp_path / "example.config"
    assert p4switch("compile", EXAMPLE, "-o", config).returncode == 0
    with running() as (_, port):
        client = Client(port)
        assert not client.info.tables
        client.close()


def test_compile_writes_p4info_in_three_forms(tmp_path: Path) -> None:
    found = []
    for suffix in ("txtpb", "json", "bin"):
        path = tmp_path / f"info.{suffix}"
        assert p4switch("compile", EXAMPLE, "--p4info", path).returncode == 0
        found.append(path.read_bytes())
    text, json, binary = found
    info = p4i.P4Info.FromString(binary)
    assert text_format.Parse(text, p4i.P4Info()) == info
    assert json_format.Parse(json, p4i.P4Info()) == info
    assert {table.preamble.alias for table in info.tables} >= {"station", "prefix"}


def test_the_config_holds_all_files(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "src" / "parts").mkdir(parents=True)
    program = tmp_path / "src" / "main.p4"
    middle = "action forward(bit<9> port)"
    before, after = EXAMPLE.read_text().split(middle)
    program.write_text(before + '#include "parts/middle.p4"\n' + after)
    (tmp_path / "src" / "parts" / "middle.p4").write_text(f"#include <width.p4>\n{middle}\n")
    (tmp_path / "lib" / "width.p4").write_text("#ifndef GIVEN\n#error define GIVEN\n#endif\n")
    output = tmp_path / "config.json"
    done = p4switch("compile", program, "-I", tmp_path / "lib", "-D", "GIVEN", "-o", output)
    assert done.returncode == 0, done.stderr
    config = DeviceConfig.parse(output.read_bytes())
    assert set(config.files) == {"src/main.p4", "src/parts/middle.p4", "lib/width.p4"}
    config.compile().close()


def test_a_program_with_an_error(tmp_path: Path) -> None:
    program = tmp_path / "bad.p4"
    program.write_text(EXAMPLE.read_text().replace("meta.mark = mark", "meta.mork = mark"))
    line = program.read_text()[: program.read_text().index("meta.mork")].count("\n") + 1
    for arguments in (("compile",), ("run", "--grpc", "127.0.0.1:0")):
        failed = p4switch(*arguments, program)
        assert failed.returncode == 2
        assert failed.stderr.startswith(f"{program}:{line}:")
        assert failed.stderr.count("\n") == 1
        assert "ready" not in failed.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "nowhere.p4"), "nowhere.p4:1:1: cannot read"),
        (("run", "--interface", "1"), "PORT@INTERFACE"),
        (("run", "--interface", "one@lo"), "PORT@INTERFACE"),
        (("run", "--interface", "1@no-such"), "no such interface"),
        (("run", "--interface", "5000@lo"), "0 to 1023"),
        (("run", "--grpc", "127.0.0.1"), "ADDRESS:PORT"),
        (("run", "--grpc", "127.0.0.1:99999"), "65535"),
        (("run", "--grpc", "192.0.2.1:9559"), "cannot listen on 192.0.2.1:9559"),
        (("compile", EXAMPLE, "-o", "/no/such/directory"), "cannot write"),
    ],
)
def test_what_cannot_be_done_is_one_line(arguments: tuple[str, ...], message: str) -> None:
    failed = p4switch(*arguments)
    assert failed.returncode == 2
    assert message in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_a_busy_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        failed = p4switch("run", "--grpc", address)
    assert failed.returncode == 2
    assert failed.stderr == f"p4switch: cannot listen on {address}: Address already in use\n"


def test_two_switches_on_one_port() -> None:
    with running() as (_, port):
        failed = p4switch("run", "--grpc", f"127.0.0.1:{port}")
        assert failed.returncode == 2
        assert "in use" in failed.stderr


def test_no_c_compiler(tmp_path: Path) -> None:
    failed = p4switch("run", XDG_CACHE_HOME=str(tmp_path), PATH=str(tmp_path), CC="")
    assert failed.returncode == 2
    assert "no C compiler" in failed.stderr
    assert failed.stderr.count("\n") == 1


@pytest.mark.root
def test_missing_rights() -> None:
    without = "-net_raw,-net_admin"
    prefix = ("setpriv", "--bounding-set", without, "--inh-caps", without)
    failed = p4switch("run", "--interface", "1@lo", prefix=prefix)
    assert failed.returncode == 2
    assert "root rights or CAP_NET_RAW" in failed.stderr


@pytest.mark.root
def test_it_forwards_between_interfaces() -> None:
    with private_network():
        veth("s1", "h1")
        veth("s2", "h2")
        with (
            running(EXAMPLE, "--interface", "1@s1", "--interface", "2@s2") as (_, port),
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5)) as one,
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5)) as two,
        ):
            one.bind(("h1", 0))
            two.bind(("h2", 0))
            two.settimeout(5)
            assert controller(port, "client.write(insert(station))") == ""
            one.send(FRAME)
            assert two.recv(2048) == FRAME
            counted = controller(port, "print(client.read(counter)[0])")
            assert "packet_count: 1" in counted


def controller(port: int, statement: str) -> str:
    """Run a statement in a new process: gRPC's threads here are in another network namespace."""
    script = f"""
from tests.switch.p4runtime.client import Client, insert
from tests.switch.p4runtime.entities import Entities
client = Client({port})
entities = Entities(client)
station = entities.station(0x020000000002, 2)
counter = entities.station_counter(0x020000000002)
{statement}
client.close()
"""
    command = [sys.executable, "-c", script]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, env=environment()
    ).stdout
