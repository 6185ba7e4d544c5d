"""Priority pulls at the destination of a migration: what was asked for, and how long it takes."""

from collections import deque
from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Final

_LEAST: Final = 0.0001
_MOST: Final = 0.1


class Pulls:
    """Says when to ask for a key again: after half of what pulls took of late, the mean, smoothed
    as RFC 6298 does for round trips. Times in seconds.

    To ask in vain costs two packets, to ask late costs the client; and while all clients wait too
    long for what is there, the servers have nothing to do.
    """

    def __init__(self) -> None:
        self._asked: deque[tuple[float, int, bytes]] = deque()
        self._mean = 0.001

    def asked(self, group: int, keys: Iterable[bytes]) -> None:
        """Note that these keys are asked for now."""
        now = monotonic()
        self._asked.extend((now, group, key) for key in keys)

    def arrived(self, here: Mapping[int, set[bytes] | bool]) -> None:
        """Learn from the keys that are here now, all those of a group that is not in `here`:
        they come in the order in which they were asked for, and many at once, which count as one.
        """
        count, total = 0, 0.0
        while self._asked:
            asked, group, key = self._asked[0]
            known = here.get(group)
            if isinstance(known, set) and key not in known:
                break
            self._asked.popleft()
            count, total = count + 1, total + asked
        if count:
            self._mean += (monotonic() - total / count - self._mean) / 8

    @property
    def wait(self) -> int:
        """After how many microseconds to ask again for a key that is on its way."""
        return int(1e6 * min(max(self._mean / 2, _LEAST), _MOST))
