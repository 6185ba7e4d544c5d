"""Any commands on one key, by search: Wing and Gong's algorithm, remembering what was tried.

Exponential at worst, so for small histories: torture tests on few operations at a time, and as the
reference for the methods that scale.
"""

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

Command = tuple[Any, ...]
# From a state and a command to the next state and the reply.
Model = Callable[[Any, Command], tuple[Hashable, Any]]


@dataclass(frozen=True)
class Call:
    """One operation. `end` None: nobody knows whether it took effect, now, later or never."""

    command: Command
    begin: int
    end: int | None
    reply: Any = None
    by: str = ""
    """Who called."""


def linearizable(calls: Sequence[Call], model: Model, initial: Hashable) -> bool:
    """Return whether some order of the calls, within their times, gives the replies they had."""
    return order(calls, model, initial) is not None


def order(calls: Sequence[Call], model: Model, initial: Hashable) -> list[int] | None:
    """Return such an order (unknown calls that never took effect left out), None if there is none.

    A call may come next if no call that is still to come ended before it began.
    """
    must = sum(1 << i for i, call in enumerate(calls) if call.end is not None)
    by_begin = sorted(range(len(calls)), key=lambda i: calls[i].begin)
    seen: set[tuple[int, Hashable]] = set()
    chosen: list[int] = []

    def candidates(done: int) -> list[int]:
        ends = [c.end for i, c in enumerate(calls) if not done >> i & 1 and c.end is not None]
        limit = min(ends, default=None)
        return [
            i for i in by_begin if not done >> i & 1 and (limit is None or calls[i].begin <= limit)
        ]

    # An own stack: a long history must not meet Python's recursion limit.
    stack: list[tuple[int, Hashable, list[int]]] = [(0, initial, candidates(0))]
    while stack:
        done, state, left = stack[-1]
        if done & must == must:
            return chosen
        if not left:
            stack.pop()
            if chosen:
                chosen.pop()
            continue
        i = left.pop()
        after, reply = model(state, calls[i].command)
        if calls[i].end is not None and reply != calls[i].reply:
            continue
        now = done | 1 << i
        if (now, after) in seen:
            continue
        seen.add((now, after))
        chosen.append(i)
        stack.append((now, after, candidates(now)))
    return None


def register(state: Hashable, command: Command) -> tuple[Hashable, Any]:
    """A value that is set and got."""
    if command[0] == "SET":
        return command[1], "OK"
    return state, state


class WrongType(Exception):
    """A command met a value of another type."""


WRONGTYPE = "WRONGTYPE"


def store(state: Any, command: Command) -> tuple[Hashable, Any]:
    """One key of Redis: None, bytes (a string) or a frozenset of (field, value) (a hash).

    Replies are those of `hosts.client`'s execute_command; an error is its first word.
    """
    name, *arguments = command
    try:
        return _COMMANDS[name](state, *arguments)
    except WrongType:
        return state, WRONGTYPE


def _string(state: Any) -> bytes | None:
    if state is not None and not isinstance(state, bytes):
        raise WrongType
    return state


def _hash(state: Any) -> dict[bytes, bytes]:
    if isinstance(state, bytes):
        raise WrongType
    return dict(state or ())


def _set(state: Any, value: bytes, *options: str) -> tuple[Hashable, Any]:
    old = _string(state) if "GET" in options else None
    wanted = not (("NX" in options and state is not None) or ("XX" in options and state is None))
    reply = old if "GET" in options else (b"OK" if wanted else None)
    return (value if wanted else state), reply


def _incrby(state: Any, amount: int) -> tuple[Hashable, Any]:
    text = _string(state)
    text = b"0" if text is None else text
    if not re.fullmatch(rb"0|-?[1-9][0-9]*", text):
        return state, "ERR"
    value = int(text) + amount
    if not (_fits(int(text)) and _fits(value)):
        return state, "ERR"
    return b"%d" % value, value


def _fits(number: int) -> bool:
    return -(1 << 63) <= number < 1 << 63


def _append(state: Any, more: bytes) -> tuple[Hashable, Any]:
    value = (_string(state) or b"") + more
    return value, len(value)


def _hset(state: Any, field: bytes, value: bytes) -> tuple[Hashable, Any]:
    fields = _hash(state)
    new = field not in fields
    fields[field] = value
    return frozenset(fields.items()), int(new)


def _hdel(state: Any, field: bytes) -> tuple[Hashable, Any]:
    fields = _hash(state)
    had = fields.pop(field, None) is not None
    return (frozenset(fields.items()) or None), int(had)


_COMMANDS: dict[str, Callable[..., tuple[Hashable, Any]]] = {
    "GET": lambda state: (state, _string(state)),
    "SET": _set,
    "SETNX": lambda state, value: (value if state is None else state, int(state is None)),
    "GETSET": lambda state, value: (value, _string(state)),
    "GETDEL": lambda state: (None, _string(state)),
    "DEL": lambda state: (None, int(state is not None)),
    "EXISTS": lambda state: (state, int(state is not None)),
    "STRLEN": lambda state: (state, len(_string(state) or b"")),
    "APPEND": _append,
    "INCR": lambda state: _incrby(state, 1),
    "INCRBY": _incrby,
    "HSET": _hset,
    "HGET": lambda state, field: (state, _hash(state).get(field)),
    "HDEL": _hdel,
    "HLEN": lambda state: (state, len(_hash(state))),
}
