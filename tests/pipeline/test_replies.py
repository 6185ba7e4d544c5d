"""docs/dataplane.md: replies leave as the service's."""

import pytest
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether

from controller.counters import Event, Traffic
from hosts.wire import Control, Flags, Op

from .deployment import (
    CLIENT,
    DESTINATION,
    OTHER_CLIENT,
    OTHER_SERVICE,
    OTHER_VIP,
    SOURCE,
    VIP,
    VIP_MAC,
    VIP_PORT,
    host_ip,
    host_mac,
)
from .net import Net, reply


@pytest.mark.parametrize("server", [SOURCE, DESTINATION])
def test_a_reply_comes_from_the_vip(net: Net, server: int) -> None:
    frame = reply(server)
    (sent,) = net.send(server, frame)
    assert net.last_event() is Event.REPLY
    assert sent.port == CLIENT
    assert (sent.ether.src, sent.ether.dst) == (VIP_MAC, host_mac(CLIENT))
    assert (sent.ip.src, sent.ip.dst) == (VIP, host_ip(CLIENT))
    assert (sent.udp.sport, sent.udp.dport, sent.udp.chksum) == (VIP_PORT, 5000, 0)
    assert sent.payload == frame[42:]
    assert sent.checksums_right()


def test_each_service_replies_from_its_own_vip(net: Net) -> None:
    (sent,) = net.send(SOURCE, reply(service=OTHER_SERVICE))
    assert sent.ip.src == OTHER_VIP


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(reply(source_port=9999), id="another port"),
        pytest.param(reply(service=77), id="a service unknown"),
        pytest.param(reply(CLIENT, to_mac=host_mac(OTHER_CLIENT)), id="not a server"),
        pytest.param(reply(op=Op.READ), id="not a reply"),
    ],
)
def test_what_no_server_of_the_service_replied_is_ordinary_traffic(net: Net, frame: bytes) -> None:
    (sent,) = net.send(SOURCE, frame)
    assert net.last_event() is Event.FORWARDED
    assert sent.frame == frame


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        (Flags.AUTHORITATIVE, Traffic.REPLY),
        (Flags.NONE, Traffic.REPLY),
        (Flags.DOUBLE | Flags.FROM_SOURCE, Traffic.REPLY),
        (Flags.DOUBLE | Flags.GONE, Traffic.REPLY),
        (Flags.DOUBLE, Traffic.DOUBLE_REPLY),
        (Flags.DOUBLE | Flags.AUTHORITATIVE | Flags.FOUND, Traffic.DOUBLE_REPLY),
        (Flags.ONGOING | Flags.AUTHORITATIVE, Traffic.REPLY),
        (Flags.RETRY, Traffic.RETRY),
        (Flags.MOVING, Traffic.DOUBLE_REPLY),
        (Flags.MOVING | Flags.AUTHORITATIVE | Flags.FOUND, Traffic.DOUBLE_REPLY),
        (Flags.MOVING | Flags.RETRY, Traffic.DOUBLE_REPLY),
    ],
)
def test_the_second_reply_to_a_double_read_is_counted_apart(
    net: Net, flags: Flags, kind: Traffic
) -> None:
    frame = reply(flags=flags)
    (sent,) = net.send(SOURCE, frame)
    assert sent.header.flags == flags
    assert net.pipeline.counter("Egress.traffic", kind) == (1, len(frame))


def test_a_reply_to_another_subnet_is_routed(net: Net) -> None:
    frame = reply(to_mac=VIP_MAC, to_ip="10.0.2.200")
    (sent,) = net.send(SOURCE, frame)
    assert net.last_event() is Event.REPLY
    assert sent.port == OTHER_CLIENT
    assert (sent.ether.src, sent.ether.dst) == (VIP_MAC, host_mac(OTHER_CLIENT))
    assert (sent.ip.src, sent.ip.ttl) == (VIP, 63)
    assert sent.checksums_right()


def test_a_reply_that_leads_nowhere_is_counted_as_that(net: Net) -> None:
    assert net.send(SOURCE, reply(to_mac=VIP_MAC, to_ip="192.0.2.1")) == []
    assert net.last_event() is Event.NO_ROUTE


@pytest.mark.parametrize("field", ["checksum", "more fragments", "length"])
def test_a_malformed_reply_is_dropped(net: Net, field: str) -> None:
    frame = Ether(reply())
    if field == "checksum":
        frame[IP].chksum ^= 1
    elif field == "more fragments":
        frame[IP].flags = "MF"
        del frame[IP].chksum
    else:
        frame[IP].len -= 1
        del frame[IP].chksum
    assert net.send(SOURCE, bytes(frame)) == []
    assert net.last_event() is Event.MALFORMED


def test_acknowledgements_go_straight_from_agent_to_agent(net: Net) -> None:
    frame = reply(
        DESTINATION,
        op=Op.GROUP_ACK,
        payload=Control(0, 1).pack(),
        to_mac=host_mac(SOURCE),
        to_ip=host_ip(SOURCE),
    )
    (sent,) = net.send(DESTINATION, frame)
    assert net.last_event() is Event.FORWARDED
    assert sent.frame == frame
    assert net.model.traffic[Traffic.CONTROL] == 1
