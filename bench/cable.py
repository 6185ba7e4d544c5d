"""Links between interfaces of this machine."""

import subprocess


def lay(one: str, other: str) -> None:
    """Make a veth pair whose ends are up and silent."""
    for command in (
        f"ip link add {one} type veth peer name {other}",
        f"sysctl -qw net.ipv6.conf.{one}.disable_ipv6=1",
        f"sysctl -qw net.ipv6.conf.{other}.disable_ipv6=1",
        f"ip link set {one} up",
        f"ip link set {other} up",
    ):
        subprocess.run(command.split(), check=True)
