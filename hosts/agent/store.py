"""What the agent asks of its store apart from queries; and the checks at start."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Final, Self

from hosts.agent._core import Core, StoreError
from hosts.agent.commands import rows
from hosts.credentials import CredentialsError, read_secret

ACL_RULES: Final = (
    "~* +@all -@admin -@dangerous +restore +sort +info "
    "+cluster|getkeysinslot +cluster|countkeysinslot +cluster|info +cluster|nodes "
    "+client|list +client|kill"
)
"""What an agent needs of its store, and lets its clients do (docs/security.md)."""

_LISTED: Final = 1000
_CLUSTER_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 5.0
# names of connections, by core/module.c and core/pipeline.c
_AGENT: Final = b"netmigrate-agent"
BULK: Final = b"netmigrate-bulk"


@dataclass(frozen=True, slots=True)
class Login:
    """The user that the agent is to its store."""

    user: str
    password: str

    @property
    def command(self) -> bytes:
        """AUTH, in RESP."""
        words = [b"AUTH", self.user.encode(), self.password.encode()]
        return b"*3\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)

    @classmethod
    def read(cls, user: str, file: Path | None) -> Self | None:
        """Return the user with the password that `file` holds; None: no login."""
        if file is None:
            if user:
                raise CredentialsError(f"--redis-user {user}: --redis-password-file is missing")
            return None
        content = read_secret("--redis-password-file", file)
        try:
            return cls(user or "default", content.decode().removesuffix("\n"))
        except UnicodeDecodeError as error:
            raise CredentialsError(f"--redis-password-file: {file}: {error}") from None


class UnfitStore(Exception):
    """The store cannot be used; the message says why and what to do."""


def keys_of(core: Core, groups: Sequence[int]) -> list[list[bytes]]:
    """Return every key of each group."""
    listed = [
        _keys(reply)
        for reply in core.call(
            [[b"CLUSTER", b"GETKEYSINSLOT", b"%d" % group, b"%d" % _LISTED] for group in groups]
        )
    ]
    for index, group in enumerate(groups):
        if len(listed[index]) == _LISTED:  # there may be more
            (count,) = core.call([[b"CLUSTER", b"COUNTKEYSINSLOT", b"%d" % group]])
            command = [b"CLUSTER", b"GETKEYSINSLOT", b"%d" % group, b"%d" % count_of(count)]
            listed[index] = _keys(core.call([command])[0])
    return listed


def some_keys_of(core: Core, groups: Sequence[int], most: int) -> list[list[bytes]]:
    """Return up to `most` keys of each group."""
    command = [b"CLUSTER", b"GETKEYSINSLOT"]
    replies = core.call([[*command, b"%d" % group, b"%d" % most] for group in groups])
    return [_keys(reply) for reply in replies]


def unlink(core: Core, keys: Sequence[Sequence[bytes]]) -> None:
    """Delete keys, those of one group by one command; raise what the store says against it."""
    for reply in core.call([[b"UNLINK", *some] for some in keys if some]):
        count_of(reply)


def _keys(reply: object) -> list[bytes]:
    if isinstance(reply, StoreError):
        raise reply
    if not isinstance(reply, list):
        raise StoreError(f"CLUSTER GETKEYSINSLOT answered {reply!r}")
    return [key for key in reply if isinstance(key, bytes)]


def count_of(reply: object) -> int:
    """Return an integer reply; raise the error that it is instead."""
    if not isinstance(reply, int):
        raise reply if isinstance(reply, StoreError) else StoreError(f"not a number: {reply!r}")
    return reply


def socket_path(url: str) -> str:
    """Return the path in `unix:/…`; the store must be beside the agent."""
    if not url.startswith("unix:") or len(url) == len("unix:"):
        raise UnfitStore(f"--redis {url}: expected unix:/path/to/redis.sock (its `unixsocket`)")
    return url.removeprefix("unix:")


def connect(path: str, login: Login | None) -> socket.socket:
    """Open one more connection of this agent to the store; it blocks for some seconds at most.

    Raises OSError, StoreError if the store refuses.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(_ANSWER_SECONDS)
        connection.connect(path)
        for command in (login.command if login else b"", b"CLIENT SETNAME %s\r\n" % _AGENT):
            connection.sendall(command)
            answer = connection.recv(512) if command else b"+"
            if not answer.startswith(b"+"):
                raise StoreError(answer.decode(errors="replace").strip())
    except BaseException:
        connection.close()
        raise
    return connection


def check(core: Core, path: str, login: Login | None = None) -> str:
    """Check that the store at `path` is fit, load its command table; return its version."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.settimeout(_ANSWER_SECONDS)
            probe.connect(path)
            if login is not None:
                probe.sendall(login.command)
                answer = probe.recv(512).decode(errors="replace").strip()
                if not answer.startswith("+"):
                    raise UnfitStore(f"the store at {path} refuses user {login.user}: {answer}")
                core.log_in(login.command)
        except OSError as error:
            raise UnfitStore(f"no store answers at {path}: {error.strerror or error}") from None
    try:
        info, nodes, commands = core.call([[b"INFO"], [b"CLUSTER", b"NODES"], [b"COMMAND"]])
    except ConnectionError as error:
        raise UnfitStore(f"the store at {path} does not answer: {error}") from None
    if isinstance(info, StoreError):
        raise UnfitStore(f"the store at {path} refuses: {info}")
    if not isinstance(nodes, bytes):
        raise UnfitStore(f"the store at {path} is not in cluster mode: set `cluster-enabled yes`")
    own = [line.split() for line in nodes.decode().splitlines() if "myself" in line]
    if len(own) != 1 or own[0][8:] != ["0-16383"]:
        raise UnfitStore(
            f"the store at {path} does not own all slots: "
            "run `redis-cli CLUSTER ADDSLOTSRANGE 0 16383` on it, alone in its cluster"
        )
    try:
        end_connections(core, _AGENT, BULK)
    except StoreError as error:
        raise UnfitStore(f"the store at {path} refuses: {error}") from None
    _wait_for_cluster(core, path)
    table = rows(commands)
    core.load(table, any(row[0] == b"pexpiretime" for row in table))
    fields = fields_of(info)
    if "valkey_version" in fields:
        return f"valkey {fields['valkey_version']}"
    return f"redis {fields.get('redis_version', '?')}"


def end_connections(core: Core, *names: bytes) -> None:
    """Have the store end all connections of these names but the core's first one.

    What a killed process of this agent, or a connection that was lost, wrote and the store has not
    read yet must not be executed any more: from here on it counts what the store holds now.
    """
    own, clients = core.call([[b"CLIENT", b"ID"], [b"CLIENT", b"LIST"]])
    lines = clients.split(b"\n") if isinstance(clients, bytes) else []
    fields = [dict(word.partition(b"=")[::2] for word in line.split()) for line in lines]
    others = [each[b"id"] for each in fields if each.get(b"name") in names]
    others = [number for number in others if number != str(own).encode()]
    killed = core.call([[b"CLIENT", b"KILL", b"ID", number] for number in others])
    for reply in (own, clients, *killed):
        if isinstance(reply, StoreError):
            raise reply


def is_gone(path: str) -> bool:
    """Whether nobody listens at the store's socket: its process has ended."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except OSError:
            return False
    return False


def _wait_for_cluster(core: Core, path: str) -> None:
    """A cluster of one takes two seconds to trust itself, and refuses queries until then."""
    end = monotonic() + _CLUSTER_SECONDS
    while fields_of(core.call([[b"CLUSTER", b"INFO"]])[0]).get("cluster_state") != "ok":
        if monotonic() > end:
            raise UnfitStore(f"the store at {path} says that its cluster is down: CLUSTER INFO")
        sleep(0.02)


def fields_of(info: object) -> dict[str, str]:
    """Return the fields of an INFO or CLUSTER INFO reply."""
    lines = info.decode().splitlines() if isinstance(info, bytes) else []
    return dict(line.split(":", 1) for line in lines if ":" in line)
