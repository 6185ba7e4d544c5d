"""C to a shared object, kept by content: two processes may build the same program at once.

The runtime is compiled once, and linked to each program.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

RUNTIME: Final = Path(__file__).resolve().parent.parent / "runtime"
FLAGS: Final = ("-std=gnu11", "-O2", "-fPIC", "-fno-semantic-interposition", "-pthread", "-w")
SANITIZERS: Final = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-O1", "-g")


class BuildError(RuntimeError):
    """No C compiler, or it failed: never the P4 program's fault."""


def cache_directory() -> Path:
    """Where compiled programs are kept: ${XDG_CACHE_HOME:-~/.cache}/p4switch."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    directory = Path(base).absolute() / "p4switch"
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BuildError(
            f"cannot make the cache {directory} ({error.strerror}): set XDG_CACHE_HOME"
        ) from None
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
    settings = " ".join((compiler(), *flags)).encode()
    runtime = _make(
        f"{content_hash(settings)}.o", [*flags, "-r", "-nostdlib", *map(str, _sources())]
    )
    name = content_hash(settings, source.encode())
    program = cache_directory() / f"{name}.c"
    target = program.with_suffix(".so")
    if not target.exists():
        store(program, source.encode())
        _make(target.name, [*flags, "-shared", f"-I{RUNTIME}", str(program), str(runtime)])
    return target


def store(target: Path, content: bytes) -> None:
    """Write a file of the cache so that no other process ever sees a part of it."""
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
        file.write(content)
    Path(file.name).replace(target)


def _make(name: str, arguments: list[str]) -> Path:
    """What the C compiler makes of the arguments; it appears whole or not at all."""
    target = cache_directory() / name
    if target.exists():
        return target
    with tempfile.TemporaryDirectory(dir=cache_directory()) as work:
        output = Path(work) / name
        command = [compiler(), *arguments, "-o", str(output)]
        try:
            result = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise BuildError(f"cannot run the C compiler {command[0]}: {error.strerror}") from None
        if result.returncode != 0:
            raise BuildError(f"the C compiler failed: {' '.join(command)}\n{result.stderr[:4000]}")
        output.replace(target)
    return target
