"""Unthrottled migration against a plain loop of GETKEYSINSLOT and MIGRATE, same two servers."""

import time
from collections.abc import Mapping
from statistics import median
from typing import Any, Final

from bench import rack
from bench.figures import Benchmark, Figure
from controller.client import Controller
from hosts.wire import GROUPS
from topology import stores
from topology.system import System

KEYS: Final = 200_000
_ROUNDS: Final = 2


def ours(system: System, controller: Controller, destination: str) -> float:
    """Move the partition; return keys per second from the request to the end."""
    started = time.perf_counter()
    migration = controller.watch(controller.migrate("p0", destination).id)
    seconds = time.perf_counter() - started
    if migration.state != "done" or migration.keys < KEYS:
        raise RuntimeError(f"migration {migration.state}, {migration.keys} keys: {migration.error}")
    others = [socket for name, socket in system.sockets.items() if name != destination]
    while any(stores.connect(socket).dbsize() for socket in others):
        time.sleep(0.2)  # until the grace period is over and the copies are deleted
    return float(migration.keys) / seconds


def plain(system: System, source: str, destination: str) -> float:
    """Move every key behind the agents' back; return keys per second."""
    client = stores.connect(system.sockets[source])
    count = int(client.dbsize())
    address = system.ip(destination)
    reachable = stores.connect(system.sockets[destination])
    reachable.config_set("protected-mode", "no")
    reachable.config_set("bind", f"127.0.0.1 {address}")
    where = (address, stores.STORE_PORT, "", 0, 5000, "REPLACE", "KEYS")
    started = time.perf_counter()
    for slot in range(GROUPS):
        keys = client.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 1000)
        if keys:
            client.execute_command("MIGRATE", *where, *keys)
    return count / (time.perf_counter() - started)


def measure() -> tuple[list[Figure], Mapping[str, Any]]:
    """There and back by turns; the plain loop goes both ways, so that the agents stay right."""
    found: dict[str, list[float]] = {"netmigrate": [], "plain": []}
    with rack.running(KEYS) as (system, _, _), Controller(system.config_path) as controller:
        for _ in range(_ROUNDS):
            for source, destination in (("server1", "server2"), ("server2", "server1")):
                found["plain"].append(plain(system, source, destination))
                found["plain"].append(plain(system, destination, source))
                found["netmigrate"].append(ours(system, controller, destination))
    rate, loop = median(found["netmigrate"]), median(found["plain"])
    return [
        Figure("netmigrate, unthrottled", rate, "keys/s"),
        Figure("GETKEYSINSLOT and MIGRATE, plain loop", loop, "keys/s"),
        Figure("ratio", rate / loop, "", 0.8),
    ], found


BENCHMARK = Benchmark("migration", f"Moving {KEYS} records of 64 bytes", measure)
