"""From histories and counters to figures."""

from collections.abc import Mapping

import numpy as np
import pytest

from bench.protocols import figures
from bench.protocols.figures import Counted
from bench.protocols.observe import Seen
from bench.protocols.run import BIN_SECONDS, PARTS, Case
from controller import controller_pb2 as pb
from hosts.load.history import RECORD, History, Status
from topology.report import timeline
from topology.summary import Phases, Snapshot

TRAFFIC = ("QUERY", "REPLY", "DOUBLE_QUERY", "DOUBLE_REPLY", "RETRY", "CONTROL", "BETWEEN_SERVERS")


def snapshot(**sizes: int) -> Snapshot:
    traffic = {name: (1 if name in sizes else 0, sizes.get(name, 0)) for name in TRAFFIC}
    agents = {"channel_pull_bytes": 20, "channel_handover_bytes": 30}
    return Snapshot({"traffic": traffic}, agents)


def counted(at: int, cpu: float, counters: Snapshot | None = None) -> Counted:
    parts: Mapping[str, float] = dict.fromkeys(PARTS, cpu)
    return Counted(at, counters or snapshot(), parts)


def records(*rows: tuple[float, float]) -> np.ndarray:
    """Operations by their start and latency, in milliseconds."""
    found = np.zeros(len(rows), RECORD)
    found["status"] = Status.OK
    found["tries"] = 1
    found["intended"] = found["invoked"] = [round(start * 1e6) for start, _ in rows]
    found["responded"] = [round((start + latency) * 1e6) for start, latency in rows]
    return found


def test_bins_hold_what_ended_in_them() -> None:
    history = records(*((i, 1.0) for i in range(50)), *((110 + i / 10, 20.0) for i in range(100)))
    phases = Phases(0, 100_000_000, 200_000_000, 200_000_000)
    line = timeline(history, phases, BIN_SECONDS)
    assert line["seconds"].tolist() == pytest.approx([0.05, 0.15])
    assert line["throughput"].tolist() == [500.0, 1000.0]
    assert line["p50"].tolist() == line["p99"].tolist() == line["p999"].tolist() == [1e3, 2e4]


def test_no_bin_has_what_was_before_and_during() -> None:
    ms = 1_000_000
    history = History(records(*((i, 1.0) for i in range(30, 430))), {})
    phases = Phases(30 * ms, 250 * ms, 390 * ms, 430 * ms)
    nothing = counted(0, 0.0)
    found = Seen(phases, history, nothing, nothing, nothing, "").run(Case("source"), {})
    begin, end = found.migration
    assert (begin, end) == pytest.approx((0.2, 0.34))
    assert found.figures == {"p50_usual": 1000.0, "p99_usual": 1000.0}
    assert found.timeline["seconds"].tolist() == pytest.approx([0.05, 0.15, 0.25])


def test_quantiles_of_a_bin_are_those_of_its_latencies() -> None:
    history = records(*((0.0, i / 100) for i in range(1, 1001)))
    line = timeline(history, Phases(0, 0, 100_000_000, 100_000_000), BIN_SECONDS)
    assert (line["p50"][0], line["p99"][0], line["p999"][0]) == (5010.0, 9910.0, 10000.0)


def test_shares_of_bytes_are_of_what_passed_during_the_migration() -> None:
    earlier = snapshot(QUERY=1000, REPLY=1000, CONTROL=5)
    later = Snapshot(
        snapshot(
            QUERY=2000, REPLY=3000, DOUBLE_QUERY=300, DOUBLE_REPLY=600, RETRY=100, CONTROL=25,
            BETWEEN_SERVERS=1500,
        ).switch,
        {"channel_pull_bytes": 40, "channel_handover_bytes": 60},
    )  # fmt: skip
    migration = pb.Migration(keys=110, bytes=1100)  # of 100 keys ten were copied again
    found = figures.traffic(later.since(earlier), migration, 100)
    assert found == {
        "client_bytes": 4000,
        "client_extra": 25.0,
        "server_bytes": 1520,
        "moved_bytes": 1000.0,
        "server_control": 2.0,
        "server_handed": 5.0,
        "server_again": pytest.approx(10.0),
    }


def test_phases_and_processors_are_kept_apart() -> None:
    second = 1_000_000_000
    phases = Phases(0, second, 3 * second, 4 * second)
    history = records(*((i, 1.0) for i in range(1000)), *((1000 + 4 * i, 2.0) for i in range(500)))
    found = figures.figures(
        history, phases, pb.Migration(keys=1, bytes=1), 1,
        counted(0, 0.0), counted(second, 0.5), counted(5 * second, 1.5),
    )  # fmt: skip
    assert found["throughput_before"] == pytest.approx(1000, abs=2)
    assert found["throughput"] == pytest.approx(250, abs=2)
    assert (found["p50_before"], found["p50"]) == (1000.0, 2000.0)
    assert found["longest"] == 2000.0
    assert found["migration_seconds"] == 2.0
    assert (found["cpu_switch_before"], found["cpu_switch"]) == (0.5, 0.25)
    assert found["resent"] == found["errors"] == 0


def test_a_phase_without_operations_has_no_latency() -> None:
    phases = Phases(0, 10, 20, 30)
    nothing = counted(0, 0.0)
    found = figures.figures(records((1000.0, 1.0)), phases, pb.Migration(), 1, *[nothing] * 3)
    assert "p99" not in found and found["throughput"] == 0
