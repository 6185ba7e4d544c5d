"""The driver against a scripted service, and against a real store behind a real agent."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest

from hosts.check import counters, registers
from hosts.load import (
    FOREIGN,
    Driver,
    History,
    Names,
    Operation,
    Pace,
    Status,
    Target,
    Trace,
    make,
)
from hosts.load.driver import bucket_values, quantiles
from hosts.wire import Flags, Header, Op
from tests.agent.harness import SERVICE, Store, owner, stores
from tests.client.responder import reply, responder

A = Flags.AUTHORITATIVE
ROOT = Path(__file__).parents[2]


def fine(header: Header, payload: bytes, tries: int) -> list[bytes]:
    return [reply(header, A, b"$-1\r\n" if header.op == Op.READ else b"+OK\r\n")]


def test_open_loop_keeps_its_pace_and_counts_from_the_intention() -> None:
    """While the service sleeps, operations that could not start are late, not left out."""
    slept = threading.Event()

    def naps(header: Header, payload: bytes, tries: int) -> list[bytes]:
        if header.seq == 100 and tries == 1:
            time.sleep(0.3)
            slept.set()
        return fine(header, payload, tries)

    with responder(naps) as served:
        target = Target("127.0.0.1", served.port, resend_after=1.0)
        trace = make("C", records=100, operations=600)
        history = Driver(target, trace, Pace(rate=1000.0, outstanding=8), records=100).run()
    assert slept.is_set()
    records = history.records
    assert (records["status"] == Status.OK).all()
    assert (np.diff(records["intended"]) == 1_000_000).all()
    assert (records["invoked"] >= records["intended"]).all()
    assert (records["responded"] >= records["invoked"]).all()
    late = records["responded"] - records["intended"] > 100_000_000
    assert late.sum() >= 150


def test_closed_loop_keeps_so_many_outstanding() -> None:
    gate = threading.Event()

    def hold(header: Header, payload: bytes, tries: int) -> list[bytes]:
        gate.wait()
        return fine(header, payload, tries)

    with responder(hold) as served:
        trace = make("C", records=100, operations=500)
        driver = Driver(Target("127.0.0.1", served.port), trace, Pace(outstanding=7), records=100)
        ended: list[History] = []
        thread = threading.Thread(target=lambda: ended.append(driver.run()))
        thread.start()
        while driver.progress().issued < 7:
            time.sleep(0.001)
        time.sleep(0.02)
        assert (driver.progress().issued, driver.progress().outstanding) == (7, 7)
        gate.set()
        thread.join()
    assert ended[0].records.size == 500


def test_read_modify_write_writes_after_its_read() -> None:
    with responder(fine) as served:
        trace = make("F", records=50, operations=300)
        history = Driver(
            Target("127.0.0.1", served.port), trace, Pace(outstanding=4), records=50
        ).run()
    records = history.records
    writes = np.flatnonzero(records["operation"] == Operation.WRITE)
    assert writes.size == trace.rows - 300 > 100
    assert (records["key"][writes] == records["key"][writes - 1]).all()
    assert (records["invoked"][writes] >= records["responded"][writes - 1]).all()
    assert np.unique(records["value"][writes]).size == writes.size


def test_latest_reads_only_what_was_acknowledged() -> None:
    """Inserts are never answered: reads stay within what was loaded."""
    with responder(lambda h, p, n: fine(h, p, n) if h.op == Op.READ else []) as served:
        target = Target("127.0.0.1", served.port, timeout=0.5)
        trace = make("D", records=50, operations=400)
        history = Driver(target, trace, Pace(outstanding=64), records=50).run()
    reads = history.records[history.records["operation"] == Operation.READ]
    assert reads["key"].max() == 49
    with responder(fine) as served:
        history = Driver(
            Target("127.0.0.1", served.port), trace, Pace(outstanding=1), records=50
        ).run()
    reads = history.records[history.records["operation"] == Operation.READ]
    assert reads["key"].max() > 49


def test_outcomes_and_messages() -> None:
    def mixed(header: Header, payload: bytes, tries: int) -> list[bytes]:
        return {
            0: [reply(header, A | Flags.ERROR, b"-WRONGTYPE no\r\n")],
            1: [reply(header, Flags.ERROR, b"-ERR nobody\r\n")],
            2: [],
            3: [reply(header, A, b":7\r\n")],
        }.get(header.seq % 5, [reply(header, A | Flags.FOUND, b"$3\r\nabc\r\n")])

    with responder(mixed) as served:
        target = Target("127.0.0.1", served.port, timeout=0.3)
        trace = make("C", records=10, operations=50)
        history = Driver(target, trace, Pace(outstanding=50), records=10).run()
    status = history.records["status"]
    found = {s.name: int((status == s).sum()) for s in Status}
    assert found == {"UNSENT": 0, "OK": 10, "ERROR": 20, "REFUSED": 10, "TIMEOUT": 10}
    assert history.about["messages"] == {
        "WRONGTYPE no": 10, "ERR nobody": 10, "no reply in time": 10, "a reply of another type": 10,
    }  # fmt: skip
    values = history.records["value"][status == Status.OK]
    assert (values & np.uint64(FOREIGN) != 0).all()


def test_wrong_settings() -> None:
    target, trace = Target("127.0.0.1", 9), make("C", records=10, operations=10)
    with pytest.raises(ValueError, match="value_size: 16 to 1444"):
        Driver(target, trace, Pace(rate=1), records=10, value_size=8)
    with pytest.raises(ValueError, match="at least one"):
        Driver(target, trace, Pace(outstanding=0), records=10)
    bad = Trace(np.array([99], np.uint8), np.array([1], np.uint32), b"user")
    with pytest.raises(ValueError, match="unknown kind"):
        Driver(target, bad, Pace(), records=10)
    with pytest.raises(ValueError, match="as many uint32"):
        Driver(target, Trace(trace.kinds, trace.keys[:5], b"user"), Pace(), records=10)
    driver = Driver(target, make("load", records=10), Pace(), records=10, value_size=1430)
    with pytest.raises(ValueError, match="do not fit one datagram of 1472 bytes"):
        driver.run()
    with pytest.raises(RuntimeError, match="once"):
        driver.run()


def test_buckets_are_one_percent_wide() -> None:
    values = bucket_values(2240)
    assert (np.diff(values) > 0).all()
    assert (np.diff(values)[64:] / values[64:-1]).max() < 0.02
    counts = np.zeros(2240, np.uint64)
    counts[[10, 100, 1000]] = [50, 49, 1]
    assert quantiles(counts, 0.5, 0.99, 1.0) == [values[b] / 1000 for b in (10, 100, 1000)]
    assert np.isnan(quantiles(np.zeros(2240, np.uint64), 0.5)).all()


def test_histogram_agrees_with_the_records() -> None:
    with responder(fine) as served:
        trace = make("C", records=100, operations=2000)
        driver = Driver(Target("127.0.0.1", served.port), trace, Pace(outstanding=5), records=100)
        history = driver.run()
    p50, p99 = np.percentile(history.latencies, [50, 99], method="inverted_cdf")
    assert (driver.progress().done, len(history.records)) == (2000, 2000)
    driver_p50, driver_p99 = quantiles(driver._histogram(), 0.5, 0.99)
    assert driver_p50 == pytest.approx(p50, rel=0.02)
    assert driver_p99 == pytest.approx(p99, rel=0.02)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with stores(tmp_path_factory.mktemp("store"), 1) as (only,):
        yield only


@pytest.fixture
async def target(store: Store, tmp_path: Path) -> AsyncIterator[Target]:
    async with owner(store, tmp_path) as one:
        yield Target("127.0.0.1", one.settings.own.udp_port, SERVICE)


async def run(driver: Driver) -> History:
    return await asyncio.to_thread(driver.run)


@pytest.mark.parametrize("workload", ["A", "B", "C", "D", "F"])
async def test_ycsb_on_a_real_store(target: Target, store: Store, workload: str) -> None:
    keys = 500
    load = Driver(target, make("load", records=keys), Pace(), records=keys, first_id=1)
    parts = [await run(load)]
    assert store.client.dbsize() == keys
    trace = make(workload, records=keys, operations=4000)
    parts.append(await run(Driver(target, trace, Pace(outstanding=40), records=keys)))
    total = int(store.client.dbsize())
    sweep = make("read", records=total)
    parts.append(await run(Driver(target, sweep, Pace(), records=keys)))
    for part in parts:
        assert (part.records["status"] == Status.OK).all(), part.about["messages"]
    records = np.concatenate([part.records for part in parts])
    result = registers.check(records, np.zeros(0, np.uint64))
    assert (result.ok, result.keys) == (True, total)
    assert (parts[2].records["value"] != 0).all()
    # And the check would have seen a store that lost a write.
    last = parts[2].records[np.isin(parts[2].records["key"], trace.keys)]
    stale = np.concatenate([parts[0].records, parts[1].records, last])
    written = stale[(stale["operation"] == Operation.WRITE) & (stale["value"] > 1 << 40)]
    if written.size and workload != "D":
        read = np.flatnonzero((stale["operation"] == 0) & (stale["key"] == written["key"][0]))[-1]
        stale["value"][read] = written["key"][0] + 1
        assert not registers.check(stale, np.zeros(0, np.uint64)).ok


async def test_counters_on_a_real_store(target: Target, store: Store) -> None:
    trace = make("counter", records=5, operations=3000)
    parts = [await run(Driver(target, trace, Pace(outstanding=40), records=5))]
    sweep = make("read-counter", records=5)
    parts.append(await run(Driver(target, sweep, Pace(), records=5)))
    result = counters.check(np.concatenate([part.records for part in parts]))
    assert result.ok
    made = int((parts[0].records["operation"] == Operation.INCREMENT).sum())
    assert int(parts[1].records["value"].sum()) == made


async def test_data_of_the_user_s_own(target: Target, store: Store) -> None:
    """Named keys with values of any length, of which no write is known."""
    named = [b"my key", b"{tag}\0\r\n", b""]
    for i, name in enumerate(named):
        store.client.set(name, b"mine" * i)
    names = Names.of(named)
    trace = make("A", records=3, operations=500)
    parts = [await run(Driver(target, make("read", records=3), Pace(), records=3, names=names))]
    parts.append(await run(Driver(target, trace, Pace(outstanding=4), records=3, names=names)))
    records = np.concatenate([part.records for part in parts])
    assert (records["status"] == Status.OK).all()
    assert (parts[0].records["value"] & np.uint64(FOREIGN) != 0).all()
    assert registers.check(records).ok


async def test_command_line(target: Target, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hosts.load", "--vip", target.vip, "--keys", "300"]
    command += ["--port", str(target.port), "--service", str(SERVICE)]

    def cli(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    async def end(process: subprocess.Popen[str], say: str = "") -> tuple[list[str], str]:
        out, errors = await asyncio.to_thread(process.communicate, say)
        return out.splitlines(), errors

    lines, _ = await end(cli("--workload", "load"))
    assert json.loads(lines[-1])["operations"] == 300
    history = tmp_path / "history.npz"
    endless = ["--workload", "A", "--rate", "500", "--seconds", "100", "--history", str(history)]
    for how in ("stop", "SIGTERM"):
        process = cli(*endless)
        assert process.stdout is not None
        first = json.loads(await asyncio.to_thread(process.stdout.readline))
        assert first["issued"] <= 500
        if how == "SIGTERM":
            process.send_signal(signal.SIGTERM)
        lines, errors = await end(process, "stop\n" if how == "stop" else "")
        final = json.loads(lines[-1])
        assert process.returncode == 0, errors
        assert final["final"]
        assert final["operations"] == History.load(history).records.size > 0
        assert final["errors"] == 0
    for wrong, why in (
        (["--workload", "A"], "either --rate"),
        (["--workload", "A", "--rate", "1", "--value-size", "3"], "value_size"),
        (["--workload", "A", "--rate", "1", "--names", "/nowhere"], "/nowhere"),
    ):
        process = cli(*wrong)
        _, errors = await end(process)
        assert process.returncode == 2
        assert errors.startswith("load: ")
        assert why in errors
