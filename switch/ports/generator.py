"""A traffic generator for measuring a switch: floods or pings with prebuilt frames."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from ctypes import POINTER, byref, c_char_p, c_int, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from switch.ports.build import load


@dataclass(frozen=True)
class Flood:
    """What came of a flood; rates are packets per second."""

    sent: int
    received: int
    received_bytes: int
    send_seconds: float
    receive_seconds: float

    @property
    def sent_rate(self) -> float:
        return self.sent / self.send_seconds

    @property
    def received_rate(self) -> float:
        return self.received / self.receive_seconds if self.received else 0.0


class _Result(ctypes.Structure):
    _fields_ = tuple(
        (name, c_uint64) for name in ("sent", "received", "bytes", "send_ns", "nanoseconds")
    )


def _library() -> Any:
    library = load("generator")
    library.generator_open.restype = c_void_p
    library.generator_open.argtypes = [c_char_p, c_char_p]
    library.generator_close.restype = None
    library.generator_close.argtypes = [c_void_p]
    library.generator_flood.restype = c_int
    library.generator_flood.argtypes = [
        *(c_void_p, c_char_p, POINTER(c_uint32), c_uint32),
        *(c_uint64, c_uint64, c_uint64, POINTER(_Result)),
    ]
    library.generator_ping.restype = c_int
    library.generator_ping.argtypes = [
        *(c_void_p, c_char_p, c_uint32, c_uint32),
        *(c_uint64, c_uint64, POINTER(c_uint64)),
    ]
    return library


class Generator:
    """Sends on one interface and counts every frame that arrives on another, or the same."""

    def __init__(self, transmit: str, receive: str) -> None:
        self._c = _library()
        self._handle = self._c.generator_open(transmit.encode(), receive.encode())
        if not self._handle:
            error = ctypes.get_errno()
            raise OSError(error, f"cannot open {transmit} and {receive}: {os.strerror(error)}")

    def __enter__(self) -> Generator:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._c.generator_close(self._handle)

    def flood(
        self, frames: Sequence[bytes], seconds: float, rate: int = 0, settle: float = 0.2
    ) -> Flood:
        """Send the frames in turn, at `rate` a second (0: flat out); stop after `settle` quiet."""
        if not frames:
            raise ValueError("no frames to send")
        lengths = (c_uint32 * len(frames))(*map(len, frames))
        result = _Result()
        error = self._c.generator_flood(
            *(self._handle, b"".join(frames), lengths, len(frames)),
            *(int(seconds * 1e9), rate, int(settle * 1e9), byref(result)),
        )
        if error:
            raise OSError(-error, os.strerror(-error))
        return Flood(
            result.sent,
            result.received,
            result.bytes,
            result.send_ns / 1e9,
            result.nanoseconds / 1e9,
        )

    def ping(
        self, frame: bytes, count: int, gap: float = 0.0, timeout: float = 1.0
    ) -> npt.NDArray[np.float64]:
        """Times in seconds from sending to receiving, one at a time; NaN for a lost one."""
        times = (c_uint64 * count)()
        error = self._c.generator_ping(
            *(self._handle, frame, len(frame), count),
            *(int(gap * 1e9), int(timeout * 1e9), times),
        )
        if error:
            raise OSError(-error, os.strerror(-error))
        nanoseconds = np.array(times, dtype=np.float64)
        return np.where(nanoseconds == 0, np.nan, nanoseconds / 1e9)
