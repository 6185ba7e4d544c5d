"""What was measured on: the machine, and the stores."""

import os
from collections.abc import Sequence
from pathlib import Path

from bench.peers import ways
from topology import stores


def about(peers: Sequence[str]) -> dict[str, str]:
    """Return names and values: processor, kernel, and the store of our protocols and each peer."""
    found = {
        "processor": f"{os.cpu_count()} cores of {_processor()}",
        "kernel": f"{os.uname().sysname} {os.uname().release}",
        "our store": ways.server(stores.executable()),
    }
    each = {peer: ways.find(peer) for peer in peers}
    return found | {
        f"store of {peer}": ways.server(way.executable)
        for peer, way in each.items()
        if isinstance(way, ways.Way)
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return os.uname().machine
