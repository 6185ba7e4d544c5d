"""A token bucket over group data, changeable while it runs."""

from time import monotonic
from typing import Final

OVERDRAFT: Final = 0.05
"""Seconds by which a batch may run ahead of the throttle."""
_BURST_SECONDS: Final = 0.03
_CHUNK_SECONDS: Final = 0.003


class Throttle:
    """Bits per second; 0 is no limit. What is sent at once may overdraw the bucket."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._tokens = 0.0
        self._at = monotonic()

    def change(self, rate: int) -> None:
        """Go on at another rate."""
        self._refill()
        if rate:
            self._tokens = max(self._tokens, -rate * _BURST_SECONDS)
        self.rate = rate

    def _refill(self) -> None:
        now = monotonic()
        self._tokens = min(self._tokens + (now - self._at) * self.rate, self.rate * _BURST_SECONDS)
        self._at = now

    def wait(self) -> float:
        """Return the seconds until something may be sent; 0: now."""
        if not self.rate:
            return 0.0
        self._refill()
        return max(0.0, -self._tokens / self.rate)

    def spend(self, size: int) -> None:
        """Account for `size` bytes sent."""
        if self.rate:
            self._tokens -= 8 * size

    def chunk(self, most: int) -> int:
        """Return how many bytes to send at once, so that the stream stays even."""
        return min(most, int(self.rate * _CHUNK_SECONDS / 8)) if self.rate else most
