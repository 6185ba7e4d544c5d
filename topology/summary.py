"""From the record of a run to its figures: `out/run/summary.json`."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hosts.check import Result, counters, registers
from hosts.load.history import History, Status

Counts = dict[str, dict[str, tuple[int, int]]]
Agents = dict[str, int]


@dataclass(frozen=True)
class Phases:
    """When things happened, in CLOCK_MONOTONIC nanoseconds, as in the history."""

    started: int
    migration_started: int
    migration_ended: int
    ended: int

    def spans(self) -> dict[str, tuple[int, int]]:
        """Return the three phases as (from, to)."""
        return {
            "before": (self.started, self.migration_started),
            "during": (self.migration_started, self.migration_ended),
            "after": (self.migration_ended, self.ended),
        }


@dataclass(frozen=True)
class Snapshot:
    """Counters of the switch and of the agents at one moment."""

    switch: Counts
    agents: Agents

    def since(self, earlier: "Snapshot") -> "Snapshot":
        """Return what was counted after `earlier`."""
        return Snapshot(
            {
                name: {
                    cell: (
                        packets - earlier.switch[name][cell][0],
                        size - earlier.switch[name][cell][1],
                    )
                    for cell, (packets, size) in cells.items()
                }
                for name, cells in self.switch.items()
            },
            {name: count - earlier.agents.get(name, 0) for name, count in self.agents.items()},
        )


def latencies(records: NDArray[Any], span: tuple[int, int]) -> NDArray[np.float64]:
    """Return the latencies in µs of what was meant to start within `span` and succeeded."""
    meant = (records["intended"] >= span[0]) & (records["intended"] < span[1])
    done = records[meant & (records["status"] == Status.OK)]
    return np.asarray((done["responded"] - done["intended"]) / 1000.0, dtype=np.float64)


def throughput(records: NDArray[Any], span: tuple[int, int]) -> float:
    """Return operations per second that succeeded within `span`."""
    end = records["responded"][records["status"] == Status.OK]
    within = np.count_nonzero((end >= span[0]) & (end < span[1]))
    return float(within) * 1e9 / max(1, span[1] - span[0])


def quantiles(values: NDArray[np.float64]) -> dict[str, float | None]:
    """Return p50, p99 and p999 of latencies; None where there are none."""
    if not values.size:
        return {"p50": None, "p99": None, "p999": None}
    p50, p99, p999 = np.percentile(values, [50, 99, 99.9])
    return {"p50": round(p50, 1), "p99": round(p99, 1), "p999": round(p999, 1)}


def check(history: NDArray[Any], *, fresh: bool) -> Result:
    """Check every key of the whole history: loading, run and final reads.

    `fresh`: the stores were empty before; otherwise a key's first value is what is first read.
    """
    initial = np.zeros(0, dtype=np.uint64) if fresh else None
    return registers.check(history, initial) + counters.check(history)


def errors(records: NDArray[Any]) -> int:
    """Count the operations that did not succeed."""
    return int(np.count_nonzero(records["status"] != Status.OK))


def sizes(moved: Snapshot) -> dict[str, int]:
    """Return bytes as the switch counted them; of the agents are only pulls and handed queries."""
    traffic = {cell: size for cell, (_, size) in moved.switch["traffic"].items()}
    extra = sum(traffic[cell] for cell in ("DOUBLE_QUERY", "DOUBLE_REPLY", "RETRY"))
    handed = moved.agents["channel_pull_bytes"] + moved.agents["channel_handover_bytes"]
    return {
        "client": traffic["QUERY"] + traffic["REPLY"] + extra,
        "client_extra": extra,
        "server": traffic["BETWEEN_SERVERS"],
        "server_control": traffic["CONTROL"],
        "server_extra": traffic["CONTROL"] + handed,
    }


def figures(history: History, phases: Phases, moved: Snapshot) -> dict[str, Any]:
    """Return the measured part of the summary; `moved` counts from the start of the load on."""
    records = history.records
    events, traffic = moved.switch["events"], moved.switch["traffic"]
    spans = phases.spans()
    return {
        "migration_seconds": round((phases.migration_ended - phases.migration_started) / 1e9, 3),
        "operations": int(records.size),
        "errors": errors(records),
        "throughput": {name: round(throughput(records, span), 1) for name, span in spans.items()},
        "latency_us": {name: quantiles(latencies(records, span)) for name, span in spans.items()},
        "double_reads": traffic["DOUBLE_QUERY"][0],
        "redirected": sum(
            events[cell][0] for cell in ("STEERED_DESTINATION", "ONGOING_READ", "ONGOING_WRITE")
        ),
        "forwarded": moved.agents["forwarded"] + moved.agents["handed_over"],
        "priority_pulls": moved.agents["priority_pulls"],
        "bytes": sizes(moved),
    }
