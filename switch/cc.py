"""The C compiler, and the directory in which what it makes is kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path


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


def store(target: Path, content: bytes) -> None:
    """Write a file of the cache so that no other process ever sees a part of it."""
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as file:
        file.write(content)
    Path(file.name).replace(target)


def compile_c(target: Path, arguments: Sequence[str]) -> None:
    """Make `target` with the C compiler; other processes see it whole or not at all."""
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        output = Path(work) / target.name
        command = [compiler(), *arguments, "-o", str(output)]
        try:
            result = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise BuildError(f"cannot run the C compiler {command[0]}: {error.strerror}") from None
        if result.returncode != 0:
            raise BuildError(f"the C compiler failed: {' '.join(command)}\n{result.stderr[:4000]}")
        output.replace(target)
