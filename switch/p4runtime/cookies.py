"""What a controller keeps with a table entry, and the data plane knows nothing of."""

from __future__ import annotations

from dataclasses import dataclass

from switch.runtime.entries import Match

EntryKey = tuple[int, tuple[Match, ...], int]
"""Table id, match, priority."""


@dataclass(frozen=True, slots=True)
class Cookie:
    controller_metadata: int
    metadata: bytes
    idle_timeout_ns: int = 0
    one_shot: tuple[int, int] = (0, 0)
    """action_selection_mode and size_semantics of the entry's action set."""
