"""A compiled P4 program as a Python object: packets in, packets out, and everything settable."""

from __future__ import annotations

import contextlib
import ctypes
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from switch import ir
from switch.backend.trace import MESSAGES
from switch.runtime import native
from switch.runtime.compiled import Compiled, compile_source, tracing_library
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
    MeterCounts,
    NoSuchEntry,
    Optional,
    PipelineError,
    Range,
    TableFull,
    Ternary,
    UnknownName,
)
from switch.runtime.objects import Array, Objects, Table, look_up
from switch.runtime.trace import Decoder, Trace

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
    "MeterCounts",
    "NoSuchEntry",
    "Optional",
    "Pipeline",
    "PipelineError",
    "Range",
    "TableFull",
    "Ternary",
    "UnknownName",
]

CLONE_SESSIONS: Final = 1 << 15
MULTICAST_GROUPS: Final = 1 << 16
_COUNTER: Final = 1 << 64


class Pipeline:
    """One running instance of a program; every call is atomic towards packets and other calls."""

    def __init__(
        self, compiled: Compiled, *, cpu_port: int | None = None, drop_port: int = 511
    ) -> None:
        for name, port in (("CPU", cpu_port), ("drop", drop_port)):
            if port is not None and not 0 <= port < 512:
                raise InvalidEntry(f"the {name} port must be from 0 to 511, not {port}")
        self.program: ir.Program = compiled.program
        self.cpu_port = cpu_port
        self._objects = Objects(compiled.program)
        self._compiled = compiled
        self._library = native.load(compiled.library)
        self._tracing: ctypes.CDLL | None = None  # once a packet is traced
        self._traced = False
        self._decoder = Decoder(compiled.program, compiled.sites, self._objects)
        self._c: int | None = self._library.p4s_new(drop_port)
        if not self._c:
            raise MemoryError("no memory for the state of the P4 program")

    @classmethod
    def compile(
        cls,
        source: Path,
        *,
        include: Sequence[Path] = (),
        defines: Mapping[str, str] | None = None,
        cpu_port: int | None = None,
        drop_port: int = 511,
        sanitize: bool = False,
    ) -> Pipeline:
        """Front end, back end and C compiler, each only when its result is not cached.

        Raises CompileError. `sanitize` builds with AddressSanitizer and UBSan; the process must
        then have been started with libasan preloaded.
        """
        compiled = compile_source(Path(source), include=include, defines=defines, sanitize=sanitize)
        return cls(compiled, cpu_port=cpu_port, drop_port=drop_port)

    def close(self) -> None:
        """Free the C state; the object is unusable afterwards."""
        if self._c:
            self._library.p4s_free(self._c)
            self._c = None

    def __del__(self) -> None:
        if getattr(self, "_c", None):
            self.close()

    @property
    def handle(self) -> int:
        """Address of the C `struct p4s`."""
        if not self._c:
            raise PipelineError("the pipeline was closed")
        return self._c

    @property
    def process_function(self) -> int:
        """Address of the C function `p4s_process`."""
        library = self._tracing if self._traced else None
        return native.address(library or self._library, "p4s_process")

    @property
    def lock_function(self) -> int:
        """Address of the C function `p4s_lock`."""
        return native.address(self._library, "p4s_lock")

    @property
    def unlock_function(self) -> int:
        """Address of the C function `p4s_unlock`."""
        return native.address(self._library, "p4s_unlock")

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """All calls within are one step to packets and to other threads, which wait meanwhile."""
        handle = self.handle
        self._library.p4s_lock(handle)
        try:
            yield
        finally:
            self._library.p4s_unlock(handle)

    def reset(self) -> None:
        """As freshly loaded: the program's own entries and defaults, everything else zero."""
        if not self._library.p4s_reset(self.handle):
            raise MemoryError("no memory for the state of the P4 program")

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
        return _packets(self._taken(records, size.value))

    def _taken(self, memory: int | None, size: int) -> bytes:
        """Bytes that the C side has made for us; they are freed there."""
        if not memory:
            return b""
        try:
            return ctypes.string_at(memory, size)
        finally:
            self._library.p4s_release(memory)

    # --- traces -----------------------------------------------------------------------------------

    def _load_tracing(self) -> ctypes.CDLL:
        """A second build of the program, with hooks; it works on the same state."""
        if self._tracing is None:
            self._tracing = native.load(tracing_library(self._compiled))
        return self._tracing

    def trace(self, port: int, packet: bytes) -> Trace:
        """One packet in, as `process` does it: what happens to it step by step, and what comes out.

        The first time takes as long as compiling the program.
        """
        self._check_port(port)
        library = self._load_tracing()
        size, count, words = native.U64(), native.U64(), native.Pointer()
        records = library.p4s_trace_one(
            self.handle,
            port,
            packet,
            len(packet),
            ctypes.byref(size),
            ctypes.byref(words),
            ctypes.byref(count),
        )
        if not records:
            raise MemoryError("no memory for what the pipeline sent")
        out = _packets(self._taken(records, size.value))
        traces = list(self._decoder.traces(self._taken(words.value, 8 * count.value)))
        if not traces:
            raise MemoryError("no memory for the trace of this packet")
        return replace(traces[0], out=tuple(out))

    def prepare_trace(self) -> None:
        """The slow part of `start_trace`."""
        self._load_tracing()

    def start_trace(self, ports: Iterable[int] = (), most: int | None = None) -> None:
        """Keep traces of what comes in on these ports (none: all), of up to `most` packets.

        It holds for packets that go through `process_function` as it is from now on.
        """
        self._load_tracing()
        self._traced = True
        self._keep(sum(1 << port for port in ports) or (1 << 512) - 1, most)

    def stop_trace(self) -> None:
        """Keep only what the program says by itself: log_msg, and assertions that fail.

        Before the first call of this or of `start_trace` not even that is kept.
        """
        self._traced = False
        self._keep(0, 0)

    @property
    def has_messages(self) -> bool:
        """Whether there is a log_msg, assert or assume in the program."""
        return any(site.kind in MESSAGES for site in self._compiled.sites)

    def _keep(self, ports: int, most: int | None) -> None:
        bits = native.words(ports >> 64 * i & (1 << 64) - 1 for i in range(8))
        self._library.p4s_trace_start(self.handle, bits, (1 << 64) - 1 if most is None else most)

    def take_traces(self) -> tuple[list[Trace], int]:
        """What was kept since the last call, and of how many packets there was no room for more."""
        count, lost = native.U64(), native.U64()
        words = self._library.p4s_trace_take(self.handle, ctypes.byref(count), ctypes.byref(lost))
        return list(self._decoder.traces(self._taken(words, 8 * count.value))), lost.value

    def benchmark(self, port: int, packets: Sequence[bytes], repeat: int) -> float:
        """Seconds for `repeat` rounds over the packets, inside C, outputs counted and dropped."""
        self._check_port(port)
        lengths = (native.U32 * max(1, len(packets)))(*map(len, packets))
        totals = native.words((0, 0))
        nanoseconds: int = self._library.p4s_benchmark(
            self.handle, port, b"".join(packets), lengths, len(packets), repeat, totals
        )
        return nanoseconds / 1e9

    @staticmethod
    def _check_port(port: int) -> None:
        if not 0 <= port < 512:
            raise InvalidEntry(f"a port is from 0 to 511, not {port}")

    # --- table entries ----------------------------------------------------------------------------

    def _table(self, name: str) -> Table:
        return look_up(self._objects.tables, name, "table")

    @staticmethod
    def _raise(status: int, table: Table, entry: Entry | None) -> None:
        if status == native.EXISTS:
            raise EntryExists(f"table '{table.name}' already has an entry for {entry}")
        if status == native.NO_ENTRY:
            raise NoSuchEntry(f"table '{table.name}' has no entry for {entry}")
        if status == native.FULL:
            raise TableFull(f"table '{table.name}' is full")
        if status == native.CONST:
            raise ConstTable(f"table '{table.name}': this entry is const")
        if status == native.NO_MEMORY:
            raise MemoryError(f"no memory for an entry of table '{table.name}'")

    def _changeable(self, name: str) -> Table:
        table = self._table(name)
        if table.ir.const_entries:
            raise ConstTable(f"table '{name}' has const entries: they cannot be changed")
        return table

    def insert(self, table: str, entry: Entry) -> None:
        """Raises EntryExists, TableFull, ConstTable, InvalidEntry, UnknownName."""
        t = self._changeable(table)
        match, _memory = t.match(entry)
        action, data = t.action(entry.action, entry.params)
        status = self._library.p4s_table_insert(
            self.handle, t.number, ctypes.byref(match), action, data
        )
        self._raise(status, t, entry)

    def modify(self, table: str, entry: Entry) -> None:
        """Another action for an entry; its counters and meter stay. Raises NoSuchEntry, …"""
        t = self._changeable(table)
        match, _memory = t.match(entry)
        action, data = t.action(entry.action, entry.params)
        status = self._library.p4s_table_modify(
            self.handle, t.number, ctypes.byref(match), action, data
        )
        self._raise(status, t, entry)

    def delete(self, table: str, entry: Entry) -> None:
        """Only match and priority count. Raises NoSuchEntry, …"""
        t = self._changeable(table)
        match, _memory = t.match(entry)
        status = self._library.p4s_table_delete(self.handle, t.number, ctypes.byref(match))
        self._raise(status, t, entry)

    def _row(self, t: Table, entry: Entry | None) -> Sequence[int]:
        row = native.words([0] * t.row_words)
        if entry is None:
            self._library.p4s_default_get(self.handle, t.number, row)
            return list(row)
        match, _memory = t.match(entry)
        status = self._library.p4s_table_get(self.handle, t.number, ctypes.byref(match), row)
        self._raise(status, t, entry)
        return list(row)

    def find(self, table: str, entry: Entry) -> Entry:
        """The installed entry with this match and priority. Raises NoSuchEntry."""
        t = self._table(table)
        return t.entry(self._row(t, entry))

    def idle(self, table: str, entry: Entry) -> int:
        """Nanoseconds since an entry was hit, as in `rows`. Raises NoSuchEntry."""
        return self._row(self._table(table), entry)[5]

    def _read(self, number: int, row_words: int) -> list[list[int]]:
        """All rows of a table as of one moment."""
        room = 64
        while True:
            rows = native.words([0] * (room * row_words))
            count: int = self._library.p4s_table_read(self.handle, number, rows, room)
            if count <= room:
                break
            room = count + count // 8
        words = rows[: count * row_words]
        return [words[at : at + row_words] for at in range(0, len(words), row_words)]

    def rows(self, table: str) -> list[tuple[Entry, tuple[int, int], int]]:
        """All entries with (packets, bytes) and idle nanoseconds, as of one moment.

        Idle time is kept for tables that support timeouts; others count from the insertion.
        """
        t = self._table(table)
        rows = self._read(t.number, t.row_words)
        return [(t.entry(row), (row[3], row[4]), row[5]) for row in rows]

    def entries(self, table: str) -> list[Entry]:
        return [entry for entry, _, _ in self.rows(table)]

    def set_value_set(self, name: str, members: Sequence[tuple[Match, ...]]) -> None:
        """Make these the members of a parser's value_set: one match per field of its type."""
        v = look_up(self._objects.value_sets, name, "value_set")
        packed = [v.match(member, i + 1) for i, member in enumerate(members)]
        status = self._library.p4s_value_set_write(
            self.handle, v.number, native.array([match for match, _ in packed]), len(packed)
        )
        if status == native.FULL:
            raise TableFull(f"value_set '{name}' has room for {v.size} members, not {len(members)}")
        if status == native.NO_MEMORY:
            raise MemoryError(f"no memory for value_set '{name}'")

    def value_set(self, name: str) -> list[tuple[Match, ...]]:
        v = look_up(self._objects.value_sets, name, "value_set")
        return [v.member(row) for row in self._read(v.number, v.row_words)]

    def set_default(self, table: str, action: str, params: Sequence[int]) -> None:
        t = self._table(table)
        if t.ir.const_default:
            raise ConstTable(f"the default action of table '{table}' is const")
        number, data = t.action(action, params, default=True)
        self._library.p4s_default_set(self.handle, t.number, number, data)

    def reset_default(self, table: str) -> None:
        """The program's own default action again."""
        self._library.p4s_default_reset(self.handle, self._table(table).number)

    def default(self, table: str) -> tuple[str, tuple[int, ...]]:
        t = self._table(table)
        return t.bound_action(self._row(t, None))

    def _with(self, table: str, direct: ir.ExternInstance | None, kind: str) -> None:
        if direct is None:
            raise PipelineError(f"table '{table}' has no direct {kind}")

    @staticmethod
    def _key(t: Table, entry: Entry | None) -> tuple[Any, native.Words | None]:
        """A pointer to a struct p4_match (NULL: the default entry), and what it points into."""
        if entry is None:
            return None, None
        match, memory = t.match(entry)
        return ctypes.byref(match), memory

    def direct_counter(self, table: str, entry: Entry | None) -> tuple[int, int]:
        """(packets, bytes) of an entry; None is the default entry."""
        t = self._table(table)
        self._with(table, t.ir.counter, "counter")
        row = self._row(t, entry)
        return row[3], row[4]

    def set_direct_counter(
        self, table: str, entry: Entry | None, packets: int, count_bytes: int
    ) -> None:
        t = self._table(table)
        self._with(table, t.ir.counter, "counter")
        value = native.words((packets % _COUNTER, count_bytes % _COUNTER))
        match, _memory = self._key(t, entry)
        status = self._library.p4s_direct_counter_set(self.handle, t.number, match, value)
        self._raise(status, t, entry)

    def direct_meter(self, table: str, entry: Entry | None) -> MeterConfig | None:
        """Of an entry; None is the default entry."""
        t = self._table(table)
        self._with(table, t.ir.meter, "meter")
        config = native.words([0] * 5)
        match, _memory = self._key(t, entry)
        status = self._library.p4s_direct_meter_get(self.handle, t.number, match, config)
        self._raise(status, t, entry)
        return _meter_config(config)

    def set_direct_meter(self, table: str, entry: Entry | None, config: MeterConfig | None) -> None:
        """Entry None: the default entry. Config None: always green."""
        t = self._table(table)
        self._with(table, t.ir.meter, "meter")
        match, _memory = self._key(t, entry)
        status = self._library.p4s_direct_meter_set(
            self.handle, t.number, match, _meter_words(config)
        )
        self._raise(status, t, entry)

    def direct_meter_counts(self, table: str, entry: Entry | None) -> MeterCounts:
        t = self._table(table)
        self._with(table, t.ir.meter, "meter")
        counts = native.words([0] * 6)
        match, _memory = self._key(t, entry)
        status = self._library.p4s_direct_meter_counts_get(self.handle, t.number, match, counts)
        self._raise(status, t, entry)
        return _meter_counts(counts)

    def set_direct_meter_counts(self, table: str, entry: Entry | None, counts: MeterCounts) -> None:
        t = self._table(table)
        self._with(table, t.ir.meter, "meter")
        match, _memory = self._key(t, entry)
        status = self._library.p4s_direct_meter_counts_set(
            self.handle, t.number, match, _count_words(counts)
        )
        self._raise(status, t, entry)

    # --- counters, meters, registers --------------------------------------------------------------

    @staticmethod
    def _index(kind: str, name: str, size: int, index: int, count: int = 1) -> int:
        if not 0 <= index <= index + count <= size:
            raise InvalidEntry(f"{kind} '{name}' has {size} cells: index {index} is out of range")
        return index

    def _counter(self, name: str) -> Array:
        return look_up(self._objects.counters, name, "counter")

    def counter(self, name: str, index: int) -> tuple[int, int]:
        """(packets, bytes)."""
        c = self._counter(name)
        values = native.words((0, 0))
        at = self._index("counter", name, c.size, index)
        self._library.p4s_counters_read(self.handle, c.number, at, 1, values)
        return values[0], values[1]

    def set_counter(self, name: str, index: int, packets: int, count_bytes: int) -> None:
        c = self._counter(name)
        values = native.words((packets % _COUNTER, count_bytes % _COUNTER))
        at = self._index("counter", name, c.size, index)
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

    def _meter(self, name: str) -> Array:
        return look_up(self._objects.meters, name, "meter")

    def meter(self, name: str, index: int) -> MeterConfig | None:
        m = self._meter(name)
        config = native.words([0] * 5)
        at = self._index("meter", name, m.size, index)
        self._library.p4s_meter_get(self.handle, m.number, at, config)
        return _meter_config(config)

    def set_meter(self, name: str, index: int, config: MeterConfig | None) -> None:
        """None: always green."""
        m = self._meter(name)
        at = self._index("meter", name, m.size, index)
        self._library.p4s_meter_set(self.handle, m.number, at, _meter_words(config))

    def meter_counts(self, name: str, index: int) -> MeterCounts:
        m = self._meter(name)
        counts = native.words([0] * 6)
        at = self._index("meter", name, m.size, index)
        self._library.p4s_meter_counts_get(self.handle, m.number, at, counts)
        return _meter_counts(counts)

    def set_meter_counts(self, name: str, index: int, counts: MeterCounts) -> None:
        m = self._meter(name)
        at = self._index("meter", name, m.size, index)
        self._library.p4s_meter_counts_set(self.handle, m.number, at, _count_words(counts))

    def register(self, name: str, index: int) -> int:
        r = look_up(self._objects.registers, name, "register")
        at = self._index("register", name, r.size, index)
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
        at = self._index("register", name, r.size, first, len(values))
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


def _packets(records: bytes) -> list[tuple[int, bytes]]:
    """What p4s_collect gave."""
    out: list[tuple[int, bytes]] = []
    at = 0
    while at < len(records):
        out_port, length = struct.unpack_from("=II", records, at)
        at += 8
        out.append((out_port, records[at : at + length]))
        at += length
    return out


def _meter_config(words: native.Words) -> MeterConfig | None:
    return MeterConfig(*words[1:]) if words[0] else None


def _meter_words(config: MeterConfig | None) -> native.Words:
    if config is None:
        return native.words([0] * 5)
    if not 0 <= config.cir <= config.pir or config.cburst < 0 or config.pburst < 0:
        raise InvalidEntry(f"a meter needs 0 ≤ cir ≤ pir and bursts ≥ 0, not {config}")
    return native.words((1, config.cir, config.cburst, config.pir, config.pburst))


def _meter_counts(words: native.Words) -> MeterCounts:
    return MeterCounts((words[0], words[1]), (words[2], words[3]), (words[4], words[5]))


def _count_words(counts: MeterCounts) -> native.Words:
    return native.words((*counts.green, *counts.yellow, *counts.red))
