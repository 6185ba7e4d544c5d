"""Processor budgets of hosts: a control group with a quota for each (cgroups(7), either version).

Mininet's own CPULimitedHost knows version 1 only, and hands out its quota in periods of 100 ms, so
that a host of 20 % stands still for 80 ms at a time. A host with a slower processor does not, and
that is what a budget stands for.
"""

from pathlib import Path
from typing import Final

from topology.processes import StartError

PERIOD_US: Final = 5_000
_LEAST_QUOTA_US: Final = 1_000  # the kernel takes no less
_ROOT: Final = Path("/sys/fs/cgroup")


def _unified() -> bool:
    return (_ROOT / "cgroup.controllers").is_file()


def _group(switch_name: str, host: str) -> Path:
    parent = _ROOT if _unified() else _ROOT / "cpu"
    return parent / f"netmigrate-{switch_name}-{host}"


class Budget:
    """What all processes of a host may use together; `enter` before a command puts it there."""

    def __init__(self, switch_name: str, host: str, share: float) -> None:
        """Make the group. `share` is of one core; StartError if this machine has no quotas."""
        self.group = _group(switch_name, host)
        self.enter = ("sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.group / "cgroup.procs"))
        period = max(PERIOD_US, round(_LEAST_QUOTA_US / share))
        quota = round(share * period)
        try:
            if _unified():
                (_ROOT / "cgroup.subtree_control").write_text("+cpu")
                self.group.mkdir(exist_ok=True)
                (self.group / "cpu.max").write_text(f"{quota} {period}")
            else:
                self.group.mkdir(exist_ok=True)
                (self.group / "cpu.cfs_period_us").write_text(str(period))
                (self.group / "cpu.cfs_quota_us").write_text(str(quota))
        except OSError as error:
            raise StartError(
                f"{host} can have no processor budget, the kernel gives no quota: {error}"
            ) from error

    def remove(self) -> None:
        """Delete the group; its processes must have ended."""
        self.group.rmdir()


def remove_left(switch_name: str) -> None:
    """Delete the groups of a network that has crashed, once its processes have ended."""
    pattern = _group(switch_name, "*")
    for group in pattern.parent.glob(pattern.name):
        group.rmdir()
