"""Each construct that P4_16 forbids is named, at its place; nothing else is complained about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.switch.frontend.programs import check_rejected, source

ARROW = "    => "


def cases() -> Iterator[tuple[str, str, str]]:
    """(hole, text, message) of each case in rejected.txt."""
    hole = text = ""
    for line in Path(__file__).with_name("rejected.txt").read_text().splitlines():
        if line.startswith(ARROW):
            yield hole, text, line.removeprefix(ARROW)
        elif line.startswith("[") and line.endswith("]"):
            hole = line.strip("[]")
        else:
            text = line


@pytest.mark.parametrize(("hole", "text", "message"), list(cases()))
def test_rejected(tmp_path: Path, hole: str, text: str, message: str) -> None:
    check_rejected(tmp_path, source(**{hole: text}), message)
