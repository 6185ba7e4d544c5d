"""Which tests a command line names, and the program of each."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from switch.stf.parser import StfError


class Pair(NamedTuple):
    program: Path
    test: Path


def pairs(paths: Iterable[Path]) -> list[Pair]:
    """A program and the tests that follow it, or directories of NAME.p4 beside NAME.stf.

    Raises StfError for anything that makes no pair.
    """
    found: list[Pair] = []
    program: Path | None = None
    waiting = False
    for path in paths:
        if path.suffix == ".stf":
            if program is None:
                raise StfError(path, 1, "a program must stand before its tests")
            found.append(Pair(program, path))
            waiting = False
            continue
        if waiting and program:
            raise StfError(program, 1, "this program has no .stf file after it")
        if path.is_dir():
            found += _in_directory(path)
            program, waiting = None, False
        elif path.suffix == ".p4":
            program, waiting = path, True
        else:
            raise StfError(path, 1, "neither a .p4 program nor an .stf test nor a directory")
    if waiting and program:
        raise StfError(program, 1, "this program has no .stf file after it")
    return found


def _in_directory(directory: Path) -> list[Pair]:
    tests = sorted(directory.glob("*.stf"))
    if not tests:
        raise StfError(directory, 1, "there is no .stf file in this directory")
    return [Pair(test.with_suffix(".p4"), test) for test in tests]
