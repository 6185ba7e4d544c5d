"""Medians, spreads, ratios, and which row of a protocol is its best."""

import math

from bench.protocols.compare import Comparison, Spread, ratios, rows
from bench.protocols.run import AS_LONG_AS_STOCK
from tests.bench.protocols.made import PLAIN, run

LONG = "as long as reshard"


def test_repetitions_become_one_row_with_median_and_spread() -> None:
    runs = [run("source", p99=value) for value in (30.0, 10.0, 20.0)]
    (row,) = rows([*runs, run("source", p99=1.0, problem="it failed")])
    assert row.runs == 3
    assert row.figures["p99"] == Spread(20.0, 10.0, 30.0)
    assert row["p99"] == 20.0
    assert math.isnan(row["p50"])  # no run had one


def test_what_is_shown_is_no_part_of_the_sweep_and_a_reshard_has_ours_beside_it() -> None:
    pipeline = (("pipeline", 10),), (("pipeline", 100),)
    found = rows(
        [
            run("netmigrate"),
            run("reshard", settings=pipeline[0]),
            run("valkey-migrateslots", settings=()),
            run("netmigrate", settings=AS_LONG_AS_STOCK),
            run("netmigrate", settings=(("throttle", 0),)),
            run("reshard", settings=pipeline[1]),
            run("source", writes=30),
        ]
    )
    shown = [row.case.name for row in Comparison(found, (5, 100), PLAIN).shown()]
    assert shown == ["netmigrate", "reshard", f"netmigrate, {LONG}", "valkey-migrateslots"]


def test_ratios_are_ours_to_each_other_where_all_else_agrees() -> None:
    found = rows(
        [
            run("netmigrate", throughput=3000.0, p99=50.0, retries=0),
            run("source", throughput=2000.0, p99=200.0, retries=0),
            run("fulva", throughput=1500.0, writes=30),
            run("reshard", throughput=1000.0, settings=(("pipeline", 10),)),
        ]
    )
    source, reshard = ratios(Comparison(found, (5, 100), PLAIN))
    assert source["to"] == "source"
    assert source["ratios"] == {"throughput": 1.5, "p99": 0.25, "migration_seconds": 1.0}
    assert (reshard["to"], reshard["settings"]) == ("reshard", {"pipeline": 10})
    assert reshard["ratios"] == {"throughput": 3.0, "migration_seconds": 1.0}


def test_the_best_row_is_among_those_as_quick_as_ours() -> None:
    slow, quick = (("throttle", 20_000_000),), (("throttle", 0),)
    comparison = Comparison(
        rows(
            [
                run("netmigrate", p99=100.0, migration_seconds=4.0),
                run("netmigrate", p99=50.0, migration_seconds=4.0, settings=quick),
                run("source", p99=300.0, migration_seconds=4.0),
                run("source", p99=200.0, migration_seconds=4.9, settings=quick),
                run("source", p99=10.0, migration_seconds=5.1, settings=slow),
                run("source", p99=1.0, migration_seconds=1.0, budget=40),
                run("rocksteady", p99=7.0, migration_seconds=9.0),
                run("rocksteady", p99=8.0, migration_seconds=8.0, settings=quick),
            ]
        ),
        (5, 100),
        PLAIN,
    )
    assert comparison.others("open") == ["source", "rocksteady"]
    ours, source = comparison.ours("open"), comparison.best("open", "source", "p99")
    assert ours is not None and ours["p99"] == 100.0  # at the plain settings, not at the best ones
    assert source is not None and source["p99"] == 200.0
    most = comparison.best("open", "source", "p99", most=True)
    assert most is not None and most["p99"] == 300.0
    never_quick = comparison.best("open", "rocksteady", "p99")
    assert never_quick is not None and never_quick["migration_seconds"] == 8.0
    assert comparison.best("closed", "source", "p99") is None
