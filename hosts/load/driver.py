"""Runs a trace against a service, in open or closed loop, and tells how it goes meanwhile."""

import socket
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from hosts.load import _driver
from hosts.load.cluster import Cluster
from hosts.load.history import RECORD, History
from hosts.load.keys import Names
from hosts.load.trace import Trace


@dataclass(frozen=True)
class Pace:
    """`rate` operations per second, whatever the replies (0: as fast as they come).

    Never more than `outstanding` at a time, lest a backlog overruns socket buffers when a stall
    ends: what an open loop could not start when it meant to starts late, and its latency counts
    from when it was meant to.
    """

    rate: float = 0.0
    outstanding: int = 128
    seconds: float = 1e8


@dataclass(frozen=True)
class Target:
    """A service, and how patient to be with it."""

    vip: str
    port: int = 4700
    service: int = 1
    timeout: float = 5.0
    resend_after: float = 0.05

    def open(self) -> _driver.Transport:
        """Open a session with it."""
        address = int.from_bytes(socket.inet_aton(socket.gethostbyname(self.vip)), "big")
        return _driver.service(address, self.port, self.service, self.timeout, self.resend_after)


@dataclass(frozen=True)
class Progress:
    """So far; latencies (µs) of what has finished since the progress before."""

    issued: int
    done: int
    errors: int
    outstanding: int
    doubled: int
    resent: int
    redirected: int
    p50: float
    p99: float


def bucket_values(count: int) -> NDArray[np.float64]:
    """The middle of each bucket of the driver's histogram, in nanoseconds (driver.c: observe)."""
    steps = _driver.HISTOGRAM_STEPS
    bucket = np.arange(count)
    bits = np.maximum(bucket // steps - 1, 0)
    start = (bucket - bits * steps) * 2.0**bits
    return np.asarray(start + 2.0**bits / 2)


def quantiles(counts: NDArray[np.uint64], *wanted: float) -> list[float]:
    """Quantiles of a histogram in microseconds; NaN if it is empty."""
    total = int(counts.sum())
    if total == 0:
        return [float("nan")] * len(wanted)
    places = np.searchsorted(np.cumsum(counts), [max(1, round(q * total)) for q in wanted])
    return [float(v) / 1000 for v in bucket_values(counts.size)[places]]


class Driver:
    """One run. run() blocks without holding the GIL; the rest is for other threads meanwhile."""

    def __init__(
        self,
        target: Target | Cluster,
        trace: Trace,
        pace: Pace,
        *,
        records: int,
        value_size: int = 64,
        first_id: int = 1 << 40,
        names: Names | None = None,
    ) -> None:
        """`records` are in the store already. Write i of the trace has the id `first_id` + i."""
        self._records = np.zeros(trace.rows, dtype=RECORD)
        self._about = {"first_id": first_id, "value_size": value_size, **asdict(pace)}
        self._driver = _driver.Driver(
            transport=target.open(),
            kinds=trace.kinds,
            keys=trace.keys,
            records=self._records,
            names=names.text if names else None,
            offsets=names.offsets if names else None,
            prefix=trace.prefix,
            first_id=first_id,
            loaded=records,
            value_size=value_size,
            rate=pace.rate,
            concurrency=pace.outstanding,
            duration=pace.seconds,
        )
        self._seen = self._histogram()

    def run(self) -> History:
        """Run to the end of the trace or of the time, or until stop(); return all that happened."""
        used = self._driver.run()
        about = {
            **self._about,
            "started": self._driver.started,
            "cpu_seconds": self._driver.cpu_seconds,
            "counts": self._driver.counts(),
            "messages": self._driver.messages(),
        }
        return History(self._records[:used], about)

    def stop(self) -> None:
        """Start nothing more; run() returns once what is out has finished."""
        self._driver.stop()

    def key(self, number: int) -> bytes:
        """The name of a key."""
        return self._driver.key(number)

    def _histogram(self) -> NDArray[np.uint64]:
        return np.frombuffer(self._driver.histogram(), dtype=np.uint64)

    def progress(self) -> Progress:
        """How it goes."""
        histogram = self._histogram()
        p50, p99 = quantiles(histogram - self._seen, 0.5, 0.99)
        self._seen = histogram
        return Progress(*self._driver.progress(), p50, p99)
