"""Reads big streams piece by piece: entries, counters, groups, consumers and what these have not
acknowledged; as commands, like the store's own AOF rewriting.

What no command can restore is when a consumer was last seen: it is seen again when it comes.
"""

from collections.abc import Iterator
from typing import Final

from hosts.agent._core import StoreError
from hosts.agent.pieces.frame import Command
from hosts.agent.pieces.read import Call, Pager, WholeError, ask, list_of

_ENTRIES: Final = 128  # a command each
_PENDING: Final = 256
# What a stream has that nobody has set (Redis >= 8.6): a store that does not know them has none.
_IDEMPOTENCE: Final = {b"idmp-duration": 100, b"idmp-maxsize": 100}


def stream(call: Call, key: bytes) -> Iterator[list[Command]]:
    """Yield what builds a stream."""
    info = _fields(ask(call, b"XINFO", b"STREAM", key))
    if info.get(b"iids-added"):
        raise WholeError("what its producers have sent it remembers by no command")
    if not info.get(b"length"):  # XADD is what makes it; its entry goes at once
        yield [[b"XADD", b"MAXLEN", b"0", b"0-1", b"", b""]]
    yield from _entries(call, key)
    settings = [b"XSETID", _bytes(info, b"last-generated-id")]
    if b"entries-added" in info:
        settings += (b"ENTRIESADDED", b"%d" % _number(info, b"entries-added"))
        settings += (b"MAXDELETEDID", _bytes(info, b"max-deleted-entry-id"))
    yield [settings, *_idempotence(info)]
    groups = ask(call, b"XINFO", b"GROUPS", key)
    for each in groups if isinstance(groups, list) else []:
        yield from _group(call, key, _fields(each))


def _idempotence(info: dict[bytes, object]) -> Iterator[Command]:
    found = {name: info.get(name, default) for name, default in _IDEMPOTENCE.items()}
    if found != _IDEMPOTENCE:
        words = ((name.upper(), b"%d" % _number(info, name)) for name in found)
        yield [b"XCFGSET", *(word for pair in words for word in pair)]


def _entries(call: Call, key: bytes) -> Iterator[list[Command]]:
    pager, start = Pager(_ENTRIES), b"-"
    while True:
        found = ask(call, b"XRANGE", key, start, b"+", b"COUNT", b"%d" % pager.count)
        if not isinstance(found, list) or not found:
            return
        commands: list[Command] = []
        for entry in found:
            match entry:
                case [bytes(number), list(fields)]:
                    commands.append([b"XADD", number, *list_of(fields)])
                    start = b"(" + number
                case _:
                    raise StoreError(f"XRANGE answered {entry!r}")
        yield commands
        pager.learn(len(commands), sum(len(word) for words in commands for word in words))


def _group(call: Call, key: bytes, info: dict[bytes, object]) -> Iterator[list[Command]]:
    name = _bytes(info, b"name")
    create = [b"XGROUP", b"CREATE", name, _bytes(info, b"last-delivered-id")]
    if b"entries-read" in info:
        read = info[b"entries-read"]
        create += (b"ENTRIESREAD", b"%d" % (read if isinstance(read, int) else -1))
    consumers = ask(call, b"XINFO", b"CONSUMERS", key, name)
    names = [
        _bytes(_fields(each), b"name")
        for each in (consumers if isinstance(consumers, list) else [])
    ]
    yield [create, *([b"XGROUP", b"CREATECONSUMER", name, each] for each in names)]
    yield from _pending(call, key, name)


def _pending(call: Call, key: bytes, group: bytes) -> Iterator[list[Command]]:
    """Yield what gives each consumer the entries that it has not acknowledged."""
    start = b"-"
    while True:
        now, found = _at_one_time(call, [b"XPENDING", key, group, start, b"+", b"%d" % _PENDING])
        if not found:
            return
        same: dict[tuple[bytes, int, int], list[bytes]] = {}
        for entry in found:
            match entry:
                case [bytes(number), bytes(consumer), int(idle), int(times)]:
                    at = now - idle if consumer else 0
                    same.setdefault((consumer, at, times), []).append(number)
                    start = b"(" + number
                case _:
                    raise StoreError(f"XPENDING answered {entry!r}")
        numbers = [number for those in same.values() for number in those]
        there = call([[b"XRANGE", key, each, each] for each in numbers])
        if not all(there):
            raise WholeError("an entry that is pending was deleted; XCLAIM cannot give it")
        commands: list[Command] = []
        for (consumer, at, times), those in same.items():
            if not consumer:  # given back by XNACK (Redis >= 8.8)
                count = b"%d" % len(those)
                words = [b"IDS", count, *those, b"RETRYCOUNT", b"%d" % times, b"FORCE"]
                commands.append([b"XNACK", group, b"FAIL", *words])
                continue
            how = [b"TIME", b"%d" % at, b"RETRYCOUNT", b"%d" % times, b"FORCE", b"JUSTID"]
            commands.append([b"XCLAIM", group, consumer, b"0", *those, *how])
        yield commands


def _at_one_time(call: Call, command: Command) -> tuple[int, list[object]]:
    """Return the store's time in ms at which a command ran, and its reply."""
    while True:
        before, reply, after = call([[b"TIME"], command, [b"TIME"]])
        if isinstance(reply, StoreError):
            raise reply
        times = {int(s) * 1000 + int(us) // 1000 for s, us in map(list_of, (before, after))}
        if len(times) == 1:
            return times.pop(), reply if isinstance(reply, list) else []


def _fields(reply: object) -> dict[bytes, object]:
    if not isinstance(reply, list):
        raise StoreError(f"XINFO answered {reply!r}")
    return dict(zip(reply[::2], reply[1::2], strict=True))


def _bytes(fields: dict[bytes, object], name: bytes) -> bytes:
    value = fields.get(name)
    if not isinstance(value, bytes):
        raise StoreError(f"XINFO says {value!r} of {name.decode()}")
    return value


def _number(fields: dict[bytes, object], name: bytes) -> int:
    value = fields.get(name)
    if not isinstance(value, int):
        raise StoreError(f"XINFO says {value!r} of {name.decode()}")
    return value
