"""C to a shared object, kept by content: two processes may build the same program at once.

The runtime is compiled once, and linked to each program.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from switch.cc import cache_directory, compile_c, compiler, store

RUNTIME: Final = Path(__file__).resolve().parent.parent / "runtime"
FLAGS: Final = ("-std=gnu11", "-O2", "-fPIC", "-fno-semantic-interposition", "-pthread", "-w")
SANITIZERS: Final = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1", "-g")


def _sources() -> list[Path]:
    return sorted(RUNTIME.glob("*.c"))


def content_hash(*parts: bytes) -> str:
    """A name for what is made from these parts and the runtime's own C."""
    digest = hashlib.sha256()
    for part in (*parts, *(p.read_bytes() for p in (*_sources(), *sorted(RUNTIME.glob("*.h"))))):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:32]


def build(source: str, *, sanitize: bool = False) -> Path:
    """The shared object of a generated program."""
    flags = (*FLAGS, *SANITIZERS) if sanitize else FLAGS
    settings = " ".join((compiler(), *flags)).encode()
    runtime = cache_directory() / f"{content_hash(settings)}.o"
    if not runtime.exists():
        compile_c(runtime, [*flags, "-r", "-nostdlib", *map(str, _sources())])
    name = content_hash(settings, source.encode())
    program = cache_directory() / f"{name}.c"
    target = program.with_suffix(".so")
    if not target.exists():
        store(program, source.encode())
        compile_c(target, [*flags, "-shared", f"-I{RUNTIME}", str(program), str(runtime)])
    return target
