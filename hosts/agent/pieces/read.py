"""Reads big values piece by piece. Nobody writes them meanwhile; they may expire.

Whatever is asked of the store is bounded, by elements and, as far as one can know their length
beforehand, by bytes: an element is the least that there is.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

from hosts.agent._core import StoreError
from hosts.agent.pieces.frame import Command

PIECE_BYTES: Final = 256 * 1024
PIECE_ELEMENTS: Final = 256

Call: TypeAlias = Callable[[list[Command]], list[object]]
"""Runs commands in one round trip; errors are among the replies."""


class WholeError(Exception):
    """The value cannot be rebuilt exactly by commands: it has to move as a whole."""


class Pager:
    """How many elements make a piece, by what they took of late."""

    def __init__(self, most: int = PIECE_ELEMENTS) -> None:
        self._most = most
        self.count = min(most, 16)  # they may be long

    def _fitting(self, element: float) -> int:
        return max(1, min(self._most, int(PIECE_BYTES / max(1.0, element))))

    def learn(self, count: int, size: int) -> None:
        """So many elements had so many bytes."""
        if count:
            self.count = min(2 * self.count, self._fitting(size / count))


def ask(call: Call, *words: bytes) -> object:
    """Return the reply to one command; raise the error that it is."""
    (reply,) = call([list(words)])
    if isinstance(reply, StoreError):
        raise reply
    return reply


def ask_list(call: Call, *words: bytes) -> list[bytes]:
    """Return the reply to a command that answers with a flat list."""
    return list_of(ask(call, *words))


def list_of(reply: object) -> list[bytes]:
    """Return a reply that is a list of bytes."""
    if not isinstance(reply, list):
        raise StoreError(f"not a list: {reply!r}")
    return [each for each in reply if isinstance(each, bytes)]


def string(call: Call, key: bytes, length: int) -> Iterator[bytes]:
    """Yield the bytes of a string."""
    for first in range(0, length, PIECE_BYTES):
        last = b"%d" % (first + PIECE_BYTES - 1)
        part = ask(call, b"GETRANGE", key, b"%d" % first, last)
        if not part or not isinstance(part, bytes):
            return  # it has expired
        yield part


def list_(call: Call, key: bytes) -> Iterator[list[Command]]:
    """Yield the elements of a list, from the head."""
    pager, first = Pager(), 0
    while True:
        last = b"%d" % (first + pager.count - 1)
        elements = ask_list(call, b"LRANGE", key, b"%d" % first, last)
        if not elements:
            return
        yield [[b"RPUSH", *elements]]
        first += len(elements)
        pager.learn(len(elements), sum(map(len, elements)))


def sorted_set(call: Call, key: bytes) -> Iterator[list[Command]]:
    """Yield members with their scores, which the store writes so that they can be read exactly."""
    pager, first = Pager(), 0
    while True:
        last = b"%d" % (first + pager.count - 1)
        pairs = ask_list(call, b"ZRANGE", key, b"%d" % first, last, b"WITHSCORES")
        if not pairs:
            return
        flat = [word for pair in zip(pairs[1::2], pairs[::2], strict=True) for word in pair]
        yield [[b"ZADD", *flat]]
        first += len(pairs) // 2
        pager.learn(len(pairs) // 2, sum(map(len, pairs)))


def set_(call: Call, key: bytes) -> Iterator[list[Command]]:
    """Yield members, some perhaps twice."""
    for members in _scan(call, b"SSCAN", key, 1):
        for first in range(0, len(members), PIECE_ELEMENTS):
            yield [[b"SADD", *members[first : first + PIECE_ELEMENTS]]]


def hash_(call: Call, key: bytes) -> Iterator[list[Command]]:
    """Yield fields with their values and expiries, some perhaps twice."""
    expiring = True
    for pairs in _scan(call, b"HSCAN", key, 2):
        for first in range(0, len(pairs), 2 * PIECE_ELEMENTS):
            some = pairs[first : first + 2 * PIECE_ELEMENTS]
            count = b"%d" % (len(some) // 2)
            asked = [b"HPEXPIRETIME", key, b"FIELDS", count, *some[::2]]
            reply = call([asked])[0] if expiring else None
            expiring = isinstance(reply, list)  # the store knows expiries of fields
            yield list(_hash_commands(some, reply if isinstance(reply, list) else []))


def _hash_commands(pairs: Sequence[bytes], expiries: Sequence[object]) -> Iterator[Command]:
    """Yield what builds these fields. `expiries`: in ms since 1970, -1 never, -2 no such field."""
    found = expiries or [-1] * (len(pairs) // 2)
    fields = list(zip(pairs[::2], pairs[1::2], found, strict=True))
    kept = [word for field, value, at in fields if at != -2 for word in (field, value)]
    if kept:
        yield [b"HSET", *kept]
    due: dict[int, list[bytes]] = {}
    for field, _, at in fields:
        if isinstance(at, int) and at >= 0:
            due.setdefault(at, []).append(field)
    for at, names in due.items():
        yield [b"HPEXPIREAT", b"%d" % at, b"FIELDS", b"%d" % len(names), *names]


def _scan(call: Call, command: bytes, key: bytes, words: int) -> Iterator[list[bytes]]:
    pager, cursor = Pager(), b"0"
    while True:
        reply = ask(call, command, key, cursor, b"COUNT", b"%d" % pager.count)
        match reply:
            case [bytes(cursor), list(found)]:
                elements = list_of(found)
            case _:
                raise StoreError(f"{command.decode()} answered {reply!r}")
        if elements:
            yield elements
            pager.learn(len(elements) // words, sum(map(len, elements)))
        if cursor == b"0":
            return
