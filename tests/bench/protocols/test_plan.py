"""Which cases a plan has, and in which order."""

from dataclasses import replace
from itertools import pairwise, permutations

import pytest

from bench.protocols.plan import Plan, in_turn
from bench.protocols.run import AS_LONG_AS_STOCK, LOOPS
from controller.model import Protocol

PLAN = Plan(writes=(0, 5), budgets=(100, 40), repeat=2, sweep="none")


def test_protocols_take_turns_before_anything_is_repeated() -> None:
    cases = list(PLAN.cases(100))
    half = len(cases) // 2
    assert set(cases[:half]) == set(cases[half:])
    assert len(set(cases)) == half == 2 * 2 * len(Protocol)  # writes, loops
    for first in range(0, len(cases), len(Protocol)):
        together = cases[first : first + len(Protocol)]
        assert {case.protocol for case in together} == set(Protocol)
        assert len({(case.writes, case.loop) for case in together}) == 1


def test_each_protocol_comes_after_each_other_and_first_as_often() -> None:
    turns = [in_turn(tuple(Protocol), turn) for turn in range(len(Protocol))]
    assert {turn[0] for turn in turns} == set(Protocol)
    pairs = [pair for turn in turns for pair in pairwise(turn)]
    assert sorted(pairs) == sorted(permutations(Protocol, 2))
    for loop in LOOPS:
        plan = replace(PLAN, writes=(5,), repeat=len(Protocol))
        of_loop = [case.protocol for case in plan.cases(100) if case.loop == loop]
        assert set(of_loop[:: len(Protocol)]) == set(Protocol)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_protocols_take_turns_as_well(count: int) -> None:
    some = tuple(Protocol)[:count]
    turns = [in_turn(some, turn) for turn in range(count)]
    assert all(set(turn) == set(some) for turn in turns)
    assert [turn[0] for turn in turns] == list(some)


def test_a_smaller_budget_is_measured_at_the_pivot_unless_all_is() -> None:
    assert {case.writes for case in PLAN.cases(40)} == {5}
    assert {case.writes for case in replace(PLAN, full=True).cases(40)} == {0, 5}


def test_the_sweep_tries_every_protocols_settings_at_the_pivot_alone() -> None:
    plan = replace(PLAN, sweep="all", repeat=1)
    swept = [case for case in plan.cases(100) if case.settings != plan.settings]
    assert {(case.writes, case.budget) for case in swept} == {plan.pivot} == {(5, 100)}
    assert len(swept) == 2 * sum(len(plan.swept(protocol)) for protocol in Protocol)
    assert {case.protocol for case in swept} == set(Protocol)
    assert not any(case.settings != plan.settings for case in plan.cases(40))
    quick = replace(plan, sweep="quick")
    for protocol in Protocol:
        assert set(quick.swept(protocol)) < set(plan.swept(protocol))
        assert all(dict(s)["throttle"] in (0, plan.throttle) for s in quick.swept(protocol))
    ours = [c for c in replace(plan, sweep="ours").cases(100) if c.settings != plan.settings]
    assert [(c.protocol, c.settings) for c in ours] == [("netmigrate", (("throttle", 0),))]


def test_peers_take_turns_at_the_pivot_with_settings_of_their_own() -> None:
    plan = replace(PLAN, peers=("reshard", "valkey-migrateslots"), repeat=1)
    at_pivot = list(plan.cases(100))
    with_them = [case for case in at_pivot if case.protocol in plan.peers]
    assert [(case.writes, case.loop, case.protocol) for case in with_them] == [
        (5, loop, peer) for loop in ("closed", "open") for peer in plan.peers
    ]
    assert {case.settings for case in with_them} == {(("pipeline", 10),), ()}
    slow = [place for place, case in enumerate(at_pivot) if case.settings == AS_LONG_AS_STOCK]
    assert len(slow) == 2  # loops, each after its reshard
    assert all(at_pivot[place - 2].protocol == "reshard" for place in slow)
    assert not any(case.protocol in plan.peers for case in plan.cases(40))
    full = replace(plan, full=True)
    assert {c.writes for c in full.cases(40) if c.protocol in plan.peers} == {0, 5}
    swept = [c for c in replace(plan, sweep="all").cases(100) if c.protocol == "reshard"]
    assert {dict(case.settings)["pipeline"] for case in swept} == {10, 100, 1000}


def test_more_to_do_takes_longer() -> None:
    plan = replace(PLAN, sizes=())
    assert replace(plan, repeat=4).seconds() == 2 * plan.seconds()
    assert PLAN.seconds() > plan.seconds()
    assert replace(PLAN, full=True).seconds() > PLAN.seconds()
