"""The ways in which a migration may move its groups (docs/protocols.md)."""

from enum import IntEnum
from typing import Final


class Protocol(IntEnum):
    """`Protocol` of agent.proto."""

    NETMIGRATE = 0
    SOURCE = 1
    ROCKSTEADY = 2
    FULVA = 3


HANDED_OVER: Final = frozenset({Protocol.ROCKSTEADY, Protocol.FULVA})
"""Those that give all groups away at once: what is not there yet, clients are told to ask for."""
