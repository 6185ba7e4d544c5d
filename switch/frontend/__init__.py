"""The P4_16 front end: source text to the typed, elaborated program of `switch.ir`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from switch import ir
from switch.frontend.errors import CompileError, Diagnostic
from switch.frontend.grammar_declarations import Grammar
from switch.frontend.lexer import tokenize
from switch.frontend.preprocess import SourceText, preprocess
from switch.frontend.program import ProgramElaborator

__all__ = ["CompileError", "Diagnostic", "SourceText", "elaborate", "load", "preprocess"]


def load(
    source: Path, *, include: Sequence[Path] = (), defines: Mapping[str, str] | None = None
) -> ir.Program:
    """Reads, checks and elaborates a v1model program; raises CompileError when it is wrong."""
    return elaborate(preprocess(Path(source), include, defines))


def elaborate(text: SourceText) -> ir.Program:
    """As `load`, from preprocessed text (whose content can serve as a cache key)."""
    declarations = Grammar(tokenize(text)).program()
    return ProgramElaborator().program(declarations, text.files)
