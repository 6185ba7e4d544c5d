"""The command line without a controller: what is wrong is one line, and exit status 2."""

import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from controller.cli import main
from tests.controller.networks import network

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process: status, stdout, stderr."""
    monkeypatch.setenv("NETMIGRATE_NET", "/nowhere/default.json")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["netmigrate", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, out, err

    return run


@pytest.fixture
def net(tmp_path: Path) -> str:
    path = tmp_path / "net.json"
    path.write_text(json.dumps(network(tmp_path)))
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["status", "--net", "/nowhere/net.json"], "no /nowhere/net.json: start a network first"),
        (["--net", "/nowhere/net.json", "status"], "no /nowhere/net.json"),
        (["stat"], "No such command 'stat'"),
        (["migrate", "p0"], "Missing option '--to'"),
        (["migrate", "p0", "--to", "server2", "--throttle", "fast"], "throttle 'fast': expected"),
        (["migrate", "p0", "--to", "server2", "--lanes", "65"], "Invalid value for '--lanes'"),
        (["migrate", "p0", "--to", "server2", "--group-batch", "-1"], "'--group-batch'"),
        (["registers", "read", "x", "--slice", "-1"], "Invalid value for '--slice'"),
        (["inject"], "inject either a COMMAND or a --control packet"),
        (["inject", "GET", "k", "--control", "start"], "inject either a COMMAND or a --control"),
        (["inject", "--control", "start"], "a control packet is about a group: --group"),
        (["inject", "GET", "k", "--flags", "TWICE"], "flag TWICE: there are DOUBLE, ONGOING"),
        (["inject", "GET", "k", "--group", "16384"], "Invalid value for '--group'"),
        (["pause", "three"], "should be a valid integer"),
    ],
)
def test_bad_usage(run: Run, arguments: list[str], message: str) -> None:
    status, out, err = run(*arguments)
    assert status == 2
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    [
        ["status"],
        ["history"],
        ["migrate", "p0", "--to", "server2"],
        ["abort"],
        ["registers", "list"],
        ["registers", "read", "ongoing_0"],
        ["tables"],
        ["counters"],
        ["groups"],
    ],
)
def test_no_controller(run: Run, net: str, command: list[str]) -> None:
    status, out, err = run(*command, "--net", net)
    assert status == 2
    assert out == ""
    assert "no controller answers at unix:" in err
    assert len(err.splitlines()) == 1


def test_a_configuration_that_is_wrong(run: Run, tmp_path: Path, net: str) -> None:
    path = Path(net)
    path.write_text(path.read_text().replace("10.0.0.1", "10.0.0"))
    for command in (["status", "--net", net], ["controller", "--config", net]):
        status, _, err = run(*command)
        assert status == 2
        assert "services[0].vip: expected an IPv4 address, found '10.0.0'" in err
        assert len(err.splitlines()) == 1


def test_an_unknown_host(run: Run, net: str) -> None:
    status, _, err = run("get", "key", "--host", "client9", "--net", net)
    assert status == 2
    assert "no host 'client9': there are client1, server1, server2" in err


def test_a_second_controller(run: Run, net: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as first:
        first.bind(str(tmp_path / "controller.sock"))
        first.listen()
        status, out, err = run("controller", "--config", net)
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert "another controller is listening there" in err
