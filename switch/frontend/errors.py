"""Diagnostics: what the front end says about a program it cannot accept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from switch.ir import Loc


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One complaint, at the construct it is about."""

    loc: Loc
    message: str

    @property
    def file(self) -> str:
        return self.loc.file

    @property
    def line(self) -> int:
        return self.loc.line

    @property
    def column(self) -> int:
        return self.loc.column

    def __str__(self) -> str:
        return f"{self.loc}: {self.message}"


class CompileError(Exception):
    """The program was rejected; `diagnostics` in source order of discovery, never empty."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(dict.fromkeys(diagnostics))
        super().__init__("\n".join(map(str, self.diagnostics)))


def error(loc: Loc, message: str) -> CompileError:
    return CompileError([Diagnostic(loc, message)])


def unsupported(loc: Loc, construct: str) -> CompileError:
    return error(loc, f"{construct} is not supported yet")
