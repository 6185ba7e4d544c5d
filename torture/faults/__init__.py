"""Every kind of fault by its name."""

import random
from collections.abc import Callable
from typing import Final

from torture.faults import network, processes, resources
from torture.strikes import Strikes

KINDS: Final[dict[str, tuple[Callable[[Strikes, random.Random], None], float]]] = {
    "packets": (network.packets, 0.5),
    "links": (network.links, 4.0),
    "agents": (processes.agents, 6.0),
    "stop": (processes.stop, 4.0),
    "clients": (processes.clients, 5.0),
    "controller": (processes.controller, 8.0),
    "switch": (processes.switch, 8.0),
    "channels": (network.channels, 2.0),
    "stall": (network.stall, 6.0),
    "store": (processes.store, 8.0),
    "memory": (resources.memory, 8.0),
    "disk": (resources.disk, 8.0),
}
"""How a kind strikes, and the seconds between two strikes, about."""
