"""What came of a torture, as `summary.json` says it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hosts.check import Result
from hosts.check.search import Call
from torture.moves import Moves
from torture.nemesis import Strike


@dataclass(frozen=True)
class Outcome:
    """All but the histories."""

    strikes: list[Strike]
    faults: dict[str, int]
    packets: dict[str, int]
    moves: Moves
    completed: int
    unread: list[str]
    """Keys that nobody could read when all was over."""
    differences: list[str]
    """Where owners' stores and the last reads differ."""
    left: list[str]
    """Copies that should have been deleted: they cost memory, nothing else."""
    error: str
    """A part that did not come back."""


def summary(
    seed: int, outcome: Outcome, calls: Mapping[str, Sequence[Call]], result: Result
) -> dict[str, Any]:
    """Return the content of `summary.json`; `ok` is the verdict."""
    everything = [call for each in calls.values() for call in each]
    return {
        "ok": result.ok
        and not (outcome.moves.stuck or outcome.unread or outcome.differences or outcome.error),
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
        "recoveries": [_recovery(strike, everything) for strike in outcome.strikes],
        "unread": outcome.unread,
        "differences": outcome.differences,
        "copies_left": outcome.left,
        "error": outcome.error,
        "told": [violation.text for violation in result.violations],
    }


def _recovery(strike: Strike, calls: Sequence[Call]) -> dict[str, Any]:
    """Return one fault, and how long after it clients still waited for what they had asked
    before its end."""
    waiting = [
        call
        for call in calls
        if call.begin < strike.end and (call.end is None or call.end > strike.end)
    ]
    answered = [call.end for call in waiting if call.end is not None]
    late = max(answered, default=strike.end) - strike.end
    return {
        "kind": strike.kind,
        "what": strike.what,
        "seconds": round((strike.end - strike.begin) / 1e9, 3),
        "recovered_after": round(late / 1e9, 3),
    }
