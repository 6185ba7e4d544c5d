"""What a connection needs of the service behind it."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import count

from hosts.client import CommandTable
from hosts.gateway.room import Room
from hosts.wire import Op


class Service(ABC):
    """Takes commands of one group each and gives their replies, in RESP2."""

    def __init__(self, name: str, room: Room) -> None:
        """`name` is the heading of INFO."""
        self.table = CommandTable.load()
        self.room = room
        self.connections = 0
        self.commands = 0
        self._name = name
        self._numbers = count(1)
        self._began = time.monotonic()

    def number(self) -> int:
        """Return the number of a new connection."""
        return next(self._numbers)

    def info(self) -> str:
        """Return the text of INFO."""
        lines = [
            f"# {self._name}",
            f"uptime_in_seconds:{time.monotonic() - self._began:.0f}",
            f"connected_clients:{self.connections}",
            f"total_commands_processed:{self.commands}",
            f"client_bytes_left:{self.room.room}",
            *self._about(),
        ]
        return "\r\n".join(lines) + "\r\n"

    @abstractmethod
    def _about(self) -> list[str]:
        """Return more lines of INFO."""

    @abstractmethod
    def send(
        self, op: Op, group: int, command: tuple[bytes, ...], reply: Callable[[bytes], None]
    ) -> None:
        """Let a command be executed; `reply` gets its reply, later."""
