"""The agent as a client of the service, for the Redis clients that are connected to it."""

import os
from collections import OrderedDict
from typing import Final

_WINDOW: Final = 2048
"""Between the oldest unfinished request and the newest: agents remember fewer than 4096."""
_LAST: Final = (1 << 32) - 1


class Numbers:
    """Gives each request its client, seq and what is finished (docs/protocol.md). When an old
    request holds up the numbers of one client, another client goes on."""

    def __init__(self) -> None:
        self._client = 0
        self._next = _LAST
        self._acked = 0
        self._open: OrderedDict[int, None] = OrderedDict()

    def next(self) -> tuple[int, int, int]:
        """Return client, seq and acked of a new request."""
        if self._next - self._acked > _WINDOW or self._next == _LAST:
            self._client = int.from_bytes(os.urandom(8))
            self._next, self._acked = 1, 0
            self._open = OrderedDict()
        seq = self._next
        self._next += 1
        self._open[seq] = None
        return self._client, seq, self._acked

    def finished(self, client: int, seq: int) -> None:
        """A request has its answer, or nobody waits for it."""
        if client != self._client:
            return
        self._open.pop(seq, None)
        self._acked = next(iter(self._open), self._next) - 1
