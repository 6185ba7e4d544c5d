"""The switch's ports: network interfaces, and the C loop that takes packets through a pipeline."""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Iterable
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_uint32, c_uint64, c_void_p
from dataclasses import astuple, dataclass, fields
from typing import Any, Protocol

from switch.ports.build import load
from switch.ports.faults import Direction, FaultCounts, FaultRates, FaultSpec

MAX_FRAME = 65536
NO_PORT = 0xFFFFFFFF


class Runnable(Protocol):
    """What the loop needs of a pipeline: the addresses of its C functions and their context."""

    @property
    def handle(self) -> int: ...
    @property
    def lock_function(self) -> int: ...
    @property
    def unlock_function(self) -> int: ...
    @property
    def process_function(self) -> int: ...


class PortError(RuntimeError):
    """An interface cannot become a port; the message says why and what to do."""


@dataclass(frozen=True)
class PortStatistics:
    """What one port counted (`struct ports_statistics`)."""

    rx_packets: int
    rx_bytes: int
    tx_packets: int
    tx_bytes: int
    rx_dropped: int
    rx_oversize: int
    rx_malformed: int
    rx_checksums: int
    tx_dropped: int
    tx_oversize: int
    link_errors: int


@dataclass(frozen=True)
class Totals:
    """What belongs to no single port (`struct ports_totals`)."""

    cpu_packets: int
    cpu_dropped: int
    unknown_port: int
    no_pipeline: int


class _Pipeline(ctypes.Structure):
    _fields_ = (
        ("context", c_void_p),
        ("lock", c_void_p),
        ("unlock", c_void_p),
        ("process", c_void_p),
    )


_Statistics = c_uint64 * len(fields(PortStatistics))
_Totals = c_uint64 * len(fields(Totals))
_FaultRates = c_double * len(fields(FaultRates))
_FaultCounts = c_uint64 * len(fields(FaultCounts))


def _library() -> Any:
    library = load("ports", "port", "queue", "awake", "faults", "offloads")
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "ports_open": (c_void_p, [c_uint32]),
        "ports_add": (c_int, [c_void_p, c_uint32, c_char_p]),
        "ports_keep_awake": (None, [c_void_p]),
        "ports_run": (None, [c_void_p]),
        "ports_stop": (None, [c_void_p]),
        "ports_close": (None, [c_void_p]),
        "ports_set_pipeline": (None, [c_void_p, POINTER(_Pipeline)]),
        "ports_inject": (c_int, [c_void_p, c_uint32, c_char_p, c_uint32]),
        "ports_receive": (c_int, [c_void_p, c_char_p, c_uint32]),
        "ports_get_statistics": (c_int, [c_void_p, c_uint32, POINTER(_Statistics)]),
        "ports_get_totals": (None, [c_void_p, POINTER(_Totals)]),
        "ports_seed_faults": (None, [c_void_p, c_uint64]),
        "ports_set_faults": (c_int, [c_void_p, c_uint32, c_int, POINTER(_FaultRates)]),
        "ports_get_faults": (c_int, [c_void_p, c_uint32, c_int, POINTER(_FaultCounts)]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _port_error(number: int, interface: str, error: int) -> PortError:
    explanations = {
        errno.EPERM: "opening it needs root rights or CAP_NET_RAW",
        errno.EACCES: "opening it needs root rights or CAP_NET_RAW",
        errno.ENODEV: "there is no such interface",
        errno.EINVAL: "port numbers go from 0 to 1023 and must differ from the CPU port",
        errno.EEXIST: f"port {number} has an interface already",
    }
    return PortError(f"port {number}@{interface}: {explanations.get(error, os.strerror(error))}")


class Ports:
    """The front panel of one switch: add the interfaces, start, then load pipelines at will."""

    def __init__(self, cpu_port: int | None = None, *, awake: bool = False) -> None:
        """With `awake`, idle processors do not sleep while packets come, if we have root rights."""
        self._c = _library()
        self._handle = self._c.ports_open(NO_PORT if cpu_port is None else cpu_port)
        if not self._handle:
            raise MemoryError("no memory or file descriptors left for the ports")
        if awake:
            self._c.ports_keep_awake(self._handle)
        self._pipeline: Runnable | None = None
        self._thread: threading.Thread | None = None
        self.interfaces: dict[int, str] = {}

    def add(self, number: int, interface: str) -> None:
        """Make an interface a port; only before `start`."""
        if self._thread is not None:
            raise PortError("ports are added before the switch is started")
        error = self._c.ports_add(self._handle, number, interface.encode())
        if error:
            raise _port_error(number, interface, -error)
        self.interfaces[number] = interface

    def start(self) -> None:
        self._thread = threading.Thread(
            target=self._c.ports_run, args=(self._handle,), name="ports", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the loop and wake up `receive`."""
        self._c.ports_stop(self._handle)
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        """Free everything; call after `stop`, with no `receive` under way."""
        if self._handle:
            self._c.ports_close(self._handle)
            self._handle = None

    def load(self, pipeline: Runnable | None) -> None:
        """Replace the pipeline between two batches; the old one is unused on return."""
        functions = _Pipeline()
        if pipeline is not None:
            functions = _Pipeline(
                pipeline.handle,
                pipeline.lock_function,
                pipeline.unlock_function,
                pipeline.process_function,
            )
        self._c.ports_set_pipeline(self._handle, byref(functions))
        self._pipeline = pipeline  # the C side holds addresses into it

    def inject(self, port: int, packet: bytes) -> None:
        """Let a packet enter the pipeline as if it were received on `port`."""
        error = self._c.ports_inject(self._handle, port, packet, len(packet))
        if error == -errno.EMSGSIZE:
            raise PortError(f"a packet of {len(packet)} bytes is over the limit of {MAX_FRAME}")
        if error:
            raise PortError("the queue of packets from the controller is full")

    def receive(self) -> bytes | None:
        """Wait for the next packet to the CPU port; None once stopped."""
        buffer = ctypes.create_string_buffer(MAX_FRAME)
        length = self._c.ports_receive(self._handle, buffer, MAX_FRAME)
        return None if length < 0 else buffer.raw[:length]

    def statistics(self, number: int) -> PortStatistics:
        values = _Statistics()
        if self._c.ports_get_statistics(self._handle, number, byref(values)):
            raise PortError(f"there is no port {number}")
        return PortStatistics(*values)

    def totals(self) -> Totals:
        values = _Totals()
        self._c.ports_get_totals(self._handle, byref(values))
        return Totals(*values)

    def seed_faults(self, seed: int) -> None:
        """Begin the faults of `seed` with the next frame of each way."""
        self._c.ports_seed_faults(self._handle, seed & (1 << 64) - 1)

    def set_faults(self, specs: Iterable[FaultSpec]) -> None:
        """Change the rates of what `specs` name, one after the other; also under traffic."""
        specs = list(specs)
        for spec in specs:
            if spec.port is not None and spec.port not in self.interfaces:
                raise PortError(f"there is no port {spec.port}")
        for spec in specs:
            for port in self.interfaces if spec.port is None else (spec.port,):
                for direction in Direction if spec.direction is None else (spec.direction,):
                    rates = _FaultRates(*astuple(spec.rates))
                    self._c.ports_set_faults(self._handle, port, direction, byref(rates))

    def faults(self, number: int, direction: Direction) -> FaultCounts:
        """What has been injected so far."""
        values = _FaultCounts()
        if self._c.ports_get_faults(self._handle, number, direction, byref(values)):
            raise PortError(f"there is no port {number}")
        return FaultCounts(*values)
