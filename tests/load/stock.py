"""A stock cluster of two nodes on loopback; the first owns all slots."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from bench.peers.nodes import Node, join
from tests.agent.harness import Store


@contextlib.contextmanager
def cluster(directory: Path, executable: str = "") -> Iterator[tuple[Node, Node]]:
    """Start source and destination."""
    started: list[Store] = []
    try:
        nodes = []
        for name in ("source", "destination"):
            (directory / name).mkdir()
            started.append(Store(directory / name, slots="", executable=executable))
            client = started[-1].client
            client.config_set("cluster-allow-replica-migration", "no")
            bus = int(str(client.config_get("cluster-port")["cluster-port"]))
            nodes.append(Node.at("127.0.0.1", started[-1].port, bus, client))
        source, destination = nodes
        join(source, destination)
        yield source, destination
    finally:
        for store in started:
            store.stop()
