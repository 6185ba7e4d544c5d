"""Log lines about strangers: they may come as fast as strangers like, the log must not."""

import logging
from time import monotonic
from typing import Final

log = logging.getLogger("netmigrate.agent")

_SECONDS: Final = 60.0
_MOST: Final = 50


class Complaints:
    """Logs each text once a minute, and at most so many."""

    def __init__(self) -> None:
        self._said: set[str] = set()
        self._end = 0.0

    def add(self, text: str) -> None:
        """Log `text`, if it is new."""
        if monotonic() >= self._end:
            self._said.clear()
            self._end = monotonic() + _SECONDS
        if len(self._said) < _MOST and text not in self._said:
            self._said.add(text)
            log.warning("%s", text)
