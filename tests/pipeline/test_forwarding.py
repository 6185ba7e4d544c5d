"""docs/dataplane.md: ordinary forwarding for everything that is not ours, and ARP for the VIPs."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP, IPOption_Router_Alert
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from controller.counters import Event, Traffic
from hosts.wire import Flags, Op
from switch.runtime.pipeline import Pipeline

from .deployment import (
    AGENT_PORT,
    CLIENT,
    DESTINATION,
    OTHER_CLIENT,
    OTHER_VIP,
    PORTS,
    SOURCE,
    VIP,
    VIP_MAC,
    VIP_PORT,
    host_ip,
    host_mac,
)
from .model import ones_complement_sum
from .net import Net, query, start

BROADCAST = "ff:ff:ff:ff:ff:ff"
NOBODY = "02:00:00:00:99:99"


def _between(source: int, destination: int) -> Ether:
    return Ether(src=host_mac(source), dst=host_mac(destination))


IP_HEADER = IP(src=host_ip(CLIENT), dst=host_ip(SOURCE))

UNTOUCHED = [
    pytest.param(IP_HEADER / TCP(dport=AGENT_PORT) / Raw(b"x" * 50), id="TCP"),
    pytest.param(IP_HEADER / UDP(dport=53) / Raw(b"question"), id="UDP"),
    pytest.param(IP_HEADER / UDP(dport=53), id="empty UDP"),
    pytest.param(IP_HEADER / UDP(dport=53) / Raw(b"NM"), id="UDP that ends within our magic"),
    pytest.param(
        IP_HEADER / UDP(dport=VIP_PORT) / Raw(query()[42:]), id="a query straight to a server"
    ),
    pytest.param(
        IP_HEADER / UDP(dport=VIP_PORT) / Raw(start(5000, 1)[42:]), id="a START past the service"
    ),
    pytest.param(IP_HEADER / UDP(dport=VIP_PORT) / Raw(query()[42:60]), id="half of our header"),
    pytest.param(
        IP(src=host_ip(CLIENT), dst=VIP, frag=100, proto=17) / Raw(b"later fragment"),
        id="a later fragment",
    ),
    pytest.param(IP(src=host_ip(CLIENT), dst=VIP) / UDP(dport=80) / Raw(b"x"), id="another port"),
    pytest.param(IP(src=host_ip(CLIENT), dst=host_ip(SOURCE), chksum=0xBAD) / ICMP(), id="ICMP"),
    pytest.param(IPv6(dst="2001:db8::1") / UDP(dport=VIP_PORT) / Raw(b"NM"), id="IPv6"),
    pytest.param(Dot1Q(vlan=5) / IP_HEADER / UDP(), id="VLAN"),
    pytest.param(ARP(op=2, pdst=VIP, psrc=host_ip(CLIENT)), id="ARP reply"),
    pytest.param(ARP(op=1, pdst=host_ip(SOURCE)), id="ARP request for a host"),
    pytest.param(Raw(b""), id="nothing"),
]


@pytest.mark.parametrize("inner", UNTOUCHED)
def test_what_is_not_ours_is_forwarded_untouched(net: Net, inner: Ether) -> None:
    frame = bytes(_between(CLIENT, SOURCE) / inner)
    (sent,) = net.send(CLIENT, frame)
    assert net.last_event() is Event.FORWARDED
    assert (sent.port, sent.frame) == (SOURCE, frame)


@pytest.mark.parametrize("destination", [BROADCAST, NOBODY, "33:33:00:00:00:01"])
def test_unknown_and_broadcast_go_to_all_but_where_they_came_from(
    net: Net, destination: str
) -> None:
    frame = bytes(Ether(src=host_mac(CLIENT), dst=destination) / IP_HEADER / UDP())
    sent = net.send(CLIENT, frame)
    assert [each.port for each in sent] == [port for port in PORTS if port != CLIENT]
    assert {each.frame for each in sent} == {frame}
    assert net.model.traffic[Traffic.OTHER] == len(PORTS) - 1


def test_traffic_between_servers_is_counted_apart(net: Net) -> None:
    inner = IP(src=host_ip(SOURCE), dst=host_ip(DESTINATION)) / TCP() / Raw(b"x" * 100)
    frame = bytes(_between(SOURCE, DESTINATION) / inner)
    net.send(SOURCE, frame)
    assert net.pipeline.counter("Egress.traffic", Traffic.BETWEEN_SERVERS) == (1, len(frame))


@pytest.mark.parametrize(
    ("op", "flags", "kind"),
    [
        (Op.READ, Flags.DOUBLE, Traffic.DOUBLE_QUERY),
        (Op.READ, Flags.NONE, Traffic.OTHER),
        (Op.READ, Flags.MOVING, Traffic.OTHER),
        (Op.WRITE, Flags.DOUBLE, Traffic.OTHER),
    ],
)
def test_a_client_s_own_copy_of_a_read_is_counted_apart(
    net: Net, op: Op, flags: Flags, kind: Traffic
) -> None:
    header = query(op, flags=flags, migration=7)[42:]
    inner = IP(src=host_ip(CLIENT), dst=host_ip(SOURCE)) / UDP(sport=5000, dport=AGENT_PORT)
    frame = bytes(_between(CLIENT, SOURCE) / inner / Raw(header))
    (sent,) = net.send(CLIENT, frame)
    assert net.last_event() is Event.FORWARDED
    assert (sent.port, sent.frame) == (SOURCE, frame)
    assert net.pipeline.counter("Egress.traffic", kind) == (1, len(frame))


@pytest.mark.parametrize("vip", [VIP, OTHER_VIP])
@pytest.mark.parametrize("padding", [0, 18])
def test_arp_requests_for_a_vip_are_answered(net: Net, vip: str, padding: int) -> None:
    asker = {"hwsrc": host_mac(CLIENT), "psrc": host_ip(CLIENT)}
    frame = Ether(src=host_mac(CLIENT), dst=BROADCAST) / ARP(op=1, pdst=vip, **asker)
    (sent,) = net.send(CLIENT, bytes(frame) + bytes(padding))
    assert net.last_event() is Event.ARP_ANSWERED
    assert sent.port == CLIENT
    answer = sent.ether[ARP]
    assert (sent.ether.src, sent.ether.dst) == (VIP_MAC, host_mac(CLIENT))
    assert (answer.op, answer.hwsrc, answer.psrc) == (2, VIP_MAC, vip)
    assert (answer.hwdst, answer.pdst) == (host_mac(CLIENT), host_ip(CLIENT))
    assert len(sent.frame) == 42 + padding


@pytest.mark.parametrize(
    "field", [{"hwtype": 6}, {"ptype": 0x86DD}, {"hwlen": 8}, {"plen": 16}, {"op": 3}]
)
def test_only_ethernet_and_ipv4_arp_is_answered(net: Net, field: dict[str, int]) -> None:
    fields = {"op": 1, "hwsrc": host_mac(CLIENT), "psrc": host_ip(CLIENT), "pdst": VIP}
    request = bytes(ARP(**fields))
    offsets = {"hwtype": (0, 2), "ptype": (2, 2), "hwlen": (4, 1), "plen": (5, 1), "op": (6, 2)}
    ((name, value),) = field.items()
    start_, size = offsets[name]
    request = request[:start_] + value.to_bytes(size, "big") + request[start_ + size :]
    frame = bytes(Ether(src=host_mac(CLIENT), dst=BROADCAST, type=0x0806)) + request
    assert len(net.send(CLIENT, frame)) == len(PORTS) - 1


def _routed(**fields: object) -> Ether:
    inner = IP(src=host_ip(SOURCE), dst=host_ip(CLIENT), **fields)
    return Ether(src=host_mac(SOURCE), dst=VIP_MAC) / inner / UDP(dport=53) / Raw(b"data")


_FRAME = bytes(_routed())


@pytest.mark.parametrize(
    "options", [[], [IPOption_Router_Alert()], [IPOption_NOP(), IPOption_NOP()]]
)
@pytest.mark.parametrize("ttl", [2, 64, 255])
def test_what_is_addressed_to_the_router_is_routed(
    net: Net, ttl: int, options: list[object]
) -> None:
    (sent,) = net.send(SOURCE, bytes(_routed(ttl=ttl, options=options)))
    assert net.last_event() is Event.ROUTED
    assert sent.port == CLIENT
    assert (sent.ether.src, sent.ether.dst) == (VIP_MAC, host_mac(CLIENT))
    assert sent.ip.ttl == ttl - 1
    assert sent.checksums_right()


def test_the_header_checksum_is_right_for_every_value_it_can_have(net: Net) -> None:
    """Among them the one that is zero, and must not be written as 0xffff (RFC 1624)."""
    seen = set()
    for identification in range(0x10000):
        frame = bytes(_FRAME[:18] + identification.to_bytes(2, "big") + _FRAME[20:24])
        header = frame[14:24] + _FRAME[26:34]
        total = ones_complement_sum(header)
        frame += (0xFFFF - total).to_bytes(2, "big") + _FRAME[26:]
        ((_, routed),) = net.pipeline.process(SOURCE, frame)
        checksum = int.from_bytes(routed[24:26], "big")
        assert ones_complement_sum(routed[14:34]) == 0xFFFF
        seen.add(checksum)
    assert 0 in seen
    assert 0xFFFF not in seen
    net.model.events[Event.ROUTED] += 0x10000
    net.model.traffic[Traffic.OTHER] += 0x10000


def test_a_wrong_header_checksum_stays_wrong(net: Net) -> None:
    (sent,) = net.send(SOURCE, bytes(_routed(chksum=0x1234)))
    assert net.last_event() is Event.ROUTED
    assert not sent.checksums_right()


def test_the_longest_route_wins(net: Net) -> None:
    frame = _routed()
    frame[IP].dst = "10.0.2.99"
    (sent,) = net.send(SOURCE, bytes(frame))
    assert sent.port == OTHER_CLIENT


@pytest.mark.parametrize("ttl", [0, 1])
def test_an_expired_ttl_ends_the_journey(net: Net, ttl: int) -> None:
    assert net.send(SOURCE, bytes(_routed(ttl=ttl))) == []
    assert net.last_event() is Event.TTL_EXPIRED


@pytest.mark.parametrize(
    "inner",
    [
        pytest.param(IP(src=host_ip(SOURCE), dst="192.0.2.1") / UDP(), id="no route"),
        pytest.param(IP(src=host_ip(CLIENT), dst=VIP) / ICMP(), id="ping of a VIP"),
        pytest.param(IP(version=5, dst=host_ip(CLIENT)) / UDP(), id="not version 4"),
        pytest.param(IP(ihl=4, dst=host_ip(CLIENT)) / UDP(), id="header too short"),
        pytest.param(IPv6() / UDP(), id="IPv6"),
        pytest.param(Raw(b""), id="nothing"),
    ],
)
def test_what_the_router_cannot_route_is_dropped(net: Net, inner: Ether) -> None:
    frame = Ether(src=host_mac(SOURCE), dst=VIP_MAC) / inner
    assert net.send(SOURCE, bytes(frame)) == []
    assert net.last_event() is Event.NO_ROUTE


@pytest.mark.parametrize("length", range(1, 14))
def test_what_is_too_short_for_ethernet_is_dropped(net: Net, length: int) -> None:
    assert net.send(CLIENT, bytes(_between(CLIENT, SOURCE))[:length]) == []
    assert net.last_event() is Event.MALFORMED


def test_a_frame_of_no_bytes_is_dropped(compiled: Pipeline) -> None:
    """No link has such a frame, and BMv2 takes none."""
    net = Net(compiled)
    assert net.send(CLIENT, b"") == []
    assert net.last_event() is Event.MALFORMED


def test_without_a_default_unknown_addresses_are_dropped(net: Net) -> None:
    net.pipeline.reset_default("Ingress.ethernet")
    frame = bytes(Ether(src=host_mac(CLIENT), dst=NOBODY) / IP_HEADER)
    assert net.pipeline.process(CLIENT, frame) == []
    assert net.pipeline.counter("Ingress.events", Event.NO_ROUTE)[0] == 1
    net.model.events[Event.NO_ROUTE] += 1
