"""One torture: a system, its clients, migrations and faults; then the verdict."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from hosts.check import histories
from topology.settings import Network
from topology.system import System
from torture import record, states
from torture.moves import Moves
from torture.nemesis import Nemesis
from torture.rack import Load, Rack
from torture.recoveries import Movement
from torture.strikes import Strikes
from torture.summary import Outcome, summary
from torture.workload import Keys

_ROOM: Final = "2g"
_CONTROLLER_ROOM: Final = "12m"
_CALM: Final = 2.0
"""Seconds of load without faults at the end."""


@dataclass(frozen=True)
class Torture:
    """What is asked for."""

    seconds: float
    seed: int
    faults: tuple[str, ...]
    protocol: str
    output: Path
    at_once: int = 2
    """Migrations at the same time."""
    keys: Keys = field(default_factory=Keys)
    agent: tuple[str, ...] = ("-m", "hosts.agent.main")
    """How Python starts the agents; tests name a broken build."""


def run(wanted: Torture, grpc_port: int) -> dict[str, Any]:
    """Torture a system of its own; write and return the summary."""
    console = Console(stderr=True, highlight=False)
    shutil.rmtree(wanted.output, ignore_errors=True)
    wanted.output.mkdir(parents=True)
    settings = Network(
        servers=4,
        clients=2,
        directory=Path(f"/run/netmigrate-torture-{os.getpid()}"),
        switch_name=f"x{os.getpid() % 100000}",
    )
    load = Load(wanted.seed, wanted.keys)
    faults = ", ".join(wanted.faults) or "none"
    console.print(
        f"torture: {wanted.seconds:g} s, seed {wanted.seed}, {wanted.protocol}, faults: {faults}",
        soft_wrap=True,
    )
    try:
        with _disk(settings.directory, _ROOM), _system(wanted, settings, grpc_port) as system:
            rack = Rack(system, settings, wanted.output, load)
            try:
                outcome = _torture(wanted, rack, console)
            finally:
                rack.keep_logs()
                system.stop()
                rack.close()
    finally:
        shutil.rmtree(settings.directory, ignore_errors=True)
    console.print("judging every key's history")
    calls = record.read(rack.records())
    result = histories.check(calls)
    found = summary(wanted.seed, outcome, calls, result)
    (wanted.output / "summary.json").write_text(json.dumps(found, indent=2) + "\n")
    for violation in result.violations:
        console.print(violation.text, markup=False, soft_wrap=True)
    if not found["ok"]:
        console.print(
            f"again: make torture SECONDS={wanted.seconds:g} SEED={wanted.seed} "
            f"FAULTS={','.join(wanted.faults)} PROTOCOL={wanted.protocol}",
            soft_wrap=True,
        )
    return found


@contextmanager
def _disk(directory: Path, size: str) -> Iterator[None]:
    """A file system in memory: a store that syncs every write must not wait for a real disk."""
    directory.mkdir(parents=True, exist_ok=True)
    options = f"size={size},mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", directory], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


@contextmanager
def _system(wanted: Torture, settings: Network, grpc_port: int) -> Iterator[System]:
    """A system whose stores lose nothing and whose controller has a small disk of its own."""
    system = System(settings, grpc_port)
    system.agent = list(wanted.agent)
    if "store" in wanted.faults:
        system.store_settings = {"appendonly": "yes", "appendfsync": "always"}
    system.controller_store = system.directory / "controller" / "store.sqlite"
    with _disk(system.controller_store.parent, _CONTROLLER_ROOM), system:
        yield system


def _torture(wanted: Torture, rack: Rack, console: Console) -> Outcome:
    for host in rack.clients:
        rack.start(f"{host}-load")
    moves = Moves(rack, wanted.seed, wanted.protocol, wanted.at_once)
    nemesis = Nemesis(Strikes(rack), wanted.faults, wanted.seed)
    movement = Movement(rack)
    with movement, moves, nemesis:
        end = time.monotonic() + wanted.seconds
        while time.monotonic() < end and nemesis.error is None:
            time.sleep(0.1)
    console.print("faults are over: waiting for migrations to end")
    moves.settle()
    time.sleep(_CALM)
    rack.stop_clients()
    read, unread = states.as_read(rack.sweep())
    differences, left = ([], []) if moves.stuck else states.compare(rack, read, unread)
    return Outcome(
        strikes=nemesis.strikes.all,
        moved=movement.moved,
        faults=nemesis.counts(),
        packets=rack.packets,
        moves=moves,
        completed=moves.completed(),
        unread=unread,
        differences=differences,
        left=left,
        error=str(nemesis.error) if nemesis.error else "",
    )
