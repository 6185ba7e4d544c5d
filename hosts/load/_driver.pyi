"""The load driver in C (hosts/load/core): runs a trace and records every operation."""

from typing import Any, Final

HISTOGRAM_STEPS: Final[int]
RECORD_SIZE: Final[int]

class Transport:
    """The way to the store, open; for one driver."""

class Driver:
    """One run of one trace. run() may be in a thread; the rest is for other threads meanwhile."""

    cpu_seconds: Final[float]
    started: Final[int]
    def __init__(
        self,
        *,
        transport: Transport,
        kinds: Any,
        keys: Any,
        records: Any,
        names: Any,
        offsets: Any,
        prefix: bytes,
        first_id: int,
        loaded: int,
        value_size: int,
        rate: float,
        concurrency: int,
        duration: float,
    ) -> None: ...
    def run(self) -> int:
        """Return how many rows of `records` are filled. Releases the GIL."""
    def stop(self) -> None:
        """Start nothing more; run() returns when what is out has finished."""
    def progress(self) -> tuple[int, int, int, int, int, int, int]:
        """Issued, done, errors, outstanding, doubled, resent, redirected, so far."""
    def histogram(self) -> bytes:
        """Latencies so far: uint64 counts of log-linear buckets of nanoseconds."""
    def counts(self) -> dict[str, int]: ...
    def messages(self) -> dict[str, int]:
        """Error texts and how often each came."""
    def key(self, number: int, /) -> bytes:
        """The name of a key."""

def service(
    address: int, port: int, service: int, timeout: float, resend_after: float, /
) -> Transport:
    """Datagrams to a service."""

def cluster(
    nodes: list[tuple[int, int]], owners: Any, connections: int, timeout: float, /
) -> Transport:
    """TCP to the nodes (address, port) of a cluster. Group g is with node owners[g] (uint16)."""

def value(id: int, size: int, /) -> bytes:
    """The value that the write `id` writes."""

def value_id(value: bytes, /) -> int:
    """The id of the write that wrote a value; a hash with the top bit set if none of ours did."""
