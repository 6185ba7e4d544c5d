"""One real store per server host: Redis or Valkey in cluster mode, one node owning all slots."""

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import redis

from hosts.agent.store import ACL_RULES
from hosts.wire import GROUPS
from topology.processes import Children, StartError

AGENT_USER: Final = "netmigrate"
STORE_PORT: Final = 6379


def password_file(directory: Path) -> Path:
    """Return where the password of the agent's user is, of the store in `directory`."""
    return directory / "agent.password"


def _agent_user(directory: Path) -> list[str]:
    """Return the store's settings for its agent's user, with a new password the first time."""
    file = password_file(directory)
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(16))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return ["--user", AGENT_USER, "on", f"#{digest}", *ACL_RULES.split()]


def executable() -> str:
    """Return the store's server program: what the environment's STORE names, or `valkey-server`
    where there is one, else Redis."""
    chosen = os.environ.get("STORE", "")
    for name in (chosen,) if chosen else ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return found
    if chosen:
        raise StartError(f"STORE={chosen}: there is no such program")
    raise StartError("neither valkey-server nor redis-server is on PATH: apt install redis-server")


def start(
    children: Children,
    server: str,
    namespace: int,
    enter: Sequence[str],
    rdb: Path | None,
    more: Mapping[str, str],
) -> Path:
    """Start the store of `server`, out of reach of other hosts, with `more` settings; return its
    unix socket's path. Started again, it has what it kept on the disk."""
    directory = children.directory / server
    directory.mkdir(parents=True, exist_ok=True)
    socket = directory / "store.sock"
    if rdb is not None:
        shutil.copyfile(rdb, directory / "dump.rdb")
    settings = {
        "port": str(STORE_PORT),
        "bind": "127.0.0.1",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(directory),
        "dbfilename": "dump.rdb",
        "save": "",
        "appendonly": "no",
        "cluster-enabled": "yes",
        "cluster-config-file": "nodes.conf",
        "cluster-require-full-coverage": "no",
        **more,
    }
    argv = [word for key, value in settings.items() for word in (f"--{key}", value)]
    argv += _agent_user(directory)
    child = children.start(
        f"{server}-store",
        [executable(), *argv],
        namespace=namespace,
        enter=enter,
        ready="Ready to accept connections",
        seconds=120,
    )
    own_all_slots(socket)
    if rdb is not None and connect(socket).dbsize() == 0:
        raise StartError(f"RDB={rdb} holds no keys in database 0:\n{child.tail()}")
    return socket


def connect(socket: Path) -> Any:
    """Return a redis-py client of the store at `socket`."""
    return redis.Redis(unix_socket_path=str(socket))


def own_all_slots(socket: Path, seconds: float = 10.0) -> None:
    """Give the store's single cluster node all slots it lacks, and wait until it serves them."""
    client = connect(socket)
    info = client.execute_command("CLUSTER INFO")
    if int(info["cluster_slots_assigned"]) < GROUPS:
        taken: set[int] = set()
        for first, last, *_ in client.execute_command("CLUSTER SLOTS"):
            taken.update(range(first, last + 1))
        client.execute_command("CLUSTER ADDSLOTS", *(s for s in range(GROUPS) if s not in taken))
    deadline = time.monotonic() + seconds
    while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
        if time.monotonic() > deadline:
            raise StartError(f"the store at {socket} owns all slots but its cluster is not ok")
        time.sleep(0.02)
