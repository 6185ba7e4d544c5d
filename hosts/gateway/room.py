"""How much of what TCP clients send, and of their replies, is kept in memory."""

from dataclasses import dataclass
from typing import Final, Protocol

FREE: Final = 64 << 10
"""Bytes that each connection may hold in any case: small commands always get through."""


class Room(Protocol):
    """What all connections share."""

    room: int
    """Bytes that may still be taken. What was executed must be told, so it may fall below 0."""


@dataclass
class Limit:
    """A room of so many bytes."""

    room: int = 1 << 30


class Share:
    """What one connection holds of the room beyond what is its own."""

    def __init__(self, of: Room) -> None:
        self._of = of
        self._taken = 0

    def hold(self, held: int) -> bool:
        """Say that the connection holds so many bytes now; False: there was no room for that."""
        more = max(0, held - FREE) - self._taken
        fits = more <= 0 or more <= self._of.room
        self._of.room -= more
        self._taken += more
        return fits
