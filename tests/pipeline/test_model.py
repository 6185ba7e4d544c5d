"""The C data plane equals the model: on random tables, states and packets."""

from dataclasses import dataclass

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP, IPOption_NOP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from controller import filters
from hosts.wire import Control, Flags, Header, Op

from .bmv2 import DataPlane
from .deployment import (
    AGENT_PORT,
    OTHER_VIP,
    PORTS,
    VIP,
    VIP_MAC,
    VIP_PORT,
    deployment,
    host_ip,
    host_mac,
)
from .model import Migrate, Serve, Slice, Switch, ip
from .net import Net

SERVERS = (1, 2, 3)
SERVICES = (1, 2)
MIGRATIONS = (1, 7, 65535)


def _sharing(array: int, group: int) -> list[int]:
    """Return the other groups that have the counting cell of `group` in one array."""
    cells = filters.ongoing_hashes(np.arange(16384))[array]
    return [int(other) for other in np.flatnonzero(cells == cells[group]) if other != group]


# Few groups, so that packets and states meet; the last ones share counting cells with the first.
POOL = (
    *(0, 1, 77, 4095, 4096, 5328, 5330, 8191, 8192, 16383),
    *_sharing(1, 0)[:2],
    *_sharing(3, 5330)[:2],
)
GROUPS = st.sampled_from(POOL)


@st.composite
def places(draw: st.DrawFn) -> Serve | Migrate:
    """Draw where a partition is; server 4 is unknown to every table."""
    server = st.integers(1, 4)
    if draw(st.booleans()):
        return Serve(draw(server))
    slices, migrations = st.integers(0, filters.SLICES - 1), st.sampled_from(MIGRATIONS)
    batch = draw(st.sampled_from([1, 1, 2, 16, 1024, 16384]))
    pull = draw(st.booleans())
    return Migrate(draw(server), draw(server), draw(slices), draw(migrations), batch, pull)


@st.composite
def slices(draw: st.DrawFn) -> Slice:
    """Draw what a slice holds: what groups put there, and cells that nothing explains."""
    part = Slice()
    for group in draw(st.lists(GROUPS, max_size=4)):
        part.start(group)
    for group in draw(st.lists(GROUPS, max_size=4)):
        part.complete(group)
    for group in draw(st.lists(GROUPS, max_size=2)):
        array = draw(st.integers(0, filters.HASHES - 1))
        part.ongoing[array, filters.cells(group)[0][array]] = draw(st.sampled_from([0, 1, 255]))
    sequence = st.sampled_from([0, 1, 5, 0x7FFFFFFF, 0xFFFFFFFF])
    part.sequences = draw(st.dictionaries(st.integers(0, 3) | st.just(63), sequence))
    return part


@st.composite
def switches(draw: st.DrawFn) -> Switch:
    """Draw tables and registers."""
    switch = deployment()
    switch.partitions = {}
    for service in SERVICES:
        for group in draw(st.lists(GROUPS, max_size=4)):
            length = draw(st.sampled_from([0, 2, 3, 4, 8, 14, 16]))
            first = group >> (16 - length) << (16 - length)
            switch.partitions[service, first, length] = draw(places())
    switch.servers = {i: switch.servers[i] for i in draw(st.sets(st.sampled_from(SERVERS)))}
    switch.mirrors = {i: switch.mirrors[i] for i in draw(st.sets(st.sampled_from(SERVERS)))}
    switch.sessions = {i: i for i in draw(st.sets(st.sampled_from(SERVERS)))}
    switch.control_sources = {
        (migration, port, ip(host_ip(port)))
        for migration, port in draw(
            st.sets(st.tuples(st.sampled_from(MIGRATIONS), st.sampled_from(SERVERS)))
        )
    }
    for number in draw(st.sets(st.integers(0, filters.SLICES - 1), max_size=3)):
        switch.slices[number] = draw(slices())
    used = [place.slice for place in switch.partitions.values() if isinstance(place, Migrate)]
    for number in used:
        switch.slices[number] = draw(slices())
    return switch


def _message(draw: st.DrawFn) -> bytes:
    """Draw what a datagram of ours says."""
    op = draw(st.sampled_from(Op))
    header = Header(
        op,
        Flags(draw(st.integers(0, 1023))),
        draw(st.integers(0, 3)),
        draw(GROUPS),
        draw(st.sampled_from([0, *MIGRATIONS])),
        draw(st.integers(0, (1 << 64) - 1)),
        draw(st.integers(0, (1 << 32) - 1)),
    ).pack()
    lane = draw(st.integers(0, 3) | st.sampled_from([63, 64, 0xFFFF]))
    sequence = draw(st.sampled_from([0, 1, 2, 5, 6, 0x80000000, 0xFFFFFFFF]))
    tail = Control(lane, sequence).pack() if op >= Op.GROUP_START else b""
    return header + tail + draw(st.binary(max_size=12))


@dataclass(frozen=True)
class Arrival:
    """A packet and where it comes in."""

    port: int
    frame: bytes


@st.composite
def arrivals(draw: st.DrawFn) -> Arrival:
    """Draw a packet of any kind the switch decides about, now and then spoilt."""
    port = draw(st.sampled_from(PORTS))
    macs = [host_mac(each) for each in PORTS] + [VIP_MAC] * 4 + ["ff:ff:ff:ff:ff:ff"]
    ether = Ether(src=host_mac(draw(st.sampled_from(PORTS))), dst=draw(st.sampled_from(macs)))
    if draw(st.integers(0, 9)) == 0:
        asked = draw(st.sampled_from([VIP, OTHER_VIP, host_ip(1)]))
        arp = ARP(op=draw(st.integers(1, 2)), pdst=asked, psrc=host_ip(port))
        return Arrival(port, bytes(ether / arp) + draw(st.binary(max_size=4)))
    addresses = [host_ip(each) for each in PORTS]
    network = IP(
        src=draw(st.sampled_from([host_ip(port)] * 3 + addresses)),
        dst=draw(st.sampled_from([VIP] * 8 + [OTHER_VIP] * 3 + addresses + ["10.0.2.9"])),
        ttl=draw(st.sampled_from([0, 1, 2, 64, 64, 64])),
        options=draw(st.sampled_from([[], [], [], [], [], [IPOption_NOP()]])),
        flags=draw(st.sampled_from(["DF", "DF", "DF", 0, "MF"])),
    )
    transport = UDP(
        sport=draw(st.sampled_from([AGENT_PORT, AGENT_PORT, 5000])),
        dport=draw(st.sampled_from([VIP_PORT] * 6 + [AGENT_PORT, 5000])),
    )
    frame = bytes(ether / network / transport / Raw(_message(draw)))
    for offset, value in draw(
        st.lists(st.tuples(st.integers(0, 75), st.integers(0, 255)), max_size=1)
        if draw(st.integers(0, 4)) == 0
        else st.just([])
    ):
        frame = frame[:offset] + bytes([value]) + frame[offset + 1 :]
    if draw(st.integers(0, 9)) == 0:
        frame = frame[: draw(st.integers(1, len(frame)))]
    return Arrival(port, frame + bytes(draw(st.sampled_from([0, 0, 0, 6]))))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(switches(), st.lists(arrivals(), min_size=1, max_size=12))
def test_the_c_data_plane_equals_the_model(
    pipeline: DataPlane, switch: Switch, packets: list[Arrival]
) -> None:
    net = Net(pipeline, switch)
    for each in packets:
        net.send(each.port, each.frame)
    net.check_counters()
    net.check_registers()
