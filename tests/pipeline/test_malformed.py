"""docs/dataplane.md: what claims to be ours and is not well-formed is dropped and counted."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP, IPOption_NOP
from scapy.layers.l2 import Ether

from controller.counters import Event
from hosts.wire import HEADER_LENGTH, Op

from .bmv2 import DataPlane
from .deployment import CLIENT, SOURCE
from .model import ones_complement_sum
from .net import GROUP, Net, complete, leaves_to, query, start


def _patched(frame: bytes, offset: int, data: bytes) -> bytes:
    return frame[:offset] + data + frame[offset + len(data) :]


def _scapy(frame: bytes, change: Callable[[Ether], None]) -> bytes:
    """Return the frame changed by scapy, with the IPv4 checksum right again."""
    ether = Ether(frame)
    change(ether)
    del ether[IP].chksum
    return bytes(ether)


def _set(layer: type, **fields: object) -> Callable[[Ether], None]:
    def change(ether: Ether) -> None:
        for name, value in fields.items():
            setattr(ether[layer], name, value)

    return change


READ = query()
UDP_LENGTH = len(READ) - 34

MALFORMED = {
    "magic": _patched(READ, 42, b"\x4e\x4c"),
    "version 0": _patched(READ, 44, b"\x00"),
    "version 2": _patched(READ, 44, b"\x02"),
    "op 0": _patched(READ, 45, b"\x00"),
    "op 7": _patched(READ, 45, b"\x07"),
    "op 255": _patched(READ, 45, b"\xff"),
    "a reply": _patched(READ, 45, bytes([Op.REPLY])),
    "an acknowledgement": _patched(start(GROUP, 1), 45, bytes([Op.GROUP_ACK])),
    "group 16384": _patched(READ, 50, (16384).to_bytes(2, "big")),
    "group 65535": _patched(READ, 50, b"\xff\xff"),
    "header checksum": _patched(READ, 24, b"\xde\xad"),
    "first fragment": _scapy(READ, _set(IP, flags="MF")),
    "UDP longer than IP": _scapy(READ, _set(UDP, len=UDP_LENGTH + 1)),
    "UDP shorter than IP": _scapy(READ, _set(UDP, len=UDP_LENGTH - 1)),
    "UDP length 0": _scapy(READ, _set(UDP, len=0)),
    "lengths that agree modulo 65536": _scapy(
        _scapy(READ, _set(UDP, len=0x10000 - 6)), _set(IP, len=14)
    ),
    "IP longer than the frame": _scapy(
        _scapy(READ, _set(UDP, len=UDP_LENGTH + 9)), _set(IP, len=UDP_LENGTH + 29)
    ),
    "header in the padding": _scapy(_scapy(READ, _set(UDP, len=8)), _set(IP, len=28)),
    "header half in the padding": _scapy(
        _scapy(READ, _set(UDP, len=8 + HEADER_LENGTH - 1)), _set(IP, len=28 + HEADER_LENGTH - 1)
    ),
    "control part in the padding": _scapy(
        _scapy(start(GROUP, 1), _set(UDP, len=8 + HEADER_LENGTH + 5)),
        _set(IP, len=28 + HEADER_LENGTH + 5),
    ),
    "control without its part": _patched(query(payload=b""), 45, bytes([Op.GROUP_START])),
    "empty datagram": _scapy(_scapy(READ, _set(UDP, len=8)), _set(IP, len=28))[:42],
}


@pytest.mark.parametrize("frame", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_request_is_dropped(net: Net, frame: bytes) -> None:
    assert net.send(SOURCE, frame) == []
    assert net.last_event() is Event.MALFORMED


@pytest.mark.parametrize("whole", [READ, start(GROUP, 1), complete(GROUP, 1)])
def test_a_truncated_request_is_dropped_wherever_it_ends(net: Net, whole: bytes) -> None:
    for length in range(42, len(whole)):
        assert net.send(SOURCE, whole[:length]) == []
        assert net.last_event() is Event.MALFORMED


def test_a_request_shortened_with_all_its_lengths_is_dropped_below_the_header(net: Net) -> None:
    for whole, least in ((READ, 28), (start(GROUP, 1), 34)):
        for size in range(len(whole) - 42):
            lengths = _scapy(_scapy(whole, _set(UDP, len=8 + size)), _set(IP, len=28 + size))
            sent = net.send(SOURCE, lengths[: 42 + size])
            assert bool(sent) == (size >= least)


def test_ethernet_padding_is_no_fault(net: Net) -> None:
    frame = query(payload=b"") + bytes(20)
    (sent,) = net.send(CLIENT, frame)
    assert net.last_event() is Event.STEERED_SOURCE
    assert len(sent.frame) == len(frame)


def test_options_hide_a_request(net: Net) -> None:
    """The switch does not look behind IPv4 options: to the router, such a packet is a VIP's."""
    frame = _scapy(READ, _set(IP, options=[IPOption_NOP()] * 4, ihl=None, len=None))
    assert net.send(CLIENT, frame) == []
    assert net.last_event() is Event.NO_ROUTE


def test_udp_checksums_of_requests_are_not_our_business(net: Net) -> None:
    for checksum in (0, 0xBAD):
        frame = _patched(READ, 40, checksum.to_bytes(2, "big"))
        (sent,) = net.send(CLIENT, frame)
        assert leaves_to(SOURCE, sent, frame)


def test_malformed_requests_change_no_state(net: Net) -> None:
    good = start(GROUP, 1)
    for offset in range(len(good)):
        if offset not in range(6, 12):  # a source MAC address is as good as another
            net.send(SOURCE, _patched(good, offset, bytes([good[offset] ^ 0x80])))
    # Left over are those that are no START of this group, or were a START of another.
    net.check_registers()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from([SOURCE, CLIENT]), st.binary(min_size=1, max_size=120))
def test_random_bytes_do_what_the_model_says(pipeline: DataPlane, port: int, data: bytes) -> None:
    net = Net(pipeline)
    net.send(port, data)
    net.check_counters()


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([READ, query(Op.WRITE), start(GROUP, 1), complete(GROUP, 1)]),
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 255)), max_size=4),
    st.integers(1, 120),
    st.booleans(),
)
def test_spoilt_requests_do_what_the_model_says(
    pipeline: DataPlane,
    frame: bytes,
    spoilt: list[tuple[int, int]],
    length: int,
    right_checksum: bool,
) -> None:
    net = Net(pipeline)
    for offset, value in spoilt:
        if offset < len(frame):
            frame = _patched(frame, offset, bytes([value]))
    if right_checksum:
        checksum = 0xFFFF - ones_complement_sum(frame[14:24] + frame[26:34])
        frame = _patched(frame, 24, checksum.to_bytes(2, "big"))
    net.send(SOURCE, frame[:length] if length < 100 else frame)
    net.check_counters()
    net.check_registers()
