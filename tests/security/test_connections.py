"""Clients that open all the connections they can: the agent keeps the files it needs itself."""

import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from hosts.agent import frames
from hosts.agent.frames import Kind
from hosts.agent.incoming import CONNECTIONS
from hosts.agent.limits import _OWN
from hosts.agent.main import _is_local
from tests.agent.harness import Store, local
from tests.agent.test_main import arguments


def limited(limits: str, words: Sequence[str]) -> "subprocess.Popen[str]":
    """Start an agent that may have so many open files (soft:hard)."""
    command = ["prlimit", f"--nofile={limits}", sys.executable, "-m", "hosts.agent.main", *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_all_that_clients_may_open_leaves_room_for_peers(store: Store, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text("s" * 32)
    own = local(1)
    words = arguments(own, store.url, tmp_path)
    words += ["--tcp-connections", "400", "--channel-secret-file", str(secret)]
    words += ["--tcp-port", "0"]
    agent = limited("200:5000", words)
    try:
        assert agent.stdout is not None
        ready = agent.stdout.readline()
        port = int(ready.partition("TCP clients on ")[2].partition(",")[0])
        with ExitStack() as opened:
            clients = [
                opened.enter_context(socket.create_connection((own.ip, port), 5))
                for _ in range(450)
            ]
            clients[0].sendall(b"PING\r\n")
            assert clients[0].recv(100) == b"+PONG\r\n"
            assert b"max number of clients reached" in clients[-1].recv(100)
            peer = opened.enter_context(
                socket.create_connection((own.ip, own.channel_port), timeout=5)
            )
            peer.sendall(frames.hello(2, b"n" * 16))
            assert frames.HEAD.unpack(peer.recv(5, socket.MSG_WAITALL))[1] == Kind.CHALLENGE
    finally:
        agent.terminate()
        _, errors = agent.communicate(timeout=20)
    assert "out of system resource" not in errors


def test_too_few_files_are_no_surprise_later(store: Store, tmp_path: Path) -> None:
    agent = limited("200:1000", arguments(local(1), store.url, tmp_path))
    _, errors = agent.communicate(timeout=20)
    assert agent.returncode == 2
    needed = 10_000 + CONNECTIONS
    assert f"{needed} connections need {needed + _OWN} open files, 1000 are allowed" in errors


@pytest.mark.parametrize(
    ("host", "local"),
    [
        *((host, True) for host in ("127.0.0.1", "localhost", "[::1]", "unix")),
        *((host, False) for host in ("0.0.0.0", "10.0.1.1", "[::]", "server1", "")),
    ],
)
def test_an_agent_knows_where_others_can_reach_it(host: str, local: bool) -> None:
    """There it warns, if it asks for no proof."""
    assert _is_local(host) is local
