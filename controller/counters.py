"""What the indices of the switch's indirect counters mean (p4src/include/constants.p4)."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class Event(IntEnum):
    """Counter `events`: what became of a packet. Every packet that comes in counts once."""

    FORWARDED = 0
    ROUTED = 1
    ARP_ANSWERED = 2
    SERVED = 3
    STEERED_SOURCE = 4
    STEERED_DESTINATION = 5
    DOUBLE_READ = 6
    ONGOING_READ = 7
    ONGOING_WRITE = 8
    REPLY = 9
    CONTROL_APPLIED = 10
    CONTROL_REPEATED = 11
    CONTROL_REFUSED = 12
    MALFORMED = 13
    WRONG_SERVICE = 14
    NO_PARTITION = 15
    NO_SERVER = 16
    NO_ROUTE = 17
    TTL_EXPIRED = 18

    @property
    def dropped(self) -> bool:
        """Whether the packet went no further."""
        return self >= Event.MALFORMED


class Traffic(IntEnum):
    """Counter `traffic`: packets and bytes that go out, by class."""

    OTHER = 0
    QUERY = 1
    REPLY = 2
    DOUBLE_QUERY = 3
    DOUBLE_REPLY = 4
    CONTROL = 5
    BETWEEN_SERVERS = 6
    LOST_COPY = 7
    RETRY = 8


CELLS: Final[Mapping[str, type[Event] | type[Traffic]]] = {"events": Event, "traffic": Traffic}
"""What each indirect counter, by its alias, counts by."""


def name_of(counter: str, index: int) -> str:
    """Return the name of one cell, e.g. name_of("events", 3) is "SERVED"."""
    return CELLS[counter](index).name
