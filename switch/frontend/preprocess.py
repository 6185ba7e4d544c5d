"""The C preprocessor in front of P4 (pcpp), keeping track of where each line came from."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pcpp

from switch.frontend.errors import CompileError, Diagnostic, error
from switch.ir import Loc

SYSTEM_INCLUDE = Path(__file__).resolve().parent.parent / "include"
MAX_INCLUDES = 40
_LINE = re.compile(r'#line (\d+)(?: "(.*)")?$')


@dataclass(frozen=True, slots=True)
class SourceText:
    """Preprocessed text; `origins[i]` is the (file, line) that line i of `text` came from."""

    text: str
    origins: tuple[tuple[str, int], ...]
    files: tuple[str, ...]
    """All files read, the program first."""


class _Preprocessor(pcpp.Preprocessor):  # type: ignore[misc]
    """pcpp that turns every complaint into a diagnostic and remembers the files it read."""

    def __init__(self) -> None:
        super().__init__()
        self.diagnostics: list[Diagnostic] = []
        self.files: list[str] = []
        self.line_directive = "#line"

    def on_error(self, file: str, line: int, msg: str) -> None:
        self.diagnostics.append(Diagnostic(Loc(file or "<command line>", line, 1), msg))
        self.return_code += 1

    def on_file_open(self, is_system_include: bool, includepath: str) -> Any:
        file = super().on_file_open(is_system_include, includepath)
        self.files.append(includepath)
        if self.files.count(includepath) > MAX_INCLUDES:
            where = Loc(self.lastdirective.source, self.lastdirective.lineno, 1)
            raise error(where, f"{includepath} is included more than {MAX_INCLUDES} times")
        return file

    def on_include_not_found(
        self, is_malformed: bool, is_system_include: bool, curdir: str, includepath: str
    ) -> None:
        what = "malformed #include" if is_malformed else "cannot find the file of #include"
        self.on_error(self.lastdirective.source, self.lastdirective.lineno, f"{what} {includepath}")
        raise pcpp.OutputDirective(pcpp.Action.IgnoreAndRemove)

    def on_directive_unknown(
        self, directive: Any, toks: Any, ifpassthru: bool, precedingtoks: Any
    ) -> Any:
        if directive.value == "line":
            return None  # it stays in the text, and says where what follows comes from
        if directive.value != "warning":
            text = "".join(token.value for token in toks).strip()
            what = "#error" if directive.value == "error" else f"unknown #{directive.value}"
            self.on_error(directive.source, directive.lineno, f"{what} {text}".rstrip())
        return True

    def on_comment(self, tok: Any) -> bool:
        return True  # keep comments, so that columns stay right; the lexer skips them


def preprocess(
    source: Path, include: Sequence[Path] = (), defines: Mapping[str, str] | None = None
) -> SourceText:
    """Expands `source`; angle-bracket and quoted includes also find core.p4 and v1model.p4."""
    start = Loc(str(source), 1, 1)
    try:
        text = source.read_text(encoding="utf-8")
    except OSError as problem:
        raise error(start, f"cannot read the program: {problem.strerror}") from None
    except UnicodeDecodeError as problem:
        raise error(start, f"the program is not UTF-8 text: {problem.reason}") from None
    preprocessor = _Preprocessor()
    for directory in (*include, SYSTEM_INCLUDE):
        preprocessor.add_path(str(directory))
    preprocessor.rewrite_paths = []
    for name, value in (defines or {}).items():
        preprocessor.define(f"{name} {value}")
    output = io.StringIO()
    try:
        preprocessor.parse(text, str(source))
        preprocessor.write(output)
    except UnicodeDecodeError as problem:
        raise error(start, f"an included file is not UTF-8 text: {problem.reason}") from None
    if preprocessor.diagnostics:
        raise CompileError(preprocessor.diagnostics)
    files = (str(source), *(_shown(file, source) for file in preprocessor.files))
    return _with_origins(output.getvalue(), source, files)


def _shown(file: str, source: Path) -> str:
    """How messages name an included file: relative when the program was named so."""
    here = os.getcwd() + os.sep
    return file.removeprefix(here) if not source.is_absolute() else file


def _with_origins(output: str, source: Path, files: tuple[str, ...]) -> SourceText:
    lines: list[str] = []
    origins: list[tuple[str, int]] = []
    file, number = str(source), 1
    for line in output.split("\n"):
        if match := _LINE.match(line):
            number = int(match[1])
            file = _shown(match[2], source) if match[2] else file
            continue
        lines.append(line)
        origins.append((file, number))
        number += 1
    return SourceText("\n".join(lines), tuple(origins), tuple(dict.fromkeys(files)))
