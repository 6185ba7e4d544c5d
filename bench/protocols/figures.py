"""From what was counted before and after a migration, and the history, to the figures of a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from bench.protocols.run import PARTS
from controller import controller_pb2 as pb
from topology.summary import Phases, Snapshot, errors, latencies, quantiles, sizes, throughput


@dataclass(frozen=True)
class Counted:
    """All counters at one moment (CLOCK_MONOTONIC nanoseconds), just before `at`."""

    at: int
    counters: Snapshot
    cpu: Mapping[str, float]
    """Seconds of processor time of each of PARTS so far."""


def figures(
    records: NDArray[Any],
    phases: Phases,
    migration: pb.Migration,
    keys: int,
    started: Counted,
    before: Counted,
    after: Counted,
) -> dict[str, float]:
    """Return the figures of a run (`run.FIGURES`), violations apart.

    The counters were read at the start of the load, just before and just after the migration.
    """
    moved = after.counters.since(before.counters)
    seconds = (phases.migration_ended - phases.migration_started) / 1e9
    return {
        **service(records, phases),
        "migration_seconds": seconds,
        "downtime_seconds": migration.downtime,
        **traffic(moved, migration, keys),
        "double_reads": moved.switch["traffic"]["DOUBLE_QUERY"][0],
        "retries": moved.switch["traffic"]["RETRY"][0],
        "resent": int(records["tries"].clip(1).sum()) - records.size,
        "errors": errors(records),
        **{f"cpu_{part}": cores(before, after, part) for part in PARTS},
        **{f"cpu_{part}_before": cores(started, before, part) for part in PARTS},
    }


def service(records: NDArray[Any], phases: Phases) -> dict[str, float]:
    """Return throughput and latency before and during the migration."""
    spans = phases.spans()
    before, during = throughput(records, spans["before"]), throughput(records, spans["during"])
    found = {
        "throughput": during,
        "throughput_before": before,
        "throughput_ratio": during / max(1.0, before),
    }
    for suffix, phase in (("", "during"), ("_before", "before")):
        for name, value in quantiles(latencies(records, spans[phase])).items():
            if value is not None:
                found[name + suffix] = float(value)
    if (felt := latencies(records, spans["during"])).size:
        found["longest"] = float(felt.max())
    return found


def traffic(moved: Snapshot, migration: pb.Migration, keys: int) -> dict[str, float]:
    """Return bytes and what of them is extra; the migration moved `keys` keys."""
    size = sizes(moved)
    again = max(0, migration.keys - keys)
    once = migration.bytes * keys / max(1, keys + again)
    part = 100 / max(1.0, once)
    return {
        "client_bytes": size["client"],
        "client_extra": 100 * size["client_extra"] / max(1, size["client"]),
        "server_bytes": size["server"] + size["server_control"],
        "moved_bytes": once,
        "server_control": size["server_control"] * part,
        "server_handed": (size["server_extra"] - size["server_control"]) * part,
        "server_again": (migration.bytes - once) * part,
    }


def cores(earlier: Counted, later: Counted, part: str) -> float:
    """Return how many cores a part had on average between two moments."""
    return (later.cpu[part] - earlier.cpu[part]) / max(1e-9, (later.at - earlier.at) / 1e9)
