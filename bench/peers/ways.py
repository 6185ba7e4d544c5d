"""How stock nodes move their slots: the command that a user would give, and when it has ended."""

import re
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.peers.nodes import Node
from bench.protocols.run import Settings
from hosts.wire import GROUPS
from topology import stores
from topology.processes import StartError

Prefix = tuple[str, ...]
"""What a command line begins with, so that the command runs where it reaches both nodes."""

_POLL_SECONDS: Final = 0.005  # a small cluster moves within a tenth of a second
_LONGEST_SECONDS: Final = 600.0


class MoveError(RuntimeError):
    """Slots that did not all move; the message has what the store or its tool said."""


@dataclass(frozen=True)
class Way:
    """One way to move all slots from source to destination; `move` returns when they have moved."""

    name: str
    executable: str
    move: Callable[[Node, Node, Settings, Prefix], None]


def find(name: str) -> Way | str:
    """Return the way of this name, or why there is none."""
    if name == "reshard":
        if _cli() is None:
            return "neither redis-cli nor valkey-cli is on PATH"
        return Way(name, stores.executable(), reshard)
    program, least, move = _SERVERS[name]
    path = shutil.which(program)
    if path is None:
        return f"{program} is not on PATH"
    said = _version(path)
    if tuple(map(int, said.split(".")[:2])) < least:
        return f"{program} is {said}, and only {'.'.join(map(str, least))} brought this command"
    return Way(name, path, move)


def server(path: str) -> str:
    """Return a store's program and version as people say them; 255.255.255 is no release."""
    return f"{Path(path).name} {_version(path)}"


def _version(path: str) -> str:
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"\bv=(\d+\.\d+[.\d]*)", said)
    if found is None:
        raise StartError(f"{path} --version says no version: {said.strip()}")
    return found[1]


def _cli() -> str | None:
    return shutil.which("redis-cli") or shutil.which("valkey-cli")


def reshard(source: Node, destination: Node, settings: Settings, prefix: Prefix) -> None:
    """`redis-cli --cluster reshard`: slot by slot, MIGRATE by MIGRATE."""
    cli = _cli()
    assert cli is not None
    argv = [*prefix, cli, "--cluster", "reshard", source.address]
    argv += ["--cluster-from", source.id, "--cluster-to", destination.id]
    argv += ["--cluster-slots", str(GROUPS), "--cluster-yes"]
    for name, value in settings:
        argv += [f"--cluster-{name}", str(value)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MoveError(f"redis-cli ended with status {done.returncode}: {done.stdout[-500:]}")


def migrate_slots(source: Node, destination: Node, _settings: Settings, _prefix: Prefix) -> None:
    """Valkey's CLUSTER MIGRATESLOTS: all slots as one job of the source."""
    source.client.execute_command(
        "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", 0, GROUPS - 1, "NODE", destination.id
    )

    def jobs() -> list[dict[str, str]]:
        reply = source.client.execute_command("CLUSTER", "GETSLOTMIGRATIONS")
        return [job for job in map(_fields, reply) if job["target_node"] == destination.id]

    _wait(jobs, "success", {"failed", "cancelled"}, "message")


def import_slots(source: Node, destination: Node, _settings: Settings, _prefix: Prefix) -> None:
    """Redis's CLUSTER MIGRATION IMPORT: all slots as one task of the destination."""
    task = destination.client.execute_command("CLUSTER", "MIGRATION", "IMPORT", 0, GROUPS - 1)

    def tasks() -> list[dict[str, str]]:
        command = ("CLUSTER", "MIGRATION", "STATUS", "ID", task)
        return [_fields(entry) for entry in destination.client.execute_command(*command)]

    _wait(tasks, "completed", {"failed", "canceled"}, "last_error")


def _wait(jobs: Callable[[], list[dict[str, str]]], done: str, failed: set[str], why: str) -> None:
    deadline = time.monotonic() + _LONGEST_SECONDS
    while True:
        found = jobs()
        states = {job["state"] for job in found}
        if states == {done}:
            return
        if failed & states or time.monotonic() > deadline:
            raise MoveError(f"the slots did not move: {[(j['state'], j[why]) for j in found]}")
        time.sleep(_POLL_SECONDS)


def _fields(entry: Any) -> dict[str, str]:
    """Return names and values, which RESP2 has as a flat list."""
    pairs = entry.items() if isinstance(entry, dict) else zip(entry[::2], entry[1::2], strict=True)
    return {_text(name): _text(value) for name, value in pairs}


def _text(word: Any) -> str:
    return word.decode() if isinstance(word, bytes) else str(word)


_SERVERS: Final = {
    "valkey-migrateslots": ("valkey-server", (9, 0), migrate_slots),
    "redis-migration": ("redis-server", (8, 4), import_slots),
}
SETTINGS: Final[Mapping[str, tuple[Settings, ...]]] = {
    "reshard": tuple((("pipeline", keys),) for keys in (10, 100, 1000)),
    **dict.fromkeys(_SERVERS, ((),)),
}
"""The names of all ways, and what to try of each: first what a user gets who says nothing.

A reshard's pipeline is how many keys one MIGRATE takes.
"""
