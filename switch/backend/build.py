"""C to a shared object, kept by content: two processes may build the same program at once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

RUNTIME: Final = Path(__file__).resolve().parent.parent / "runtime"
FLAGS: Final = ("-std=gnu11", "-O2", "-fPIC", "-shared", "-fno-semantic-interposition", "-w")
SANITIZERS: Final = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1", "-g")


class BuildError(RuntimeError):
    """No C compiler, or it failed: never the P4 program's fault."""


def cache_directory() -> Path:
    """Where compiled programs are kept: ${XDG_CACHE_HOME:-~/.cache}/p4switch."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    directory = Path(base) / "p4switch"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return directory


def compiler() -> str:
    found = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc")
    if not found:
        raise BuildError("no C compiler found: install gcc (or set CC)")
    return found


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
    name = content_hash(source.encode(), " ".join((compiler(), *flags)).encode())
    target = cache_directory() / f"{name}.so"
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=cache_directory()) as work:
        program = Path(work) / "program.c"
        program.write_text(source)
        output = Path(work) / "program.so"
        files = [str(program), *map(str, _sources())]
        command = [compiler(), *flags, f"-I{RUNTIME}", *files, "-o", str(output), "-pthread"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            kept = cache_directory() / f"{name}.c"
            kept.write_text(source)
            raise BuildError(f"the C compiler failed on {kept}:\n{result.stderr[:4000]}")
        output.replace(target)
    return target
