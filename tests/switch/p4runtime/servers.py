"""Switches of a test's own: a real server on an ephemeral loopback port."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from switch.p4runtime import DeviceConfig, Server
from switch.ports import Ports
from tests.switch.p4runtime.client import Client

CPU_PORT = 510


@contextmanager
def serving(config: DeviceConfig | None = None, *interfaces: str) -> Iterator[Server]:
    """A running server; the interfaces are its ports from 1 on."""
    ports = Ports(CPU_PORT)
    try:
        for number, name in enumerate(interfaces, 1):
            ports.add(number, name)
        server = Server("127.0.0.1:0", ports, cpu_port=CPU_PORT)
        if config is not None:
            server.load(config)
        server.start()
        yield server
        server.stop()
    finally:
        ports.close()


@contextmanager
def controlling(server: Server) -> Iterator[Client]:
    """A controller of it."""
    client = Client(server.port)
    yield client
    client.close()


@contextmanager
def looped(config: DeviceConfig, one: str, other: str) -> Iterator[Client]:
    """A controller of a switch whose ports 1 and 2 are the ends of a veth pair."""
    subprocess.run(["ip", "link", "add", one, "type", "veth", "peer", other], check=True)
    try:
        for name in (one, other):
            subprocess.run(["ip", "link", "set", name, "addrgenmode", "none", "up"], check=True)
        with serving(config, one, other) as server, controlling(server) as client:
            yield client
    finally:
        subprocess.run(["ip", "link", "del", one], check=True)
