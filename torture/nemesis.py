"""What strikes the system, and when: every kind of fault by a thread and a seed of its own."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from torture.rack import Rack


@dataclass(frozen=True)
class Strike:
    """One fault, from when to when (CLOCK_MONOTONIC, nanoseconds)."""

    kind: str
    what: str
    begin: int
    end: int


@dataclass
class Nemesis:
    """Strikes while it is entered, with the given kinds of faults.

    The same seed plans the same faults in the same order, with the same pauses. What they meet,
    and which servers just then take part in migrations, depends on how fast the machine is.
    """

    rack: Rack
    kinds: tuple[str, ...]
    seed: int
    strikes: list[Strike] = field(default_factory=list)
    error: Exception | None = None

    def __post_init__(self) -> None:
        self._over = threading.Event()
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
        self._over.set()
        for thread in self._threads:
            thread.join()
        self.rack.count_packets()

    def counts(self) -> dict[str, int]:
        """Return how often each kind has struck."""
        found = Counter(strike.kind for strike in self.strikes)
        return {kind: found[kind] for kind in self.kinds}

    def _run(self, kind: str) -> None:
        chooser = random.Random(f"{self.seed} {kind}")
        strike, pause = KINDS[kind]
        try:
            while not self._over.wait(chooser.uniform(0.3, 2) * pause):
                strike(self, chooser)
        except Exception as error:  # a part that does not come back, too, is a finding
            self.error = self.error or error
            self._over.set()

    @contextmanager
    def _striking(self, kind: str, what: str) -> Iterator[None]:
        begin = time.monotonic_ns()
        yield
        self.strikes.append(Strike(kind, what, begin, time.monotonic_ns()))

    def _server(self, chooser: random.Random) -> str:
        """Choose a server, where that is possible one that takes part in a migration."""
        known = self.rack.moving or self.rack.servers
        return known[int(chooser.random() * len(known))]

    def _wait(self, seconds: float) -> None:
        self._over.wait(seconds)

    # Kinds

    def packets(self, chooser: random.Random) -> None:
        """Some ways of the switch lose, duplicate, delay and reorder for a while."""
        ports = range(1, len(self.rack.servers) + len(self.rack.clients) + 1)
        ways = [f"{port}/{way}" for port in ports for way in ("in", "out")]
        struck = chooser.sample(ways, chooser.randint(1, len(ways)))
        rates = {
            "loss": f"{chooser.uniform(0, chooser.choice([1, 5, 30, 80])):.2f}%",
            "duplicate": f"{chooser.uniform(0, 5):.2f}%",
            "delay": f"{chooser.uniform(0, 10):.2f}%:{chooser.choice([5, 50, 500, 3000])}ms",
            "reorder": f"{chooser.uniform(0, 5):.2f}%",
        }
        wanted = chooser.sample(sorted(rates), chooser.randint(1, len(rates)))
        self._fault_ways("packets", struck, ",".join(f"{k}={rates[k]}" for k in wanted), chooser)

    def links(self, chooser: random.Random) -> None:
        """One host hears nothing, is not heard, or both."""
        port = chooser.randint(1, len(self.rack.servers) + len(self.rack.clients))
        ways = chooser.choice([["in"], ["out"], ["in", "out"]])
        self._fault_ways("links", [f"{port}/{way}" for way in ways], "loss=100%", chooser)

    def _fault_ways(self, kind: str, ways: list[str], what: str, chooser: random.Random) -> None:
        seconds = chooser.uniform(0.2, 2.5)
        with self.rack.lock("links"), self._striking(kind, f"{' '.join(ways)} {what}"):
            for way in ways:
                self.rack.set_faults(way, what)
            self._wait(seconds)
            for way in ways:
                self.rack.set_faults(way, "off")

    def agents(self, chooser: random.Random) -> None:
        """`kill -9` of an agent, mostly that of a source or destination."""
        self._crash("agents", f"{self._server(chooser)}-agent", chooser)

    def clients(self, chooser: random.Random) -> None:
        """`kill -9` of a client; its sessions are gone for good, new ones begin."""
        self._crash("clients", f"{chooser.choice(self.rack.clients)}-load", chooser)

    def controller(self, chooser: random.Random) -> None:
        """`kill -9` of the controller, sometimes for longer than migrations last."""
        self._crash("controller", "controller", chooser)

    def switch(self, chooser: random.Random) -> None:
        """`kill -9` of the switch, which comes back empty."""
        self._crash("switch", "switch", chooser)

    def _crash(self, kind: str, part: str, chooser: random.Random) -> None:
        seconds = chooser.choice([0, 0.2, 1, 3]) * chooser.random()
        with self.rack.lock(part), self._striking(kind, part):
            self.rack.kill(part)
            self._wait(seconds)
            self.rack.start(part)

    def stop(self, chooser: random.Random) -> None:
        """SIGSTOP of an agent for seconds, then SIGCONT: it knows nothing of the time between."""
        part = f"{self._server(chooser)}-agent"
        seconds = chooser.uniform(0.1, 4)
        with self.rack.lock(part), self._striking("stop", part):
            self.rack.freeze(part, frozen=True)
            self._wait(seconds)
            self.rack.freeze(part, frozen=False)

    def channels(self, chooser: random.Random) -> None:
        """The TCP connections of a server to other agents are reset."""
        server = self._server(chooser)
        begin = time.monotonic_ns()
        if self.rack.break_channels(server):
            self.strikes.append(Strike("channels", server, begin, time.monotonic_ns()))


KINDS: Final[dict[str, tuple[Callable[[Nemesis, random.Random], None], float]]] = {
    "packets": (Nemesis.packets, 0.5),
    "links": (Nemesis.links, 4.0),
    "agents": (Nemesis.agents, 6.0),
    "stop": (Nemesis.stop, 4.0),
    "clients": (Nemesis.clients, 5.0),
    "controller": (Nemesis.controller, 8.0),
    "switch": (Nemesis.switch, 8.0),
    "channels": (Nemesis.channels, 2.0),
}
"""By name: how a kind strikes, and the seconds between two strikes, about."""
