"""The switch programs that can stand in the middle of the network."""

import shutil
import subprocess
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
    argv += ["--fault-control", str(children.directory / "faults.sock"), "--awake"]
    if log_packets:
        argv.append("--log-packets")
    return children.start("switch", argv, ready="ready:")


def compiler() -> list[str] | None:
    """Return how p4c is called for BMv2, if it is on PATH."""
    if shutil.which("p4c-bm2-ss"):
        return ["p4c-bm2-ss"]
    if shutil.which("p4c"):
        return ["p4c", "--target", "bmv2", "--arch", "v1model"]
    return None


def compile_for_bmv2(program: Path, directory: Path) -> tuple[Path, Path]:
    """Return the JSON for BMv2 and the P4Info that p4c makes of a program, in `directory`."""
    command = compiler()
    if command is None:
        raise StartError("compiling for BMv2 needs p4c or p4c-bm2-ss on PATH")
    target, p4info = directory / f"{program.stem}.json", directory / f"{program.stem}.p4info.txtpb"
    # p4c's driver takes a directory, p4c-bm2-ss the very file.
    output = directory if command[0] == "p4c" else target
    command += ["--p4runtime-files", str(p4info), "-o", str(output), str(program)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise StartError(f"{command[0]} refused {program}:\n{result.stderr}")
    return target, p4info


def start_bmv2(
    children: Children, ports: dict[int, str], grpc: str, device: int, *, log_packets: bool = False
) -> Child:
    """Start BMv2's simple_switch_grpc without a program: the controller loads it."""
    if shutil.which("simple_switch_grpc") is None or compiler() is None:
        raise StartError(
            "SWITCH=bmv2 needs p4c and simple_switch_grpc on PATH; SWITCH=embedded needs neither"
        )
    argv = ["simple_switch_grpc", "--no-p4", "--device-id", str(device)]
    argv += ["--thrift-port", str(thrift_port(grpc))]
    for number, name in sorted(ports.items()):
        argv += ["-i", f"{number}@{name}"]
    if log_packets:
        argv.append("--log-console")
    argv += ["--", "--grpc-server-addr", grpc, "--cpu-port", str(CPU_PORT)]
    child = children.start("switch", argv, ready=None)
    # It says that it listens, but into a buffer that is not written out.
    for port in (int(grpc.rpartition(":")[2]), thrift_port(grpc)):
        children.await_listening(child, port)
    return child


def thrift_port(grpc: str) -> int:
    """Return the port for BMv2's Thrift server, which is the way to its registers."""
    return int(grpc.rpartition(":")[2]) + 1


def bmv2_device(directory: Path, grpc: str) -> dict[str, str]:
    """Compile our program for BMv2; return what the controller has to know to load and use it."""
    output = directory / "bmv2"
    output.mkdir(exist_ok=True)
    target, p4info = compile_for_bmv2(PROGRAM, output)
    return {
        "p4info": str(p4info),
        "p4_device_config": str(target),
        "thrift": f"127.0.0.1:{thrift_port(grpc)}",
    }
