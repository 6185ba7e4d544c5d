"""`p4switch run` as a process: writing table entries over P4Runtime, and doing nothing."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import finsy as fy
from finsy.proto import p4r

from bench import cable, l3
from bench.figures import Benchmark, Figure
from switch.p4runtime.codec import encode
from switch.runtime.pipeline import Entry, Lpm
from tests.controller.rack import free_port
from tests.switch.p4runtime.client import DEVICE, Client, delete, insert
from topology.processes import Children
from topology.switches import compile_for_bmv2, compiler, start_bmv2

ENTRIES: Final = 20_000
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
            cable.lay(one, other)
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


@contextmanager
def _reference() -> Iterator[Client]:
    """Run simple_switch_grpc with the router; yield its controller."""
    with tempfile.TemporaryDirectory() as name:
        directory, port = Path(name), free_port()
        blob, p4info = compile_for_bmv2(l3.PROGRAM, directory)
        children = Children(directory)
        try:
            start_bmv2(children, {}, f"127.0.0.1:{port}", DEVICE)
            asyncio.run(_load(port, p4info, blob))
            client = Client(port, election_id=1 << 32)
            yield client
            client.close()
        finally:
            children.stop_all()


async def _load(port: int, p4info: Path, blob: Path) -> None:
    options = fy.SwitchOptions(p4info=p4info, p4blob=blob, device_id=DEVICE)
    async with fy.Switch("bmv2", f"127.0.0.1:{port}", options):
        pass


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
    found: dict[str, list[float]] = defaultdict(list)
    routes = list(l3.routes(ENTRIES, 1))
    with ExitStack() as stack:
        pid, port = stack.enter_context(_running(stack.enter_context(_cables())))
        idle = _idle(pid)
        client = Client(port)
        switches = {"": client}
        if shutil.which("simple_switch_grpc") and compiler():
            switches[" on simple_switch_grpc"] = stack.enter_context(_reference())
        for _ in range(_TURNS):
            for name, each in switches.items():
                # Ids in P4Info are each compiler's own.
                entities = _entities(each, routes)
                found[f"inserts{name}"].append(_rate(each, [insert(row) for row in entities]))
                found[f"deletes{name}"].append(_rate(each, [delete(row) for row in entities]))
        _rate(client, [insert(row) for row in _entities(client, routes)])
        started = time.monotonic()
        request = p4r.Entity()
        request.table_entry.table_id = client.id(l3.TABLE)
        read = len(client.read(request)) / (time.monotonic() - started)
        client.close()
    return [
        Figure("CPU when idle, two ports", idle, "% of a core", 1, most=True),
        *(
            Figure(
                f"{name}, batches of {BATCH:,}",
                median(rates),
                "/s",
                20_000 if name == "inserts" else None,
            )
            for name, rates in found.items()
        ),
        Figure(f"entries read, {ENTRIES:,} in one request", read, "/s"),
    ], found


BENCHMARK = Benchmark("control", "P4Runtime, and the switch when idle", measure)
