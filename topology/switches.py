"""The switch programs that can stand in the middle of the network."""

import shutil
import sys
from pathlib import Path
from typing import Any, Final

from mininet.node import Switch

from topology.processes import Child, Children, StartError

PROGRAM: Final = Path(__file__).parent.parent / "p4src" / "netmigrate.p4"
CPU_PORT: Final = 510


class ToRSwitch(Switch):  # type: ignore[misc]
    """Mininet's view of the switch: its interfaces. The forwarding process is started apart.

    So the process can be killed and started again while the links stay, as a real switch reboots.
    """

    def start(self, _controllers: Any) -> None:
        """Bring the ports up; they carry no addresses and no IPv6 noise."""
        for interface in self.ports_by_number().values():
            self.cmd(f"sysctl -qw net.ipv6.conf.{interface}.disable_ipv6=1")
            self.cmd(f"ip link set {interface} up")

    def ports_by_number(self) -> dict[int, str]:
        """Return port number → interface name."""
        return {number: str(interface) for number, interface in self.intfs.items() if number > 0}


def start_embedded(
    children: Children, ports: dict[int, str], grpc: str, device: int, *, log_packets: bool = False
) -> Child:
    """Start the project's own P4 switch with our program on `ports`."""
    argv = [sys.executable, "-m", "switch.cli", "run", str(PROGRAM)]
    argv += [f"--interface={number}@{name}" for number, name in sorted(ports.items())]
    argv += ["--grpc", grpc, "--device-id", str(device), "--cpu-port", str(CPU_PORT)]
    if log_packets:
        argv.append("--log-packets")
    return children.start("switch", argv, ready="ready:")


def start_bmv2(children: Children, ports: dict[int, str], grpc: str, device: int) -> Child:
    """Start BMv2's simple_switch_grpc with our program compiled by p4c; both from PATH."""
    for tool in ("p4c", "simple_switch_grpc"):
        if shutil.which(tool) is None:
            raise StartError(f"SWITCH=bmv2 needs {tool} on PATH; SWITCH=embedded needs neither")
    compiled = children.directory / "bmv2"
    compiled.mkdir(exist_ok=True)
    compiler = children.start(
        "p4c",
        ["p4c", "--target", "bmv2", "--arch", "v1model", "-o", str(compiled), str(PROGRAM)],
        ready=None,
    )
    if compiler.process.wait(120) != 0:
        raise StartError(f"p4c refused {PROGRAM}:\n{compiler.tail()}")
    argv = ["simple_switch_grpc", "--device-id", str(device), "--log-console"]
    for number, name in sorted(ports.items()):
        argv += ["-i", f"{number}@{name}"]
    argv += [str(compiled / f"{PROGRAM.stem}.json")]
    argv += ["--", "--grpc-server-addr", grpc, "--cpu-port", str(CPU_PORT)]
    return children.start("switch", argv, ready="Server listening")
