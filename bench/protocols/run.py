"""What is compared: one migration under load, and what came of it, whoever moved the data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

BIN_SECONDS: Final = 0.1
LOOPS: Final = ("closed", "open")
PARTS: Final = (
    "source_store",
    "source_agent",
    "destination_store",
    "destination_agent",
    "switch",
    "client",
    "controller",
)
"""Whose processor time is counted apart."""

FIGURES: Final[Mapping[str, str]] = {
    "throughput": "op/s during the migration",
    "throughput_before": "op/s",
    "throughput_ratio": "during / before",
    "p50": "µs during the migration",
    "p99": "µs",
    "p999": "µs",
    "p50_usual": "µs: the median of the p50 of each 100 ms during the migration",
    "p99_usual": "µs: the same of p99; where it is far below p99, that is made by few peaks",
    "longest": "µs: the operation that took longest of those that began during the migration",
    "p50_before": "µs",
    "p99_before": "µs",
    "p999_before": "µs",
    "migration_seconds": "s from the request to the end",
    "downtime_seconds": "s in which nobody served",
    "client_bytes": "bytes between clients and switch during the migration",
    "client_extra": "% of them: second copies, their replies, 'ask again' and what then came; "
    "of a stock cluster redirects, ASKING and the commands sent again, without their headers",
    "server_bytes": "bytes between the servers during the migration",
    "moved_bytes": "bytes of group data, each key once",
    "server_control": "% of moved_bytes: START, COMPLETE and ACK",
    "server_handed": "% of moved_bytes: keys pulled ahead, queries handed on",
    "server_again": "% of moved_bytes: keys copied again",
    "double_reads": "",
    "retries": "packets: 'ask again', and the requests that did",
    "redirects": "MOVED, ASK, TRYAGAIN and CLUSTERDOWN that clients of a stock cluster were told, "
    "until the end of the load",
    "resent": "requests sent again for want of a reply, from the start of the load to its end",
    "errors": "operations that failed, of all",
    "violations": "of linearizability, of all operations",
    **{f"cpu_{part}": "cores used during the migration" for part in PARTS},
    **{f"cpu_{part}_before": "cores" for part in PARTS},
}
"""Every figure of a run and its unit. Bytes are the switch's counts, except moved_bytes,
server_handed and server_again, which the agents counted."""

Settings: TypeAlias = tuple[tuple[str, int], ...]
"""What a migration was told, by name, such as (("throttle", 40_000_000), ("lanes", 4))."""
AS_LONG_AS_STOCK: Final[Settings] = (("as_long_as_reshard", 1),)
"""Throttled so as to take as long as the stock reshard that was last (bench/protocols/pace.py)."""


@dataclass(frozen=True)
class Case:
    """What a run was about; runs of one case are repetitions of each other."""

    protocol: str
    writes: int = 5
    """Per cent of the operations."""
    budget: int = 100
    """Per cent of one core that the source host may use; 100: no limit."""
    loop: str = "open"
    settings: Settings = ()

    @property
    def name(self) -> str:
        """The protocol, and whether it was given another's time."""
        slow = self.settings == AS_LONG_AS_STOCK
        return f"{self.protocol}, {self.label}" if slow else self.protocol

    @property
    def label(self) -> str:
        """The settings as people read them."""
        return ", ".join(_setting(name, value) for name, value in self.settings)


def _setting(name: str, value: int) -> str:
    if ((name, value),) == AS_LONG_AS_STOCK:
        return "as long as reshard"
    if name == "throttle":
        return f"{value / 1e6:g} Mbit/s" if value else "unthrottled"
    return f"{name.replace('_', ' ')} {value:,}"


@dataclass(frozen=True)
class Run:
    """One measured migration. Figures that do not apply to a way of migrating are left out."""

    case: Case
    figures: Mapping[str, float]
    """By their names in FIGURES."""
    timeline: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """Per bin of BIN_SECONDS: seconds, throughput (op/s), p50, p99, p999 (µs)."""
    migration: tuple[float, float] = (0.0, 0.0)
    """From when to when, in seconds of the timeline."""
    problem: str = ""
    """Why the run does not count, if it does not."""

    @classmethod
    def failed(cls, case: Case, problem: str) -> Self:
        """Return a run that was not measured."""
        line = {name: np.zeros(0) for name in ("seconds", "throughput", "p50", "p99", "p999")}
        figures = dict.fromkeys(("throughput", "migration_seconds", "errors", "violations"), 0.0)
        return cls(case, figures, line, problem=problem)
