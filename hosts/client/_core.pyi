"""A client session in C: request table, resends and merging of replies (hosts/client/core)."""

from typing import Any, Final

DONE: Final[int]
REFUSED: Final[int]
TIMED_OUT: Final[int]
TOO_LARGE: Final[int]
BY_STREAM: Final[int]
MAX_PAYLOAD: Final[int]

def decode(reply: bytes, /) -> Any:
    """Return the value of one whole RESP reply; raise ValueError if it is none."""

class Session:
    """One UDP socket and one client number. Not thread safe."""

    fd: Final[int]
    client: Final[int]
    outstanding: Final[int]
    room: Final[int]  # how many may be started now
    acked: Final[int]  # all requests up to here are finished
    raw: Final[bool]
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
    def ask(self, group: int, token: int, /) -> int:
        """Queue the question where requests of a group go by TCP, and return its seq."""
    def park(self) -> int:
        """Return the seq of a request that goes by TCP: unfinished until abandon()."""
    def poll(self, seconds: float, /) -> list[tuple[int, int, Any, int, int]]:
        """Send, receive and resend until a request has finished, at most for so long.

        Each that has: its token, status, value, flags of the reply, and tries. The value of
        BY_STREAM is where to go by TCP; then a WRITE is parked, and so is what is TOO_LARGE.
        """
    def take(self, datagram: bytes, /) -> list[tuple[int, int, Any, int, int]]:
        """Take one datagram as if it had arrived on the socket."""
    def abandon(self, seq: int, /) -> None:
        """Forget a request that nobody waits for any longer."""
    def next_due(self) -> float | None:
        """When poll() has something to resend or to give up, in seconds of time.monotonic()."""
    def counts(self) -> dict[str, int]: ...
    def close(self) -> None: ...
