"""What came of a torture, as `summary.json` says it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hosts.check import Result
from hosts.check.search import Call
from torture import recoveries
from torture.moves import Moves
from torture.strikes import Strike


@dataclass(frozen=True)
class Outcome:
    """All but the histories."""

    strikes: list[Strike]
    moved: dict[str, list[int]]
    """When each server's agent got on with a migration."""
    faults: dict[str, int]
    packets: dict[str, int]
    moves: Moves
    completed: int
    unread: list[str]
    """Keys that nobody could read when all was over."""
    differences: list[str]
    """Where owners' stores and the last reads differ."""
    left: list[str]
    """Copies that should have been deleted: what is left for ever fills the memory."""
    error: str
    """A part that did not come back."""


def summary(
    seed: int, outcome: Outcome, calls: Mapping[str, Sequence[Call]], result: Result
) -> dict[str, Any]:
    """Return the content of `summary.json`; `ok` is the verdict."""
    recovered = recoveries.recoveries(outcome.strikes, calls, outcome.moved)
    complaints = (
        outcome.moves.stuck, outcome.unread, outcome.differences, outcome.left, outcome.error
    )  # fmt: skip
    return {
        "ok": result.ok and not any(complaints),
        "seed": seed,
        "operations": result.operations,
        "unknown": result.unknown,
        "violations": result.count,
        "undecided": result.undecided,
        "faults": outcome.faults,
        "packets": outcome.packets,
        "migrations_begun": outcome.moves.begun,
        "migrations_completed": outcome.completed,
        "migrations_aborted": outcome.moves.aborted,
        "migrations_resumed": outcome.moves.resumed,
        "migrations_stuck": outcome.moves.stuck,
        "recovery_times": recoveries.table(recovered),
        "recoveries": recovered,
        "unread": outcome.unread,
        "differences": outcome.differences,
        "copies_left": outcome.left,
        "error": outcome.error,
        "told": [violation.text for violation in result.violations],
    }
