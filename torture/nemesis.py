"""What strikes the system, and when: every kind of fault by a thread and a seed of its own."""

import random
import threading
from collections import Counter
from dataclasses import dataclass

from torture.faults import KINDS
from torture.strikes import Strikes


@dataclass
class Nemesis:
    """Strikes while it is entered, with the given kinds of faults.

    The same seed plans the same faults in the same order, with the same pauses. What they meet,
    and which servers just then take part in migrations, depends on how fast the machine is.
    """

    strikes: Strikes
    kinds: tuple[str, ...]
    seed: int
    error: Exception | None = None

    def __post_init__(self) -> None:
        self._threads = [
            threading.Thread(target=self._run, args=(kind,), name=f"nemesis of {kind}")
            for kind in self.kinds
        ]

    def __enter__(self) -> "Nemesis":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Strike no more, and bring back what is down."""
        self.strikes.over.set()
        for thread in self._threads:
            thread.join()
        self.strikes.rack.count_packets()

    def counts(self) -> dict[str, int]:
        """Return how often each kind has struck."""
        found = Counter(strike.kind for strike in self.strikes.all)
        return {kind: found[kind] for kind in self.kinds}

    def _run(self, kind: str) -> None:
        chooser = random.Random(f"{self.seed} {kind}")
        strike, pause = KINDS[kind]
        try:
            while not self.strikes.over.wait(chooser.uniform(0.3, 2) * pause):
                strike(self.strikes, chooser)
        except Exception as error:  # a part that does not come back, too, is a finding
            self.error = self.error or error
            self.strikes.over.set()
