"""What to measure, in which order, and how long that will take."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from bench.peers.ways import SETTINGS
from bench.protocols.compare import OURS, STOCK
from bench.protocols.run import AS_LONG_AS_STOCK, LOOPS, Case, Settings
from controller.model import MAX_LANES, Protocol
from hosts.wire import GROUPS

SWEEPS: Final = ("all", "quick", "ours", "none")
"""Settings of every protocol; those of them that make nothing slower; netmigrate unthrottled; no
others."""
_KEY_BITS: Final = 1_000  # of group data a record of 64 bytes takes, at most
_OVERHEAD_SECONDS: Final = 6.0  # of a run: generators started, copies and memory cleaned up
_KEYS_AT_LEAST: Final = 500_000
_UNTHROTTLED: Final = 60_000_000  # bits per second, about
_KEYS_PER_SECOND: Final = 100_000  # read back, judged and brought home
_PEER_SECONDS: Final = 25.0  # nodes started and joined, slots moved one by one
_SLOTS_PER_SECOND: Final = 100  # that redis-cli moves at least, against a closed loop
_PEER_KEYS_PER_SECOND: Final = 20_000


@dataclass(frozen=True)
class Plan:
    """What to measure. Rates in operations per second and bits per second, times in seconds."""

    keys: int = 200_000
    writes: tuple[int, ...] = (0, 5, 10, 20, 30)
    budgets: tuple[int, ...] = (100, 70, 40, 20)
    """Percentages of one core that the source host may use; 100: no limit."""
    full: bool = False
    """Every share of writes with every budget; else each of them where the other is the pivot's."""
    rate: int = 8_000
    outstanding: int = 32
    throttle: int = 40_000_000
    repeat: int = 3
    protocols: tuple[Protocol, ...] = tuple(Protocol)
    peers: tuple[str, ...] = ()
    """The stores' own ways to move the same data, measured at the pivot (`full`: everywhere)."""
    sweep: str = "all"
    """Which other settings to try at the pivot, one of SWEEPS."""
    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000, 5_000_000)
    """Numbers of records to migrate, to see what depends on them."""
    before: float = 5.0
    after: float = 2.0

    @property
    def pivot(self) -> tuple[int, int]:
        """The share of writes and the budget that the goals are about, or the nearest to them."""
        return min(self.writes, key=lambda writes: abs(writes - 5)), max(self.budgets)

    @property
    def settings(self) -> Settings:
        """What every migration is told that is no part of the sweep."""
        return (("throttle", self.throttle),)

    def longest(self, keys: int) -> float:
        """Return the seconds after which the load ends even if the migration has not."""
        rate = min(self.throttle or _UNTHROTTLED, _UNTHROTTLED)
        return self.before + self.after + 10.0 + 4 * keys * _KEY_BITS / rate

    @property
    def longest_of_peer(self) -> float:
        """Return the same for a way whose pace nobody sets, which may go slot by slot."""
        return (
            self.before
            + self.after
            + GROUPS / _SLOTS_PER_SECOND
            + self.keys / _PEER_KEYS_PER_SECOND
        )

    def cases(self, budget: int) -> Iterator[Case]:
        """Yield the cases of one budget, protocols innermost: a drift of the machine hits all."""
        for repetition in range(self.repeat):
            for writes in self.writes:
                if not self._wanted(writes, budget):
                    continue
                for turn, loop in enumerate(LOOPS, start=repetition):
                    for protocol in in_turn(self.protocols, turn):
                        yield Case(protocol, writes, budget, loop, self.settings)
                    if self.full or (writes, budget) == self.pivot:
                        for peer in self.peers:
                            yield Case(peer, writes, budget, loop, SETTINGS[peer][0])
                        if STOCK in self.peers and OURS in self.protocols:  # their pace is known
                            yield Case(OURS, writes, budget, loop, AS_LONG_AS_STOCK)
            if budget == self.pivot[1]:
                yield from self._sweep()

    def _wanted(self, writes: int, budget: int) -> bool:
        return self.full or writes == self.pivot[0] or budget == self.pivot[1]

    def _sweep(self) -> Iterator[Case]:
        writes, budget = self.pivot
        if self.sweep == "none":
            return
        if self.sweep == "ours":  # what the goal of a throttled migration is judged by
            yield Case(Protocol.NETMIGRATE, writes, budget, "closed", (("throttle", 0),))
            return
        tried: list[list[tuple[str, Settings]]]
        tried = [[(each, s) for s in self.swept(each)] for each in self.protocols]
        tried += [[(peer, s) for s in SETTINGS[peer][1:]] for peer in self.peers]
        for loop in LOOPS:
            for row in zip_longest(*tried):
                for protocol, settings in filter(None, row):
                    yield Case(protocol, writes, budget, loop, settings)

    def swept(self, protocol: Protocol) -> list[Settings]:
        """Return the settings to try of a protocol beside the plan's own."""
        rates = (0, self.throttle // 2, 2 * self.throttle) if self.throttle else (40_000_000,)
        if self.sweep == "quick":
            rates = rates[:1]
        tried: list[Settings] = [(("throttle", rate),) for rate in rates]
        if protocol is Protocol.NETMIGRATE:  # its fastest: many lanes never wait for a round trip
            tried.append((("throttle", 0), ("lanes", MAX_LANES)))
            if self.sweep == "quick":  # it is judged at its defaults
                return tried
        for name, values in _OWN.get(protocol, {}).items():
            tried += [(*self.settings, (name, value)) for value in values]
        return tried

    def rounds(self, keys: int) -> int:
        """Return how often to migrate so many records without load.

        Clock ticks are long and small migrations short; large ones say enough in one.
        """
        return min(2 * self.repeat - 1, max(1, _KEYS_AT_LEAST // keys))

    def seconds(self) -> float:
        """Return about how long all will take."""
        runs = [case for budget in self.budgets for case in self.cases(budget)]
        rates = [dict(case.settings).get("throttle", 0) for case in runs]
        swept = sum(self._seconds_of(self.keys, rate) for rate in rates)
        slow = (c for c in runs if c.protocol in self.peers or c.settings == AS_LONG_AS_STOCK)
        swept += sum(_PEER_SECONDS for _ in slow)
        return swept + sum(self._seconds_of_size(keys) for keys in self.sizes)

    def _seconds_of(self, keys: int, throttle: int) -> float:
        moving = keys * _KEY_BITS / (throttle or _UNTHROTTLED)
        return self.before + self.after + moving + _OVERHEAD_SECONDS + keys / _KEYS_PER_SECOND

    def _seconds_of_size(self, keys: int) -> float:
        rounds = self.rounds(keys)
        idle = rounds * (_OVERHEAD_SECONDS + 2 * keys * _KEY_BITS / _UNTHROTTLED)
        loaded = min(self.repeat, rounds) * self._seconds_of(keys, self.throttle)
        return _OVERHEAD_SECONDS + keys / _KEYS_PER_SECOND + idle + loaded


def in_turn(protocols: Sequence[Protocol], turn: int) -> list[Protocol]:
    """Return them in the order of one turn: what a run leaves behind hits each of the others.

    Row `turn` of a Latin square of Williams (1949): over as many turns as there are protocols each
    is first once, and, if they are even in number, follows each of the others once.
    """
    steps = ((place + 1) // 2 * (1 if place % 2 else -1) for place in range(len(protocols)))
    return [protocols[(step + turn) % len(protocols)] for step in steps]


_OWN: Final[dict[Protocol, dict[str, tuple[int, ...]]]] = {
    Protocol.NETMIGRATE: {"lanes": (1, 16), "group_batch": (1, 64), "pull_reads": (1,)},
    Protocol.SOURCE: {"stop_bytes": (8 << 10, 512 << 10)},
}
"""Settings that only one protocol has, and what to try of them."""

QUICK: Final = Plan(
    keys=50_000,
    writes=(5,),
    budgets=(100,),
    repeat=1,
    sweep="ours",
    sizes=(10_000,),
    before=2.0,
    after=1.0,
)
"""A small version, in three minutes."""
