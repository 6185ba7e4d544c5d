"""A stock Redis or Valkey cluster as what the load goes to, and its slot map to begin with."""

import socket
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from hosts.load import _driver
from hosts.wire import GROUPS

_NOBODY: Final = 0xFFFF


@dataclass(frozen=True)
class Cluster:
    """Nodes to ask for the slot map (the first that answers is believed), and how to use it.

    `connections` to each node at most, opened when they are first needed, as client libraries pool
    them: one request at a time on each, until all are busy.
    """

    seeds: tuple[tuple[str, int], ...]
    connections: int = 50
    timeout: float = 5.0

    @classmethod
    def parse(cls, text: str, connections: int, timeout: float) -> Self:
        """Read `HOST:PORT[,HOST:PORT]`."""
        seeds = []
        for part in text.split(","):
            host, _, port = part.rpartition(":")
            if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
                raise ValueError(f"cluster {text!r}: HOST:PORT[,HOST:PORT]")
            seeds.append((host, int(port)))
        return cls(tuple(seeds), connections, timeout)

    def open(self) -> _driver.Transport:
        """Fetch the slot map; connections are opened later."""
        nodes: list[tuple[int, int]] = []
        owners = np.full(GROUPS, _NOBODY, np.uint16)
        for first, last, host, port in self._slots():
            node = _address(host), port
            if node not in nodes:
                nodes.append(node)
            owners[first : last + 1] = nodes.index(node)
        return _driver.cluster(nodes, owners, self.connections, self.timeout)

    def _slots(self) -> list[tuple[int, int, str, int]]:
        """Return (first, last, host, port) of each range of slots."""
        import redis  # which takes its time; load on our own service does without
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        once = Retry(NoBackoff(), 0)
        failed: list[str] = []
        for host, port in self.seeds:
            try:
                with redis.Redis(
                    host, port, socket_timeout=self.timeout, retry=once, protocol=2
                ) as client:
                    # Versions of redis-py differ in what they make of it.
                    client.set_response_callback("CLUSTER SLOTS", lambda reply, **_: reply)
                    ranges: Any = client.execute_command("CLUSTER SLOTS")
            except redis.RedisError as error:
                failed.append(f"{host}:{port}: {error}")
                continue
            if not ranges:
                failed.append(f"{host}:{port}: knows of no slots")
                continue
            # A node that was not told its own address leaves it out.
            return [
                (first, last, owner[0].decode() if owner[0] else host, owner[1])
                for first, last, owner, *_ in ranges
            ]
        raise OSError(f"no node of the cluster answered: {'; '.join(failed)}")


def _address(host: str) -> int:
    return int.from_bytes(socket.inet_aton(socket.gethostbyname(host)), "big")
