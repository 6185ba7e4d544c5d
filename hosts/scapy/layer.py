"""NetMigrate for scapy: header, control part, RESP payload; bound to UDP ports 4700 and 4701."""

from collections.abc import Iterator
from typing import Any, ClassVar

from scapy.fields import (
    ByteEnumField,
    ByteField,
    FlagsField,
    IntField,
    IPField,
    ShortField,
    StrField,
    XLongField,
    XShortField,
)
from scapy.layers.inet import UDP
from scapy.packet import Packet, bind_bottom_up, bind_layers, bind_top_down

from hosts.wire import MAGIC, MOVING_LENGTH, VERSION, Flags, Op, group_of

PORTS = (4700, 4701)  # of a service, of an agent


class _Text(StrField):  # type: ignore[misc]
    """All that follows, less the end of a reply that is flagged MOVING."""

    def getfield(self, pkt: Packet, s: bytes) -> tuple[bytes, bytes]:
        header = pkt.underlayer
        told = isinstance(header, NetMigrate) and header.op == Op.REPLY and header.flags.MOVING
        end = len(s) - MOVING_LENGTH if told and len(s) >= MOVING_LENGTH else len(s)
        return s[end:], s[:end]


class Resp(Packet):  # type: ignore[misc]
    """A command, or a reply to one, in Redis' serialization (RESP2)."""

    name = "RESP"
    fields_desc: ClassVar = [_Text("data", b"")]

    @property
    def value(self) -> Any:
        """What it says: bytes, int, None, lists of them; a ValueError object if it says -ERR."""
        return decode(bytes(self.data))

    def mysummary(self) -> str:
        """Show the value."""
        try:
            return f"RESP {self.value!r}"
        except ValueError as error:
            return f"RESP malformed: {error}"


class Control(Packet):  # type: ignore[misc]
    """What follows the header of GROUP_START, GROUP_COMPLETE and GROUP_ACK."""

    name = "NetMigrate control"
    fields_desc: ClassVar = [ShortField("lane", 0), IntField("sequence", 1)]

    def mysummary(self) -> str:
        """Show lane and sequence."""
        return f"lane {self.lane} sequence {self.sequence}"


class Moving(Packet):  # type: ignore[misc]
    """The end of a reply that is flagged MOVING: groups that may still be at a source."""

    name = "NetMigrate moving"
    fields_desc: ClassVar = [
        ShortField("migration", 0),
        IPField("address", "0.0.0.0"),
        ShortField("port", 0),
        ShortField("first", 0),
        ShortField("last", 0),
    ]

    def mysummary(self) -> str:
        """Show which groups, and where they may be."""
        if not self.port:
            return "nothing moving"
        return (
            f"groups {self.first}-{self.last} moving, maybe still at {self.address}:{self.port} "
            f"(migration {self.migration})"
        )


class NetMigrate(Packet):  # type: ignore[misc]
    """The header of every datagram (hosts/wire/header.py)."""

    name = "NetMigrate"
    fields_desc: ClassVar = [
        XShortField("magic", MAGIC),
        ByteField("version", VERSION),
        ByteEnumField("op", Op.READ, {op.value: op.name for op in Op}),
        FlagsField("flags", 0, 16, [flag.name for flag in Flags if flag]),
        ShortField("service", 1),
        ShortField("group", 0),
        ShortField("migration", 0),
        XLongField("client", 0),
        IntField("seq", 1),
        IntField("acked", 0),
    ]

    def mysummary(self) -> str:
        """Show what matters on one line."""
        return str(
            self.sprintf(
                "NetMigrate %NetMigrate.op% %NetMigrate.flags% service %NetMigrate.service% "
                "group %NetMigrate.group% migration %NetMigrate.migration% seq %NetMigrate.seq%"
            )
        )

    def answers(self, other: Packet) -> bool:
        """Whether this is a reply to `other`, for scapy's sr()."""
        return (
            isinstance(other, NetMigrate)
            and self.op in (Op.REPLY, Op.GROUP_ACK)
            and (self.client, self.seq) == (other.client, other.seq)
        )


for _op in (Op.READ, Op.WRITE, Op.REPLY):
    bind_layers(NetMigrate, Resp, op=_op)
bind_layers(Resp, Moving)
for _op in (Op.GROUP_START, Op.GROUP_COMPLETE, Op.GROUP_ACK):
    bind_layers(NetMigrate, Control, op=_op)
for _port in PORTS:
    bind_bottom_up(UDP, NetMigrate, dport=_port)
    bind_bottom_up(UDP, NetMigrate, sport=_port)
bind_top_down(UDP, NetMigrate, dport=PORTS[0])


def command(*words: bytes | str | int | float) -> Resp:
    """Return a command as a RESP array."""
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    data = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
    return Resp(data=b"*%d\r\n%s" % (len(parts), data))


def decode(data: bytes) -> Any:
    """Return the value of a whole RESP text; raise ValueError if it is not one."""
    lines = _Lines(data)
    value = lines.value()
    if lines.rest:
        raise ValueError(f"{len(lines.rest)} bytes too many")
    return value


class _Lines:
    def __init__(self, data: bytes) -> None:
        self.rest = data

    def _line(self) -> bytes:
        line, end, self.rest = self.rest.partition(b"\r\n")
        if not end:
            raise ValueError("cut short")
        return line

    def value(self, depth: int = 8) -> Any:
        line = self._line()
        kind, text = line[:1], line[1:]
        if kind == b"+":
            return text
        if kind == b"-":
            return ValueError(text.decode(errors="replace"))
        if kind == b":":
            return int(text)
        if kind == b"$":
            return self._bulk(int(text))
        if kind == b"*" and depth:
            count = int(text)
            if count > len(self.rest):
                raise ValueError("cut short")
            return None if count < 0 else list(self._values(count, depth - 1))
        raise ValueError(f"{line[:20]!r} starts no RESP value")

    def _bulk(self, length: int) -> bytes | None:
        if length < 0:
            return None
        if len(self.rest) < length + 2 or self.rest[length : length + 2] != b"\r\n":
            raise ValueError("cut short")
        text, self.rest = self.rest[:length], self.rest[length + 2 :]
        return text

    def _values(self, count: int, depth: int) -> Iterator[Any]:
        for _ in range(count):
            yield self.value(depth)


__all__ = ["PORTS", "Control", "Moving", "NetMigrate", "Resp", "command", "decode", "group_of"]
