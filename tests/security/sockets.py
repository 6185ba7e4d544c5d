"""What a process listens on, by the kernel's own account (proc(5))."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_LISTEN: Final = 0x0A
_UNCONNECTED: Final = 0x07
_ACCEPTS: Final = 1 << 16  # __SO_ACCEPTCON


def _inodes(pid: int) -> set[str]:
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            target = os.readlink(entry)
            if target.startswith("socket:["):
                found.add(target[8:-1])
    return found


def _rows(pid: int, table: str) -> Iterator[list[str]]:
    path = Path(f"/proc/{pid}/net/{table}")
    if path.exists():
        yield from (line.split() for line in path.read_text().splitlines()[1:])


def _address(text: str) -> str:
    """Return an address as people write it; proc(5) has words of the host's byte order."""
    host, port = text.split(":")
    words = [int(host[i : i + 8], 16).to_bytes(4, "little") for i in range(0, len(host), 8)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    text = socket.inet_ntop(family, b"".join(words)).removeprefix("::ffff:")  # IPv4, mapped
    return f"{text}:{int(port, 16)}"


def listening(pid: int) -> set[str]:
    """Return the sockets of a process by which others can reach it: `tcp ADDRESS:PORT`,
    `udp ADDRESS:PORT`, `unix PATH`; raw and packet sockets as `raw` and `packet`."""
    own = _inodes(pid)
    found: set[str] = set()
    for kind, state in (("tcp", _LISTEN), ("udp", _UNCONNECTED)):
        for table in (kind, f"{kind}6"):
            for row in _rows(pid, table):
                if row[9] in own and int(row[3], 16) == state:
                    found.add(f"{kind} {_address(row[1])}")
    for row in _rows(pid, "unix"):
        if row[6] in own and int(row[3], 16) & _ACCEPTS:
            found.add(f"unix {row[7]}")
    for table, column in (("raw", 9), ("raw6", 9), ("packet", 8)):
        if any(row[column] in own for row in _rows(pid, table)):
            found.add(table)
    return found


def udp_ports(pid: int) -> list[int]:
    """Return the ports of a process's UDP sockets, also of those that talk to one address alone."""
    own = _inodes(pid)
    return [int(row[1].rpartition(":")[2], 16) for row in _rows(pid, "udp") if row[9] in own]
