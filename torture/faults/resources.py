"""What runs out: the memory of a store, the disk of the controller."""

import contextlib
import random
from typing import Final

from topology import stores
from torture.strikes import Strikes

_BLOCK: Final = 1 << 16


def memory(strikes: Strikes, chooser: random.Random) -> None:
    """A store has no memory for more; what it has it keeps."""
    server, seconds = strikes.server(chooser), chooser.uniform(0.5, 5)
    with strikes.rack.lock(server), strikes.striking("memory", server, server) as held:
        store = stores.connect(strikes.rack.system.sockets[server])
        store.config_set("maxmemory", 1)
        strikes.hold(seconds, held)
        store.config_set("maxmemory", 0)


def disk(strikes: Strikes, chooser: random.Random) -> None:
    """The disk under the controller's store is full."""
    seconds = chooser.uniform(0.5, 4)
    with strikes.rack.lock("controller"), strikes.striking("disk", "controller") as held:
        ballast = strikes.rack.system.controller_store.with_name("ballast")
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(_BLOCK))
        strikes.hold(seconds, held)
        ballast.unlink()
