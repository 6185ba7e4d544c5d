"""A compiled P4 program as a Python object: packets in, packets out, and everything settable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from switch.runtime.entries import (
    ConstTable,
    Digest,
    Entry,
    EntryExists,
    Exact,
    InvalidEntry,
    Lpm,
    Match,
    MeterConfig,
    NoSuchEntry,
    Optional,
    PipelineError,
    Range,
    TableFull,
    Ternary,
    UnknownName,
)

if TYPE_CHECKING:
    from switch import ir

__all__ = [
    "ConstTable",
    "Digest",
    "Entry",
    "EntryExists",
    "Exact",
    "InvalidEntry",
    "Lpm",
    "Match",
    "MeterConfig",
    "NoSuchEntry",
    "Optional",
    "Pipeline",
    "PipelineError",
    "Range",
    "TableFull",
    "Ternary",
    "UnknownName",
]


class Pipeline:
    """One running instance of a program; every call is atomic towards packets and other calls."""

    program: ir.Program

    @classmethod
    def compile(
        cls,
        source: Path,
        *,
        include: Sequence[Path] = (),
        defines: Mapping[str, str] | None = None,
        cpu_port: int | None = None,
        drop_port: int = 511,
    ) -> Pipeline:
        """Front end, back end and C compiler, each only when its result is not cached."""
        raise NotImplementedError

    def process(self, port: int, packet: bytes) -> list[tuple[int, bytes]]:
        """One packet in; what comes out, in simple_switch's order."""
        raise NotImplementedError

    def benchmark(self, port: int, packets: Sequence[bytes], repeat: int) -> float:
        """Seconds for `repeat` rounds over the packets, inside C, outputs counted and dropped."""
        raise NotImplementedError

    def insert(self, table: str, entry: Entry) -> None:
        raise NotImplementedError

    def modify(self, table: str, entry: Entry) -> None:
        raise NotImplementedError

    def delete(self, table: str, entry: Entry) -> None:
        raise NotImplementedError

    def entries(self, table: str) -> list[Entry]:
        raise NotImplementedError

    def find(self, table: str, entry: Entry) -> Entry:
        """The installed entry with this match and priority."""
        raise NotImplementedError

    def set_default(self, table: str, action: str, params: Sequence[int]) -> None:
        raise NotImplementedError

    def reset_default(self, table: str) -> None:
        raise NotImplementedError

    def default(self, table: str) -> tuple[str, tuple[int, ...]]:
        raise NotImplementedError

    def direct_counter(self, table: str, entry: Entry | None) -> tuple[int, int]:
        raise NotImplementedError

    def set_direct_counter(
        self, table: str, entry: Entry | None, packets: int, count_bytes: int
    ) -> None:
        raise NotImplementedError

    def direct_meter(self, table: str, entry: Entry) -> MeterConfig | None:
        raise NotImplementedError

    def set_direct_meter(self, table: str, entry: Entry, config: MeterConfig | None) -> None:
        raise NotImplementedError

    def counter(self, name: str, index: int) -> tuple[int, int]:
        """(packets, bytes)."""
        raise NotImplementedError

    def set_counter(self, name: str, index: int, packets: int, count_bytes: int) -> None:
        raise NotImplementedError

    def counters(self, name: str) -> npt.NDArray[np.uint64]:
        """All of one counter array: shape (size, 2), columns packets and bytes."""
        raise NotImplementedError

    def meter(self, name: str, index: int) -> MeterConfig | None:
        raise NotImplementedError

    def set_meter(self, name: str, index: int, config: MeterConfig | None) -> None:
        raise NotImplementedError

    def register(self, name: str, index: int) -> int:
        raise NotImplementedError

    def set_register(self, name: str, index: int, value: int) -> None:
        raise NotImplementedError

    def registers(self, name: str) -> npt.NDArray[np.generic] | list[int]:
        """All cells: a numpy array of unsigned ints up to 64 bits, a list of ints beyond."""
        raise NotImplementedError

    def set_registers(
        self, name: str, values: Sequence[int] | npt.NDArray[np.generic], first: int = 0
    ) -> None:
        raise NotImplementedError

    def set_clone_session(
        self, session: int, replicas: Sequence[tuple[int, int]], truncate: int = 0
    ) -> None:
        """Replicas are (port, instance); clones longer than `truncate` bytes are cut (0: never)."""
        raise NotImplementedError

    def delete_clone_session(self, session: int) -> None:
        raise NotImplementedError

    def set_multicast_group(self, group: int, replicas: Sequence[tuple[int, int]]) -> None:
        raise NotImplementedError

    def delete_multicast_group(self, group: int) -> None:
        raise NotImplementedError

    def digests(self) -> list[Digest]:
        """Take all digest messages queued since the last call."""
        raise NotImplementedError

    def reset(self) -> None:
        """As freshly loaded: const entries, initial defaults, zeroed registers and counters."""
        raise NotImplementedError

    @property
    def handle(self) -> int:
        """Address of the C `struct p4s`."""
        raise NotImplementedError

    @property
    def process_function(self) -> int:
        """Address of the C function `p4s_process`."""
        raise NotImplementedError

    @property
    def lock_function(self) -> int:
        """Address of the C function `p4s_lock`."""
        raise NotImplementedError

    @property
    def unlock_function(self) -> int:
        """Address of the C function `p4s_unlock`."""
        raise NotImplementedError

    def close(self) -> None:
        """Free the C state; the object is unusable afterwards."""
        raise NotImplementedError
