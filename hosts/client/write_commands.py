"""Write commands.json from running stores: `python -m hosts.client.write_commands SOCKET...`.

A client classifies and routes a command before it has talked to anybody, so the table ships with
it. It has the commands of several stores (the first that knows one says what it is), for it is not
known which one a server has: the agent checks every request again, with the table of its own.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from hosts.client.commands import TABLE


def _key_spec(spec: dict[bytes, Any]) -> list[list[Any]] | None:
    """Return [begin…, find…] of one key specification; None if the store does not know either."""
    found: list[list[Any]] = []
    for part in (b"begin_search", b"find_keys"):
        kind, details = spec[part][b"type"], spec[part][b"spec"]
        if kind == b"unknown":
            return None
        names = {
            b"index": (b"index",),
            b"keyword": (b"keyword", b"startfrom"),
            b"range": (b"lastkey", b"keystep", b"limit"),
            b"keynum": (b"keynumidx", b"firstkey", b"keystep"),
        }[kind]
        values = [kind, *(details[name] for name in names)]
        found.append([v.decode() if isinstance(v, bytes) else v for v in values])
    return found


def _rows(entries: list[list[Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, _arity, flags, _first, _last, _step, _acl, _tips, specs, children in entries:
        keys = [spec for spec in map(_key_spec, specs) if spec is not None]
        yield (
            name.decode().lower(),
            {"flags": sorted(flag.decode() for flag in flags), "keys": keys},
        )
        yield from _rows(children)


def table_of(store: redis.Redis) -> dict[str, Any]:
    """Ask a store for its commands."""
    store.response_callbacks.clear()
    return dict(_rows(store.execute_command("COMMAND")))  # type: ignore[no-untyped-call]


def write(path: Path, table: dict[str, Any]) -> None:
    """One command a line, so that a diff shows what a newer store brought."""
    lines = (f"{json.dumps(name)}: {json.dumps(row)}" for name, row in table.items())
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    found: dict[str, Any] = {}
    for socket in sys.argv[1:]:
        found = table_of(redis.Redis(unix_socket_path=socket, protocol=3)) | found
    write(TABLE, dict(sorted(found.items())))
