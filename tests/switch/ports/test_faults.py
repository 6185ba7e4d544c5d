"""Injected faults, on real interfaces."""

from __future__ import annotations

import math
import socket
import time

import pytest

from switch.ports import Direction, FaultCounts, FaultError, FaultRates, PortError
from switch.ports.faults import parse
from tests.switch.ports.conftest import Bench
from tests.switch.ports.test_ports import FRAME, eventually

NUMBER = slice(len(FRAME), len(FRAME) + 4)


def send(sender: socket.socket, count: int) -> None:
    for number in range(count):
        sender.send(FRAME + number.to_bytes(4, "big"))
        if number % 500 == 499:
            time.sleep(0.01)  # neither the ring nor the receiver's buffer may overflow


def received(receiver: socket.socket, seconds: float = 0.3) -> list[int]:
    """The numbers of all frames until none comes for so long."""
    numbers = []
    receiver.settimeout(seconds)
    try:
        while True:
            numbers.append(int.from_bytes(receiver.recv(2048)[NUMBER], "big"))
    except TimeoutError:
        return numbers


def cross(bench: Bench, count: int) -> list[int]:
    """Numbers, in the order in which frames 0, 1, … come out on the other side."""
    with bench.host("h1") as one, bench.host("h2") as two:
        before = bench.ports.statistics(1)
        send(one, count)
        numbers = received(two)
        after = bench.ports.statistics(1)
    assert after.rx_dropped == 0
    assert after.rx_packets - before.rx_packets == count
    return numbers


def likely(count: int, trials: int, probability: float) -> bool:
    """Whether a binomial count is within five standard deviations."""
    deviation = math.sqrt(trials * probability * (1 - probability))
    return abs(count - trials * probability) <= 5 * deviation


def set_faults(bench: Bench, *specs: str, seed: int = 1) -> None:
    bench.ports.seed_faults(seed)
    bench.ports.set_faults(parse(spec) for spec in specs)


@pytest.mark.root
def test_nothing_is_lost_when_off(bench: Bench) -> None:
    assert cross(bench, 2000) == list(range(2000))
    set_faults(bench, "*:loss=100%")
    set_faults(bench, "*:off")
    assert cross(bench, 2000) == list(range(2000))
    for port in (1, 2):
        for direction in Direction:
            assert bench.ports.faults(port, direction) == FaultCounts(0, 0, 0, 0, 0)


@pytest.mark.root
@pytest.mark.parametrize("where", ["1/in", "2/out"])
def test_loss_and_duplication_at_their_rates(bench: Bench, where: str) -> None:
    total = 10_000
    set_faults(bench, f"{where}:loss=10%,duplicate=5%")
    numbers = cross(bench, total)
    port, direction = where.split("/")
    counts = bench.ports.faults(int(port), Direction[direction.upper()])
    assert counts.frames == total
    assert likely(counts.lost, total, 0.1)
    assert likely(counts.duplicated, total - counts.lost, 0.05)
    assert total - len(set(numbers)) == counts.lost
    assert len(numbers) - len(set(numbers)) == counts.duplicated
    assert numbers == sorted(numbers)
    for other in Direction:
        assert bench.ports.faults(3 - int(port), other).frames == 0


@pytest.mark.root
def test_the_same_seed_brings_the_same_faults(bench: Bench) -> None:
    runs = []
    for seed in (7, 7, 8):
        set_faults(bench, "*:loss=20%,duplicate=20%", seed=seed)
        runs.append(cross(bench, 1000))
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.root
def test_a_seed_is_each_ways_own(bench: Bench) -> None:
    """What passes the other way does not matter, nor what rates were before."""
    set_faults(bench, "1/in:loss=20%")
    alone = cross(bench, 500)
    set_faults(bench, "1/in:loss=20%", "2/in:loss=20%", "1/out:duplicate=30%")
    with bench.host("h1") as one, bench.host("h2") as two:
        send(two, 300)
        back = received(one)
    assert cross(bench, 500) == alone
    assert set(back) != {number for number in alone if number < 300}


@pytest.mark.root
def test_delayed_frames_come_later_and_all_come(bench: Bench) -> None:
    set_faults(bench, "1/in:delay=100%:300ms")
    with bench.host("h1") as one, bench.host("h2") as two:
        begun = time.monotonic()
        send(one, 1000)
        two.settimeout(5)
        arrived = []
        for _ in range(1000):
            number = int.from_bytes(two.recv(2048)[NUMBER], "big")
            arrived.append((number, time.monotonic() - begun))
        assert received(two) == []
    assert {number for number, _ in arrived} == set(range(1000))
    assert [number for number, _ in arrived] != list(range(1000))
    assert sum(after for _, after in arrived) / 1000 > 0.1  # expected: 150 ms at least
    assert bench.ports.faults(1, Direction.IN) == FaultCounts(1000, 0, 0, 1000, 0)


@pytest.mark.root
def test_delay_at_its_rate(bench: Bench) -> None:
    set_faults(bench, "2/out:delay=5%:50ms")
    assert sorted(cross(bench, 5000)) == list(range(5000))
    assert likely(bench.ports.faults(2, Direction.OUT).delayed, 5000, 0.05)


@pytest.mark.root
def test_reordered_frames_are_overtaken_by_the_next(bench: Bench) -> None:
    set_faults(bench, "1/in:reorder=10%")
    numbers = cross(bench, 5000)
    assert sorted(numbers) == list(range(5000))
    largest, overtaken = -1, 0
    for number in numbers:
        overtaken += number < largest
        largest = max(largest, number)
    counts = bench.ports.faults(1, Direction.IN)
    assert likely(counts.reordered, 5000, 0.1)
    # Where the sender pauses nothing comes to overtake.
    assert 0.8 * counts.reordered <= overtaken <= counts.reordered
    assert max(abs(place - number) for place, number in enumerate(numbers)) < 20


@pytest.mark.root
def test_rates_change_under_traffic_and_waiting_frames_go_on(bench: Bench) -> None:
    with bench.host("h1") as one, bench.host("h2") as two:
        set_faults(bench, "*:reorder=100%,delay=50%:200ms")
        send(one, 100)
        eventually(lambda: bench.ports.faults(1, Direction.IN).frames == 100)
        bench.ports.set_faults([parse("*:off")])
        assert sorted(received(two, 0.6)) == list(range(100))


@pytest.mark.root
def test_duplicates_may_be_delayed_by_themselves(bench: Bench) -> None:
    set_faults(bench, "1/in:duplicate=100%,delay=50%:50ms")
    numbers = cross(bench, 1000)
    assert sorted(numbers) == sorted([*range(1000), *range(1000)])
    assert likely(bench.ports.faults(1, Direction.IN).delayed, 2000, 0.5)


@pytest.mark.root
def test_frames_that_wait_when_the_switch_ends_are_freed(bench: Bench) -> None:
    set_faults(bench, "*:delay=100%:60000ms")
    with bench.host("h1") as one:
        send(one, 100)
        eventually(lambda: bench.ports.faults(1, Direction.IN).delayed > 90)


@pytest.mark.root
def test_an_unknown_port(bench: Bench) -> None:
    with pytest.raises(PortError, match="no port 9"):
        set_faults(bench, "1:loss=1", "9:loss=1%")
    assert cross(bench, 10) == list(range(10))  # nothing was set


def test_specifications() -> None:
    everything = parse("3/out:loss=.5,duplicate=1%,delay=2.5%:20ms,reorder=0")
    assert everything.port == 3 and everything.direction is Direction.OUT
    assert everything.rates == FaultRates(0.5, 0.01, 0.025, 0, 0.02)
    assert parse("*:off").rates == FaultRates()
    assert parse("*:off").port is None and parse("12:loss=1").direction is None


@pytest.mark.parametrize(
    "text",
    [
        *("loss=1%", "1", "*:", "x:loss=1%", "1/up:loss=1%", "*:loss", "*:loss=2", "*:loss=101%"),
        *("*:delay=1%", "*:delay=1%:20", "*:wet=1%", "*:loss=1%,loss=2%", "*:loss=-1%"),
    ],
)
def test_wrong_specifications_are_refused(text: str) -> None:
    with pytest.raises(FaultError):
        parse(text)
