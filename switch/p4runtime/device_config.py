"""`p4_device_config` of this target (P4Runtime spec section 7): the program's sources.

Either the text of one P4 program, or a JSON object with all files that the program is made of:

    {"program": "a.p4", "include": ["inc"], "defines": {"X": "1"}, "files": {"a.p4": "…", …}}

core.p4 and v1model.p4 are the switch's own and never among the files.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from switch.cc import cache_directory
from switch.frontend.errors import CompileError, Diagnostic
from switch.frontend.preprocess import SYSTEM_INCLUDE, preprocess
from switch.p4runtime.errors import invalid
from switch.runtime.pipeline import Pipeline

PLAIN_NAME = "p4_device_config.p4"


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """All that is needed to compile a program anywhere; paths are relative to one root."""

    program: str
    files: dict[str, str]
    include: tuple[str, ...] = ()
    defines: tuple[tuple[str, str], ...] = ()

    def serialize(self) -> bytes:
        content = {
            "program": self.program,
            "include": self.include,
            "defines": dict(self.defines),
            "files": self.files,
        }
        return json.dumps(content, indent=1, sort_keys=True).encode()

    @classmethod
    def parse(cls, data: bytes) -> DeviceConfig:
        """What a controller sent: nothing in it is trusted."""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            raise invalid("p4_device_config is not text") from None
        if not text.strip():
            raise invalid("p4_device_config is empty: it takes the text of a P4 program")
        if not text.lstrip().startswith("{"):
            return cls(PLAIN_NAME, {PLAIN_NAME: text})
        try:
            content = json.loads(text)
            config = cls(
                content["program"],
                dict(content["files"]),
                tuple(content.get("include", ())),
                tuple(dict(content.get("defines", {})).items()),
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise invalid(f"p4_device_config is not the JSON it should be: {error!r}") from None
        config._check()
        return config

    def _check(self) -> None:
        strings = [self.program, *self.files.values()]
        strings += [item for pair in self.defines for item in pair]
        if not all(isinstance(item, str) for item in (*strings, *self.files, *self.include)):
            raise invalid("p4_device_config: names, files and defines are strings")
        for name in (*self.files, *self.include):
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or "\0" in name or len(name) > 1000:
                raise invalid(f"p4_device_config: {name[:100]!r} is not a path below its root")
        if self.program not in self.files:
            raise invalid(f"p4_device_config: the program {self.program!r} is not among its files")

    def compile(self, cpu_port: int | None = None, *, below: str = "") -> Pipeline:
        """Raises CompileError; files are named in it as here, after `below`."""
        root = self._unpack()
        try:
            return Pipeline.compile(
                root / self.program,
                include=[root / name for name in self.include],
                defines=dict(self.defines),
                cpu_port=cpu_port,
            )
        except CompileError as error:
            raise _relocated(error, f"{root}/", below) from None

    def _unpack(self) -> Path:
        """The files in a directory named by their content, so that it is never half there."""
        name = hashlib.sha256(self.serialize()).hexdigest()[:24]
        root = cache_directory() / f"sources-{name}"
        if root.exists():
            return root
        with tempfile.TemporaryDirectory(dir=root.parent) as scratch:
            try:
                for path, text in self.files.items():
                    file = Path(scratch) / "new" / path
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(text)
            except (OSError, UnicodeEncodeError) as error:
                raise invalid(f"p4_device_config: cannot write {path[:100]!r}: {error}") from None
            try:
                (Path(scratch) / "new").rename(root)
            except OSError:
                if not root.exists():  # another process was as quick
                    raise
        return root


def _relocated(error: CompileError, old: str, new: str) -> CompileError:
    """The same complaints, about files with another prefix."""
    return CompileError(
        Diagnostic(
            replace(each.loc, file=each.loc.file.replace(old, new)), each.message.replace(old, new)
        )
        for each in error.diagnostics
    )


def device_config(
    source: Path, include: Sequence[Path] = (), defines: Mapping[str, str] | None = None
) -> tuple[DeviceConfig, str]:
    """The config of a program on disk, and what to put before its file names to name them here."""
    read = [Path(name).resolve() for name in preprocess(source, include, defines).files]
    files = [path for path in read if not path.is_relative_to(SYSTEM_INCLUDE)]
    searched = [
        path
        for path in (directory.resolve() for directory in include)
        if any(file.is_relative_to(path) for file in files)
    ]
    root = Path(os.path.commonpath([*(file.parent for file in files), *searched]))
    config = DeviceConfig(
        str(files[0].relative_to(root)),
        {str(file.relative_to(root)): file.read_text() for file in files},
        tuple(str(path.relative_to(root)) for path in searched),
        tuple((defines or {}).items()),
    )
    here = Path.cwd()
    shown = root.relative_to(here) if root.is_relative_to(here) else root
    return config, "" if shown == Path() else f"{shown}/"
