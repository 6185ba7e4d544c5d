"""The record of a run: every request with what it did and when, in CLOCK_MONOTONIC nanoseconds."""

import json
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from hosts.load import _driver

# hosts/load/core/driver.h: struct record
RECORD: Final = np.dtype(
    [
        ("operation", "u1"),
        ("status", "u1"),
        ("tries", "u1"),
        ("flags", "u1"),  # of the reply taken (hosts.wire.Flags)
        ("key", "<u4"),
        ("value", "<u8"),
        ("intended", "<i8"),
        ("invoked", "<i8"),
        ("responded", "<i8"),
    ]
)
assert RECORD.itemsize == _driver.RECORD_SIZE

# Values that no write of ours wrote are known by a hash with this bit set.
FOREIGN: Final = 1 << 63


class Operation(IntEnum):
    """hosts/load/core/driver.h: enum record_kind."""

    READ = 0
    WRITE = 1
    INCREMENT = 2
    READ_COUNTER = 3


class Status(IntEnum):
    """hosts/load/core/driver.h: enum record_status."""

    UNSENT = 0
    OK = 1
    ERROR = 2
    REFUSED = 3
    TIMEOUT = 4


@dataclass(frozen=True)
class History:
    """Requests, and what they are about (`about`: workload, settings, counts)."""

    records: NDArray[Any]
    about: dict[str, Any] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write it as .npz (not compressed: speed matters more)."""
        with path.open("wb") as file:
            np.savez(file, records=self.records, about=np.array(json.dumps(self.about)))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what save() has written."""
        with np.load(path) as stored:
            return cls(stored["records"], json.loads(str(stored["about"])))

    @property
    def latencies(self) -> NDArray[np.float64]:
        """Microseconds from the intended start to the reply, of all that succeeded."""
        done = self.records[self.records["status"] == Status.OK]
        return np.asarray(done["responded"] - done["intended"]) / 1000.0
