"""The router that the switch is measured with routes."""

from scapy.layers.inet import IP
from scapy.layers.l2 import Ether

from bench import l3


def test_packets_are_routed() -> None:
    router = l3.loaded(50, port=7)
    for frame in l3.packets(router, 100):
        ((port, out),) = router.process(1, frame)
        sent, seen = Ether(frame), Ether(out)
        assert (port, len(out)) == (7, len(frame))
        assert (seen.src, seen.dst) == ("02:00:00:00:00:01", "02:00:00:00:00:02")
        assert seen[IP].ttl == sent[IP].ttl - 1
        expected = seen.copy()
        del expected[IP].chksum
        assert bytes(expected) == out


def test_a_wrong_checksum_is_dropped() -> None:
    router = l3.loaded(50, port=7)
    (frame,) = l3.packets(router, 1)
    assert router.process(1, frame)
    assert router.process(1, frame[:24] + bytes([frame[24] ^ 1]) + frame[25:]) == []
