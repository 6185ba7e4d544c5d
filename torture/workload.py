"""What the clients do: commands on few hot keys and many cold ones, chosen by a seed.

Values are decimal numbers that no two writes share, so that a reply says which write it has seen,
and INCR and APPEND work on what SET wrote; long values go on with dots.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

Command = tuple[str | bytes, ...]
"""Without its key, as `hosts.check.search.store` takes it."""

_STRING: Final = {
    ("GET",): 35,
    ("SET", b"?"): 16,
    ("INCR",): 14,
    ("APPEND", b"."): 12,
    ("DEL",): 6,
    ("GETSET", b"?"): 5,
    ("SETNX", b"?"): 4,
    ("SET", b"?", "NX"): 4,
    ("SET", b"?", "XX"): 4,
}
_HASH: Final = {
    ("HGET", b"f"): 45,
    ("HSET", b"f", b"?"): 40,
    ("HDEL", b"f"): 10,
    ("DEL",): 5,
}
_LONG: Final = {
    ("GET",): 45,
    ("SET", b"L"): 25,
    ("DEL",): 10,
    ("GETSET", b"L"): 8,
    ("SETNX", b"L"): 7,
    ("SET", b"L", "XX"): 5,
}
_LENGTHS: Final = (100, 3_000, 3_000, 3_000, 80_000)
"""Bytes of long values: most fit no datagram, and some move in pieces (docs/big-values.md)."""
_FIELDS: Final = (b"a", b"b", b"c")


@dataclass(frozen=True)
class Keys:
    """`hot` keys take half of all commands; every fourth key, hot or cold, is a hash, every
    sixteenth has long values."""

    hot: int = 8
    cold: int = 1000

    def names(self) -> list[str]:
        """Return all keys."""
        return [name(i) for i in range(self.hot + self.cold)]


def name(number: int) -> str:
    """Return a key's name; hashes begin with h, long values with l."""
    kind = "h" if number % 4 == 3 else "l" if number % 16 == 2 else "s"
    return f"{kind}{number}"


def reads(key: str) -> list[Command]:
    """Return what reads all of a key."""
    return [("HGET", field) for field in _FIELDS] if key[0] == "h" else [("GET",)]


def commands(seed: str, session: int, keys: Keys) -> Iterator[tuple[str, Command]]:
    """Yield a session's keys and commands without end. Sessions count from 0, over all clients."""
    chooser = random.Random(f"{seed} {session}")
    value = session * 1_000_000_000
    while True:
        hot = chooser.random() < 0.5
        number = chooser.randrange(keys.hot) if hot else keys.hot + chooser.randrange(keys.cold)
        key = name(number)
        weights = {"h": _HASH, "l": _LONG, "s": _STRING}[key[0]]
        (template,) = chooser.choices(list(weights), list(weights.values()))
        value += 1000  # INCR must not lead to another one's value
        filled: list[str | bytes] = []
        for part in template:
            match part:
                case b"?":
                    filled.append(b"%d" % value)
                case b"L":
                    filled.append((b"%d" % value).ljust(chooser.choice(_LENGTHS), b"."))
                case b".":
                    filled.append(b"%d" % chooser.randrange(10))
                case b"f":
                    filled.append(chooser.choice(_FIELDS))
                case _:
                    filled.append(part)
        yield key, tuple(filled)
