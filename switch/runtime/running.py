"""One running instance of a compiled program: its life, and its lock."""

from __future__ import annotations

import contextlib
import ctypes
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from switch import ir
from switch.runtime import native
from switch.runtime.compiled import Compiled, compile_source
from switch.runtime.entries import InvalidEntry, PipelineError
from switch.runtime.objects import Objects


class Running:
    """What the parts of a pipeline share; every call is atomic towards packets and other calls."""

    def __init__(
        self, compiled: Compiled, *, cpu_port: int | None = None, drop_port: int = 511
    ) -> None:
        for name, port in (("CPU", cpu_port), ("drop", drop_port)):
            if port is not None and not 0 <= port < 512:
                raise InvalidEntry(f"the {name} port must be from 0 to 511, not {port}")
        self.program: ir.Program = compiled.program
        self.cpu_port = cpu_port
        self._objects = Objects(compiled.program)
        self._library = native.load(compiled.library)
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
    ) -> Self:
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

    @staticmethod
    def _check_port(port: int) -> None:
        if not 0 <= port < 512:
            raise InvalidEntry(f"a port is from 0 to 511, not {port}")

    @staticmethod
    def _check_index(kind: str, name: str, size: int, index: int, count: int = 1) -> int:
        if not 0 <= index <= index + count <= size:
            raise InvalidEntry(f"{kind} '{name}' has {size} cells: index {index} is out of range")
        return index

    def _taken(self, memory: int | None, size: int) -> bytes:
        """Bytes that the C side has made for us; they are freed there."""
        if not memory:
            return b""
        try:
            return ctypes.string_at(memory, size)
        finally:
            self._library.p4s_release(memory)

    def _packets(self, memory: int, size: int) -> list[tuple[int, bytes]]:
        """What p4s_collect gave."""
        records = self._taken(memory, size)
        out: list[tuple[int, bytes]] = []
        at = 0
        while at < len(records):
            out_port, length = struct.unpack_from("=II", records, at)
            at += 8
            out.append((out_port, records[at : at + length]))
            at += length
        return out
