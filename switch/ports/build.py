"""Compile the C of this package once and load it: the library is cached by its sources' content."""

import ctypes
import hashlib
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from switch.backend.build import BuildError, cache_directory, compiler

FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared", "-pthread")


@cache
def load(name: str, *others: str) -> ctypes.CDLL:
    """The library of `name`.c and `name`.h, and of `others`, if it has more parts."""
    sources = [Path(__file__).with_name(f"{part}.c") for part in (name, *others)]
    digest = hashlib.sha256(repr(FLAGS).encode())
    for source in sources:
        digest.update(source.read_bytes())
        digest.update(source.with_suffix(".h").read_bytes())
    library = cache_directory() / f"{name}-{digest.hexdigest()[:24]}.so"
    if not library.exists():
        compile_library(sources, library)
    return ctypes.CDLL(str(library), use_errno=True)


def compile_library(sources: Sequence[Path], library: Path) -> None:
    """Compile C files; other processes see either nothing or the finished library."""
    with tempfile.TemporaryDirectory(dir=library.parent) as scratch:
        built = Path(scratch) / library.name
        command = [compiler(), *FLAGS, *map(str, sources), "-o", str(built)]
        try:
            result = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            raise BuildError(f"cannot run the C compiler {command[0]}: {error.strerror}") from None
        if result.returncode != 0:
            raise BuildError(f"{command[0]} failed on {sources[0]}:\n{result.stderr}")
        built.replace(library)
