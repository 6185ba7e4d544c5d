"""The ports loop on real interfaces."""

from __future__ import annotations

import ctypes
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether

from switch.ports import Generator, PortError, Ports, PortStatistics
from tests.switch.ports.conftest import Bench
from tests.switch.ports.veth import ip, private_network, veth

pytestmark = pytest.mark.root

FRAME = bytes(Ether(dst="02:00:00:00:00:02", src="02:00:00:00:00:01", type=0x88B5) / bytes(46))


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_frames_cross_in_order(bench: Bench) -> None:
    with bench.host("h1") as one, bench.host("h2") as two:
        frames = [FRAME + number.to_bytes(2, "big") for number in range(1000)]
        for frame in frames:
            one.send(frame)
        assert [two.recv(2048) for _ in frames] == frames
        two.send(FRAME)
        assert one.recv(2048) == FRAME


def test_every_length_from_runt_to_mtu(bench: Bench) -> None:
    with bench.host("h1") as one, bench.host("h2") as two:
        for length in (14, 15, 59, 60, 61, 1513, 1514):
            frame = (FRAME + os.urandom(1500))[:length]
            one.send(frame)
            assert two.recv(2048) == frame


def test_vlan_tags_stay(bench: Bench) -> None:
    frame = bytes(Ether(FRAME[:12] + b"\x81\x00" + bytes(2)) / Dot1Q(vlan=77, prio=5) / bytes(46))
    frame = FRAME[:12] + b"\x81\x00" + (5 << 13 | 77).to_bytes(2, "big") + FRAME[12:]
    with bench.host("h1") as one, Generator("h2", "h2") as _, bench.host("h2") as two:
        one.send(frame)
        two.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA: the tag is out of band here
        data, ancillary, _, _ = two.recvmsg(2048, socket.CMSG_SPACE(20))
        if len(data) == len(frame):
            assert data == frame
        else:
            auxiliary = ancillary[0][2]
            assert data == FRAME
            assert int.from_bytes(auxiliary[16:18], "little") == 5 << 13 | 77
    assert bench.ports.statistics(1).rx_bytes == len(frame)


def partial_checksum_sender(address: str) -> None:
    """A UDP socket leaves its checksum to the device when the device claims to do it."""
    ip("addr add 10.9.0.1/24 dev h1")
    ip("neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev h1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"odd length!", (address, 4700))


def test_partial_checksums_are_completed(bench: Bench) -> None:
    with bench.host("h2") as two:
        partial_checksum_sender("10.9.0.2")
        while True:
            packet = Ether(two.recv(2048))
            if UDP in packet:
                break
    given = packet[UDP].chksum
    del packet[UDP].chksum
    assert Ether(bytes(packet))[UDP].chksum == given
    assert packet[IP].dst == "10.9.0.2"
    assert bench.ports.statistics(1).rx_checksums == 1


def test_frames_over_the_mtu_of_the_way_out_are_counted(bench: Bench) -> None:
    ip("link set s2 mtu 600")
    with bench.host("h1") as one, bench.host("h2") as two:
        one.send(FRAME + bytes(1000))
        one.send(FRAME)
        assert two.recv(2048) == FRAME
    assert bench.ports.statistics(2).tx_oversize == 1


def test_an_interface_goes_down_and_up(bench: Bench) -> None:
    with bench.host("h1") as one, bench.host("h2") as two:
        ip("link set s2 down")
        one.send(FRAME)
        eventually(lambda: bench.ports.statistics(2).tx_dropped == 1)
        ip("link set s2 up")
        ip("link set s1 down")
        eventually(lambda: bench.ports.statistics(1).link_errors == 1)
        ip("link set s1 up")
        one.send(FRAME)
        assert two.recv(2048) == FRAME
        with bench.host("h2") as again:
            again.send(FRAME)
            assert one.recv(2048) == FRAME


def test_an_interface_is_removed(bench: Bench) -> None:
    ip("link del s1")
    eventually(lambda: bench.ports.statistics(1).link_errors == 1)
    cpu = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - cpu < 0.2  # the loop does not spin on the dead port


def test_pipelines_are_replaced_under_traffic(bench: Bench) -> None:
    stop = threading.Event()

    def replace() -> None:
        while not stop.is_set():
            bench.load("twice")
            bench.load("swap")

    replacing = threading.Thread(target=replace)
    replacing.start()
    with Generator("h1", "h2") as generator:
        flood = generator.flood([FRAME], 0.5, rate=20_000)
    stop.set()
    replacing.join()
    assert flood.sent <= flood.received <= 2 * flood.sent
    statistics = bench.ports.statistics(1)
    assert statistics.rx_packets + statistics.rx_dropped == flood.sent


def test_without_pipeline_frames_are_counted(bench: Bench) -> None:
    bench.ports.load(None)
    with bench.host("h1") as one:
        one.send(FRAME)
        eventually(lambda: bench.ports.totals().no_pipeline == 1)


def test_packets_to_the_controller(bench: Bench) -> None:
    bench.load("to_controller")
    with bench.host("h1") as one:
        frames = [FRAME + number.to_bytes(2, "big") for number in range(100)]
        for frame in frames:
            one.send(frame)
        assert [bench.ports.receive() for _ in frames] == frames
    assert bench.ports.totals().cpu_packets == len(frames)


def test_packets_from_the_controller(bench: Bench) -> None:
    with bench.host("h2") as two:
        bench.ports.inject(510, b"\x02" + FRAME)
        assert two.recv(2048) == b"\x02" + FRAME
        bench.ports.inject(510, b"\x09" + FRAME)  # to a port that is not there
        eventually(lambda: bench.ports.totals().unknown_port == 1)
    with pytest.raises(PortError, match="over the limit"):
        bench.ports.inject(510, bytes(70_000))


def test_the_controllers_queue_is_bounded(bench: Bench) -> None:
    bench.load("to_controller")
    with Generator("h1", "h2") as generator:
        flood = generator.flood([FRAME * 20], 1.0, settle=0.1)
    totals = bench.ports.totals()
    assert totals.cpu_dropped > 0
    lost = bench.ports.statistics(1).rx_dropped
    assert totals.cpu_packets + totals.cpu_dropped + lost == flood.sent


def test_the_switch_does_not_hear_itself(bench: Bench) -> None:
    with bench.host("h1") as one, bench.host("h2") as two:
        one.send(FRAME)
        two.recv(2048)
        time.sleep(0.1)
    first, second = bench.ports.statistics(1), bench.ports.statistics(2)
    assert (first.rx_packets, first.tx_packets) == (1, 0)
    assert (second.rx_packets, second.tx_packets) == (0, 1)


def test_other_hosts_frames_are_received(bench: Bench) -> None:
    """Promiscuous mode: a macvlan-like filter of the kernel must not hide them."""
    frame = bytes(Ether(dst="02:77:00:00:00:77", src="02:00:00:00:00:01") / IPv6() / bytes(20))
    with bench.host("h1") as one, bench.host("h2") as two:
        one.send(frame)
        assert two.recv(2048) == frame


def test_random_bytes_do_not_stop_the_loop(bench: Bench) -> None:
    random = np.random.default_rng(1)
    with bench.host("h1") as one, bench.host("h2") as two:
        for _ in range(500):
            one.send(random.bytes(int(random.integers(14, 1514))))
        one.send(FRAME)
        while two.recv(2048) != FRAME:
            pass


def test_statistics_mirror_the_c_struct(bench: Bench) -> None:
    with bench.host("h1") as one, bench.host("h2") as two:
        one.send(FRAME)
        two.recv(2048)
    expected = dict.fromkeys((field.name for field in fields(PortStatistics)), 0)
    expected |= {"rx_packets": 1, "rx_bytes": len(FRAME)}
    assert bench.ports.statistics(1) == PortStatistics(**expected)


def test_ping_measures_each_frame(bench: Bench) -> None:
    with Generator("h1", "h2") as generator:
        times = generator.ping(FRAME, 100)
        assert np.all((times > 0) & (times < 1))
        bench.ports.load(None)
        assert np.isnan(generator.ping(FRAME, 2, timeout=0.05)).all()


def test_an_interface_that_is_still_down(plain: ctypes.CDLL) -> None:
    with private_network():
        veth("s1", "h1")
        veth("s2", "h2")
        ip("link set s1 down")
        ports = Ports(510)
        ports.add(1, "s1")
        ports.add(2, "s2")
        bench = Bench(ports, plain)
        bench.load("swap")
        ports.start()
        ip("link set s1 up")
        with bench.host("h1") as one, bench.host("h2") as two:
            one.send(FRAME)
            assert two.recv(2048) == FRAME
        ports.stop()
        ports.close()


def test_bad_ports() -> None:
    with private_network():
        veth("s1", "h1")
        ports = Ports(510)
        with pytest.raises(PortError, match="no such interface"):
            ports.add(1, "nope")
        with pytest.raises(PortError, match="0 to 1023"):
            ports.add(510, "s1")
        ports.add(1, "s1")
        with pytest.raises(PortError, match="port 1 has an interface"):
            ports.add(1, "s1")
        with pytest.raises(PortError, match="no port 2"):
            ports.statistics(2)
        ports.close()


def _linux() -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])


@pytest.mark.skipif(
    _linux() < (6, 12) or not Path("/proc/self/sched").exists(),
    reason="needs Linux 6.12 with its scheduler's figures",
)
def test_the_loop_takes_short_turns(bench: Bench) -> None:
    (loop,) = (thread for thread in threading.enumerate() if thread.name == "ports")
    figures = Path(f"/proc/self/task/{loop.native_id}/sched")
    eventually(lambda: re.search(r"se\.slice\s*:\s*100000\n", figures.read_text()) is not None)
