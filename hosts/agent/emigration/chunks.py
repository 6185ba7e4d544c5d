"""How much group data to take from the store at once."""

from typing import Final

from hosts.agent.emigration.throttle import Throttle

_BYTES: Final = 48 * 1024
_KEYS: Final = 192


class Chunks:
    """Sizes chunks so that dumping one stalls neither the store nor a throttled stream."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle
        self._key_bytes = 4096.0  # what a key took of late; at first a careful guess

    @property
    def bytes(self) -> int:
        """How many bytes to aim for."""
        return self._throttle.chunk(_BYTES)

    @property
    def keys(self) -> int:
        """How many keys that is likely to be, at least one."""
        return min(_KEYS, 1 + int(self.bytes / max(1.0, self._key_bytes)))

    def learn(self, keys: int, size: int) -> None:
        """A chunk of so many keys took so many bytes."""
        if keys:
            # quick to grow, slow to shrink: a chunk of big values stalls the store
            now = size / keys
            self._key_bytes = max(now, 0.75 * self._key_bytes + 0.25 * now)
