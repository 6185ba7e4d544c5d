"""A whole system to measure: Mininet, switch, stores, agents, controller, loaded with records."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.figures import OUTPUT
from hosts.load.history import Status
from topology.load import Data, Generators, Load
from topology.settings import Network, Run
from topology.system import System

DIRECTORY: Final = Path("/run/netmigrate-bench")
NETWORK: Final = Network(directory=DIRECTORY, switch_name="bench")


@contextmanager
def running(keys: int) -> Iterator[tuple[System, Generators, Data]]:
    """Start a system and load `keys` records of 64 bytes through the switch."""
    output = OUTPUT / "raw"
    output.mkdir(parents=True, exist_ok=True)
    with System(NETWORK, grpc_port=9659) as system:
        generators = Generators(system, NETWORK, output)
        data = Data(keys)
        load = generators.sweep("load", data, Run.value_size).history()
        failed = int((load.records["status"] != Status.OK).sum())
        if failed:
            raise RuntimeError(f"{failed} of {keys} records could not be loaded")
        yield system, generators, data


def closed_loop(generators: Generators, data: Data, seconds: float, outstanding: int) -> float:
    """Return the operations per second of YCSB-C with that many outstanding."""
    generators.drive(Load("C", closed=outstanding), data, seconds)
    generators.histories()
    return float(sum(generator.final["throughput"] for generator in generators.running))
