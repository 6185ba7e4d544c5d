"""`make clean`: stop and remove what a network left, also after a crash."""

import shutil
from pathlib import Path

from topology import budgets, network
from topology.processes import stop_leftovers
from topology.settings import RUNTIME, Network


def clean(directory: Path = RUNTIME, switch_name: str = Network.switch_name) -> int:
    """Stop the recorded processes, delete the links and the runtime directory."""
    if directory.exists():
        for name in stop_leftovers(directory):
            print(f"stopped {name}")
        shutil.rmtree(directory)
    network.remove_interfaces(switch_name)
    budgets.remove_left(switch_name)
    return 0
