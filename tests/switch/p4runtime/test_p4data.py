"""Registers and digests of every type of P4Data (P4Runtime spec sections 8.5, 9.7 and 9.9)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from finsy.proto import p4d, p4r

from switch.p4runtime import Server, device_config
from tests.switch.p4runtime.client import Client, Failure, insert, modify
from tests.switch.p4runtime.conftest import EXAMPLE
from tests.switch.p4runtime.entities import learning


@pytest.fixture
def kinds(empty_server: Server) -> Iterator[Client]:
    empty_server.load(device_config(EXAMPLE.with_name("kinds.p4"))[0])
    client = Client(empty_server.port)
    yield client
    client.close()


def cell(client: Client, name: str, index: int | None = None, **data: Any) -> p4r.Entity:
    entry = p4r.RegisterEntry(register_id=client.id(name))
    if index is not None:
        entry.index.index = index
        entry.index.SetInParent()
    if data:
        entry.data.CopyFrom(p4d.P4Data(**data))
    return p4r.Entity(register_entry=entry)


def send(client: Client, ether_type: int) -> p4r.StreamMessageResponse:
    """A packet comes back to the controller: when it has, the registers are written."""
    assert client.stream
    payload = bytes(6) + (9).to_bytes(6, "big") + ether_type.to_bytes(2, "big") + bytes(50)
    client.stream.send(p4r.StreamMessageRequest(packet=p4r.PacketOut(payload=payload)))
    return client.stream.receive()


WRITTEN: dict[str, dict[str, Any]] = {
    "codes": {"enum_value": b"\x07"},
    "colours": {"enum": "BLUE"},
    "levels": {"bitstring": b"\xfe"},
    "words": {"bitstring": b"\xff" * 8},
    "wide": {"bitstring": b"\x08" + bytes(12)},
    "deep": {"bitstring": b"\xff"},
}
OTHERS: dict[str, dict[str, Any]] = {
    "codes": {"enum_value": b"\xfe"},  # no name, but a value (8.5.5)
    "colours": {"enum": "GREEN"},
    "levels": {"bitstring": b"\x07\xff"},
    "words": {"bitstring": b"\x80" + bytes(7)},
    "wide": {"bitstring": b"\x0f" + b"\xff" * 12},
    "deep": {"bitstring": b"\x08" + bytes(12)[1:]},
}
BAD: list[tuple[str, str, dict[str, Any]]] = [
    ("INVALID_ARGUMENT", "codes", {}),
    ("INVALID_ARGUMENT", "codes", {"bitstring": b"\x01"}),
    ("INVALID_ARGUMENT", "codes", {"enum": "SEEN"}),
    ("OUT_OF_RANGE", "codes", {"enum_value": b"\x01\x00"}),
    ("INVALID_ARGUMENT", "colours", {"enum": "BLACK"}),
    ("INVALID_ARGUMENT", "colours", {"enum_value": b"\x01"}),
    ("OUT_OF_RANGE", "levels", {"bitstring": b"\x08\x00"}),
    ("OUT_OF_RANGE", "levels", {"bitstring": b""}),
    ("OUT_OF_RANGE", "words", {"bitstring": b"\x01" + bytes(8)}),
    ("OUT_OF_RANGE", "wide", {"bitstring": b"\x10" + bytes(12)}),
    ("OUT_OF_RANGE", "deep", {"bitstring": b"\x08" + bytes(12)}),
]


def test_what_packets_write_is_read(kinds: Client) -> None:
    send(kinds, 0)
    for name, data in WRITTEN.items():
        assert kinds.read(cell(kinds, name, 0)) == [cell(kinds, name, 0, **data)]
    everything = kinds.read(cell(kinds, "codes"), p4r.Entity(register_entry=p4r.RegisterEntry()))
    assert len(everything) == 2 + 2 * len(WRITTEN)


def test_what_is_written_is_read(kinds: Client) -> None:
    kinds.write(*(modify(cell(kinds, name, 1, **data)) for name, data in OTHERS.items()))
    for name, data in OTHERS.items():
        assert kinds.read(cell(kinds, name, 1)) == [cell(kinds, name, 1, **data)]
    kinds.write(*(modify(cell(kinds, name, **data)) for name, data in OTHERS.items()))
    for name, data in OTHERS.items():
        assert kinds.read(cell(kinds, name)) == [cell(kinds, name, i, **data) for i in (0, 1)]


def test_what_is_of_another_type_is_refused(kinds: Client) -> None:
    with pytest.raises(Failure) as failure:
        kinds.write(*(modify(cell(kinds, name, 0, **data)) for _, name, data in BAD))
    assert failure.value.details == [code for code, _, _ in BAD]
    everything = kinds.read(p4r.Entity(register_entry=p4r.RegisterEntry()))
    assert sum(any(entity.register_entry.data.bitstring) for entity in everything) == 0


def test_a_digest_of_many_types(kinds: Client) -> None:
    kinds.write(insert(learning(kinds.id("learned_t"))))
    first = send(kinds, 1)
    assert kinds.stream
    messages = [first, kinds.stream.receive()]
    (digest,) = [message.digest for message in messages if message.HasField("digest")]
    station, inner, colour, problem, port, wide = digest.data[0].struct.members
    assert station.bitstring == b"\x09"
    code, yes, level = inner.struct.members
    assert (code.enum_value, yes.bool, level.bitstring) == (b"\x07", True, b"\xfe")
    assert (colour.enum, problem.error) == ("GREEN", "PacketTooShort")
    assert (port.bitstring, wide.bitstring) == (b"\x05", b"\x08" + bytes(12))


def test_a_digest_without_a_named_type(kinds: Client) -> None:
    kinds.write(insert(learning(kinds.id("digest_0"))))
    first = send(kinds, 2)
    assert kinds.stream
    messages = [first, kinds.stream.receive()]
    (digest,) = [message.digest for message in messages if message.HasField("digest")]
    assert digest.digest_id == kinds.id("digest_0")
    station, yes = digest.data[0].tuple.members
    assert (station.bitstring, yes.WhichOneof("data"), yes.bool) == (b"\x09", "bool", False)
