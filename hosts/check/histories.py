"""Any commands on many keys, for long histories, with the shortest history that shows why not."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from hosts.check.configurations import (
    MOST,
    READS,
    Configuration,
    Moment,
    UndecidedError,
    Walk,
)
from hosts.check.result import Result
from hosts.check.search import Call, Model, store


@dataclass(frozen=True)
class Failure:
    """No order of a key's calls explains the reply of the one at index `last`."""

    last: int
    shown: tuple[int, ...]
    """Calls that show it, by their begin. Unless `from_start`, no value that the key may have held
    before them helps."""
    from_start: bool


def check(histories: Mapping[str, Sequence[Call]], model: Model = store) -> Result:
    """Check each key's calls; every key begins as None."""
    result = Result(keys=len(histories))
    for key, calls in histories.items():
        result.operations += len(calls)
        result.unknown += sum(call.end is None for call in calls)
        try:
            failure = first_failure(calls, model)
        except UndecidedError:
            result.undecided += 1
            continue
        if failure is not None:
            result.add(key, failure.shown, partial(tell, key, calls, failure))
    return result


def first_failure(
    calls: Sequence[Call], model: Model = store, initial: Hashable = None
) -> Failure | None:
    """Return the earliest reply that no order of the calls explains; None: they are linearizable.

    Raises UndecidedError.
    """
    begin: set[Configuration] = {(initial, frozenset())}
    walk = Walk(calls, model, begin)
    if walk.finds_an_order():
        return None
    walk = Walk(calls, model, begin)  # that was quick but left orders out
    last = walk.run(None)
    return None if last is None else _shortest(walk, begin, last)


def _shortest(walk: Walk, initial: set[Configuration], last: int) -> Failure:
    """Leave out what is not needed: all calls before some moment, then reads.

    A later beginning is right if no state that the key ever may have had, and none that would make
    the last reply right, explains the rest, together with what may have been applied of the calls
    then under way.
    """
    calls = walk.calls
    moments = [past.moment for past in walk.past]
    states = {state for past in walk.past for state, _ in past.now}
    states |= _before(calls[last])
    begin, under_way, from_start = initial, frozenset[int](), True
    for place in _backwards(len(walk.past) - 1):
        past = walk.past[place]
        anything = {(state, done) for state in states for _, done in past.now}
        if len(anything) <= MOST and _fails(walk, anything, past.under_way, moments[place:]):
            begin, under_way, from_start = anything, past.under_way, False
            moments = moments[place:]
            break
    for i in {moment.call for moment in moments} - {last}:
        fewer = [moment for moment in moments if moment.call != i]
        if calls[i].command[0] in READS and _fails(walk, begin, under_way - {i}, fewer):
            moments, under_way = fewer, under_way - {i}
    shown = sorted(under_way.union(moment.call for moment in moments), key=lambda i: calls[i].begin)
    return Failure(last, tuple(shown), from_start)


def _fails(
    walk: Walk,
    begin: set[Configuration],
    under_way: frozenset[int],
    moments: Sequence[Moment],
) -> bool:
    """Return whether no configuration of `begin` explains what happens at `moments`."""
    try:
        return Walk(walk.calls, walk.model, begin, under_way, moments).run(None) is not None
    except UndecidedError:
        return False


def _before(call: Call) -> set[Hashable]:
    """Return states from which the model's store would give the call its reply."""
    name, *arguments = call.command
    reply = call.reply
    guesses: list[Hashable] = [None, b"0", b"x"]
    if isinstance(reply, bytes):
        guesses.append(reply)
    if name[0] == "H":
        values = {b"0", reply} if isinstance(reply, bytes) else {b"0"}
        guesses += [frozenset({(arguments[0] if arguments else b"0", value)}) for value in values]
    elif isinstance(reply, int):
        length = reply - sum(map(len, arguments)) if name in ("APPEND", "STRLEN") else 0
        guesses += [b"%d" % (reply - 1), b"0" * min(length, 1 << 20)]
    guesses.append(frozenset({(b"0", b"0")}))
    return {state for state in guesses if store(state, call.command)[1] == reply}


def _backwards(place: int) -> Iterator[int]:
    """Yield all late places before this one, then ever fewer: each is tried at the cost of the
    rest."""
    back = 1
    while back <= place:
        yield place - back
        back += max(1, back // 16)


def tell(key: str, calls: Sequence[Call], failure: Failure) -> str:
    """Say in words and a table what a failure is, with times in milliseconds."""
    origin = calls[failure.shown[0]].begin
    before = "nothing" if failure.from_start else "anything that it may have held before"
    lines = [f"key {key}: no order explains the last reply of these calls, from {before} on:"]
    for i in failure.shown:
        call = calls[i]
        name, *arguments = call.command
        words = " ".join([name, *(_word(argument) for argument in arguments)])
        begin = f"{(call.begin - origin) / 1e6:10.3f}"
        end = "   unknown" if call.end is None else f"{(call.end - origin) / 1e6:10.3f}"
        reply = "?" if call.end is None else _word(call.reply)
        mark = "  ← cannot be" if i == failure.last else ""
        lines.append(f"  [{begin}, {end}] {call.by:8} {words} → {reply}{mark}")
    return "\n".join(lines)


def _word(value: Any) -> str:
    if value is None:
        return "nil"
    text = value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
    return text if len(text) <= 80 else f"{text[:40]}…{text[-32:]} ({len(text)} characters)"
