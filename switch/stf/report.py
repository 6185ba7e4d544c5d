"""A failure as text: expected and seen packet one above the other, what differs marked."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path

from switch.stf.runner import Failure

_ROW = 32
"""Nibbles per row."""


def describe(test: Path, failure: Failure) -> str:
    """The place, what is wrong, the packets row by row with ^ under every wrong digit, a trace."""
    lines = [f"{test}:{failure.line}: {failure.what}"]
    seen = failure.seen.hex() if failure.seen is not None else None
    if failure.expected is None:
        lines += _packet("seen", seen or "")
    elif seen is None:
        lines += _packet("expected", failure.expected.digits)
    else:
        lines += _difference(failure.expected.digits, failure.expected.exact, seen)
    if failure.trace is not None:
        lines += (f"  {line}" for line in failure.trace.lines())
    return "\n".join(lines)


def _packet(title: str, nibbles: str) -> list[str]:
    rows = range(0, len(nibbles), _ROW)
    return [f"  {_row(title, at, nibbles[at : at + _ROW])}" for at in rows]


def _row(title: str, at: int, nibbles: str) -> str:
    return f"{title:8}  {at // 2:04x}  {_pairs(nibbles)}"


def _pairs(nibbles: str) -> str:
    return " ".join(nibbles[i : i + 2] for i in range(0, len(nibbles), 2))


def _difference(expected: str, exact: bool, seen: str) -> list[str]:
    more = " exactly" if exact else " or more"
    lines = [f"  expected {_bytes(expected)}{more}, seen {_bytes(seen)}"]
    # What comes after a pattern that does not end in $ may be anything.
    length = len(seen) if exact else min(len(seen), len(expected))
    marks = "".join(
        " " if want == got or (want == "*" and got) else "^"
        for want, got in zip_longest(expected, seen[:length], fillvalue="")
    )
    for at in range(0, max(len(expected), len(seen)), _ROW):
        end = at + _ROW
        if "^" in marks[at:end]:
            lines += [
                "  " + _row("expected", at, expected[at:end]),
                "  " + _row("seen", at, seen[at:end]),
                (" " * 18 + _pairs(marks[at:end])).rstrip(),
            ]
        else:
            lines.append("  " + _row("", at, seen[at:end]))
    return lines


def _bytes(nibbles: str) -> str:
    return f"{len(nibbles) / 2:g} bytes"
