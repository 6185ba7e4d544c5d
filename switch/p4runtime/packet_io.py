"""Packets between controller and data plane, with their metadata (P4Runtime spec 16.1)."""

from __future__ import annotations

from dataclasses import dataclass

from finsy.proto import p4r

from switch import ir
from switch.p4info.types import flattened, width
from switch.p4runtime import codec
from switch.p4runtime.errors import invalid
from switch.p4runtime.schema import Field, PacketHeader


@dataclass(frozen=True, slots=True)
class Layout:
    """A controller header on the wire: its fields in order, hidden ones (None) too."""

    fields: tuple[tuple[Field | None, int], ...]
    size: int

    def unpack(self, packet: bytes) -> p4r.PacketIn | None:
        """Header into metadata; None for a packet that is shorter than its header."""
        if len(packet) < self.size:
            return None
        message = p4r.PacketIn(payload=packet[self.size :])
        rest = int.from_bytes(packet[: self.size], "big")
        position = self.size * 8
        for field, bits in self.fields:
            position -= bits
            if field is not None:
                value = rest >> position & ((1 << bits) - 1)
                message.metadata.add(metadata_id=field.id, value=codec.encode(value))
        return message

    def pack(self, message: p4r.PacketOut) -> bytes:
        """Metadata into the header that the parser expects in front of the packet."""
        values: dict[int, int] = {}
        known = {field.id: field for field, _ in self.fields if field is not None}
        for item in message.metadata:
            field = known.get(item.metadata_id)
            if field is None:
                raise invalid(f"packet_out has no metadata {item.metadata_id}")
            if field.id in values:
                raise invalid(f"packet_out metadata {field.name} is given twice")
            values[field.id] = codec.decode(item.value, field.width, f"metadata {field.name}")
        if missing := known.keys() - values.keys():
            raise invalid(f"packet_out metadata {known[min(missing)].name} is missing")
        header = 0
        for field, bits in self.fields:
            header = header << bits | (values[field.id] if field is not None else 0)
        return header.to_bytes(self.size, "big") + message.payload


def layout(program: ir.Program, name: str, described: PacketHeader) -> Layout:
    """The header annotated @controller_header(name), with the ids of the controller's P4Info."""
    for type_ in program.types.values():
        if not isinstance(type_, ir.Header):
            continue
        found = ir.annotation(type_.annotations, "controller_header")
        if found and found.values == (name,):
            fields = tuple(
                (described.fields.get(path), width(field.type)) for path, field in flattened(type_)
            )
            bits = sum(bits for _, bits in fields)
            if bits % 8 == 0:
                return Layout(fields, bits // 8)
            raise invalid(f"header {type_.name} is {bits} bits long, not whole bytes")
    return Layout((), 0)
