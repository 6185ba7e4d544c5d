"""Compile the C of this package once and load it: the library is cached by its sources' content."""

import ctypes
import hashlib
from functools import cache
from pathlib import Path

from switch.cc import cache_directory, compile_c

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
        compile_c(library, [*FLAGS, *map(str, sources)])
    return ctypes.CDLL(str(library), use_errno=True)
