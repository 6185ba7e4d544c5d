"""A data plane, ours or BMv2, and the model side by side: what one does the other must do."""

from dataclasses import dataclass

import numpy as np
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from controller import filters
from controller.counters import Event, Traffic
from hosts.wire import Control, Flags, Header, Op
from switch.runtime.pipeline import Entry, Exact, Lpm

from .bmv2 import DataPlane
from .deployment import (
    AGENT_PORT,
    CLIENT,
    MIGRATION,
    MOVING_PARTITION,
    REGISTERS,
    SERVICE,
    SOURCE,
    VIP,
    VIP_MAC,
    VIP_PORT,
    deployment,
    host_ip,
    host_mac,
    install,
    partition_entry,
    slice_cells,
    slice_contents,
)
from .model import Migrate, Serve, Switch

GROUP = MOVING_PARTITION + 1234
"""A group of the moving partition."""
STILL_GROUP = 77
"""A group of the partition that stays where it is."""


@dataclass(frozen=True)
class Sent:
    """One packet that came out, taken apart by scapy."""

    port: int
    frame: bytes

    @property
    def ether(self) -> Ether:
        return Ether(self.frame)

    @property
    def ip(self) -> IP:
        return self.ether[IP]

    @property
    def udp(self) -> UDP:
        return self.ether[UDP]

    @property
    def payload(self) -> bytes:
        return bytes(self.udp.payload)

    @property
    def header(self) -> Header:
        return Header.unpack(self.payload)

    def checksums_right(self) -> bool:
        """Whether scapy computes the same IPv4 checksum, and the same UDP checksum or none."""
        again = self.ether
        wanted = again[IP].chksum, again[UDP].chksum
        del again[IP].chksum, again[UDP].chksum
        again = Ether(bytes(again))
        return wanted[0] == again[IP].chksum and wanted[1] in (0, again[UDP].chksum)


class Net:
    """A pipeline and a model with the same entries; `send` holds them against each other."""

    def __init__(self, pipeline: DataPlane, model: Switch | None = None) -> None:
        self.pipeline = pipeline
        self.model = deployment() if model is None else model
        self.events_seen: list[Event] = []
        pipeline.reset()
        install(pipeline, self.model)

    def send(self, port: int, frame: bytes) -> list[Sent]:
        """Let a packet in; return what came out of both alike."""
        before = self.model.events.copy()
        wanted = sorted(self.model.process(port, frame))
        assert sorted(self.pipeline.process(port, frame)) == wanted
        (event,) = self.model.events - before
        self.events_seen.append(event)
        return [Sent(*each) for each in wanted]

    def last_event(self) -> Event:
        """Return what became of the last packet."""
        return self.events_seen[-1]

    def check_counters(self) -> None:
        """Hold the indirect counters against the model's."""
        events = self.pipeline.counters("Ingress.events")[:, 0].tolist()
        assert events == [self.model.events[each] for each in Event]
        traffic = self.pipeline.counters("Egress.traffic")[:, 0].tolist()
        assert traffic == [self.model.traffic[each] for each in Traffic]

    def check_registers(self) -> None:
        """Hold every slice of every register array against the model's."""
        slices = {number: slice_cells(part) for number, part in self.model.slices.items()}
        for name, size in REGISTERS.items():
            found = np.asarray(self.pipeline.registers(f"Ingress.{name}"))
            assert len(found) == filters.SLICES * size
            used = np.flatnonzero(found)
            assert dict(zip(used.tolist(), found[used].tolist(), strict=True)) == {
                number * size + cell: value
                for number, cells in slices.items()
                for cell, value in cells[name].items()
            }, name

    def place(self, service: int, first: int, length: int, place: Serve | Migrate) -> None:
        """Insert or change a partition's entry."""
        entry = partition_entry(service, first, length, place)
        if (service, first, length) in self.model.partitions:
            self.pipeline.delete("Ingress.partition", entry)
        self.model.partitions[service, first, length] = place
        self.pipeline.insert("Ingress.partition", entry)

    def honour(self, migration: int, port: int, address: bytes) -> None:
        """Let a migration's control packets come from `address` on `port`."""
        self.model.control_sources.add((migration, port, address))
        match = (Exact(migration), Exact(port), Exact(int.from_bytes(address, "big")))
        self.pipeline.insert("Ingress.control_source", Entry(match, "Ingress.honour"))

    def clear_slice(self, number: int) -> None:
        """Zero a slice, as the controller does before it gives it out again."""
        self.model.slices[number] = type(self.model.slices[number])()
        for name, values in slice_contents(self.model.slices[number]).items():
            self.pipeline.set_registers(f"Ingress.{name}", values, number * len(values))


def exact(value: int) -> Entry:
    """Return an entry that only names its match, of one exact field."""
    return Entry((Exact(value),), "NoAction")


def partition_key(service: int, first: int, length: int) -> Entry:
    """Return an entry of `partition` that only names its match."""
    return Entry((Exact(service), Lpm(first, length)), "NoAction")


def query(
    op: Op = Op.READ,
    group: int = GROUP,
    *,
    service: int = SERVICE,
    flags: Flags = Flags.NONE,
    migration: int = 0,
    payload: bytes = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
    client: int = CLIENT,
    vip: str = VIP,
) -> bytes:
    """Return a query as a client's host sends it."""
    header = Header(op, flags, service, group, migration, 0x1122334455667788, 42, 40)
    frame = (
        Ether(dst=VIP_MAC, src=host_mac(client))
        / IP(src=host_ip(client), dst=vip)
        / UDP(sport=5000, dport=VIP_PORT)
        / Raw(header.pack() + payload)
    )
    return bytes(frame)


def control(
    op: Op,
    group: int,
    sequence: int,
    *,
    lane: int = 0,
    migration: int = MIGRATION,
    service: int = SERVICE,
    source: int = SOURCE,
    source_ip: str | None = None,
) -> bytes:
    """Return a control packet as the source's agent sends it."""
    header = Header(op, Flags.NONE, service, group, migration)
    frame = (
        Ether(dst=VIP_MAC, src=host_mac(source))
        / IP(src=source_ip or host_ip(source), dst=VIP)
        / UDP(sport=AGENT_PORT, dport=VIP_PORT)
        / Raw(header.pack() + Control(lane, sequence).pack())
    )
    return bytes(frame)


def start(group: int, sequence: int, **where: int) -> bytes:
    """Return a GROUP_START."""
    return control(Op.GROUP_START, group, sequence, **where)  # type: ignore[arg-type]


def complete(group: int, sequence: int, **where: int) -> bytes:
    """Return a GROUP_COMPLETE."""
    return control(Op.GROUP_COMPLETE, group, sequence, **where)  # type: ignore[arg-type]


def reply(
    server: int = SOURCE,
    *,
    flags: Flags = Flags.AUTHORITATIVE,
    service: int = SERVICE,
    source_port: int = AGENT_PORT,
    to_mac: str | None = None,
    to_ip: str | None = None,
    payload: bytes = b"+OK\r\n",
    op: Op = Op.REPLY,
) -> bytes:
    """Return a reply as a server's agent sends it to the client."""
    header = Header(op, flags, service, GROUP, MIGRATION, 0x1122334455667788, 42, 40)
    frame = (
        Ether(dst=to_mac or host_mac(CLIENT), src=host_mac(server))
        / IP(src=host_ip(server), dst=to_ip or host_ip(CLIENT))
        / UDP(sport=source_port, dport=5000)
        / Raw(header.pack() + payload)
    )
    return bytes(frame)


def leaves_to(index: int, sent: Sent, original: bytes) -> bool:
    """Whether `sent` is `original`, rewritten for a server, with the client's address kept."""
    before = Ether(original)
    return (
        sent.port == index
        and (sent.ether.dst, sent.ether.src) == (host_mac(index), before.src)
        and (sent.ip.dst, sent.ip.src) == (host_ip(index), before[IP].src)
        and (sent.udp.dport, sent.udp.sport) == (AGENT_PORT, before[UDP].sport)
        and sent.udp.chksum == 0
        and sent.ip.ttl == before[IP].ttl
        and sent.checksums_right()
    )
