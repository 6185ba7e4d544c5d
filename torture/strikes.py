"""What faults have struck, and what every kind of them needs to strike."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from torture.rack import Rack


@dataclass(frozen=True)
class Strike:
    """One fault, from when to when (CLOCK_MONOTONIC, nanoseconds)."""

    kind: str
    what: str
    begin: int
    end: int
    held: float = 0.0
    """Seconds of it for which the fault itself lasted: the rest is what the part took to start."""
    server: str = ""
    """Whose groups it affects; empty: those of all."""
    groups: tuple[range, ...] = ()
    """The groups that were this server's when it struck."""
    moving: bool = False
    """Whether the server took part in a migration."""


@dataclass
class Strikes:
    """The strikes so far; `over` is set when faults are to end."""

    rack: Rack
    all: list[Strike] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def striking(self, kind: str, what: str, server: str = "") -> Iterator[list[float]]:
        """Note a fault that is struck inside; what is appended to the list are seconds for which it
        was held on purpose."""
        groups, moving = self.rack.groups_of(server), self.rack.is_moving(server)
        held: list[float] = []
        begin = time.monotonic_ns()
        yield held
        end = time.monotonic_ns()
        self.all.append(Strike(kind, what, begin, end, sum(held), server, groups, moving))

    def hold(self, seconds: float, held: list[float]) -> None:
        """Let a fault last, or end at once if all is over."""
        begin = time.monotonic()
        self.over.wait(seconds)
        held.append(time.monotonic() - begin)

    def server(self, chooser: random.Random) -> str:
        """Choose a server, where that is possible one that takes part in a migration."""
        known = self.rack.moving or self.rack.servers
        return known[int(chooser.random() * len(known))]
