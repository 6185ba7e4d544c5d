"""docs/dataplane.md in plain Python: what the data plane must do with a packet.

Written to be read as the specification, and to be compared with the P4 program on any packet. It
shares the wire codec and the hash functions with the product, and nothing with the P4 program.
"""

from collections import Counter
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from controller import filters
from controller.counters import Event, Traffic
from hosts.wire import CONTROL_LENGTH, HEADER_LENGTH, Control, Flags, Header, Op, WireError
from hosts.wire.header import CONTROL_OPS, MAGIC, VERSION

Output = list[tuple[int, bytes]]

ETHERNET = 14
IPV4 = 20
UDP = 8
PAYLOAD = ETHERNET + IPV4 + UDP

SWITCH_FLAGS = Flags.DOUBLE | Flags.ONGOING


def mac(text: str) -> bytes:
    """Return the six bytes of `02:00:…`."""
    return bytes.fromhex(text.replace(":", ""))


def ip(text: str) -> bytes:
    """Return the four bytes of `10.0.0.1`."""
    return IPv4Address(text).packed


def ones_complement_sum(data: bytes | bytearray) -> int:
    """Return the 16-bit one's complement sum (RFC 1071) of an even number of bytes."""
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@dataclass(frozen=True)
class Server:
    """An entry of `server` and of `mirror_server`."""

    mac: bytes
    ip: bytes
    udp_port: int
    port: int


@dataclass(frozen=True)
class Vip:
    """An entry of `reply`: the address that clients know."""

    mac: bytes
    ip: bytes
    udp_port: int


@dataclass(frozen=True)
class Serve:
    """A partition that lives on one server."""

    server: int


@dataclass(frozen=True)
class Migrate:
    """A partition on the move."""

    source: int
    destination: int
    slice: int
    migration: int
    batch: int = 1
    """How many groups move as one: the filters hold each batch by its first group."""
    pull_reads: bool = False
    """Whether a READ of an ONGOING group goes to the destination alone, instead of to both."""

    def first(self, group: int) -> int:
        """Return the first group of the batch that `group` is in."""
        return group - group % self.batch


@dataclass(frozen=True)
class NextHop:
    """An entry of `route`."""

    mac: bytes
    port: int


@dataclass
class Slice:
    """What a slice of the registers holds."""

    ongoing: Counter[tuple[int, int]] = field(default_factory=Counter)
    """(array, cell) → count"""
    migrated: set[tuple[int, int]] = field(default_factory=set)
    """(array, cell)"""
    sequences: dict[int, int] = field(default_factory=dict)
    """lane → last control sequence applied"""

    def state(self, group: int) -> int:
        """Return how the switch sees `group`."""
        moving, arrived = (tuple(enumerate(each)) for each in filters.cells(group))
        if all(self.ongoing[cell] > 0 for cell in moving):
            return filters.ONGOING
        if all(cell in self.migrated for cell in arrived):
            return filters.MIGRATED
        return filters.NOT_MIGRATED

    def start(self, group: int) -> None:
        """Add 1 to each counting cell of `group`; a full cell stays full."""
        for cell in enumerate(filters.cells(group)[0]):
            self.ongoing[cell] = min(self.ongoing[cell] + 1, filters.ONGOING_MAX)

    def complete(self, group: int) -> None:
        """Take 1 from each counting cell of `group`, never below 0, and set its Bloom bits."""
        moving, arrived = filters.cells(group)
        for cell in enumerate(moving):
            self.ongoing[cell] = max(self.ongoing[cell] - 1, 0)
        self.migrated.update(enumerate(arrived))


class Datagram:
    """A frame that holds the start of a UDP datagram where the switch looks for one."""

    def __init__(self, frame: bytes) -> None:
        self._frame = bytearray(frame)
        self.was = frame

    @staticmethod
    def present(frame: bytes) -> bool:
        """Whether `frame` is Ethernet, IPv4 without options, no later fragment, UDP."""
        return (
            len(frame) >= PAYLOAD
            and frame[12:14] == b"\x08\x00"
            and frame[14] == 0x45
            and int.from_bytes(frame[20:22], "big") & 0x1FFF == 0
            and frame[23] == 17
        )

    @property
    def source_ip(self) -> bytes:
        return self.was[26:30]

    @property
    def destination_ip(self) -> bytes:
        return self.was[30:34]

    @property
    def source_port(self) -> int:
        return int.from_bytes(self.was[34:36], "big")

    @property
    def destination_port(self) -> int:
        return int.from_bytes(self.was[36:38], "big")

    def whole(self) -> bool:
        """Whether all of the datagram is here, with lengths and IPv4 checksum that are right."""
        ip_length = int.from_bytes(self.was[16:18], "big")
        udp_length = int.from_bytes(self.was[38:40], "big")
        more_fragments = self.was[20] & 0x20
        return (
            not more_fragments
            and ip_length == udp_length + IPV4
            and udp_length >= UDP
            and len(self.was) >= ETHERNET + ip_length
            and ones_complement_sum(self.was[14:34]) == 0xFFFF
        )

    def payload(self) -> bytes:
        """Return the datagram's payload, without what pads the frame."""
        udp_length = int.from_bytes(self.was[38:40], "big")
        return self.was[PAYLOAD : ETHERNET + IPV4 + udp_length]

    def message(self) -> tuple[Header, Control | None] | None:
        """Return what this datagram says, if it is a complete NetMigrate datagram."""
        try:
            header = Header.unpack(self.payload())
            control = Control.unpack(self.payload()) if header.op in CONTROL_OPS else None
        except WireError:
            return None
        return (header, control) if self.whole() else None

    def claims(self) -> tuple[int, int] | None:
        """Return the op and service of what begins like a NetMigrate datagram, sound or not."""
        start = self.was[PAYLOAD : PAYLOAD + HEADER_LENGTH]
        if len(start) < HEADER_LENGTH or start[:3] != MAGIC.to_bytes(2, "big") + bytes([VERSION]):
            return None
        if start[3] in CONTROL_OPS and len(self.was) < PAYLOAD + HEADER_LENGTH + CONTROL_LENGTH:
            return None
        return start[3], int.from_bytes(start[6:8], "big")

    def stamped(self, flags: Flags, migration: int) -> "Datagram":
        """Return a copy with the switch's own flags, and the migration that steered it."""
        copy = Datagram(bytes(self._frame))
        old = int.from_bytes(copy._frame[46:48], "big")
        copy._frame[46:48] = (old & ~SWITCH_FLAGS.value | flags).to_bytes(2, "big")
        copy._frame[52:54] = migration.to_bytes(2, "big")
        return copy

    def sent_to(self, server: Server) -> bytes:
        """Return the frame, rewritten from the service's address to the server's."""
        self._frame[0:6] = server.mac
        self._frame[30:34] = server.ip
        self._frame[36:38] = server.udp_port.to_bytes(2, "big")
        return self._rewritten()

    def sent_by(self, vip: Vip) -> bytes:
        """Return the frame, rewritten from the server's address to the service's."""
        self._frame[6:12] = vip.mac
        self._frame[26:30] = vip.ip
        self._frame[34:36] = vip.udp_port.to_bytes(2, "big")
        return self._rewritten()

    def _rewritten(self) -> bytes:
        self._frame[40:42] = b"\0\0"  # no UDP checksum
        self._frame[24:26] = b"\0\0"
        checksum = 0xFFFF - ones_complement_sum(self._frame[14:34])
        self._frame[24:26] = checksum.to_bytes(2, "big")
        return bytes(self._frame)


@dataclass
class Switch:
    """The tables and the state of the data plane."""

    services: dict[tuple[bytes, int], int] = field(default_factory=dict)
    partitions: dict[tuple[int, int, int], Serve | Migrate] = field(default_factory=dict)
    """(service, first group, prefix length of 16) → where it is"""
    control_sources: set[tuple[int, int, bytes]] = field(default_factory=set)
    """(migration, port, IP address)"""
    servers: dict[int, Server] = field(default_factory=dict)
    mirrors: dict[int, Server] = field(default_factory=dict)
    sessions: dict[int, int] = field(default_factory=dict)
    """clone session → port"""
    replies: dict[tuple[bytes, int, int], Vip] = field(default_factory=dict)
    vips: dict[bytes, bytes] = field(default_factory=dict)
    """IP address → MAC address, for ARP"""
    hosts: dict[bytes, int] = field(default_factory=dict)
    """MAC address → port"""
    router_macs: set[bytes] = field(default_factory=set)
    routes: dict[tuple[bytes, int], NextHop] = field(default_factory=dict)
    server_pairs: set[tuple[bytes, bytes]] = field(default_factory=set)
    flood: tuple[int, ...] = ()

    slices: dict[int, Slice] = field(
        default_factory=lambda: {number: Slice() for number in range(filters.SLICES)}
    )
    events: Counter[Event] = field(default_factory=Counter)
    traffic: Counter[Traffic] = field(default_factory=Counter)

    def process(self, port: int, frame: bytes) -> Output:
        """Return what goes out, and on which ports, when `frame` comes in on `port`."""
        event, outputs = self._decide(port, frame)
        self.events[event] += 1
        for kind, _, _ in outputs:
            self.traffic[kind] += 1
        return [(out, data) for kind, out, data in outputs if kind is not Traffic.LOST_COPY]

    def _decide(self, port: int, frame: bytes) -> tuple[Event, list[tuple[Traffic, int, bytes]]]:
        if len(frame) < ETHERNET:
            return Event.MALFORMED, []
        if (answer := self._arp(frame)) is not None:
            return Event.ARP_ANSWERED, [(Traffic.OTHER, port, answer)]
        if Datagram.present(frame):
            datagram = Datagram(frame)
            service = self.services.get((datagram.destination_ip, datagram.destination_port))
            if service is not None:
                return self._to_service(port, datagram, service)
            claim = datagram.claims()
            if claim is not None and claim[0] in CONTROL_OPS:
                return self._forward(port, frame, Traffic.CONTROL)
            message = datagram.message()
            if (
                message is not None
                and message[0].op is Op.READ
                and Flags.DOUBLE in message[0].flags
            ):
                return self._forward(port, frame, Traffic.DOUBLE_QUERY)
            if claim is not None and claim[0] == Op.REPLY:
                vip = self.replies.get((datagram.source_ip, datagram.source_port, claim[1]))
                if vip is not None:
                    return self._reply(port, datagram, vip)
        return self._forward(port, frame, self._class(frame))

    # --- queries and control packets -----------------------------------------------------------

    def _to_service(
        self, port: int, datagram: Datagram, service: int
    ) -> tuple[Event, list[tuple[Traffic, int, bytes]]]:
        message = datagram.message()
        if message is None or message[0].op in (Op.REPLY, Op.GROUP_ACK):
            return Event.MALFORMED, []
        header, control = message
        if header.service != service:
            return Event.WRONG_SERVICE, []
        place = self._partition(service, header.group)
        if place is None:
            return Event.NO_PARTITION, []
        if control is not None:
            event = self._control(port, datagram, header, control, place)
            index = place.server if isinstance(place, Serve) else place.destination
            return self._send(event, Traffic.CONTROL, datagram, index)
        if isinstance(place, Serve):
            kind = _query_class(header)
            return self._send(Event.SERVED, kind, datagram.stamped(Flags.NONE, 0), place.server)
        return self._steer(datagram, header, place)

    def _partition(self, service: int, group: int) -> Serve | Migrate | None:
        """Return the longest prefix's entry."""
        found = [
            (length, place)
            for (owner, first, length), place in self.partitions.items()
            if owner == service and group >> (16 - length) == first >> (16 - length)
        ]
        return max(found, key=lambda each: each[0])[1] if found else None

    def _control(
        self,
        port: int,
        datagram: Datagram,
        header: Header,
        control: Control,
        place: Serve | Migrate,
    ) -> Event:
        """Apply a control packet if it is honoured and new."""
        if (
            isinstance(place, Serve)
            or header.migration != place.migration
            or control.lane >= filters.LANES
            or (place.migration, port, datagram.source_ip) not in self.control_sources
        ):
            return Event.CONTROL_REFUSED
        part = self.slices[place.slice]
        if control.sequence <= part.sequences.get(control.lane, 0):
            return Event.CONTROL_REPEATED
        part.sequences[control.lane] = control.sequence
        if header.op is Op.GROUP_START:
            part.start(place.first(header.group))
        else:
            part.complete(place.first(header.group))
        return Event.CONTROL_APPLIED

    def _steer(
        self, datagram: Datagram, header: Header, place: Migrate
    ) -> tuple[Event, list[tuple[Traffic, int, bytes]]]:
        """Send a query to where its group is."""
        state = self.slices[place.slice].state(place.first(header.group))
        kind = _query_class(header)
        plain = datagram.stamped(Flags.NONE, place.migration)
        if state == filters.NOT_MIGRATED:
            return self._send(Event.STEERED_SOURCE, kind, plain, place.source)
        if state == filters.MIGRATED:
            return self._send(Event.STEERED_DESTINATION, kind, plain, place.destination)
        if header.op is Op.WRITE or place.pull_reads:
            event = Event.ONGOING_WRITE if header.op is Op.WRITE else Event.ONGOING_READ
            flagged = datagram.stamped(Flags.ONGOING, place.migration)
            return self._send(event, kind, flagged, place.destination)
        double = datagram.stamped(Flags.DOUBLE, place.migration)
        event, outputs = self._send(Event.DOUBLE_READ, kind, double, place.source)
        if event is Event.DOUBLE_READ and place.destination in self.sessions:
            copy = datagram.stamped(Flags.DOUBLE, place.migration)
            out = self.sessions[place.destination]
            mirror = self.mirrors.get(place.destination)
            if mirror is None:
                outputs.append((Traffic.LOST_COPY, out, b""))
            else:
                outputs.append((Traffic.DOUBLE_QUERY, out, copy.sent_to(mirror)))
        return event, outputs

    def _send(
        self, event: Event, kind: Traffic, datagram: Datagram, index: int
    ) -> tuple[Event, list[tuple[Traffic, int, bytes]]]:
        server = self.servers.get(index)
        if server is None:
            return Event.NO_SERVER, []
        return event, [(kind, server.port, datagram.sent_to(server))]

    # --- replies -------------------------------------------------------------------------------

    def _reply(
        self, port: int, datagram: Datagram, vip: Vip
    ) -> tuple[Event, list[tuple[Traffic, int, bytes]]]:
        message = datagram.message()
        if message is None:
            return Event.MALFORMED, []
        flags = message[0].flags
        twice = Flags.DOUBLE in flags and not flags & (Flags.FROM_SOURCE | Flags.GONE)
        extra = twice or Flags.MOVING in flags
        kind = Traffic.RETRY if Flags.RETRY in flags else Traffic.REPLY
        kind = Traffic.DOUBLE_REPLY if extra else kind
        frame = datagram.sent_by(vip)
        event, outputs = self._forward(port, frame, kind)
        return (event if event.dropped else Event.REPLY), outputs

    # --- ordinary traffic ----------------------------------------------------------------------

    def _arp(self, frame: bytes) -> bytes | None:
        """Return the answer to an ARP request for a VIP."""
        if len(frame) < ETHERNET + 28 or frame[12:22] != bytes.fromhex("08060001080006040001"):
            return None
        asked = frame[38:42]
        if asked not in self.vips:
            return None
        asker, own = frame[22:32], self.vips[asked]
        head = frame[6:12] + own + bytes.fromhex("08060001080006040002")
        return head + own + asked + asker + frame[42:]

    def _class(self, frame: bytes) -> Traffic:
        if frame[12:14] == b"\x08\x00" and len(frame) >= ETHERNET + IPV4:
            ends = frame[26:30], frame[30:34]
            if ends in self.server_pairs:
                return Traffic.BETWEEN_SERVERS
        return Traffic.OTHER

    def _forward(
        self, port: int, frame: bytes, kind: Traffic
    ) -> tuple[Event, list[tuple[Traffic, int, bytes]]]:
        destination = frame[:6]
        if destination in self.router_macs:
            return self._route(frame, kind)
        if destination in self.hosts:
            return Event.FORWARDED, [(kind, self.hosts[destination], frame)]
        return Event.FORWARDED, [(kind, out, frame) for out in self.flood if out != port]

    def _route(self, frame: bytes, kind: Traffic) -> tuple[Event, list[tuple[Traffic, int, bytes]]]:
        is_ipv4 = frame[12:14] == b"\x08\x00" and len(frame) >= ETHERNET + IPV4
        if not is_ipv4 or frame[14] >> 4 != 4 or frame[14] & 15 < 5:
            return Event.NO_ROUTE, []
        ttl = frame[22]
        if ttl <= 1:
            return Event.TTL_EXPIRED, []
        hop = self._next_hop(frame[30:34])
        if hop is None:
            return Event.NO_ROUTE, []
        routed = bytearray(frame)
        routed[0:12] = hop.mac + frame[0:6]
        routed[22] = ttl - 1
        # What the checksum was wrong by, it stays wrong by.
        before = ones_complement_sum(frame[14:24] + frame[26:34])
        after = ones_complement_sum(routed[14:24] + routed[26:34])
        found = int.from_bytes(frame[24:26], "big")
        complement = ((0xFFFF - found) + after - before) % 0xFFFF
        routed[24:26] = (0xFFFF - complement if complement else 0).to_bytes(2, "big")
        return Event.ROUTED, [(kind, hop.port, bytes(routed))]

    def _next_hop(self, address: bytes) -> NextHop | None:
        number = int.from_bytes(address, "big")
        found = [
            (length, hop)
            for (prefix, length), hop in self.routes.items()
            if number >> (32 - length) == int.from_bytes(prefix, "big") >> (32 - length)
        ]
        return max(found, key=lambda each: each[0])[1] if found else None


def _query_class(header: Header) -> Traffic:
    """What a client sends because it was told to ask again counts as such."""
    return Traffic.RETRY if Flags.RETRY in header.flags else Traffic.QUERY
