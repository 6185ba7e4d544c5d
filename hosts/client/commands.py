"""What a command is (READ or WRITE) and where its keys are, from stores' own COMMAND tables."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from hosts.client.errors import CommandError, CrossSlot, NoKey
from hosts.wire import Op, group_of

TABLE: Final = Path(__file__).with_name("commands.json")

Argument = bytes | bytearray | memoryview | str | int | float

# What cannot work over a datagram that any server may answer (docs/protocol.md).
_REFUSED: Final = {
    "admin": "it administers one server",
    "pubsub": "subscriptions need a connection",
    "blocking": "it waits, and a datagram cannot",
}


def encode(argument: Argument) -> bytes:
    """Return an argument as the store gets it, as redis-py does."""
    if isinstance(argument, bytes):
        return argument
    if isinstance(argument, str):
        return argument.encode()
    if isinstance(argument, bool) or argument is None:
        raise CommandError(f"argument {argument!r}: give bytes, str, int or float")
    if isinstance(argument, int | float):
        return repr(argument).encode()
    if isinstance(argument, bytearray | memoryview):
        return bytes(argument)
    raise CommandError(f"argument {argument!r}: give bytes, str, int or float")


@dataclass(frozen=True, slots=True)
class _Keys:
    """One key specification: where to begin, and how to go on (Redis "Key specifications")."""

    begin: tuple[Any, ...]
    find: tuple[Any, ...]

    def positions(self, command: Sequence[bytes]) -> Iterator[int]:
        first = self._first(command)
        if first is None:
            return
        count = len(command)
        if self.find[0] == "range":
            last, step, limit = self.find[1:]
            if last >= 0:
                end = first + last
            else:
                end = count + last
                if limit > 1:  # only that part of the rest holds keys (XREAD: keys, then ids)
                    end = first + (end - first + 1) // limit - 1
            yield from range(first, min(end, count - 1) + 1, step)
        else:
            number, offset, step = self.find[1:]
            try:
                keys = int(command[first + number])
            except (IndexError, ValueError):
                raise CommandError(
                    f"{_name(command)}: argument {first + number} must be the number of keys"
                ) from None
            start = first + offset
            yield from range(start, min(start + keys * step, count), step)

    def _first(self, command: Sequence[bytes]) -> int | None:
        if self.begin[0] == "index":
            index: int = self.begin[1]
            return index if index < len(command) else None
        word, start = self.begin[1].encode().lower(), self.begin[2]
        places = range(start, len(command)) if start > 0 else range(len(command) + start, 0, -1)
        return next((i + 1 for i in places if command[i].lower() == word), None)


def _name(command: Sequence[bytes]) -> str:
    return command[0].decode(errors="replace").upper()


@dataclass(frozen=True, slots=True)
class Route:
    """Where a command goes."""

    op: Op
    group: int


@dataclass(frozen=True, slots=True)
class _Command:
    op: Op
    refusal: str
    keys: tuple[_Keys, ...]

    def keys_of(self, command: Sequence[bytes]) -> list[bytes]:
        return [command[i] for spec in self.keys for i in spec.positions(command)]


class CommandTable:
    """The commands of one store, or of several."""

    def __init__(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        self._commands = {
            name.encode(): _Command(
                Op.READ if "readonly" in row["flags"] else Op.WRITE,
                next((why for flag, why in _REFUSED.items() if flag in row["flags"]), ""),
                tuple(_Keys(tuple(begin), tuple(find)) for begin, find in row["keys"]),
            )
            for name, row in rows.items()
        }
        self._containers = {name.partition(b"|")[0] for name in self._commands if b"|" in name}

    @classmethod
    def load(cls, path: Path = TABLE) -> Self:
        """Read a table that write_commands has written."""
        return cls(json.loads(path.read_text()))

    def _find(self, command: Sequence[bytes]) -> _Command:
        name = command[0].lower()
        if name in self._containers and len(command) > 1:
            name = name + b"|" + command[1].lower()
        found = self._commands.get(name)
        if found is None:
            shown = name.replace(b"|", b" ").decode(errors="replace").upper()
            raise CommandError(f"{shown}: unknown command (no store that is known here has it)")
        # XREAD and XREADGROUP wait only when told to.
        optional = name in (b"xread", b"xreadgroup")
        if found.refusal and not (optional and b"block" not in (a.lower() for a in command)):
            raise CommandError(f"{_name(command)}: not possible here: {found.refusal}")
        return found

    def keys(self, command: Sequence[bytes]) -> list[bytes]:
        """Return the keys of a command, as the store's COMMAND GETKEYS does."""
        return self._find(command).keys_of(command)

    def route(self, command: Sequence[bytes]) -> Route:
        """Return op and group of a command; raise CommandError, NoKey or CrossSlot."""
        if not command:
            raise CommandError("an empty command")
        found = self._find(command)
        keys = found.keys_of(command)
        if not keys:
            raise NoKey(f"{_name(command)}: no key, so no group: it cannot be sent to a server")
        group = group_of(keys[0])
        for key in keys[1:]:
            other = group_of(key)
            if other != group:
                raise CrossSlot(
                    f"{_name(command)}: keys of different groups ({keys[0]!r}: {group}, "
                    f"{key!r}: {other}); give them one {{hash tag}}"
                )
        return Route(found.op, group)
