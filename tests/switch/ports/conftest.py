"""Two ports with a host's end of a veth pair at each, in a network namespace of their own."""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from switch.cc import compile_c
from switch.ports import Ports
from switch.ports.build import FLAGS
from tests.switch.ports.veth import private_network, veth

CPU_PORT = 510
MUTEX_BYTES = 64


class PlainPipeline:
    """One of the functions of plain.c, as the ports loop wants it."""

    def __init__(self, library: ctypes.CDLL, function: str) -> None:
        self._mutex = ctypes.create_string_buffer(MUTEX_BYTES)
        self.handle = ctypes.addressof(self._mutex)
        self.lock_function = _address(library, "lock")
        self.unlock_function = _address(library, "unlock")
        self.process_function = _address(library, function)


def _address(library: ctypes.CDLL, name: str) -> int:
    value = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
    assert value
    return value


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    library = tmp_path_factory.mktemp("plain") / "plain.so"
    compile_c(library, [*FLAGS, str(Path(__file__).with_name("plain.c"))])
    return ctypes.CDLL(str(library))


@dataclass
class Bench:
    """Switch ports 1 and 2 are s1 and s2; h1 and h2 are the hosts' ends."""

    ports: Ports
    library: ctypes.CDLL

    def load(self, function: str) -> None:
        self.ports.load(PlainPipeline(self.library, function))

    def host(self, name: str) -> socket.socket:
        """A raw socket on a host's interface that sees frames as they are on the wire."""
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        raw.setsockopt(263, 23, 1)  # SOL_PACKET, PACKET_IGNORE_OUTGOING
        raw.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE
        raw.bind((name, 0))
        raw.settimeout(5)
        return raw


@pytest.fixture
def bench(plain: ctypes.CDLL) -> Iterator[Bench]:
    with private_network():
        veth("s1", "h1")
        veth("s2", "h2")
        ports = Ports(CPU_PORT)
        ports.add(1, "s1")
        ports.add(2, "s2")
        bench = Bench(ports, plain)
        bench.load("swap")
        ports.start()
        yield bench
        ports.stop()
        ports.close()
