"""`p4switch run` as a process: writing table entries over P4Runtime, and doing nothing."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from finsy.proto import p4r

from bench import l3
from bench.figures import Benchmark, Figure
from switch.p4runtime.codec import encode
from switch.runtime.pipeline import Entry, Lpm
from tests.switch.p4runtime.client import Client, delete, insert

ENTRIES: Final = 50_000
BATCH: Final = 1000
_TURNS: Final = 3
_PORTS: Final = 2
_IDLE_SECONDS: Final = 20.0
_SETTLE_SECONDS: Final = 2.0
_READY: Final = re.compile(r"ready: P4Runtime on 127\.0\.0\.1:(\d+),")


@contextmanager
def _cables() -> Iterator[list[str]]:
    """Make veth pairs whose other ends are up and silent; yield the switch's ends."""
    ends = [(f"nmb{os.getpid()}-{n}", f"nmb{os.getpid()}-{n}h") for n in range(_PORTS)]
    try:
        for one, other in ends:
            for command in (
                f"ip link add {one} type veth peer name {other}",
                f"sysctl -qw net.ipv6.conf.{one}.disable_ipv6=1",
                f"sysctl -qw net.ipv6.conf.{other}.disable_ipv6=1",
                f"ip link set {one} up",
                f"ip link set {other} up",
            ):
                subprocess.run(command.split(), check=True)
        yield [one for one, _ in ends]
    finally:
        for one, _ in ends:
            subprocess.run(["ip", "link", "delete", one], check=False, capture_output=True)


@contextmanager
def _running(interfaces: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Run the router; yield the switch's process id and its P4Runtime port."""
    argv = [sys.executable, "-m", "switch.cli", "run", str(l3.PROGRAM), "--grpc", "127.0.0.1:0"]
    argv += [f"--interface={number}@{name}" for number, name in enumerate(interfaces, 1)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            line = process.stdout.readline()
            ready = _READY.match(line)
            if not ready:
                raise RuntimeError(f"p4switch run did not come up: {line}")
            yield process.pid, int(ready[1])
        finally:
            process.terminate()


def _cpu_seconds(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _idle(pid: int) -> float:
    """Return the percentage of one core that the process takes while nothing happens."""
    time.sleep(_SETTLE_SECONDS)
    cpu, started = _cpu_seconds(pid), time.monotonic()
    time.sleep(_IDLE_SECONDS)
    return (_cpu_seconds(pid) - cpu) / (time.monotonic() - started) * 100


def _entities(client: Client, entries: Sequence[Entry]) -> list[p4r.Entity]:
    table, action = client.id(l3.TABLE), client.id("L3Ingress.next_hop")
    found = []
    for entry in entries:
        (prefix,) = entry.match
        assert isinstance(prefix, Lpm)
        message = p4r.Entity()
        row = message.table_entry
        row.table_id = table
        match = row.match.add(field_id=1)
        match.lpm.value = encode(prefix.value)
        match.lpm.prefix_len = prefix.prefix_len
        row.action.action.action_id = action
        for number, value in enumerate(entry.params, 1):
            row.action.action.params.add(param_id=number, value=encode(value))
        found.append(message)
    return found


def _rate(client: Client, updates: Sequence[p4r.Update]) -> float:
    """Return the updates per second of one writer that sends batch after batch."""
    started = time.monotonic()
    for first in range(0, len(updates), BATCH):
        client.write(*updates[first : first + BATCH])
    return len(updates) / (time.monotonic() - started)


def measure() -> tuple[list[Figure], Mapping[str, Any]]:
    """The switch is another process, behind a real connection, as for any controller."""
    inserts: list[float] = []
    deletes: list[float] = []
    with _cables() as interfaces, _running(interfaces) as (pid, port):
        idle = _idle(pid)
        client = Client(port)
        entities = _entities(client, list(l3.routes(ENTRIES, 1)))
        for _ in range(_TURNS):
            inserts.append(_rate(client, [insert(entity) for entity in entities]))
            deletes.append(_rate(client, [delete(entity) for entity in entities]))
        full = [insert(entity) for entity in entities]
        _rate(client, full)
        started = time.monotonic()
        request = p4r.Entity()
        request.table_entry.table_id = client.id(l3.TABLE)
        read = len(client.read(request)) / (time.monotonic() - started)
        client.close()
    return [
        Figure("CPU when idle, two ports", idle, "% of a core", 1, most=True),
        Figure(f"inserts in batches of {BATCH:,}", median(inserts), "/s", 20_000),
        Figure(f"deletes in batches of {BATCH:,}", median(deletes), "/s"),
        Figure(f"entries read, {ENTRIES:,} in one request", read, "/s"),
    ], {"inserts": inserts, "deletes": deletes}


BENCHMARK = Benchmark("control", "P4Runtime, and the switch when idle", measure)
