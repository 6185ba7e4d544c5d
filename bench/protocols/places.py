"""Where the network of a bench is: apart from everybody else's, and cleared after a crash."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from topology.clean import clean
from topology.settings import Network

_NAME: Final = "netmigrate-protocols-"


def network(pid: int, budgets: Mapping[str, float]) -> Network:
    """Return the settings of the network of bench process `pid`; it may run beside others."""
    return Network(
        directory=Path(f"/run/{_NAME}{pid}"), switch_name=f"p{pid}", cpu_budgets=dict(budgets)
    )


def clear() -> None:
    """Stop and remove what benches have left that were killed."""
    for directory in Path("/run").glob(f"{_NAME}[0-9]*"):
        pid = directory.name.removeprefix(_NAME)
        if not Path("/proc", pid).exists():
            left = network(int(pid), {})
            clean(left.directory, left.switch_name)
