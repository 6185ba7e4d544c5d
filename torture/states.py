"""What is in the stores when all is over, held against what clients read last."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from hosts.check.search import Call
from hosts.wire import group_of
from topology import stores
from torture.rack import Rack
from torture.record import read

_PATIENCE: Final = 15.0
"""Seconds until the copies that were moved away must be gone."""

State = dict[str, Any]
"""Key → bytes (a string) or its fields (a hash)."""


def as_read(record: Path) -> tuple[State, list[str]]:
    """Return what the last sweep has read, and keys that could not be read."""
    state: State = {}
    failed = []
    for key, calls in read([record]).items():
        if any(call.end is None for call in calls):
            failed.append(key)
        elif key[0] == "h":
            fields = _fields(calls)
            if fields:
                state[key] = fields
        elif calls[0].reply is not None:
            state[key] = calls[0].reply
    return state, failed


def _fields(calls: Iterable[Call]) -> dict[bytes, bytes]:
    return {call.command[1]: call.reply for call in calls if call.reply is not None}


def compare(
    rack: Rack, expected: Mapping[str, Any], unread: Iterable[str]
) -> tuple[list[str], list[str]]:
    """Return where a group's owner holds something else than what was read, and copies that a
    server has not deleted although their group is another's."""
    unknown = set(unread)
    places = [(p.first, p.last, p.server) for p in rack.controller.status().partitions]

    def owner(key: str) -> str:
        group = group_of(key.encode())
        return next(server for first, last, server in places if first <= group <= last)

    deadline = time.monotonic() + _PATIENCE
    while True:
        found = {server: content(rack.system.sockets[server]) for server in rack.servers}
        keys = {*expected, *(key for each in found.values() for key in each)} - unknown
        wrong = [
            f"{owner(key)} has {key} = {found[owner(key)].get(key)}, read was {expected.get(key)}"
            for key in sorted(keys)
            if found[owner(key)].get(key) != expected.get(key)
        ]
        left = [
            f"{server}: {key}"
            for server in rack.servers
            for key in sorted(found[server])
            if owner(key) != server
        ]
        if not (wrong or left) or time.monotonic() > deadline:
            return wrong, left
        time.sleep(0.5)


def content(socket: Path) -> State:
    """Return all that a store holds."""
    store = stores.connect(socket)
    state: State = {}
    for key in store.execute_command("KEYS", "*"):
        name = key.decode()
        state[name] = store.hgetall(key) if name[0] == "h" else store.get(key)
    return state
