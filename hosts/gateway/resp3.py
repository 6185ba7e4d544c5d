"""Replies for clients that asked for RESP3 (`HELLO 3`). Servers are spoken to in RESP2, where maps,
sets, doubles and pairs are flat arrays and strings: what they were is known from the command.

Source: Redis, "RESP protocol spec" and the reply types in the documentation of each command.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from hosts.gateway.transaction import Wanted

Shape: TypeAlias = Callable[["_Reply"], bytes]
"""How a reply is written."""

_NULL: Final = b"_\r\n"
_NULLS: Final = (b"$-1\r\n", b"*-1\r\n")


class _Reply:
    """One RESP2 value: its own line, the bytes of a bulk string, the elements of an array."""

    __slots__ = ("elements", "end", "line", "text")

    end: int
    """Where the next value begins."""

    def __init__(self, data: bytes, at: int) -> None:
        end: int = data.index(b"\r\n", at) + 2
        self.line = data[at:end]
        self.text: bytes | None = None
        self.elements: list[_Reply] | None = None
        if self.line.startswith(b"$") and self.line != _NULLS[0]:
            self.text = data[end : end + int(self.line[1:])]
            end += len(self.text) + 2
        elif self.line.startswith(b"*") and self.line != _NULLS[1]:
            self.elements = []
            for _ in range(int(self.line[1:])):
                self.elements.append(_Reply(data, end))
                end = self.elements[-1].end
        self.end = end


def _plain(reply: _Reply) -> bytes:
    """As it is; there is one null."""
    if reply.elements is not None:
        return reply.line + b"".join(map(_plain, reply.elements))
    if reply.text is not None:
        return reply.line + reply.text + b"\r\n"
    return _NULL if reply.line in _NULLS else reply.line


def _double(reply: _Reply) -> bytes:
    return _plain(reply) if reply.text is None else b"," + reply.text + b"\r\n"


def _all(each: Shape) -> Shape:
    """An array of such values."""

    def shape(reply: _Reply) -> bytes:
        if reply.elements is None:
            return _plain(reply)
        return reply.line + b"".join(map(each, reply.elements))

    return shape


def _headed(mark: bytes, step: int, *each: Shape) -> Shape:
    """A flat array as a map (`%`, two elements an entry) or a set (`~`)."""

    def shape(reply: _Reply) -> bytes:
        if reply.elements is None:
            return _plain(reply)
        shaped = [each[i % len(each)](one) for i, one in enumerate(reply.elements)]
        return b"%s%d\r\n%s" % (mark, len(shaped) // step, b"".join(shaped))

    return shape


def _pairs(second: Shape) -> Shape:
    """A flat array as an array of pairs."""

    def shape(reply: _Reply) -> bytes:
        if reply.elements is None:
            return _plain(reply)
        pairs = zip(reply.elements[::2], reply.elements[1::2], strict=True)
        shaped = [b"*2\r\n" + _plain(one) + second(two) for one, two in pairs]
        return b"*%d\r\n%s" % (len(shaped), b"".join(shaped))

    return shape


def _streams(reply: _Reply) -> bytes:
    """Pairs of stream and entries as a map."""
    if reply.elements is None:
        return _plain(reply)
    shaped = [b"".join(map(_plain, pair.elements or [])) for pair in reply.elements]
    return b"%%%d\r\n%s" % (len(shaped), b"".join(shaped))


def _truth(reply: _Reply) -> bytes:
    """A number as a boolean."""
    return {b":0\r\n": b"#f\r\n", b":1\r\n": b"#t\r\n"}.get(reply.line) or _plain(reply)


def _located(reply: _Reply) -> bytes:
    """A member with what was asked of it: what is an array are its coordinates."""
    return _plain(reply) if reply.elements is None else _all(_all(_double))(reply)


def _similar(scores: bool, attributes: bool) -> Shape:
    """Members of a vector set as a map to their scores, attributes or both."""
    details = (*[_double] * scores, *[_plain] * attributes)
    head = b"*2\r\n" if len(details) > 1 else b""
    step = 1 + len(details)

    def shape(reply: _Reply) -> bytes:
        if not reply.elements or step == 1:
            return _plain(reply)  # an array also of a key that does not exist
        rows = zip(*(reply.elements[i::step] for i in range(step)), strict=True)
        entries = [
            _plain(member)
            + head
            + b"".join(each(one) for each, one in zip(details, row, strict=True))
            for member, *row in rows
        ]
        return b"%%%d\r\n%s" % (len(entries), b"".join(entries))

    return shape


def _key_and(second: Shape) -> Shape:
    """An array of a key and something else."""

    def shape(reply: _Reply) -> bytes:
        if reply.elements is None or len(reply.elements) != 2:
            return _plain(reply)
        return reply.line + _plain(reply.elements[0]) + second(reply.elements[1])

    return shape


_map: Final = _headed(b"%", 2, _plain)
_set: Final = _headed(b"~", 1, _plain)
_scored: Final = _pairs(_double)

_SHAPES: Final[dict[bytes, Shape]] = {
    b"HGETALL": _map,
    b"SMEMBERS": _set,
    b"SINTER": _set,
    b"SUNION": _set,
    b"SDIFF": _set,
    b"ZSCORE": _double,
    b"ZINCRBY": _double,
    b"ZMSCORE": _all(_double),
    b"GEOPOS": _all(_all(_double)),
    b"XREAD": _streams,
    b"XREADGROUP": _streams,
    b"ZMPOP": _key_and(_all(_key_and(_double))),
    b"ARINFO": _headed(b"%", 2, _plain, _double),
    b"INCREX": _all(_double),
    b"VADD": _truth,
    b"VINFO": _map,
    b"VISMEMBER": _truth,
    b"VREM": _truth,
    b"VSETATTR": _truth,
}
_WITH: Final[dict[bytes, tuple[bytes, Shape]]] = {
    b"ZRANGE": (b"WITHSCORES", _scored),
    b"ZREVRANGE": (b"WITHSCORES", _scored),
    b"ZRANGEBYSCORE": (b"WITHSCORES", _scored),
    b"ZREVRANGEBYSCORE": (b"WITHSCORES", _scored),
    b"ZRANDMEMBER": (b"WITHSCORES", _scored),
    b"ZINTER": (b"WITHSCORES", _scored),
    b"ZUNION": (b"WITHSCORES", _scored),
    b"ZDIFF": (b"WITHSCORES", _scored),
    b"HRANDFIELD": (b"WITHVALUES", _pairs(_plain)),
    b"ZADD": (b"INCR", _double),
    b"ZRANK": (b"WITHSCORE", _key_and(_double)),
    b"ZREVRANK": (b"WITHSCORE", _key_and(_double)),
    b"LCS": (b"IDX", _map),
    b"GEOSEARCH": (b"WITHCOORD", _all(_located)),
    b"GEORADIUS": (b"WITHCOORD", _all(_located)),
    b"GEORADIUS_RO": (b"WITHCOORD", _all(_located)),
    b"GEORADIUSBYMEMBER": (b"WITHCOORD", _all(_located)),
    b"GEORADIUSBYMEMBER_RO": (b"WITHCOORD", _all(_located)),
    b"VLINKS": (b"WITHSCORES", _all(_headed(b"%", 2, _plain, _double))),
}
"""With this word among the arguments the reply is another one."""


def _shape(command: Sequence[bytes]) -> Shape:
    name = command[0].upper()
    if (shape := _SHAPES.get(name)) is not None:
        return shape
    if (option := _WITH.get(name)) is not None:
        word, shape = option
        return shape if word in (each.upper() for each in command[2:]) else _plain
    if name == b"SPOP":
        return _set if len(command) > 2 else _plain
    if name in (b"ZPOPMIN", b"ZPOPMAX"):
        return _scored if len(command) > 2 else _headed(b"*", 1, _plain, _double)
    if name == b"VEMB":
        return (
            _headed(b"*", 1, *[_plain] * 2, *[_double] * 2) if len(command) > 3 else _all(_double)
        )
    if name == b"VSIM":
        words = {each.upper() for each in command[3:]}
        return _similar(b"WITHSCORES" in words, b"WITHATTRIBS" in words)
    if name == b"XINFO":
        return _map if len(command) > 1 and command[1].upper() == b"STREAM" else _all(_map)
    return _plain


def convert(wanted: Wanted, reply: bytes) -> bytes:
    """Return a whole RESP2 reply as RESP3 has it."""
    if reply[:1] in b"+-":
        return reply
    value = _Reply(reply, 0)
    if not wanted.parts or value.elements is None:
        return _shape(wanted.command)(value)
    parts = zip(wanted.parts, value.elements, strict=True)
    return value.line + b"".join(_shape(command)(part) for command, part in parts)
