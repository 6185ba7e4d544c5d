"""Goals are met, missed or not measured by what the rows say."""

from dataclasses import replace

import pytest

from bench.protocols.compare import Comparison, rows
from bench.protocols.goals import Goal, goals
from bench.protocols.run import AS_LONG_AS_STOCK, Run
from bench.protocols.sizes import Size
from tests.bench.protocols.made import PLAIN, run

UNTHROTTLED = (("throttle", 0),)


def judged(*runs: Run, sizes: tuple[Size, ...] = ()) -> dict[str, Goal]:
    found = goals(Comparison(rows(runs), (5, 100), PLAIN), sizes)
    return {goal.name: goal for goal in found}


def size(keys: int, cpu: float, p99: float, agent: float) -> Size:
    return Size(keys, 1.0, {"source_store": cpu}, 100.0, p99, p99, 0.0, 0.0, 1e6, agent, 0, 0)


@pytest.mark.parametrize(("theirs", "met"), [(1000.0, True), (1001.0, False)])
def test_throughput_is_compared_with_each_other_at_its_best(theirs: float, met: bool) -> None:
    found = judged(
        run("netmigrate", loop="closed", throughput=1320.0),
        run("source", loop="closed", throughput=10.0),
        run("source", loop="closed", throughput=theirs, settings=UNTHROTTLED),
        run("fulva", loop="closed", throughput=500.0),
    )
    assert found["throughput / source"].met is met
    assert "unthrottled" in found["throughput / source"].measured
    assert found["throughput / fulva"].met is True
    assert found["throughput / fulva"].measured.startswith("2.64 ")


def test_latency_is_far_below_the_worst_and_above_none() -> None:
    found = judged(
        run("netmigrate", p50=50.0, p99=70.0),
        run("source", p50=49.0, p99=90.0),
        run("rocksteady", p50=100.0, p99=100.0),
    )
    assert found["p50 below the worst of the others"].met is True
    assert found["p99 below the worst of the others"].met is False  # 30 %
    assert found["no p50 better than ours"].met is False
    assert found["no p50 better than ours"].measured == "source 0.0490 ms (ours 0.0500 ms)"
    assert found["no p99 better than ours"].met is True


def test_a_stock_reshard_is_compared_with_what_ends_no_later() -> None:
    ten, hundred = (("pipeline", 10),), (("pipeline", 100),)
    ours = run("netmigrate", p99=90.0, migration_seconds=4.0, retries=0)
    found = judged(
        ours,
        run("netmigrate", p99=72.0, migration_seconds=8.5, retries=0, settings=AS_LONG_AS_STOCK),
        run("netmigrate", p99=9.0, migration_seconds=9.5, retries=0, settings=(("throttle", 1),)),
        run("source", p99=300.0),
        run("reshard", p99=80.0, migration_seconds=9.0, settings=ten, redirects=7),
        run("reshard", p99=100.0, migration_seconds=4.5, settings=hundred, redirects=5),
    )
    goal = found["p99 / reshard"]
    assert (goal.measured, goal.met) == ("0.90 (0.0720 ms as long as reshard, 0.0800 ms)", True)
    assert found["time / reshard"].met is True
    seen = found["redirects and errors that clients see"]
    assert (seen.measured, seen.met) == ("0 (reshard: 7)", True)
    assert not any("reshard" in found[name].measured for name in found if "others" in name)
    found = judged(
        replace(ours, figures={**ours.figures, "retries": 1}),
        run("reshard", p99=90.0, migration_seconds=3.9, settings=ten),
        run("valkey-migrateslots", p99=1.0, migration_seconds=1.0, settings=()),
    )
    for name in ("p99 / reshard", "time / reshard", "redirects and errors that clients see"):
        assert found[name].met is False


def test_every_goal_that_is_missed_says_what_was_measured_with_it() -> None:
    ours = run(
        "netmigrate", p50=9e3, p99=9e3, p99_before=5e3, p50_before=1e3, client_extra=1.0,
        server_control=2.0, moved_bytes=1e6, client_bytes=1e6, double_reads=7, retries=3,
        throughput_before=2000.0, cpu_switch=0.5, cpu_switch_before=0.4, cpu_source_agent=0.9,
    )  # fmt: skip
    closed = replace(ours, case=replace(ours.case, loop="closed"))
    free = replace(closed, case=replace(closed.case, settings=UNTHROTTLED))
    slow = {"throughput_ratio": 0.2}
    found = judged(
        ours,
        replace(closed, figures={**closed.figures, **slow}),
        replace(free, figures={**closed.figures, **slow}),
        run("source", p50=1e3, p99=1e3),
        run("source", loop="closed", throughput=9000.0),
        run("reshard", p99=1.0, migration_seconds=1.0, settings=(("pipeline", 10),)),
        sizes=(size(10_000, 10.0, 100.0, 9e6), size(100_000, 40.0, 900.0, 9e6)),
    )
    assert {goal.met for goal in found.values()} == {False}
    for goal in found.values():
        assert goal.why and "nan" not in "".join(goal.why), goal
    mine = found["throughput / source"].why[0]
    assert mine.startswith("netmigrate: 1.40 of")
    # 1.4 cores for 1,000 op/s, and 0.4 for 2,000 before.
    assert "1400.0 µs of processor an operation (before 200.0; source agent +900.0, switch" in mine
    assert "at least half of ours" in found["no p99 better than ours"].why[0]
    assert "at least half of ours" not in found["no p50 better than ours"].why[0]


def test_extra_bytes_are_those_of_the_plain_settings() -> None:
    found = judged(
        run("netmigrate", client_extra=0.04, server_control=0.9),
        run("netmigrate", client_extra=9.0, server_control=0.0, settings=UNTHROTTLED),
    )
    assert found["extra bytes of clients"].met is True
    assert found["control packets of the bytes moved"].met is False


def test_the_throttle_counts_only_within_twice_the_unthrottled_time() -> None:
    name = "throughput during / before, within twice the unthrottled time"
    free = run(
        "netmigrate", loop="closed", settings=UNTHROTTLED,
        migration_seconds=2.0, throughput_ratio=0.99,
    )  # fmt: skip
    plain = run("netmigrate", loop="closed", migration_seconds=4.0, throughput_ratio=0.96)
    slow = run(
        "netmigrate", loop="closed", settings=(("throttle", 1),),
        migration_seconds=4.1, throughput_ratio=1.0,
    )  # fmt: skip
    assert judged(free, plain, slow)[name].measured.startswith("0.96 at 40 Mbit/s")
    assert judged(free, plain)[name].met is True
    assert judged(free, slow)[name].met is None
    known = replace(free, figures={**free.figures, "moved_bytes": 9e6})
    # Nine tenths of twice the 2 s.
    assert judged(known, slow)[name].measured.endswith("within 4.0 s: try THROTTLE=20")
    assert judged(plain)[name].met is None


def test_sizes_are_flat_within_a_factor_and_memory_is_that_of_the_largest() -> None:
    found = judged(sizes=(size(10_000, 10.0, 100.0, 9e6), size(100_000, 14.0, 160.0, 4e4)))
    assert found["processor time a key, 10,000 to 100,000 records"].met is True
    assert found["p99 during, 10,000 to 100,000 records"].met is False
    assert found["agent memory of the data"].met is True
    assert found["agent memory of the data"].measured == "4.0 % at 100,000 records"


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    assert {goal.met for goal in judged().values()} == {None}
