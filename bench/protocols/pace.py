"""Ours throttled so that it takes as long as a stock reshard did: what is felt, at equal time."""

from typing import Final

from bench.protocols.compare import OURS, STOCK
from bench.protocols.run import AS_LONG_AS_STOCK, Case, Run, Settings

SHARE: Final = 0.9
"""Of the time to take, what a throttle is told: what is throttled ends a little later than its
bytes say."""


class Pace:
    """Learns from the runs so far: how many bytes ours moves, and how long a reshard takes."""

    def __init__(self) -> None:
        self._bytes = 0.0
        self._seconds: dict[str, float] = {}

    def learn(self, run: Run) -> None:
        """Take note of a run, if it says anything."""
        if run.problem:
            return
        if run.case.protocol == OURS:
            self._bytes = run.figures["moved_bytes"]
        elif run.case.protocol == STOCK:
            self._seconds[run.case.loop] = run.figures["migration_seconds"]

    def settings(self, case: Case) -> Settings | None:
        """Return what a migration is to be told; None: no reshard was measured."""
        if case.settings != AS_LONG_AS_STOCK:
            return case.settings
        seconds = self._seconds.get(case.loop)
        if seconds is None or not self._bytes:
            return None
        return (("throttle", round(8 * self._bytes / (SHARE * seconds))),)
