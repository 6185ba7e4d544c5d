"""PIECE and PIECED, the frames that a big value moves in (hosts/agent/frames.py).

A piece of a string is some of its bytes. A piece of any other value is commands that build it,
without their key: the destination puts one in that no client knows.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate, pairwise
from typing import Final, Self, TypeAlias

from hosts.agent.frames import FrameError
from hosts.wire import GROUPS

Command: TypeAlias = list[bytes]

_PIECE: Final = struct.Struct("!HQIBQQI")
_PIECED: Final = struct.Struct("!QIB")
_LENGTH: Final = struct.Struct("!I")


class End(IntEnum):
    """What a piece says of the value as a whole."""

    MORE = 0
    COMPLETE = 1
    ABSENT = 2  # it has expired meanwhile
    WHOLE = 3  # it goes without pieces: what has come does not count
    DROPPED = 4  # it was written meanwhile (pre-copy): nor does this, and it comes again


class Outcome(IntEnum):
    """What the destination did with a piece."""

    TAKEN = 0
    ENOUGH = 1  # the truth of this key is here already: send no more of it


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of a value. `attempt` tells this reading of it from earlier ones, and only grows."""

    group: int
    key: bytes
    attempt: int
    number: int  # from 0
    end: End
    expiry: int = 0  # in ms since 1970, of COMPLETE; 0: never
    length: int = 0  # of the whole string, whose bytes `data` are; 0: `data` are commands
    data: bytes = b""

    def pack(self) -> bytes:
        """Return the body of PIECE, behind the migration."""
        head = _PIECE.pack(
            self.group,
            self.attempt,
            self.number,
            self.end,
            self.expiry,
            self.length,
            len(self.key),
        )
        return head + self.key + self.data

    @classmethod
    def read(cls, body: memoryview) -> Self:
        """Return what a body says; raise FrameError."""
        if len(body) < _PIECE.size:
            raise FrameError("PIECE is cut short")
        group, attempt, number, end, expiry, length, key = _PIECE.unpack_from(body)
        body = body[_PIECE.size :]
        if group >= GROUPS or end > max(End) or key > len(body):
            raise FrameError("PIECE is cut short or names what does not exist")
        text, data = bytes(body[:key]), bytes(body[key:])
        return cls(group, text, attempt, number, End(end), expiry, length, data)


@dataclass(frozen=True, slots=True)
class Pieced:
    """The answer to a piece."""

    attempt: int
    number: int
    outcome: Outcome

    def pack(self) -> bytes:
        """Return the body of PIECED, behind the migration."""
        return _PIECED.pack(self.attempt, self.number, self.outcome)

    @classmethod
    def read(cls, body: memoryview) -> Self:
        """Return what a body says; raise FrameError."""
        if len(body) != _PIECED.size or body[-1] > max(Outcome):
            raise FrameError("PIECED is malformed")
        attempt, number, outcome = _PIECED.unpack(body)
        return cls(attempt, number, Outcome(outcome))


def pack_commands(commands: Sequence[Command]) -> bytes:
    """Return commands as bytes: of each the number of its words, their lengths, then the words."""
    parts: list[bytes] = []
    for words in commands:
        parts.append(struct.pack(f"!{1 + len(words)}I", len(words), *map(len, words)))
        parts += words
    return b"".join(parts)


def read_commands(data: bytes) -> list[Command]:
    """Return such commands; raise FrameError."""
    try:
        return list(_commands(data))
    except struct.error:
        raise FrameError("the commands of a PIECE are cut short") from None


def _commands(data: bytes) -> Iterator[Command]:
    at = 0
    while at < len(data):
        (count,) = _LENGTH.unpack_from(data, at)
        if count > len(data) // _LENGTH.size:
            raise FrameError("the commands of a PIECE are cut short")
        lengths = struct.unpack_from(f"!{count}I", data, at + _LENGTH.size)
        start = at + _LENGTH.size * (1 + count)
        ends = list(accumulate(lengths, initial=start))
        at = ends[-1]
        if at > len(data):
            raise FrameError("the commands of a PIECE are cut short")
        yield [data[first:last] for first, last in pairwise(ends)]
