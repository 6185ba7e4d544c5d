"""From the store's `COMMAND` reply to the core's command table (docs/protocol.md, "Commands")."""

from collections.abc import Iterator
from enum import IntFlag
from typing import Final, TypeAlias

Row: TypeAlias = tuple[bytes, int, int, int, int, int, str | None]


class Trait(IntFlag):
    """`enum trait` of core/core.h."""

    WRITE = 1
    MOVABLE = 2
    CONTAINER = 4
    BLIND = 8
    BLIND_SET = 16
    WHOLE = 32
    NO_BLOCK = 64


# Their outcome and reply do not depend on what their keys held before. DEL is not among them: it
# says how many keys there were.
_BLIND: Final = frozenset({b"setex", b"psetex", b"mset"})
_STREAM_READS: Final = frozenset({b"xread", b"xreadgroup"})
_REFUSED_FLAGS: Final = {
    b"admin": "it administers the store",
    b"pubsub": "publish/subscribe cannot work over datagrams",
    b"blocking": "it blocks, and a datagram cannot wait",
}
_BLOCKS: Final = _REFUSED_FLAGS[b"blocking"]
_REFUSED_NAMES: Final = {
    # Redis before 7 has no flag for these
    **dict.fromkeys((b"blpop", b"brpop", b"brpoplpush", b"blmove"), _BLOCKS),
    **dict.fromkeys((b"bzpopmin", b"bzpopmax"), _BLOCKS),
    b"clusterscan": "it lists what one server has, and more servers have keys",
    b"migrate": "moving keys is the agents' work",
    b"restore-asking": "it is the cluster's own",
    b"watch": "transactions need a connection",
    b"move": "there is one database",
    b"swapdb": "there is one database",
}


def rows(reply: object) -> list[Row]:
    """Return the core's table rows for the reply to `COMMAND`."""
    if not isinstance(reply, list):
        raise ValueError(f"the store's answer to COMMAND is {reply!r}, not a list")
    return [row for entry in reply for row in _entry(entry)]


def _entry(entry: object) -> Iterator[Row]:
    match entry:
        case [bytes(name), int(arity), list(flags), int(first), int(last), int(step), *rest]:
            names = frozenset(flag for flag in flags if isinstance(flag, bytes))
            subcommands = rest[3] if len(rest) > 3 and isinstance(rest[3], list) else []
        case _:
            raise ValueError(f"the store's answer to COMMAND has an odd entry: {entry!r}")
    name = name.lower()
    if subcommands:
        yield name, arity, 0, 0, 0, Trait.CONTAINER, "it needs a subcommand"
        for subcommand in subcommands:
            yield from _entry(subcommand)
        return
    yield name, arity, first, last, step, _traits(name, names), _refusal(name, names, first)


def _traits(name: bytes, flags: frozenset[bytes]) -> Trait:
    traits = Trait(0)
    # EVAL and FCALL are flagged neither way; they may write
    if b"readonly" not in flags:
        traits |= Trait.WRITE
    if b"movablekeys" in flags:
        traits |= Trait.MOVABLE
    if name.startswith((b"eval", b"fcall")):
        traits |= Trait.WHOLE
    if name in _BLIND:
        traits |= Trait.BLIND
    if name == b"set":
        traits |= Trait.BLIND_SET
    if name in _STREAM_READS:
        traits |= Trait.NO_BLOCK
    return traits


def _refusal(name: bytes, flags: frozenset[bytes], first: int) -> str | None:
    if reason := _REFUSED_NAMES.get(name):
        return reason
    for flag, reason in _REFUSED_FLAGS.items():
        if flag in flags and name not in _STREAM_READS:
            return reason
    if first == 0 and b"movablekeys" not in flags:
        return "it has no key, so no server can be chosen for it"
    return None
