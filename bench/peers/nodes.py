"""Two stock nodes in the server hosts, joined into one cluster, without agents."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Final, Self

from hosts.wire import GROUPS
from topology import stores
from topology.processes import Child, StartError
from topology.system import System

PORT: Final = 7000
BUS: Final = 10_000  # the cluster bus is so far above, if nobody says otherwise
_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Node:
    """One node; `client` talks to it past the network that is measured."""

    id: str
    ip: str
    port: int
    bus: int
    client: Any

    @property
    def address(self) -> str:
        """Where clients reach it."""
        return f"{self.ip}:{self.port}"

    @property
    def place(self) -> tuple[str, int, int]:
        """Where the other nodes reach it."""
        return self.ip, self.port, self.bus

    @classmethod
    def at(cls, ip: str, port: int, bus: int, client: Any) -> Self:
        """Ask a running node for its name."""
        return cls(_text(client.execute_command("CLUSTER MYID")), ip, port, bus, client)


class Nodes:
    """A new, empty cluster in a running system; use it as a context manager.

    The source, in server1's host and with its processor budget, owns all slots.
    """

    def __init__(self, system: System, executable: str) -> None:
        self._system = system
        self._executable = executable
        # Their slot maps are written at every slot that moves: the disk shall not count.
        memory = Path("/dev/shm")
        self._directory = TemporaryDirectory(
            prefix="netmigrate-nodes-", dir=memory if memory.is_dir() else None
        )
        self._names = [f"{server}-node" for server in ("server1", "server2")]
        self.source: Node
        self.destination: Node

    def __enter__(self) -> Self:
        try:
            self.source, self.destination = (self._start(name) for name in self._names)
            join(self.source, self.destination)
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

    @property
    def children(self) -> list[Child]:
        """The processes of source and destination."""
        return [self._system.children.children[name] for name in self._names]

    @property
    def prefix(self) -> tuple[str, ...]:
        """What makes a command line run in the source's host, where both nodes are near."""
        return "mnexec", "-a", str(self._system.namespace("server1"))

    def stop(self) -> None:
        """Stop both nodes, and forget what they had."""
        for name in self._names:
            if name in self._system.children.children:
                self._system.children.stop(name)
        self._directory.cleanup()

    def _start(self, name: str) -> Node:
        server = name.removesuffix("-node")
        ip = self._system.ip(server)
        directory = Path(self._directory.name) / name
        directory.mkdir()
        socket = directory / "store.sock"
        stated = settings(directory, socket, ip)
        argv = [word for key, value in stated.items() for word in (f"--{key}", value)]
        self._system.children.start(
            name,
            [self._executable, *argv],
            namespace=self._system.namespace(server),
            enter=self._system.enter(server),
            ready="Ready to accept connections",
        )
        return Node.at(ip, PORT, PORT + BUS, stores.connect(socket))


def settings(directory: Path, socket: Path, ip: str) -> dict[str, str]:
    """Return a node's configuration: as it comes, but for what a short life on this machine needs.

    A source that has lost its last slot would become the destination's replica, and copy everything
    back, which is not to be measured (Redis does it in spite of this after CLUSTER MIGRATION).
    """
    return {
        "port": str(PORT),
        "bind": ip,
        "protected-mode": "no",
        "unixsocket": str(socket),
        "dir": str(directory),
        "save": "",
        "cluster-enabled": "yes",
        "cluster-config-file": "nodes.conf",
        "cluster-announce-ip": ip,
        "cluster-allow-replica-migration": "no",
    }


def join(source: Node, destination: Node) -> None:
    """Make one cluster of two nodes that know of none; the source gets every slot."""
    source.client.execute_command("CLUSTER ADDSLOTSRANGE", 0, GROUPS - 1)
    # Without an epoch of its own, each would have to agree on one first.
    source.client.execute_command("CLUSTER SET-CONFIG-EPOCH", 1)
    destination.client.execute_command("CLUSTER SET-CONFIG-EPOCH", 2)
    source.client.execute_command("CLUSTER MEET", *destination.place)
    both = (source, destination)
    until(lambda: all(_info(node)["cluster_state"] == "ok" for node in both), "is not ok")
    until(lambda: all(owner(node) == source.id for node in both), "does not agree")


def owner(node: Node) -> str | None:
    """Return the id of the only node that owns slots, as `node` sees it; None if it is not one."""
    # Versions of redis-py differ in what they make of it.
    node.client.set_response_callback("CLUSTER SLOTS", lambda reply, **_: reply)
    owners = {_text(own[2]) for _, _, own, *_ in node.client.execute_command("CLUSTER SLOTS")}
    return owners.pop() if len(owners) == 1 else None


def until(done: Callable[[], bool], what: str, seconds: float = _SECONDS) -> None:
    """Wait for something that a cluster does by itself."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise StartError(f"the stock cluster {what} after {seconds:.0f} s")
        time.sleep(0.02)


def _info(node: Node) -> dict[str, str]:
    found: dict[str, str] = node.client.execute_command("CLUSTER INFO")
    return found


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
