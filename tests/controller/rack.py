"""A real rack: switch, stores and agents as processes, hosts as network namespaces.

Everything has names of its own, so that several racks (and Mininet) can run side by side.
"""

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from controller.cli import main
from tests.controller.networks import network
from topology import stores, switches
from topology.processes import Child, Children


def free_port() -> int:
    """Return a TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Rack:
    """Servers 1…N at ports 1…N, one client at port N+1, the switch between them."""

    def __init__(self, directory: Path, servers: int) -> None:
        self.directory = directory
        self.children = Children(directory)
        self.net = network(directory, address=f"127.0.0.1:{free_port()}", servers=servers)
        self.path = directory / "net.json"
        self._hosts: list[dict[str, Any]] = [*self.net["servers"], *self.net["hosts"]]
        self._pids: dict[str, int] = {}

    def _interface(self, port: int) -> str:
        return f"nk{os.getpid()}p{port}"

    def start(self) -> None:
        """Bring everything up, the controller last."""
        for host in self._hosts:
            self._add_host(host)
        self.start_switch()
        for server in self.net["servers"]:
            stores.start(self.children, server["name"], server["pid"], (), None, {})
            self.start_agent(server["name"])
        self.path.write_text(json.dumps(self.net))
        self.start_controller()

    def stop(self) -> None:
        """Stop all processes; with the namespaces their interfaces go."""
        self.children.stop_all()
        for host in self._hosts:
            with contextlib.suppress(subprocess.CalledProcessError):
                _ip("link", "delete", self._interface(host["port"]))

    def _add_host(self, host: dict[str, Any]) -> None:
        name, interface = host["name"], self._interface(host["port"])
        child = self.children.start(
            name, ["unshare", "--net", "sh", "-c", "echo ready:; exec sleep infinity"]
        )
        # setpriv and unshare end in exec: the child itself lives in the new namespace.
        host["pid"] = child.pid
        pid = str(child.pid)
        _ip("link", "add", interface, "type", "veth", "peer", "name", "eth0", "netns", pid)
        # The switch must see finished packets: no checksum is left to a network card.
        quiet = [word for name in ("tx", "rx", "sg", "tso", "gso", "gro") for word in (name, "off")]
        subprocess.run(["ethtool", "-K", interface, *quiet], check=False, capture_output=True)
        _ip("link", "set", interface, "up")
        self.inside(name, "sh", "-c", f"ethtool -K eth0 {' '.join(quiet)} 2>&1 || true")
        self.inside(name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        for line in (
            "link set lo up",
            f"link set eth0 address {host['mac']}",
            f"address add {host['ip']}/16 dev eth0",
            "link set eth0 up",
        ):
            self.inside(name, "ip", *line.split())

    def inside(self, host: str, *argv: str) -> str:
        """Run a command in a host and return what it printed."""
        (pid,) = (each["pid"] for each in self._hosts if each["name"] == host)
        done = subprocess.run(
            ["mnexec", "-a", str(pid), *argv], check=True, capture_output=True, text=True
        )
        return done.stdout

    def start_switch(self) -> Child:
        """Start the switch on all ports."""
        ports = {host["port"]: self._interface(host["port"]) for host in self._hosts}
        return switches.start_embedded(
            self.children, ports, self.net["device"]["address"], self.net["device"]["device_id"]
        )

    def start_agent(self, name: str) -> Child:
        """Start the agent of a server."""
        (server,) = (each for each in self.net["servers"] if each["name"] == name)
        store = self.directory / name / "store.sock"
        argv = [sys.executable, "-m", "hosts.agent.main", "--name", name]
        argv += ["--index", str(server["index"]), "--ip", server["ip"]]
        argv += ["--grpc", server["agent"], "--redis", f"unix:{store}", "--grace", "0.5"]
        argv += ["--state", str(self.directory / f"{name}-state")]
        return self.children.start(f"{name}-agent", argv, namespace=server["pid"])

    def start_controller(self) -> Child:
        """Start the controller."""
        argv = [sys.executable, "-m", "controller.cli", "controller", "--verbose"]
        return self.children.start(
            "controller", [*argv, "--config", str(self.path)], ready="ready:"
        )

    def status(self) -> Any:
        """Return what `netmigrate status --json` prints."""
        return self.json("status")

    def cli(self, *arguments: str) -> tuple[int, str, str]:
        """Run `netmigrate`: status, stdout, stderr."""
        done = subprocess.run(
            [sys.executable, "-m", "controller.cli", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "NETMIGRATE_NET": str(self.path)},
        )
        return done.returncode, done.stdout, done.stderr

    def json(self, *arguments: str) -> Any:
        """Run `netmigrate … --json` in this process, which is faster; return what it printed.

        Not for commands that run something inside a host: those print by themselves.
        """
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.object(sys, "argv", ["netmigrate", *arguments, "--json"]),
            mock.patch.dict(os.environ, NETMIGRATE_NET=str(self.path)),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            contextlib.suppress(SystemExit),
        ):
            main()
        assert not err.getvalue(), err.getvalue()
        return json.loads(out.getvalue())


@contextlib.contextmanager
def rack(directory: Path, servers: int = 2) -> Iterator[Rack]:
    """Yield a running rack."""
    found = Rack(directory, servers)
    try:
        found.start()
        yield found
    finally:
        found.stop()
