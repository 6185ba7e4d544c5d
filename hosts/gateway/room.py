"""How much of what TCP clients send, and of their replies, is kept in memory."""

from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol

FREE: Final = 64 << 10
"""Bytes that each connection may hold in any case: small commands always get through."""

PATIENCE: Final = 60.0
"""Seconds; and bytes a second, for how much longer a large share may take."""
SLOWEST: Final = 1_000_000


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
        self._since = monotonic()

    def hold(self, held: int) -> bool:
        """Say that the connection holds so many bytes now; False: there was no room for that."""
        more = max(0, held - FREE) - self._taken
        fits = more <= 0 or more <= self._of.room
        self._of.room -= more
        self._taken += more
        self._since = monotonic()
        return fits

    def stuck(self) -> bool:
        """Whether it holds what others could use, and nothing has come or gone for long: half a
        request, or replies that nobody reads."""
        patience = PATIENCE + self._taken / SLOWEST
        return self._taken > 0 and monotonic() - self._since > patience
