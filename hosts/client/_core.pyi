"""A client session in C: request table, resends and merging of replies (hosts/client/core)."""

from typing import Any, Final

DONE: Final[int]
REFUSED: Final[int]
TIMED_OUT: Final[int]
TOO_LARGE: Final[int]
MAX_PAYLOAD: Final[int]

class Session:
    """One UDP socket and one client number. Not thread safe."""

    fd: Final[int]
    client: Final[int]
    outstanding: Final[int]
    room: Final[int]  # how many may be started now
    def __init__(
        self,
        address: int,
        port: int,
        service: int,
        timeout: float,
        resend_after: float,
        *,
        raw: bool = False,
    ) -> None:
        """With `raw`, values are the replies' RESP bytes as they came."""
    def start(self, op: int, group: int, command: tuple[bytes, ...], token: int, /) -> int:
        """Queue a request and return its seq; poll() sends it. Raises TooLarge."""
    def poll(self, seconds: float, /) -> list[tuple[int, int, Any, int, int]]:
        """Send, receive and resend until a request has finished, at most for so long.

        Each that has: its token, status, value, flags of the reply, and tries.
        """
    def take(self, datagram: bytes, /) -> list[tuple[int, int, Any, int, int]]:
        """Take one datagram as if it had arrived on the socket."""
    def abandon(self, seq: int, /) -> None:
        """Forget a request that nobody waits for any longer."""
    def next_due(self) -> float | None:
        """When poll() has something to resend or to give up, in seconds of time.monotonic()."""
    def counts(self) -> dict[str, int]: ...
    def close(self) -> None: ...
