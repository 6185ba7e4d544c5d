"""The whole system: network, switch, stores, agents and controller, started and stopped as one."""

import json
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from hosts.credentials import private
from hosts.wire import GROUPS
from topology import network, stores, switches
from topology.budgets import Budget
from topology.processes import Child, Children, StartError, leftovers
from topology.settings import Network

DEVICE_ID: Final = 1


def free_port() -> int:
    """Return a TCP port of this machine for a system that is to run beside others."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class System:
    """A running system; use it as a context manager. Needs root."""

    def __init__(self, settings: Network, grpc_port: int = 9559) -> None:
        if os.geteuid() != 0:
            raise StartError("building a network needs root rights: use sudo")
        for tool in ("mnexec", "ethtool"):
            if shutil.which(tool) is None:
                raise StartError(f"{tool} is not on PATH: `make setup` installs it")
        self.settings = settings
        self.directory = settings.directory
        self.grpc = f"127.0.0.1:{grpc_port}"
        self.directory.mkdir(parents=True, exist_ok=True)
        running = leftovers(self.directory)
        if running:
            raise StartError(
                f"a network is already running in {self.directory} "
                f"({', '.join(name for name, _ in running)}): leave it, or `make clean`"
            )
        self._forget_old_state()
        self._channel_secret = self.directory / "channel.secret"
        with private():
            self._channel_secret.write_text(secrets.token_hex(32))
        self.children = Children(self.directory)
        self.sockets: dict[str, Path] = {}
        self.net: Any = None
        self._budgets: dict[str, Budget] = {}
        self.agent = ["-m", "hosts.agent.main"]
        """How Python starts an agent."""
        self.controller_store = self.directory / "controller.sqlite"
        """What the controller remembers."""
        self.store_settings: dict[str, str] = {}
        """Of every store, besides those that it needs."""

    @property
    def config_path(self) -> Path:
        """The controller's configuration, which the CLI finds the system by."""
        return self.directory / "net.json"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Bring everything up, each part when what it needs is ready."""
        for host, share in self.settings.cpu_budgets.items():
            self._budgets[host] = Budget(self.settings.switch_name, host, share)
        self.net = network.build(self.settings)
        for node in (*self.net.hosts, *self.net.switches):
            self.children.record(node.name, node.pid)
        self.start_switch()
        for number in range(1, self.settings.servers + 1):
            self.start_store(number)
            self.start_agent(number)
        self.config_path.write_text(json.dumps(self.config(), indent=2))
        self.start_controller()

    def stop(self) -> None:
        """Stop everything that was started; safe to call at any point of the start."""
        self.children.stop_all()
        if self.net is not None:
            self.net.stop()
            self.net = None
        while self._budgets:
            self._budgets.popitem()[1].remove()
        self.config_path.unlink(missing_ok=True)

    # The parts one by one, so that a test can take one down and bring it back.

    def start_switch(self) -> Child:
        """Start the forwarding process on the links that Mininet made."""
        (switch,) = self.net.switches
        ports = switch.ports_by_number()
        bmv2 = self.settings.switch == "bmv2"
        start = switches.start_bmv2 if bmv2 else switches.start_embedded
        log_packets = self.settings.log_packets
        return start(self.children, ports, self.grpc, DEVICE_ID, log_packets=log_packets)

    def start_store(self, number: int) -> Path:
        """Start the store of server `number`; the first one reads the user's RDB, if any."""
        name = f"server{number}"
        rdb = self.settings.rdb if number == 1 else None
        self.sockets[name] = stores.start(
            self.children,
            name,
            self.net[name].pid,
            self.enter(name),
            rdb,
            self.store_settings,
        )
        return self.sockets[name]

    def start_agent(self, number: int) -> Child:
        """Start the agent of server `number` beside its store."""
        name = f"server{number}"
        directory = self.directory / name
        argv = [sys.executable, *self.agent]
        argv += ["--name", name, "--index", str(number), "--ip", self.ip(name)]
        argv += ["--udp-port", str(network.AGENT_PORT), "--channel-port", str(network.AGENT_PORT)]
        argv += ["--grpc", self._agent_address(name), "--redis", f"unix:{self.sockets[name]}"]
        argv += ["--redis-user", stores.AGENT_USER]
        argv += ["--redis-password-file", str(stores.password_file(directory))]
        argv += ["--channel-secret-file", str(self._channel_secret)]
        argv += ["--state", str(directory / "agent")]
        return self.children.start(
            f"{name}-agent", argv, namespace=self.net[name].pid, enter=self.enter(name)
        )

    def start_controller(self) -> Child:
        """Start the controller; it places the groups and fills the switch's tables."""
        argv = [sys.executable, "-m", "controller.cli", "controller"]
        argv += ["--config", str(self.config_path)]
        # The control plane must never take a core that the data path wants.
        return self.children.start("controller", argv, niceness=10)

    def start_python(
        self, host: str, name: str, module: str, options: Mapping[str, object]
    ) -> Child:
        """Start a module of ours in a host, as the child `name`."""
        argv = [sys.executable, "-m", module]
        argv += [word for key, value in options.items() for word in (f"--{key}", str(value))]
        return self.children.start(name, argv, namespace=self.namespace(host))

    def ip(self, host: str) -> str:
        """Return the address of a host."""
        return str(self.net[host].IP())

    def namespace(self, host: str) -> int:
        """Return the pid whose network namespace is the host's."""
        return int(self.net[host].pid)

    def enter(self, host: str) -> Sequence[str]:
        """Return what puts a command under the host's processor budget, if it has one."""
        budget = self._budgets.get(host)
        return budget.enter if budget else ()

    def _agent_address(self, server: str) -> str:
        return f"unix:{self.directory / server / 'agent.sock'}"

    def _forget_old_state(self) -> None:
        """Every start is a new system: its stores begin empty, so must what is said of them."""
        for entry in self.directory.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    def config(self) -> dict[str, Any]:
        """Return the controller's configuration of this system."""
        (switch,) = self.net.switches
        bmv2 = self.settings.switch == "bmv2"
        host_of_port = {
            number: next(
                host
                for host in self.net.hosts
                for interface in host.intfList()
                if interface.link and str(interface.link.intf2) == name
            )
            for number, name in switch.ports_by_number().items()
        }
        servers, hosts = [], []
        for port, host in sorted(host_of_port.items()):
            entry = {"name": host.name, "ip": host.IP(), "mac": host.MAC(), "port": port}
            entry["pid"] = host.pid
            if host.name in self.sockets:
                entry |= {"index": port, "udp_port": network.AGENT_PORT}
                entry |= {"channel_port": network.AGENT_PORT}
                entry |= {"agent": self._agent_address(host.name)}
                servers.append(entry)
            else:
                hosts.append(entry)
        return {
            "device": {
                "name": switch.name,
                "address": self.grpc,
                "device_id": DEVICE_ID,
                "target": self.settings.switch,
                "program": str(switches.PROGRAM),
                **(switches.bmv2_device(self.directory, self.grpc) if bmv2 else {}),
            },
            "router_mac": network.VIP_MAC,
            "hosts": hosts,
            "servers": servers,
            "services": [
                {
                    "name": "kv",
                    "id": 1,
                    "vip": network.VIP,
                    "vip_mac": network.VIP_MAC,
                    "port": network.SERVICE_PORT,
                    "partitions": partitions(self.settings),
                }
            ],
            "store": str(self.controller_store),
            "listen": f"unix:{self.directory / 'controller.sock'}",
        }


def partitions(settings: Network) -> list[dict[str, Any]]:
    """Place the key space: half of the servers (a power of two) hold it, the others are spare.

    A user's dump file is one store's data, so it is one partition on the first server.
    """
    count = 1
    while count * 4 <= settings.servers and settings.rdb is None:
        count *= 2
    size = GROUPS // count
    return [
        {
            "name": f"p{i}",
            "first": i * size,
            "last": (i + 1) * size - 1,
            "server": f"server{i + 1}",
        }
        for i in range(count)
    ]
