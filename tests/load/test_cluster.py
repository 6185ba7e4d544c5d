"""The load generator over TCP: with nodes that misbehave, and while a real cluster moves slots."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from bench.peers import ways
from bench.peers.nodes import Node, owner
from hosts.check import counters, registers
from hosts.load import Cluster, Driver, History, Operation, Pace, Status, make
from hosts.load.history import RECORD
from hosts.wire import group_of
from tests.load.stock import cluster

ROOT = Path(__file__).parents[2]
KEYS = 3000
"""Fewer than slots: a reshard of all of them takes its time over the empty ones."""

Answer = Callable[[int, list[bytes]], bytes | None]
"""From the number of the connection and the command to the reply; None: hang up."""


@contextmanager
def node(answer: Answer) -> Iterator[int]:
    """Serve what `answer` says on a port of loopback, after a true CLUSTER SLOTS."""
    listener = socket.create_server(("127.0.0.1", 0))
    port: int = listener.getsockname()[1]
    slots = b"*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$0\r\n\r\n:%d\r\n$1\r\nx\r\n" % port

    def serve(connection: socket.socket, number: int) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = connection.makefile("rb")
        with connection, stream, suppress(OSError):
            while head := stream.readline():
                words = []
                for _ in range(int(head[1:])):
                    words.append(stream.read(int(stream.readline()[1:]) + 2)[:-2])
                if words[0] == b"CLIENT":
                    reply: bytes | None = b"+OK\r\n"
                else:
                    reply = slots if words[0] == b"CLUSTER" else answer(number, words)
                if reply is None:
                    return
                connection.sendall(reply)

    def accept() -> None:
        number = 0
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection, number), daemon=True).start()
            number += 1

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield port
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def at(port: int, connections: int = 50, timeout: float = 5.0) -> Cluster:
    return Cluster((("127.0.0.1", port),), connections, timeout)


def fine(_: int, words: list[bytes]) -> bytes:
    return b"$-1\r\n" if words[0] == b"GET" else b"+OK\r\n"


def drive(target: Cluster, workload: str, operations: int, outstanding: int, keys: int) -> History:
    trace = make(workload, records=keys, operations=operations)
    return Driver(target, trace, Pace(outstanding=outstanding), records=keys).run()


def test_one_request_at_a_time_on_each_connection_of_the_pool() -> None:
    used: list[set[int]] = [set(), set()]
    for place, connections in enumerate((50, 2)):

        def answer(number: int, words: list[bytes], seen: set[int] = used[place]) -> bytes:
            seen.add(number)
            return fine(number, words)

        with node(answer) as port:
            history = drive(at(port, connections), "A", 3000, 6, 100)
        assert (history.records["status"] == Status.OK).all()
        assert history.about["counts"]["sent"] == 3000
        assert history.about["counts"]["lost"] == 0
        assert history.about["counts"]["connected"] == len(used[place] - {0})
    # The first one asked for the slot map. With two, six outstanding wait behind each other.
    assert [len(seen - {0}) for seen in used] == [6, 2]


def test_moved_changes_the_map_and_ask_does_not() -> None:
    """Even groups have moved, odd ones are asked for next door."""
    heard: list[tuple[int, bytes]] = []

    def destination(number: int, words: list[bytes]) -> bytes:
        heard.append((number, words[0] if len(words) == 1 else words[1]))
        return fine(number, words)

    with node(destination) as there:

        def source(_: int, words: list[bytes]) -> bytes:
            group = group_of(words[1])
            return b"-%b %d 127.0.0.1:%d\r\n" % (b"ASK" if group % 2 else b"MOVED", group, there)

        with node(source) as port:
            history = drive(at(port), "A", 2000, 4, 100)
    counts = history.about["counts"]
    assert (history.records["status"] == Status.OK).all()
    odd = sum(group_of(name) % 2 for _, name in heard if name != b"ASKING")
    assert counts["asked"] == odd == sum(name == b"ASKING" for _, name in heard)
    # Four may be out with the old map when the first MOVED of a group comes.
    even = {group_of(name) for _, name in heard} - set(range(1, 16384, 2))
    assert len(even) - 1 <= counts["moved"] <= 4 * len(even)
    assert counts["sent"] == 2000 + counts["asked"] + counts["moved"]
    assert (history.records["tries"] == 2).sum() == counts["asked"] + counts["moved"]
    # ASKING holds for the next command of its connection.
    latest: dict[int, bytes] = {}
    for number, name in heard:
        if name != b"ASKING":
            assert (latest.get(number) == b"ASKING") == bool(group_of(name) % 2)
        latest[number] = name


def test_what_says_later_is_asked_again() -> None:
    waits = iter([b"-TRYAGAIN not all keys\r\n", b"-CLUSTERDOWN Hash slot not served\r\n"] * 5)

    def later(number: int, words: list[bytes]) -> bytes:
        return next(waits, b"") or fine(number, words)

    with node(later) as port:
        history = drive(at(port), "A", 500, 4, 100)
    assert (history.records["status"] == Status.OK).all()
    counts = history.about["counts"]
    assert (counts["try_again"], counts["cluster_down"]) == (5, 5)
    assert history.records["tries"].max() > 1


def test_a_broken_connection_costs_only_what_may_have_taken_effect() -> None:
    """Reads are sent again; nobody knows of a write whether it was executed."""
    hung: list[bytes] = []

    answered = iter(range(10_000))

    def moody(number: int, words: list[bytes]) -> bytes | None:
        if next(answered) % 50 == 49:
            hung.append(words[0])
            return None
        return fine(number, words)

    with node(moody) as port:
        history = drive(at(port), "A", 1000, 8, 100)
    records = history.records
    writes = records["operation"] == Operation.WRITE
    assert (records["status"][~writes] == Status.OK).all()
    assert (records["status"][writes] == Status.REFUSED).sum() == hung.count(b"SET") > 0
    assert hung.count(b"GET") > 0
    assert history.about["counts"]["lost"] == len(hung)
    assert history.about["messages"] == {
        "ERR the connection broke before the reply": hung.count(b"SET")
    }


@pytest.mark.parametrize(
    "garbage", [b"HTTP/1.1 400\r\n", b"$5\r\nabc\r\n\r\n\r\n", b"*-2\r\n", b"+OK\r\n+OK\r\n"]
)
def test_garbage_ends_a_connection_and_nothing_else(garbage: bytes) -> None:
    told = iter([garbage] * 3)
    with node(lambda number, words: next(told, b"") or fine(number, words)) as port:
        history = drive(at(port), "C", 300, 4, 100)
    assert history.about["counts"]["lost"] == 3
    errors = int((history.records["status"] != Status.OK).sum())
    assert errors == (3 if garbage.startswith(b"+") else 0)  # +OK is a reply, but to no GET


def test_silence_and_a_node_that_is_not_there() -> None:
    begun = time.monotonic()
    with node(lambda number, words: b"") as port:
        history = drive(at(port, timeout=0.3), "A", 8, 4, 100)
    assert (history.records["status"] == Status.TIMEOUT).all()
    with node(lambda _, words: b"-MOVED %d 127.0.0.1:1\r\n" % group_of(words[1])) as port:
        history = drive(at(port, timeout=0.3), "A", 8, 4, 100)
    assert (history.records["status"] == Status.TIMEOUT).all()
    assert time.monotonic() - begun < 10
    with pytest.raises(OSError, match=r"127\.0\.0\.1:1: "):
        drive(at(1), "A", 8, 4, 100)


def test_redirects_that_lead_nowhere_are_errors() -> None:
    with node(lambda _, words: b"-MOVED 99999 127.0.0.1:1\r\n") as port:
        history = drive(at(port), "A", 8, 4, 100)
    assert (history.records["status"] == Status.ERROR).all()
    assert history.about["messages"] == {"MOVED 99999 127.0.0.1:1": 8}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Node]]:
    with cluster(tmp_path_factory.mktemp("cluster")) as nodes:
        yield nodes


def initial(history: History) -> np.ndarray:
    values = np.zeros(KEYS, np.uint64)
    values[history.records["key"]] = history.records["value"]
    return values


@pytest.mark.parametrize("workload", ["A", "D", "F", "counter"])
def test_every_workload_on_a_real_cluster(pair: tuple[Node, Node], workload: str) -> None:
    source, _ = pair
    source.client.flushall()
    target = at(source.port)
    load = Driver(target, make("load", records=500), Pace(), records=500, first_id=1)
    parts = [load.run(), drive(target, workload, 3000, 40, 500)]
    assert source.client.dbsize() >= 500
    for part in parts:
        assert (part.records["status"] == Status.OK).all(), part.about["messages"]
        assert part.about["counts"]["redirect_bytes"] == 0
    records = np.concatenate([part.records for part in parts])
    assert registers.check(records, np.zeros(0, np.uint64)).ok
    assert counters.check(records).ok


def test_a_real_reshard_under_load(pair: tuple[Node, Node]) -> None:
    """All slots move; no operation fails, every redirect is followed and counted."""
    source, destination = pair
    for each in pair:
        each.client.flushall()
    target = at(source.port)
    load = Driver(target, make("load", records=KEYS), Pace(), records=KEYS, first_id=1).run()
    trace = make("W30", records=KEYS, operations=2_000_000)
    driver = Driver(target, trace, Pace(rate=1500.0), records=KEYS, first_id=1 << 56)
    ended: list[History] = []
    thread = threading.Thread(target=lambda: ended.append(driver.run()))
    thread.start()
    try:
        ways.reshard(source, destination, (("pipeline", 10),), ())
    finally:
        driver.stop()
        thread.join()
    final = Driver(target, make("read", records=KEYS), Pace(), records=KEYS).run()
    (history,) = ended
    assert owner(source) == owner(destination) == destination.id
    assert (source.client.dbsize(), destination.client.dbsize()) == (0, KEYS)
    for part in (history, final):
        assert (part.records["status"] == Status.OK).all(), part.about["messages"]
    counts = history.about["counts"]
    assert counts["lost"] == 0
    assert counts["moved"] > 1000
    again = counts["moved"] + counts["asked"] + counts["try_again"] + counts["cluster_down"]
    assert counts["sent"] == history.records.size + again
    assert counts["redirect_bytes"] > 50 * again
    records = np.concatenate([history.records, final.records])
    result = registers.check(records, initial(load))
    assert result.ok, [violation.text for violation in result.violations]


def test_command_line(pair: tuple[Node, Node], tmp_path: Path) -> None:
    source, destination = pair
    source.client.flushall()
    base = [sys.executable, "-m", "hosts.load", "--keys", "300", "--workload"]

    def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*base, *arguments], cwd=ROOT, text=True, capture_output=True, check=False
        )

    # Either node knows the map; the first does not even answer.
    seeds = f"127.0.0.1:1,{destination.address}"
    history = tmp_path / "history.npz"
    done = cli("load", "--cluster", seeds, "--connections", "5", "--history", str(history))
    assert done.returncode == 0, done.stderr
    final = json.loads(done.stdout.splitlines()[-1])
    assert (final["operations"], final["errors"]) == (300, 0)
    assert 0 < final["counts"]["connected"] <= 5
    loaded = History.load(history)
    assert loaded.records.dtype == RECORD
    assert loaded.about["counts"] == final["counts"]
    for wrong, why in (
        (["A", "--closed", "1", "--cluster", "nowhere"], "HOST:PORT"),
        (["A", "--closed", "1", "--cluster", "127.0.0.1:1"], "no node of the cluster answered"),
        (
            ["A", "--closed", "1", "--cluster", seeds, "--connections", "0"],
            "connections: 1 to 1024",
        ),
        (["A", "--closed", "1", "--cluster", seeds, "--vip", "127.0.0.1"], "not allowed with"),
    ):
        done = cli(*wrong)
        assert done.returncode == 2
        assert why in done.stderr
