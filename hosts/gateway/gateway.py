"""The gateway's way to the service: all connections share one session."""

import time
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Final

from hosts.client import CommandTable, TooLarge, _core
from hosts.client.loop import Finished, LoopSession
from hosts.gateway.local import error
from hosts.wire import Op

_MOST_IN_FLIGHT: Final = 128
"""As in hosts/client: a socket buffer of Linux' default size takes it without loss."""


class Gateway:
    """Sends commands and hands out replies, in RESP. To be made in a running loop, and closed."""

    def __init__(self, session: _core.Session, where: str) -> None:
        """`session` returns raw replies; `where` names the service in messages."""
        self.table = CommandTable.load()
        self.connections = 0
        self.commands = 0
        self._session = LoopSession(session)
        self._where = where
        self._waiting: deque[tuple[Op, int, tuple[bytes, ...], Callable[[bytes], None]]] = deque()
        self._numbers = count(1)
        self._began = time.monotonic()

    def number(self) -> int:
        """Return the number of a new connection."""
        return next(self._numbers)

    def info(self) -> str:
        """Return the text of INFO."""
        lines = [
            "# Gateway",
            f"service:{self._where}",
            f"uptime_in_seconds:{time.monotonic() - self._began:.0f}",
            f"connected_clients:{self.connections}",
            f"total_commands_processed:{self.commands}",
            *(f"session_{name}:{value}" for name, value in self._session.session.counts().items()),
        ]
        return "\r\n".join(lines) + "\r\n"

    def send(
        self, op: Op, group: int, command: tuple[bytes, ...], reply: Callable[[bytes], None]
    ) -> None:
        """Send a command as soon as there is room; `reply` gets its reply."""
        self._waiting.append((op, group, command, reply))
        self._start()

    def _start(self) -> None:
        session = self._session
        while self._waiting and session.room and session.outstanding < _MOST_IN_FLIGHT:
            op, group, command, reply = self._waiting.popleft()

            def done(
                finished: Finished,
                op: Op = op,
                reply: Callable[[bytes], None] = reply,
            ) -> None:
                reply(self._reply(op, finished))
                self._start()

            try:
                session.start(op, group, command, done)
            except TooLarge as wrong:
                reply(error(f"netmigrate: {wrong}"))

    def _reply(self, op: Op, finished: Finished) -> bytes:
        _, status, payload, _, tries = finished
        if status in (_core.DONE, _core.REFUSED):
            return bytes(payload)
        outcome = "; it may have taken effect" if op == Op.WRITE else ""
        if status == _core.TOO_LARGE:
            return error(f"netmigrate: the path to {self._where} has an MTU below 1500 bytes")
        return error(f"netmigrate: no reply from {self._where} to {tries} tries{outcome}")

    def close(self) -> None:
        """Close the way to the service."""
        self._session.close()
