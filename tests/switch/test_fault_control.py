"""`p4switch faults`: faults of a running switch, as a user changes them."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.switch.ports.veth import private_network, veth
from tests.switch.test_cli import EXAMPLE, p4switch, running


@pytest.mark.root
def test_faults_are_changed_and_counted_while_the_switch_runs(tmp_path: Path) -> None:
    control = tmp_path / "faults.sock"
    with private_network():
        veth("s1", "h1")
        options = ("-i", "1@s1", "--faults", "*/in:loss=100%", "--fault-control", str(control))
        with (
            running(EXAMPLE, *options) as (process, _),
            socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as host,
        ):
            host.bind(("h1", 0))
            for _ in range(10):
                host.send(bytes(60))
            while True:
                shown = p4switch("faults", control)
                counts = json.loads(shown.stdout)["1"]
                if counts["in"]["frames"] >= 10:
                    break
            assert counts["in"]["lost"] == counts["in"]["frames"]
            assert counts["out"]["frames"] == 0
            assert os.stat(control).st_mode & 0o077 == 0
            assert p4switch("faults", control, "*:off", "--seed", "3").returncode == 0
            host.send(bytes(60))
            after = json.loads(p4switch("faults", control).stdout)["1"]["in"]
            assert after == counts["in"]
            refused = p4switch("faults", control, "7:loss=1%")
            assert refused.returncode == 2
            assert "no port 7" in refused.stderr
            with socket.socket(socket.AF_UNIX) as stranger:
                stranger.connect(str(control))
                stranger.sendall(b"[1, 2]\n")
                assert b"error" in stranger.recv(1000)
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
    assert not control.exists()


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    nobody = p4switch("faults", tmp_path / "nobody.sock")
    assert nobody.returncode == 2
    assert "no switch" in nobody.stderr
    wrong = p4switch("run", "--grpc", "127.0.0.1:0", "--faults", "*:wet=1%")
    assert wrong.returncode == 2
    assert "wet" in wrong.stderr
