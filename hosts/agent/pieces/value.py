"""A big value as the pieces that it moves in."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from hosts.agent._core import StoreError
from hosts.agent.pieces.frame import Command, End, Piece, pack_commands
from hosts.agent.pieces.read import (
    Call,
    WholeError,
    ask,
    hash_,
    list_,
    set_,
    sorted_set,
    string,
)
from hosts.agent.pieces.streams import stream
from hosts.agent.store import count_of

_READERS: Final[dict[object, Callable[[Call, bytes], Iterator[list[Command]]]]] = {
    b"list": list_,
    b"set": set_,
    b"zset": sorted_set,
    b"hash": hash_,
    b"stream": stream,
}


def pieces(call: Call, group: int, key: bytes, attempt: int) -> Iterator[Piece]:
    """Yield a value piece by piece; raises what the store raises. The last one has no data."""
    number = 0
    end, expiry = End.WHOLE, 0
    try:
        for length, data in _parts(call, key):
            yield Piece(group, key, attempt, number, End.MORE, 0, length, data)
            number += 1
        end, expiry = _end(call, key)
    except WholeError:
        pass
    except StoreError:  # as for a stream that has expired since
        if ask(call, b"EXISTS", key):
            raise
        end = End.ABSENT
    yield Piece(group, key, attempt, number, end, expiry)


def _parts(call: Call, key: bytes) -> Iterator[tuple[int, bytes]]:
    kind = ask(call, b"TYPE", key)
    if kind == b"string":
        length = count_of(ask(call, b"STRLEN", key))
        if not length:
            yield 0, pack_commands([[b"SET", b""]])
        for data in string(call, key, length):
            yield length, data
    elif kind in _READERS:
        for commands in _READERS[kind](call, key):
            yield 0, pack_commands(commands)
    elif kind != b"none":
        raise WholeError(f"values of type {kind!r} have no commands that we know")


def _end(call: Call, key: bytes) -> tuple[End, int]:
    """Whether all of a value was read, and when it expires; it is gone if it has meanwhile."""
    expiry, left = call([[b"PEXPIRETIME", key], [b"PTTL", key]])
    if left == -2:
        return End.ABSENT, 0
    return End.COMPLETE, expires_at(expiry, left)


def expires_at(expiry: object, left: object) -> int:
    """Return when a key expires, in ms since 1970, by its PEXPIRETIME and its PTTL; 0: never."""
    if isinstance(expiry, StoreError):  # Redis before 7
        expiry = -1 if left == -1 else time.time_ns() // 1_000_000 + count_of(left)
    return max(0, count_of(expiry))
