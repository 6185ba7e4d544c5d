"""A P4 source compiled to a typed program and a shared object; both kept by content."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from switch import frontend, ir
from switch.backend.build import build, content_hash
from switch.backend.program import generate
from switch.backend.trace import Site
from switch.cc import cache_directory, store


@dataclass(frozen=True, slots=True)
class Compiled:
    program: ir.Program
    library: Path
    sites: tuple[Site, ...]
    sanitize: bool


def compile_program(program: ir.Program, *, sanitize: bool = False) -> Compiled:
    """Back end and C compiler only."""
    code = generate(program)
    return Compiled(program, build(code.text, sanitize=sanitize), code.sites, sanitize)


def tracing_library(compiled: Compiled) -> Path:
    """The same program built for tracing: it runs on the state that the plain build has made."""
    return build(generate(compiled.program, trace=True).text, sanitize=compiled.sanitize)


def compile_source(
    source: Path,
    *,
    include: Sequence[Path] = (),
    defines: Mapping[str, str] | None = None,
    sanitize: bool = False,
) -> Compiled:
    """Cached from the preprocessed text on: that and our own code name the result."""
    text = frontend.preprocess(source, include, defines)
    key = content_hash(repr(text).encode(), _own_code(), b"sanitize" if sanitize else b"")
    cached = cache_directory() / f"{key}.ir"
    compiled = _load(cached)
    if compiled is None:
        compiled = compile_program(frontend.elaborate(text), sanitize=sanitize)
        _save(cached, compiled)
    return compiled


def _own_code() -> bytes:
    """Stands for the version of the compiler: path, time and size of each of its modules."""
    package = Path(__file__).resolve().parent.parent
    files = sorted(
        [*package.glob("*.py"), *package.glob("[bf]*end/*.py"), *package.glob("r*/*.py")]
    )
    stamps = [(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files]
    return repr((sys.version, stamps)).encode()


def _load(cached: Path) -> Compiled | None:
    try:
        with cached.open("rb") as file:
            if os.fstat(file.fileno()).st_uid != os.geteuid():
                return None
            compiled = pickle.load(file)
    except (OSError, EOFError, pickle.PickleError, AttributeError, ImportError):
        return None
    if not isinstance(compiled, Compiled) or not compiled.library.exists():
        return None
    return compiled


def _save(cached: Path, compiled: Compiled) -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, 20_000))
    try:
        data = pickle.dumps(compiled, pickle.HIGHEST_PROTOCOL)
    finally:
        sys.setrecursionlimit(limit)
    store(cached, data)
