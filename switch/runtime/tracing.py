"""Traces of a running program's packets, and what it says by itself."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from dataclasses import replace

from switch.backend.trace import MESSAGES
from switch.runtime import native
from switch.runtime.compiled import Compiled, tracing_library
from switch.runtime.running import Running
from switch.runtime.trace import Decoder, Trace


class Tracing(Running):
    def __init__(
        self, compiled: Compiled, *, cpu_port: int | None = None, drop_port: int = 511
    ) -> None:
        super().__init__(compiled, cpu_port=cpu_port, drop_port=drop_port)
        self._compiled = compiled
        self._tracing: ctypes.CDLL | None = None  # once a packet is traced
        self._traced = False
        self._decoder = Decoder(compiled.program, compiled.sites, self._objects)

    @property
    def process_function(self) -> int:
        """Address of the C function `p4s_process`."""
        library = self._tracing if self._traced else None
        return native.address(library or self._library, "p4s_process")

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
        out = self._packets(records, size.value)
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
