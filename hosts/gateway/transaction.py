"""MULTI and EXEC: the queued commands of one group run as one script, so nothing comes between.

What EVAL makes of their replies is what EXEC returns (Redis "Lua to RESP conversions").
"""

from dataclasses import dataclass
from typing import Final

from hosts.client import CommandTable
from hosts.client.errors import CommandError, CrossSlot
from hosts.gateway.local import OK, error
from hosts.wire import group_of

_SCRIPT: Final = (
    b"local out,at={},1 while at<=#ARGV do local n=tonumber(ARGV[at]) "
    b"out[#out+1]=redis.pcall(unpack(ARGV,at+1,at+n)) at=at+n+1 end return out"
)
_QUEUED: Final = b"+QUEUED\r\n"
_NOTHING: Final = b"*0\r\n"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A command that is to be run now."""

    command: tuple[bytes, ...]
    parts: tuple[tuple[bytes, ...], ...] = ()
    """Of a transaction: the commands whose replies are the elements of its reply."""


class Transaction:
    """The transaction of one connection, if it has begun one."""

    def __init__(self, table: CommandTable) -> None:
        self._table = table
        self._queued: list[tuple[bytes, ...]] | None = None
        self._keys: dict[bytes, None] = {}
        self._wrong = False

    def take(self, command: tuple[bytes, ...]) -> bytes | Wanted:
        """Return the reply to a command, or the command that is to be run now."""
        name = command[0].upper()
        if name == b"WATCH":
            return error("WATCH is not possible here: it needs a connection to one store")
        if name == b"UNWATCH":
            return OK
        if self._queued is None:
            return self._outside(name, command)
        if name == b"MULTI":
            return error("MULTI calls can not be nested")
        if name == b"DISCARD":
            self._queued = None
            return OK
        if name == b"EXEC":
            return self._run()
        return self._queue(command)

    def _outside(self, name: bytes, command: tuple[bytes, ...]) -> bytes | Wanted:
        if name == b"MULTI":
            self._queued, self._keys, self._wrong = [], {}, False
            return OK
        if name in (b"EXEC", b"DISCARD"):
            return error(f"{name.decode()} without MULTI")
        return Wanted(command)

    def _queue(self, command: tuple[bytes, ...]) -> bytes:
        assert self._queued is not None
        try:
            self._table.route(command)
            keys = self._table.keys(command)
            first = next(iter(self._keys), keys[0])
            if group_of(first) != group_of(keys[0]):
                raise CrossSlot("")
        except CrossSlot:
            self._wrong = True
            return error("Keys in request don't hash to the same slot", "CROSSSLOT")
        except CommandError as wrong:
            self._wrong = True
            return error(str(wrong))
        self._queued.append(command)
        self._keys.update(dict.fromkeys(keys))
        return _QUEUED

    def _run(self) -> bytes | Wanted:
        assert self._queued is not None
        queued, self._queued = self._queued, None
        if self._wrong:
            return error("Transaction discarded because of previous errors.", "EXECABORT")
        if not queued:
            return _NOTHING
        arguments = [part for each in queued for part in (b"%d" % len(each), *each)]
        script = (b"EVAL", _SCRIPT, b"%d" % len(self._keys), *self._keys, *arguments)
        return Wanted(script, tuple(queued))
