"""The destination's side of big values: pieces gather in a key that no client can name.

That key is in the value's own group, for RENAME takes both names from one slot; its name has 128
random bits. It is written to a file before it is used, so that the next process of an agent that
was killed deletes what there is.
"""

import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hosts.agent._core import Core, StoreError
from hosts.agent.pieces.frame import Command, End, Piece, read_commands
from hosts.agent.pieces.upload import Upload
from hosts.wire import GROUPS

_PREFIX: Final = b"netmigrate:arriving:"
_BUILDERS: Final = frozenset(
    {
        b"SET",
        b"RPUSH",
        b"SADD",
        b"HSET",
        b"HPEXPIREAT",
        b"ZADD",
        b"XADD",
        b"XSETID",
        b"XGROUP CREATE",
        b"XGROUP CREATECONSUMER",
        b"XCLAIM",
        b"XNACK",
        b"XCFGSET",
    }
)


def _tag(group: int) -> bytes:
    """Return a hash tag of this group: two bytes, by running CRC16 (0x1021) backwards."""
    for start in range(group, 1 << 16, GROUPS):
        crc = start
        for _ in range(16):
            crc = (crc ^ 0x1021) >> 1 | 0x8000 if crc & 1 else crc >> 1
        if b"}" not in (tag := crc.to_bytes(2)):
            return tag
    raise AssertionError("one of four has no brace")


def staging_key(group: int) -> bytes:
    """Return a new name in this group that nobody knows."""
    return _PREFIX + secrets.token_bytes(16).hex().encode() + b"{" + _tag(group) + b"}"


def placed(command: Command, key: bytes) -> Command:
    """Return a command of a piece with its key in it; StoreError if it does not build a value."""
    words = 2 if command[:1] == [b"XGROUP"] else 1
    if b" ".join(command[:words]) not in _BUILDERS:
        raise StoreError(f"{command[:words]} is no command that builds a value")
    return [*command[:words], key, *command[words:]]


@dataclass(slots=True)
class _Staged:
    """What has come of one value. A string is on its own connection until it is whole."""

    name: bytes
    attempt: int
    taken: int = 0  # pieces
    upload: Upload | None = None


class Staging:
    """Values of which some pieces have come; the file at `path` has the names of their keys."""

    def __init__(self, core: Core, connect: Callable[[], socket.socket], path: Path) -> None:
        self._core = core
        self._connect = connect
        self._path = path
        self._staged: dict[int, dict[bytes, _Staged]] = {}  # by group and key

    def restore(self) -> None:
        """Delete what an earlier process has left; raises what the store raises."""
        if self._path.exists():
            names = map(bytes.fromhex, self._path.read_text().split())
            self._run([[b"UNLINK", name] for name in names])
            self._path.unlink()

    def take(self, piece: Piece) -> bool:
        """Take a piece; return whether it was the next one of its value.

        With COMPLETE the value is at its key, with ABSENT nothing is: what was there is gone. With
        WHOLE and DROPPED it stays. Raises what the store raises.
        """
        values = self._staged.setdefault(piece.group, {})
        staged = values.get(piece.key)
        if piece.number == 0 and (staged is None or staged.attempt < piece.attempt):
            self.drop(piece.group, piece.key)
            staged = values[piece.key] = self._begin(piece)
        if staged is None or (staged.attempt, staged.taken) != (piece.attempt, piece.number):
            return False
        staged.taken += 1
        try:
            self._write(staged, piece)
            if piece.end in (End.COMPLETE, End.ABSENT):
                self._commit(staged, piece)
        except OSError as error:  # of the upload
            raise ConnectionError(f"the connection to the store was lost: {error}") from None
        if piece.end is not End.MORE:
            self.drop(piece.group, piece.key)
        return True

    def _begin(self, piece: Piece) -> _Staged:
        staged = _Staged(staging_key(piece.group), piece.attempt)
        with self._path.open("a" if any(self._staged.values()) else "w") as names:
            names.write(f"{staged.name.hex()}\n")
        return staged

    def _write(self, staged: _Staged, piece: Piece) -> None:
        if piece.length:
            if staged.upload is None:
                staged.upload = Upload(self._connect(), staged.name, piece.length)
            staged.upload.write(piece.data)
        elif piece.data:
            self._run([placed(command, staged.name) for command in read_commands(piece.data)])

    def _commit(self, staged: _Staged, piece: Piece) -> None:
        commands = [[b"UNLINK", piece.key]]
        # in the past, PEXPIREAT would delete at once, which blocks the store
        expired = piece.expiry and piece.expiry <= time.time_ns() // 1_000_000
        if piece.end is End.COMPLETE and not expired:
            if staged.upload is not None:
                staged.upload.finish()
            if piece.expiry:
                commands.append([b"PEXPIREAT", staged.name, b"%d" % piece.expiry])
            commands.append([b"RENAME", staged.name, piece.key])
        try:
            self._run(commands)
        except StoreError as error:
            if "no such key" not in str(error):  # of a hash all of whose fields have expired
                raise

    def _run(self, commands: list[Command]) -> None:
        for reply in self._core.call(commands):
            if isinstance(reply, StoreError):
                raise reply

    def drop(self, group: int, key: bytes) -> None:
        """Delete what has come of a value. If the store is away, it is for the next call to do."""
        values = self._staged.get(group, {})
        staged = values.get(key)
        if staged is None:
            return
        if staged.upload is not None:
            staged.upload.close()
        self._run([[b"UNLINK", staged.name]])
        del values[key]

    def drop_group(self, group: int) -> None:
        """Delete what has come of values of this group."""
        for key in list(self._staged.get(group, {})):
            self.drop(group, key)
        self._staged.pop(group, None)

    def close(self) -> None:
        """The agent ends."""
        for values in self._staged.values():
            for staged in values.values():
                if staged.upload is not None:
                    staged.upload.close()
