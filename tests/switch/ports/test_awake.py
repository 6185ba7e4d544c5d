"""Idle processors are kept from sleeping while frames come, and only then."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from switch.ports import Ports
from tests.switch.ports.test_ports import FRAME, eventually
from tests.switch.ports.veth import private_network, veth

pytestmark = pytest.mark.root

DEVICE = Path("/dev/cpu_dma_latency")


def held() -> bool:
    """Whether this process has a wish at the kernel: it has one as long as the device is open."""
    for link in Path("/proc/self/fd").iterdir():
        try:
            if link.readlink() == DEVICE:
                return True
        except FileNotFoundError:
            pass  # the directory's own
    return False


def wish() -> int:
    """Return how many microseconds a processor may take to wake up, by all processes' wishes."""
    with DEVICE.open("rb") as device:
        return int.from_bytes(os.read(device.fileno(), 4), "little", signed=True)


@pytest.mark.skipif(not DEVICE.exists(), reason="this kernel has no PM QoS device")
@pytest.mark.parametrize("awake", [True, False])
def test_processors_stay_awake_while_frames_come(awake: bool) -> None:
    with private_network():
        veth("s1", "h1")
        ports = Ports(awake=awake)
        ports.add(1, "s1")
        assert not held()
        ports.start()
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as host:
            host.bind(("h1", 0))
            for _ in range(2):  # again after they slept
                if awake:
                    eventually(lambda: host.send(FRAME) > 0 and held() and wish() == 0)
                    eventually(lambda: not held())
                else:
                    host.send(FRAME)
                    eventually(lambda: ports.statistics(1).rx_packets > 0)
                    assert not held()
            host.send(FRAME)
        ports.stop()
        assert not held()
        ports.close()
