"""The record of what clients did: each invocation and each reply is one line, written at once.

A client that is killed leaves invocations without replies behind: outcomes that nobody knows.
Times are CLOCK_MONOTONIC in nanoseconds, one clock for all processes of a machine.
"""

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from hosts.check.search import Call
from torture.workload import Command

_LONG: Final = 256


class Recorder:
    """Writes one client's record."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        self._next = 0

    def invoked(self, session: str, key: str, command: Command) -> int:
        """Note that a command is about to be sent; return its number."""
        number = self._next
        self._next += 1
        self._write([number, time.monotonic_ns(), session, key, [_text(part) for part in command]])
        return number

    def replied(self, number: int, reply: Any) -> None:
        """Note the reply that came. A command without this has an unknown outcome."""
        self._write([number, time.monotonic_ns(), [_text(reply)]])

    def failed(self, number: int, why: str) -> None:
        """Note for the reader that no reply will come; the outcome stays unknown."""
        self._write([number, time.monotonic_ns(), why])

    def refused(self, number: int) -> None:
        """Note that the command was not executed, and never will be."""
        self._write([number, time.monotonic_ns(), None])

    def _write(self, line: list[Any]) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


def _text(part: Any) -> Any:
    """Bytes as lists of one string, so that they come back as bytes; what they end with again and
    again is told once, and how often."""
    if not isinstance(part, bytes):
        return part
    text = part.decode("latin-1")
    short = text.rstrip(text[-1:])
    return [short, text[-1], len(text) - len(short)] if len(text) > _LONG else [text]


def _value(part: Any) -> Any:
    if not isinstance(part, list):
        return part
    text, *more = part
    return (text + more[0] * more[1] if more else text).encode("latin-1")


def read(paths: Iterable[Path]) -> dict[str, list[Call]]:
    """Return the calls on each key."""
    found: dict[str, list[Call]] = defaultdict(list)
    for path in paths:
        begun: dict[int, tuple[int, str, str, Command]] = {}
        for line in path.read_bytes().splitlines():
            try:
                number, when, *rest = json.loads(line)
            except ValueError:
                continue  # the writer was killed while it wrote it
            if len(rest) == 3:
                session, key, command = rest
                begun[number] = when, session, key, tuple(map(_value, command))
            elif isinstance(rest[0], list):
                begin, session, key, command = begun.pop(number)
                found[key].append(Call(command, begin, when, _value(rest[0][0]), session))
            elif rest[0] is None:
                del begun[number]
        for begin, session, key, command in begun.values():
            found[key].append(Call(command, begin, None, None, session))
    for calls in found.values():
        calls.sort(key=lambda call: call.begin)
    return dict(found)
