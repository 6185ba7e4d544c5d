"""What a sending stack leaves to the device is done as the kernel itself does it."""

from __future__ import annotations

import socket
import struct
import subprocess

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from tests.switch.ports.conftest import Bench
from tests.switch.ports.test_ports import eventually
from tests.switch.ports.veth import ip

pytestmark = pytest.mark.root

UDP_SEGMENT = 103
SOL_PACKET, PACKET_VNET_HDR = 263, 15
NEEDS_CSUM, GSO_TCPV4 = 1, 1


def cut_up(bench: Bench, address: str, size: int, total: int) -> list[bytes]:
    """Send one run of datagrams from h1; return their frames at h2."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    data = bytes(number * 7 % 251 for number in range(total))
    with bench.host("h2") as two, socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.bind(("", 40000))
        sender.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
        sender.sendto(data, (address, 4700))
        frames: list[bytes] = []
        while len(frames) < -(-total // size):
            frame = two.recv(2048)
            if socket.IPPROTO_UDP in (frame[20], frame[23]):  # IPv6 has its own to say at the start
                frames.append(frame)
    assert b"".join(frame[-size:] for frame in frames[:-1]) == data[: size * (len(frames) - 1)]
    return frames


def without_id(frame: bytes) -> tuple[int, bytes]:
    """Return IPv4's identification, and the frame without it and its checksum, which is right."""
    header = frame[14:34]
    total = sum(struct.unpack("!10H", header))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF
    return struct.unpack("!H", header[4:6])[0], frame[:18] + frame[20:24] + frame[26:]


@pytest.mark.parametrize(
    ("size", "total"),
    [(100, 1000), (100, 350), (99, 1000), (1, 40), (1000, 5000), (1472, 64000), (1472, 50001)],
)
@pytest.mark.parametrize("version", [4, 6])
def test_runs_of_datagrams_are_cut_up(bench: Bench, version: int, size: int, total: int) -> None:
    """Whether they fit a slot of the ring or not: the frames are those that the kernel makes."""
    size = min(size, 1452) if version == 6 else size
    address, network = {4: ("10.9.0.2", "10.9.0.1/24"), 6: ("fd00::2", "fd00::1/64")}[version]
    ip(f"addr add {network} dev h1" + " nodad" * (version == 6))
    ip(f"neigh add {address} lladdr 02:00:00:00:00:02 dev h1")
    ours = cut_up(bench, address, size, total)
    assert bench.ports.statistics(1).rx_checksums == len(ours)
    subprocess.run(["ethtool", "-K", "h1", "tx-udp-segmentation", "off"], check=True)
    theirs = cut_up(bench, address, size, total)
    if version == 6:
        assert ours == theirs
        return
    for frames in (ours, theirs):
        ids = [without_id(frame)[0] - without_id(frames[0])[0] for frame in frames]
        assert [each % 65536 for each in ids] == list(range(len(frames)))
    assert [without_id(frame)[1] for frame in ours] == [without_id(frame)[1] for frame in theirs]


def test_other_frames_to_be_cut_up_are_counted(bench: Bench) -> None:
    """TCP's are not supported: hosts are told not to make any."""
    frame = bytes(
        Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01")
        / IP(src="10.9.0.1", dst="10.9.0.2")
        / TCP(flags="A")
        / bytes(5000)
    )
    with bench.host("h1") as one:
        one.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        one.send(struct.pack("<BBHHHH", NEEDS_CSUM, GSO_TCPV4, 54, 1000, 34, 16) + frame)
        eventually(lambda: bench.ports.statistics(1).rx_oversize == 1)
    assert bench.ports.statistics(2).tx_packets == 0
