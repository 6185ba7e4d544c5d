"""The scapy layer agrees with the codec, field by field, and survives anything."""

from dataclasses import replace
from ipaddress import IPv4Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.packet import Raw

from hosts.client import CommandError
from hosts.scapy import Control, Moving, NetMigrate, Resp, command, control, query
from hosts.scapy.layer import decode
from hosts.wire import Control as WireControl
from hosts.wire import Flags, Header, Op, group_of
from hosts.wire import Moving as WireMoving

headers = st.builds(
    Header,
    op=st.sampled_from(Op),
    flags=st.integers(0, 2047).map(Flags),
    service=st.integers(0, 0xFFFF),
    group=st.integers(0, 16383),
    migration=st.integers(0, 0xFFFF),
    client=st.integers(0, (1 << 64) - 1),
    seq=st.integers(0, (1 << 32) - 1),
    acked=st.integers(0, (1 << 32) - 1),
)
FIELDS = ("op", "flags", "service", "group", "migration", "client", "seq", "acked")


@given(headers)
def test_header_is_the_codec_s(header: Header) -> None:
    fields: dict[str, Any] = {name: int(getattr(header, name)) for name in FIELDS}
    assert bytes(NetMigrate(**fields)) == header.pack()
    parsed = NetMigrate(header.pack())
    assert {name: int(getattr(parsed, name)) for name in FIELDS} == fields
    names = [flag.name for flag in header.flags]
    assert str(parsed.flags) == "+".join(str(name) for name in names)


@given(headers, st.integers(0, 0xFFFF), st.integers(0, (1 << 32) - 1))
def test_control_part_is_the_codec_s(header: Header, lane: int, sequence: int) -> None:
    part = WireControl(lane, sequence).pack()
    parsed = NetMigrate(header.pack() + part)
    controls = (Op.GROUP_START, Op.GROUP_COMPLETE, Op.GROUP_ACK)
    assert (Control in parsed) == (header.op in controls)
    if Control in parsed:
        assert (parsed[Control].lane, parsed[Control].sequence) == (lane, sequence)
        assert bytes(parsed[Control]) == part


@given(
    headers,
    st.sampled_from([b"", b"$1\r\nv\r\n"]),
    st.builds(
        WireMoving,
        migration=st.integers(0, 0xFFFF),
        address=st.integers(0, (1 << 32) - 1),
        port=st.integers(0, 0xFFFF),
        first=st.integers(0, 16383),
        last=st.integers(0, 16383),
    ),
)
def test_the_end_of_a_reply_is_the_codec_s(header: Header, text: bytes, told: WireMoving) -> None:
    told = replace(told, last=max(told.first, told.last))
    whole = header.pack() + text + told.pack()
    parsed = NetMigrate(whole)
    assert bytes(parsed) == whole
    assert (Moving in parsed) == (header.op is Op.REPLY and Flags.MOVING in header.flags)
    if Moving in parsed:
        assert parsed[Resp].data == text
        found = parsed[Moving]
        address = int(IPv4Address(found.address))
        again = WireMoving(found.migration, address, found.port, found.first, found.last)
        assert again == told == WireMoving.unpack(whole)
        assert ("nothing" in found.mysummary()) == (told.port == 0)


def test_bound_to_the_ports_of_services_and_agents() -> None:
    for port in (4700, 4701):
        for ports in ({"dport": port, "sport": 5}, {"sport": port, "dport": 5}):
            packet = IP(dst="10.0.0.1") / UDP(**ports) / Raw(bytes(NetMigrate(op=3) / Resp(b"+OK")))
            assert NetMigrate in IP(bytes(packet))
    assert (UDP() / NetMigrate()).dport == 4700


def test_query() -> None:
    packet = query("10.0.0.1", "SET", "x{tag}", b"\0\r\n", service=3, seq=9)
    header = packet[NetMigrate]
    assert (header.op, header.service, header.seq) == (Op.WRITE, 3, 9)
    assert header.group == group_of(b"tag")
    assert bytes(packet[Resp]) == b"*3\r\n$3\r\nSET\r\n$6\r\nx{tag}\r\n$3\r\n\0\r\n\r\n"
    assert packet[Resp].value == [b"SET", b"x{tag}", b"\0\r\n"]
    assert query("10.0.0.1", "GET", "k")[NetMigrate].op == Op.READ
    # What the library refuses can be sent by hand, to see the servers refuse it.
    assert query("10.0.0.1", "NOSUCH", "k")[NetMigrate].group == group_of(b"k")
    assert query("10.0.0.1", "GET", "k", op=77, magic=1)[NetMigrate].op == 77
    with pytest.raises(CommandError):
        query("10.0.0.1", "GET", None)  # type: ignore[arg-type]


def test_control() -> None:
    packet = control("10.0.0.1", "complete", 12, migration=4, lane=1, sequence=7)
    assert packet[NetMigrate].op == Op.GROUP_COMPLETE
    assert len(bytes(packet[NetMigrate])) == 34
    with pytest.raises(ValueError, match="one of START, COMPLETE, ACK"):
        control("10.0.0.1", "stop", 12, migration=4)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"+OK\r\n", b"OK"),
        (b":-3\r\n", -3),
        (b"$-1\r\n", None),
        (b"*-1\r\n", None),
        (b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n", [b"a", [1]]),
    ],
)
def test_decode(text: bytes, value: Any) -> None:
    assert decode(text) == value


def test_decode_error_reply() -> None:
    assert str(decode(b"-ERR x\r\n")) == "ERR x"


words = st.lists(st.binary(max_size=20), min_size=1, max_size=5)


@given(words)
def test_command_decodes_to_itself(parts: list[bytes]) -> None:
    assert command(*parts).value == parts


@given(st.binary(max_size=60))
def test_any_bytes_can_be_shown(data: bytes) -> None:
    for start in (b"", bytes(NetMigrate(op=3)), bytes(NetMigrate(op=4))):
        packet = IP(bytes(IP(dst="10.0.0.1") / UDP(sport=4700) / Raw(start + data)))
        assert packet.summary()
        assert packet.show(dump=True)
        assert bytes(packet[UDP].payload) == start + data
    try:
        decode(data)
    except ValueError:
        return
    assert data.endswith(b"\r\n")
