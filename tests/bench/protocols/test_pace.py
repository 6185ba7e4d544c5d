"""Ours at the pace of a stock reshard."""

from dataclasses import replace

from bench.protocols.pace import Pace
from bench.protocols.run import AS_LONG_AS_STOCK, Case
from tests.bench.protocols.made import PLAIN, run

CASE = Case("netmigrate", settings=AS_LONG_AS_STOCK)


def test_the_throttle_is_what_takes_as_long_as_the_last_reshard_of_that_loop() -> None:
    pace = Pace()
    assert pace.settings(replace(CASE, settings=PLAIN)) == PLAIN
    assert pace.settings(CASE) is None
    pace.learn(run("netmigrate", moved_bytes=9_000_000.0))
    assert pace.settings(CASE) is None
    pace.learn(run("reshard", migration_seconds=20.0))
    pace.learn(run("reshard", migration_seconds=10.0))
    pace.learn(run("reshard", migration_seconds=40.0, loop="closed"))
    pace.learn(run("reshard", migration_seconds=1.0, problem="it failed"))
    assert pace.settings(CASE) == (("throttle", 8_000_000),)
    assert pace.settings(replace(CASE, loop="closed")) == (("throttle", 2_000_000),)
