"""`make clean`: stop and remove what a network left, also after a crash."""

import shutil
import subprocess
from pathlib import Path

from topology import network
from topology.processes import recorded, stop_leftovers
from topology.settings import RUNTIME, Network


def clean(directory: Path = RUNTIME, switch_name: str = Network.switch_name) -> int:
    """Stop the recorded processes, delete the links and the runtime directory."""
    if directory.exists():
        for name in stop_leftovers(directory):
            print(f"stopped {name}")
        for host in recorded(directory):
            if Path(f"/sys/fs/cgroup/cpu/{host}").is_dir():
                subprocess.run(["cgdelete", "-r", f"cpu,cpuacct,cpuset:/{host}"], check=False)
        shutil.rmtree(directory)
    network.remove_interfaces(switch_name)
    return 0
