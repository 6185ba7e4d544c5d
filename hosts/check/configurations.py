"""Every state that a key may be in, through time: just-in-time linearization.

Lowe, "Testing for linearizability" (2017). A *configuration* is a state and which of the calls
under way have taken effect to lead to it. When a call ends, every configuration applies calls under
way, in every order, until that one has taken effect with the reply it had. Configurations that
cannot are dropped; when none is left no order explains the calls so far.

A call of unknown outcome (`end` None) stays under way for ever. Of two configurations that differ
only in those, the one that has applied fewer can do whatever the other can, so the other is
dropped.
"""

from collections import deque
from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hosts.check.search import Call, Model

READS: Final = frozenset({"GET", "HGET", "STRLEN", "EXISTS", "HLEN"})
"""They change nothing, so a read that fits may take effect at once."""
MOST: Final = 20_000
"""Configurations that one reply may lead through; where there are more the key stays undecided."""
_WORK: Final = 3_000_000
"""Configurations in all."""
_SECOND_THOUGHTS: Final = ((8, 1), (64, 1), (8, 2), (512, 1))
"""Where no order is found: how many moments to go back, and how many calls of unknown outcome to
apply for each reply from there on."""

Configuration = tuple[Hashable, frozenset[int]]
"""A state, and the calls under way that have been applied, as indices."""


class UndecidedError(Exception):
    """Too much happened at once, or too many calls are of unknown outcome."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something begins or ends."""

    time: int
    ends: bool
    call: int


@dataclass(frozen=True, slots=True)
class Past:
    """What was known before a moment."""

    moment: Moment
    now: set[Configuration]
    under_way: frozenset[int]


def _moments(calls: Sequence[Call]) -> list[Moment]:
    """Return all beginnings and ends; of two at one time the beginning first."""
    found = []
    for i, call in enumerate(calls):
        if call.end is None and call.command[0] in READS:
            continue  # it says nothing and does nothing
        found.append(Moment(call.begin, False, i))
        if call.end is not None:
            found.append(Moment(call.end, True, i))
    return sorted(found, key=lambda moment: (moment.time, moment.ends))


class Walk:
    """A way through the calls of a key, from the configurations `begin` on."""

    def __init__(
        self,
        calls: Sequence[Call],
        model: Model,
        begin: set[Configuration],
        under_way: frozenset[int] = frozenset(),
        moments: Sequence[Moment] | None = None,
    ) -> None:
        self.calls = calls
        self.model = model
        self.past: list[Past] = []
        self._moments = _moments(calls) if moments is None else moments
        self._now = begin
        self._under_way = under_way
        self._unknown = frozenset(i for i, call in enumerate(calls) if call.end is None)
        self._work = 0

    def finds_an_order(self) -> bool:
        """Apply calls of unknown outcome only where nothing else explains a reply.

        False means nothing: it may have overlooked one.
        """
        try:
            while self.run(0) is not None:
                stuck = len(self.past)
                for back, guesses in _SECOND_THOUGHTS:
                    self._go_back(max(0, stuck - back))
                    try:
                        if self.run(guesses, stuck) is None:
                            break
                    except UndecidedError:
                        continue
                else:
                    return False
        except UndecidedError:
            return False
        return True

    def _go_back(self, place: int) -> None:
        self._now, self._under_way = self.past[place].now, self.past[place].under_way
        del self.past[place:]

    def run(self, guesses: int | None, until: int | None = None) -> int | None:
        """Go on to the moment `until` (None: the end); return the call that cannot be explained.

        `guesses`: the most calls of unknown outcome that are applied for one reply (None: any
        number).
        """
        for moment in self._moments[len(self.past) : until]:
            self.past.append(Past(moment, self._now, self._under_way))
            if not moment.ends:
                self._under_way |= {moment.call}
                continue
            self._now = self._end(moment.call, guesses)
            self._under_way -= {moment.call}
            if not self._now:
                return moment.call
        return None

    def _end(self, call: int, guesses: int | None) -> set[Configuration]:
        """Return the configurations in which `call` has taken effect."""
        after = set()
        waiting = set()
        for state, done in self._now:
            if call in done:
                after.add((state, done - {call}))
            else:
                waiting.add((state, done))
        for state, done in self._reachable(waiting, call, guesses):
            applied = self._apply(state, call)
            if applied is not None:
                after.add((applied[0], done))
        after = _least(after, self._unknown)
        # What has been applied in all of them is over.
        over = frozenset.intersection(*(done for _, done in after)) if after else frozenset()
        over &= self._unknown
        if over:
            self._under_way -= over
            after = {(state, done - over) for state, done in after}
        return after

    def _apply(self, state: Hashable, i: int) -> tuple[Hashable] | None:
        """Return the state after a call, in a tuple; None if its reply was another."""
        call = self.calls[i]
        after, reply = self.model(state, call.command)
        return (after,) if call.end is None or reply == call.reply else None

    def _reachable(
        self, start: Collection[Configuration], but: int, guesses: int | None
    ) -> Iterator[Configuration]:
        """Yield all configurations that calls under way, except `but`, lead to."""
        others = sorted(self._under_way - {but})
        reads = [i for i in others if self.calls[i].command[0] in READS]
        writes = [i for i in others if self.calls[i].command[0] not in READS]
        begun = [(self._read(configuration, reads), 0) for configuration in start]
        seen = {configuration for configuration, _ in begun}
        queue = deque(begun)
        while queue:
            (state, done), guessed = queue.popleft()
            yield state, done
            tried: set[Any] = set()
            for i in writes:
                unknown = i in self._unknown
                if i in done or (unknown and guessed == guesses):
                    continue
                if unknown:  # of equal ones any may be the one
                    if self.calls[i].command in tried:
                        continue
                    tried.add(self.calls[i].command)
                self._work += 1
                applied = self._apply(state, i)
                if applied is None or (unknown and applied[0] == state):
                    continue
                after = self._read((applied[0], done | {i}), reads)
                if after not in seen:
                    if len(seen) >= MOST or self._work >= _WORK:
                        raise UndecidedError
                    seen.add(after)
                    queue.append((after, guessed + unknown))

    def _read(self, configuration: Configuration, reads: Sequence[int]) -> Configuration:
        state, done = configuration
        fits = [i for i in reads if i not in done and self._apply(state, i) is not None]
        return state, done.union(fits)


def _least(found: set[Configuration], unknown: frozenset[int]) -> set[Configuration]:
    """Drop configurations that have applied more calls of unknown outcome than they need."""
    alike: dict[Configuration, list[frozenset[int]]] = {}
    for state, done in found:
        alike.setdefault((state, done - unknown), []).append(done & unknown)
    kept = set()
    for (state, known), guesses in alike.items():
        least: list[frozenset[int]] = []
        for guess in sorted(guesses, key=len):
            if not any(less <= guess for less in least):
                least.append(guess)
                kept.add((state, known | guess))
    return kept
