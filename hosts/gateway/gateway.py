"""The gateway's way to the service: all connections share one session."""

from collections import deque
from collections.abc import Callable
from typing import Final

from hosts.client import TooLarge, _core
from hosts.client.loop import Finished, LoopSession
from hosts.gateway.local import error
from hosts.gateway.room import Room
from hosts.gateway.service import Service
from hosts.wire import Op

_MOST_IN_FLIGHT: Final = 128
"""As in hosts/client: a socket buffer of Linux' default size takes it without loss."""


class Gateway(Service):
    """Sends commands and hands out replies, in RESP. To be made in a running loop, and closed."""

    def __init__(
        self, session: _core.Session, service: int, timeout: float, where: str, room: Room
    ) -> None:
        """`session` returns raw replies; `where` names the service in messages."""
        super().__init__("Gateway", room)
        self._session = LoopSession(session, service, timeout)
        self._where = where
        self._waiting: deque[tuple[Op, int, tuple[bytes, ...], Callable[[bytes], None]]] = deque()

    def _about(self) -> list[str]:
        counts = self._session.session.counts()
        lines = [f"session_{name}:{value}" for name, value in counts.items()]
        return [f"service:{self._where}", *lines]

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
        return error(f"netmigrate: no reply from {self._where} to {tries} tries{outcome}")

    def close(self) -> None:
        """Close the way to the service."""
        self._session.close()
