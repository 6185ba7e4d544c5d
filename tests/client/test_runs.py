"""Requests of one length go to the kernel as one message; on the wire each is a datagram."""

import socket
import struct
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hosts.client._core import Session
from hosts.wire import HEADER_LENGTH, Op
from tests.switch.ports.veth import ip, private_network, veth

UDP_GRO = 104
SO_NO_CHECK = 11
LOOPBACK = 0x7F000001


@contextmanager
def service(ip: str = "127.0.0.1") -> Iterator[tuple[socket.socket, int]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((ip, 0))
        server.settimeout(2)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        yield server, server.getsockname()[1]


def session(port: int, address: int = LOOPBACK) -> "closing[Session]":
    return closing(Session(address, port, 1, 5.0, 5.0))


def send(one: Session, lengths: Sequence[int]) -> None:
    """Send GETs of keys that are so long, all at once; each begins with its number."""
    for number, length in enumerate(lengths):
        one.start(Op.READ, 0, (b"GET", b"%04d" % number + b"k" * (length - 4)), number)
    one.poll(0)


def number_in(datagram: bytes) -> int:
    """Return the number of the request, which must be whole."""
    key = datagram[HEADER_LENGTH:].split(b"\r\n", 4)[4]
    size = int(datagram[HEADER_LENGTH:].split(b"\r\n")[3][1:])
    assert len(key) == size + 2 and key.endswith(b"\r\n")
    return int(key[:4])


def test_equal_requests_are_one_message() -> None:
    """A receiver that asks for it gets a run as it was sent: 20 equal ones and a shorter one."""
    with service() as (server, port), session(port) as one:
        server.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        send(one, [19] * 20 + [18] + [19] * 5)
        data, (control,), *_ = server.recvmsg(65535, 64)
        (size,) = struct.unpack_from("H", control[2])
        assert control[:2] == (socket.IPPROTO_UDP, UDP_GRO)
        run = [data[at : at + size] for at in range(0, len(data), size)]
        assert [number_in(datagram) for datagram in run] == list(range(21))
        assert len(server.recv(65535)) == 5 * size
        assert one.counts()["sent"] == 26


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([4, 5, 19, 20, 500, 1400]), min_size=1, max_size=200))
def test_each_request_is_a_datagram(lengths: list[int]) -> None:
    with service() as (server, port), session(port) as one:
        send(one, lengths)
        assert [number_in(server.recv(2048)) for _ in lengths] == list(range(len(lengths)))
        assert one.counts()["sent"] == len(lengths)


def test_where_the_kernel_refuses_runs_each_goes_alone() -> None:
    with service() as (server, port), session(port) as one:
        server.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        with socket.socket(fileno=one.fd) as own:
            own.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)  # then it does: EINVAL
            own.detach()
        send(one, [19] * 100)
        assert [number_in(server.recv(2048)) for _ in range(100)] == list(range(100))
        assert (one.counts()["sent"], one.counts()["unsendable"]) == (100, 0)


def checksum(data: bytes) -> int:
    """RFC 1071; 0 over data that holds its own right checksum."""
    even = data + b"\0" * (len(data) % 2)
    total = sum(int(word) for (word,) in struct.iter_unpack("!H", even))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@pytest.mark.root
def test_frames_are_finished_on_a_wire_without_offloads() -> None:
    """As on the links of the emulated network: standard frames, their checksums right."""
    with private_network():
        veth("here", "there")
        for name in ("here", "there"):
            off = " off ".join(("tx", "rx", "sg", "tso", "gso", "gro", ""))
            command = f"ethtool -K {name} {off}"
            subprocess.run(command.split(), check=True, capture_output=True)
        ip("address add 10.9.0.1/24 dev here")
        ip("neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev here")
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        with raw, session(4700, 0x0A090002) as one:
            raw.bind(("there", 0x0800))
            raw.settimeout(2)
            send(one, [19] * 30 + [18])
            frames = [raw.recv(65535) for _ in range(31)]
    assert [number_in(frame[42:]) for frame in frames] == list(range(31))
    for frame in frames:
        header, udp = frame[14:34], frame[34:]
        assert struct.unpack("!H", header[2:4])[0] == len(header) + len(udp)
        assert struct.unpack("!H", udp[4:6])[0] == len(udp)
        pseudo = header[12:20] + struct.pack("!HH", socket.IPPROTO_UDP, len(udp))
        assert checksum(header) == checksum(pseudo + udp) == 0
        assert udp[6:8] != b"\0\0"
