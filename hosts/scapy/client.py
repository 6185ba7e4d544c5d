"""Send one packet from this host, collect every reply."""

import contextlib
import ipaddress
import random
import socket
import threading
import time
from collections.abc import Iterable
from typing import Any

from scapy.config import conf
from scapy.layers.inet import IP, UDP
from scapy.packet import Packet
from scapy.sendrecv import AsyncSniffer, send
from scapy.supersocket import L3RawSocket

from hosts.client.commands import CommandTable, encode
from hosts.client.errors import CommandError
from hosts.scapy.layer import PORTS, Control, Moving, NetMigrate, Resp, command
from hosts.wire import HEADER_LENGTH, MAGIC, Flags, Op, WireError, group_of
from hosts.wire.stream import stream_address

CONTROLS = {"START": Op.GROUP_START, "COMPLETE": Op.GROUP_COMPLETE, "ACK": Op.GROUP_ACK}


def meaning(packet: Packet) -> str:
    """What a reply says about itself (docs/protocol.md)."""
    flags = Flags(int(packet[NetMigrate].flags))
    if packet[NetMigrate].op == Op.GROUP_ACK:
        return "acknowledged"
    for flag, text in (
        (Flags.AUTHORITATIVE, "the owner's answer"),
        (Flags.ERROR, "refused"),
        (Flags.GONE, "gone: the group has left this server"),
        (Flags.FROM_SOURCE, "the source's copy: counts only with 'not here yet'"),
        (Flags.RETRY, "not executed: ask again later"),
    ):
        if flag in flags:
            return text
    return "not here yet"


def _where(payload: bytes) -> str:
    try:
        address, port = stream_address(payload)
    except WireError as wrong:
        return str(wrong)
    return f"{ipaddress.IPv4Address(address)}:{port}"


def describe(packet: Packet) -> dict[str, Any]:
    """A packet of ours in plain values."""
    header = packet[NetMigrate]
    told: dict[str, Any] = {
        "from": f"{packet[IP].src}:{packet[UDP].sport}",
        "op": Op(header.op).name if header.op in list(Op) else header.op,
        "flags": [flag.name for flag in Flags(int(header.flags))],
        "service": header.service,
        "group": header.group,
        "migration": header.migration,
        "client": f"{header.client:#018x}",
        "seq": header.seq,
    }
    if Control in packet:
        told |= {"lane": packet[Control].lane, "sequence": packet[Control].sequence}
    elif Flags.LONG in Flags(int(header.flags)) and header.op == Op.REPLY and Resp in packet:
        told["by_tcp"] = _where(bytes(packet[Resp].data))
    elif Resp in packet and packet[Resp].data:
        try:
            told["value"] = packet[Resp].value
        except ValueError:
            told["malformed"] = bytes(packet[Resp].data)
    elif header.payload and Resp not in packet:
        told["malformed"] = bytes(header.payload)
    if Moving in packet:
        told["moving"] = packet[Moving].mysummary()
    return told


class Replies(list[Packet]):
    """What came back; shows itself decoded, one line each."""

    def __init__(self, request: Packet, packets: Iterable[Packet]) -> None:
        super().__init__(packets)
        self.request = request

    def __repr__(self) -> str:
        lines = [self._line(packet) for packet in self]
        return "\n".join(lines or ["no reply"])

    @staticmethod
    def _line(packet: Packet) -> str:
        told = describe(packet)
        flags = "|".join(told["flags"]) or "-"
        if "lane" in told:
            said = f"lane {told['lane']} sequence {told['sequence']}"
        elif "by_tcp" in told:
            said = f"by TCP at {told['by_tcp']}"
        elif "malformed" in told:
            said = f"malformed: {told['malformed']!r}"
        else:
            said = repr(told.get("value"))
        said += f"  {told['moving']}" if "moving" in told else ""
        return (
            f"{told['from']}  {told['op']}  {flags}  group {told['group']}  "
            f"migration {told['migration']}  {said}  ({meaning(packet)})"
        )


def query(
    vip: str, *words: bytes | str | int | float, port: int = PORTS[0], **fields: Any
) -> Packet:
    """Build a READ or WRITE; `fields` of NetMigrate may be set at will, wrong ones too."""
    encoded = tuple(encode(word) for word in words)
    try:
        route = CommandTable.load().route(encoded)
        default: dict[str, Any] = {"op": route.op, "group": route.group}
    except CommandError:
        # The servers' own refusals can be seen too: what we cannot route goes by its second word.
        default = {"op": Op.WRITE, "group": group_of(encoded[1]) if len(encoded) > 1 else 0}
    header = NetMigrate(**(default | {"client": random.getrandbits(64)} | fields))
    return IP(dst=vip) / UDP(sport=_free_port(), dport=port) / header / command(*encoded)


def control(
    vip: str,
    kind: str,
    group: int,
    *,
    migration: int,
    lane: int = 0,
    sequence: int = 1,
    port: int = PORTS[0],
    **fields: Any,
) -> Packet:
    """Build a GROUP_START, GROUP_COMPLETE or GROUP_ACK (`kind`: START, COMPLETE, ACK)."""
    if kind.upper() not in CONTROLS:
        raise ValueError(f"control packet {kind!r}: one of {', '.join(CONTROLS)}")
    header = NetMigrate(op=CONTROLS[kind.upper()], group=group, migration=migration, **fields)
    part = Control(lane=lane, sequence=sequence)
    return IP(dst=vip) / UDP(sport=_free_port(), dport=port) / header / part


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def exchange(packet: Packet, timeout: float = 0.5) -> Replies:
    """Send a packet made of IP/UDP/… from this host; return all that comes to its source port."""
    conf.route.resync()  # the routes of the namespace that we are in now
    port = packet[UDP].sport
    packet = IP(bytes(packet))  # lengths and checksums filled in, as it will travel
    local = packet[IP].dst.startswith("127.")
    interface = conf.loopback_name if local else packet[IP].route()[0]

    def ours(seen: Packet) -> bool:
        return UDP in seen and seen[UDP].dport == port

    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as holder:
        # While somebody listens at the port the kernel does not answer "port unreachable".
        holder.bind(("", port))
        listening = threading.Event()
        sniffer = AsyncSniffer(iface=interface, lfilter=ours, started_callback=listening.set)
        sniffer.start()
        listening.wait(2.0)
        with L3RawSocket() if local else contextlib.nullcontext() as sock:
            send(packet, verbose=False, **({"socket": sock} if sock else {}))
        time.sleep(timeout)
        found = sniffer.stop() or []
    # On loopback each packet is seen twice, leaving and arriving.
    found = list({bytes(seen[IP]): seen for seen in found}.values()) if local else found
    return Replies(packet, filter(_dissect, found))


def _dissect(seen: Packet) -> bool:
    """Make sure that a datagram is taken for ours at any port. False: it is not ours."""
    if NetMigrate not in seen:
        data = bytes(seen[UDP].payload)
        if len(data) < HEADER_LENGTH:
            return False
        seen[UDP].remove_payload()
        seen[UDP].add_payload(NetMigrate(data))
    return bool(seen[NetMigrate].magic == MAGIC)


def send_query(
    vip: str, *words: bytes | str | int | float, timeout: float = 0.5, **fields: Any
) -> Replies:
    """Send a command; return every reply, both of a double read."""
    return exchange(query(vip, *words, **fields), timeout)


def send_control(
    vip: str, kind: str, group: int, *, migration: int, timeout: float = 0.5, **fields: Any
) -> Replies:
    """Send a control packet; return every reply."""
    return exchange(control(vip, kind, group, migration=migration, **fields), timeout)
