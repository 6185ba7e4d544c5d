"""Priority pulls at the destination of a migration: whether one is under way, and how long they
take."""

from time import monotonic
from typing import Final

_LEAST: Final = 0.0001
_MOST: Final = 0.1
_LOST: Final = 0.1


class Pulls:
    """One is under way at a time; what is wanted meanwhile goes with the next, as Rocksteady's do.
    Says when a client is to ask again for what is on its way. Times in seconds."""

    def __init__(self) -> None:
        self._begun = 0.0  # the one that is under way; 0: none
        self._mean = 0.001  # of late, smoothed as RFC 6298 does for round trips

    @property
    def under_way(self) -> bool:
        """Whether an answer is to come. After long enough none is: a source that was restarted has
        forgotten the question."""
        return self._begun > 0 and monotonic() - self._begun < _LOST

    def begin(self) -> None:
        """A pull is sent now."""
        self._begun = monotonic()

    def end(self) -> None:
        """The answer has come."""
        if self._begun:
            self._mean += (monotonic() - self._begun - self._mean) / 8
        self._begun = 0.0

    def forget(self) -> None:
        """The channel broke: no answer will come."""
        self._begun = 0.0

    def wait(self, *, sent: bool) -> int:
        """After how many microseconds to ask again for keys that the pull under way brings
        (`sent`), or the next one.

        One that is late may come any time: to ask in vain costs two packets, to ask late costs the
        client.
        """
        seconds = self._mean
        if self.under_way:
            left = max(self._mean - (monotonic() - self._begun), self._mean / 4)
            seconds = left if sent else left + self._mean
        return int(1e6 * min(max(seconds, _LEAST), _MOST))
