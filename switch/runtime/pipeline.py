"""A compiled P4 program as a Python object: packets in, packets out, and everything settable."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from switch.runtime import native
from switch.runtime.entries import (
    ConstTable,
    Digest,
    Entry,
    EntryExists,
    Exact,
    Group,
    InUse,
    InvalidEntry,
    Lpm,
    Match,
    Member,
    MeterConfig,
    MeterCounts,
    NoSuchEntry,
    OneShot,
    Optional,
    PipelineError,
    Range,
    Share,
    TableFull,
    Ternary,
    ToGroup,
    ToMember,
    UnknownName,
    Weighted,
)
from switch.runtime.meters import Meters
from switch.runtime.objects import Array, look_up
from switch.runtime.profiles import Profiles
from switch.runtime.tracing import Tracing

__all__ = [
    "ConstTable",
    "Digest",
    "Entry",
    "EntryExists",
    "Exact",
    "Group",
    "InUse",
    "InvalidEntry",
    "Lpm",
    "Match",
    "Member",
    "MeterConfig",
    "MeterCounts",
    "NoSuchEntry",
    "OneShot",
    "Optional",
    "Pipeline",
    "PipelineError",
    "Range",
    "Share",
    "TableFull",
    "Ternary",
    "ToGroup",
    "ToMember",
    "UnknownName",
    "Weighted",
]

CLONE_SESSIONS: Final = 1 << 15
MULTICAST_GROUPS: Final = 1 << 16
_COUNTER: Final = 1 << 64


class Pipeline(Meters, Profiles, Tracing):
    """One running instance of a program; every call is atomic towards packets and other calls."""

    # --- packets ----------------------------------------------------------------------------------

    def process(self, port: int, packet: bytes) -> list[tuple[int, bytes]]:
        """One packet in; what comes out, in simple_switch's order."""
        self._check_port(port)
        size = native.U64()
        records = self._library.p4s_collect(
            self.handle, port, packet, len(packet), ctypes.byref(size)
        )
        if not records:
            raise MemoryError("no memory for what the pipeline sent")
        return self._packets(records, size.value)

    def benchmark(self, port: int, packets: Sequence[bytes], repeat: int) -> float:
        """Seconds for `repeat` rounds over the packets, inside C, outputs counted and dropped."""
        self._check_port(port)
        lengths = (native.U32 * max(1, len(packets)))(*map(len, packets))
        totals = native.words((0, 0))
        nanoseconds: int = self._library.p4s_benchmark(
            self.handle, port, b"".join(packets), lengths, len(packets), repeat, totals
        )
        return nanoseconds / 1e9

    # --- counters, registers ----------------------------------------------------------------------

    def _counter(self, name: str) -> Array:
        return look_up(self._objects.counters, name, "counter")

    def counter(self, name: str, index: int) -> tuple[int, int]:
        """(packets, bytes)."""
        c = self._counter(name)
        values = native.words((0, 0))
        at = self._check_index("counter", name, c.size, index)
        self._library.p4s_counters_read(self.handle, c.number, at, 1, values)
        return values[0], values[1]

    def set_counter(self, name: str, index: int, packets: int, count_bytes: int) -> None:
        c = self._counter(name)
        values = native.words((packets % _COUNTER, count_bytes % _COUNTER))
        at = self._check_index("counter", name, c.size, index)
        self._library.p4s_counters_write(self.handle, c.number, at, 1, values)

    def counters(self, name: str) -> npt.NDArray[np.uint64]:
        """All of one counter array: shape (size, 2), columns packets and bytes."""
        c = self._counter(name)
        values = np.zeros((c.size, 2), dtype=np.uint64)
        self._library.p4s_counters_read(self.handle, c.number, 0, c.size, values.ctypes.data)
        return values

    def set_counters(self, name: str, values: npt.NDArray[np.uint64]) -> None:
        """All of one counter array, as `counters` gives them."""
        c = self._counter(name)
        if values.shape != (c.size, 2):
            raise InvalidEntry(f"counter '{name}' has {c.size} cells, not {values.shape}")
        cells = np.ascontiguousarray(values, dtype=np.uint64)
        self._library.p4s_counters_write(self.handle, c.number, 0, c.size, cells.ctypes.data)

    def register(self, name: str, index: int) -> int:
        r = look_up(self._objects.registers, name, "register")
        at = self._check_index("register", name, r.size, index)
        return int(self._cells(name, at, 1)[0])

    def set_register(self, name: str, index: int, value: int) -> None:
        self.set_registers(name, [value], index)

    def registers(self, name: str) -> npt.NDArray[np.unsignedinteger] | list[int]:
        """All cells: a numpy array of unsigned ints up to 64 bits, a list of ints beyond."""
        return self._cells(name, 0, look_up(self._objects.registers, name, "register").size)

    def _cells(
        self, name: str, first: int, count: int
    ) -> npt.NDArray[np.unsignedinteger] | list[int]:
        r = self._objects.registers[name]
        cells = np.zeros(count * max(1, r.cell_bytes // 8), dtype=r.dtype)
        self._library.p4s_registers_read(self.handle, r.number, first, count, cells.ctypes.data)
        return cells if r.cell_bytes <= 8 else r.unpack(cells)

    def set_registers(
        self, name: str, values: Sequence[int] | npt.NDArray[np.generic], first: int = 0
    ) -> None:
        """Consecutive cells from `first` on."""
        r = look_up(self._objects.registers, name, "register")
        at = self._check_index("register", name, r.size, first, len(values))
        if isinstance(values, np.ndarray) and r.cell_bytes <= 8 and len(values):
            r.check(int(values.min()))
            r.check(int(values.max()))
            cells = np.ascontiguousarray(values.astype(r.dtype))
        else:
            cells = r.pack(int(value) for value in values)
        self._library.p4s_registers_write(self.handle, r.number, at, len(values), cells.ctypes.data)

    # --- replication and digests ------------------------------------------------------------------

    @staticmethod
    def _replicas(
        kind: str, number: int, limit: int, first: int, replicas: Sequence[tuple[int, int]]
    ) -> ctypes.Array[native.Replica]:
        if not first <= number < limit:
            raise InvalidEntry(f"a {kind} is from {first} to {limit - 1}, not {number}")
        for port, instance in replicas:
            if not 0 <= port < 512 or not 0 <= instance < 1 << 16:
                raise InvalidEntry(
                    f"{kind} {number}: port {port} or instance {instance} is out of range"
                )
        return native.replicas(replicas)

    def set_clone_session(
        self, session: int, replicas: Sequence[tuple[int, int]], truncate: int = 0
    ) -> None:
        """Replicas are (port, instance); clones longer than `truncate` bytes are cut (0: never)."""
        items = self._replicas("clone session", session, CLONE_SESSIONS, 0, replicas)
        if not self._library.p4s_clone_session_set(
            self.handle, session, items, len(replicas), truncate
        ):
            raise MemoryError(f"no memory for clone session {session}")

    def delete_clone_session(self, session: int) -> None:
        self._replicas("clone session", session, CLONE_SESSIONS, 0, ())
        if not self._library.p4s_clone_session_delete(self.handle, session):
            raise NoSuchEntry(f"no clone session {session}")

    def set_multicast_group(self, group: int, replicas: Sequence[tuple[int, int]]) -> None:
        """Replicas are (port, instance)."""
        items = self._replicas("multicast group", group, MULTICAST_GROUPS, 1, replicas)
        if not self._library.p4s_multicast_group_set(self.handle, group, items, len(replicas)):
            raise MemoryError(f"no memory for multicast group {group}")

    def delete_multicast_group(self, group: int) -> None:
        self._replicas("multicast group", group, MULTICAST_GROUPS, 1, ())
        if not self._library.p4s_multicast_group_delete(self.handle, group):
            raise NoSuchEntry(f"no multicast group {group}")

    def digests(self) -> list[Digest]:
        """Take all digest messages queued since the last call."""
        most = max((sum(d.widths) for d in self._objects.digests), default=0)
        if not most:
            return []
        number, data = native.U32(), native.words([0] * most)
        messages = []
        while self._library.p4s_digest_take(self.handle, ctypes.byref(number), data, most):
            digest = self._objects.digests[number.value]
            values, at = [], 0
            for count in digest.widths:
                values.append(sum(data[at + i] << 64 * i for i in range(count)))
                at += count
            messages.append(Digest(digest.name, tuple(values)))
        return messages

    def statistics(self) -> dict[str, int]:
        """What was lost: packets in endless rounds, at failed assertions; digests not taken."""
        values = native.words([0] * 3)
        self._library.p4s_statistics(self.handle, values)
        names = ("endless_packets", "failed_assertions", "dropped_digests")
        return dict(zip(names, values, strict=True))
