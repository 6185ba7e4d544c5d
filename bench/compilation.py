"""How long the product's program takes to compile: from nothing, and from the cache.

Twice each: the call alone, in a process that has the compiler loaded already, and the whole of
`p4switch compile`, which begins with starting Python.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from typing import Any, Final

from bench.figures import Benchmark, Figure
from switch.runtime.pipeline import Pipeline
from topology.switches import PROGRAM

_TURNS: Final = 3
_CACHE: Final = "XDG_CACHE_HOME"


@contextmanager
def _empty_cache() -> Iterator[None]:
    before = os.environ.get(_CACHE)
    with tempfile.TemporaryDirectory() as directory:
        os.environ[_CACHE] = directory
        try:
            yield
        finally:
            if before is None:
                del os.environ[_CACHE]
            else:
                os.environ[_CACHE] = before


def _call() -> None:
    Pipeline.compile(PROGRAM).close()


def _process() -> None:
    subprocess.run([sys.executable, "-m", "switch.cli", "compile", str(PROGRAM)], check=True)


def measure() -> tuple[list[Figure], Mapping[str, Any]]:
    """An empty cache, then the same again with what the first time left there."""
    ways = {"call": _call, "p4switch compile": _process}
    times: dict[str, list[float]] = {}
    for _ in range(_TURNS):
        for way, compile_program in ways.items():
            with _empty_cache():
                for state in ("cold", "cached"):
                    started = time.monotonic()
                    compile_program()
                    times.setdefault(f"{way}, {state}", []).append(time.monotonic() - started)
    goals = {"call, cold": 5.0, "call, cached": 0.3, "p4switch compile, cold": 5.0}
    return [
        Figure(name, median(values), "s", goals.get(name), most=True)
        for name, values in times.items()
    ], times


BENCHMARK = Benchmark("compilation", "Compiling the product's program", measure)
