"""Frames of the TCP channel between agents: u32 length of what follows, u8 kind, body.

A channel's two directions are two connections: each agent connects to its peer, says who it is
with HELLO and proves it (handshake.py). Frames are idempotent; whoever sent something that was not
answered when a connection broke sends it again. Bodies of KEYS are made and read by the core
(core/body.c).
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Final, TypeAlias

from hosts.wire import GROUPS

MAGIC: Final = b"NMC2"
LONGEST: Final = 1 << 30
HEAD: Final = struct.Struct("!IB")
_HELLO: Final = struct.Struct("!4sH")
_MIGRATION: Final = struct.Struct("!H")
_NUMBER: Final = struct.Struct("!Q")
_COUNT: Final = struct.Struct("!H")
_GROUP_COUNT: Final = struct.Struct("!HI")  # a group, and how many of what follows
_HANDED: Final = struct.Struct("!IHBI")
_KEY: Final = struct.Struct("!I")


class Kind(IntEnum):
    """What a frame is."""

    HELLO = 1
    WATERMARKS = 2  # (client, acked)*: what is known finished; goes before PREPARE
    PREPARE = 3  # migration, groups, completion records of those that have any
    PREPARED = 4  # migration, group*: the destination is the owner of these now
    KEYS = 5  # migration, body (core/body.c)
    ARRIVED = 6  # migration, group*: every key of these has been applied
    PULL = 7  # migration, (group, number of keys, key*)*
    PULLED = 8  # migration, body as of KEYS
    HANDOVER = 9  # (client ip, client port, hops, datagram)*; port 0: by TCP, to server "ip"
    FAILED = 10  # migration, why
    # of pre-copy; numbers grow, so what an earlier connection brings late is told apart
    CLEAR = 11  # migration, number, group*: delete left-over copies of these
    CLEARED = 12  # migration, group*
    COPY = 13  # migration, number, body as of KEYS: replaces what the copy held
    COPIED = 14  # migration, number
    TAKE = 15  # migration, number, as PREPARE: every key of these groups is with you
    TAKEN = 16  # migration, group*: the destination is the owner of these now
    ANSWER = 17  # header, RESP reply: of a query that came by TCP to the agent that gets this
    # of values too big for KEYS (hosts/agent/pieces/frame.py)
    PIECE = 18  # migration, piece
    PIECED = 19  # migration, what became of a piece
    HINDERED = 20  # migration, hindrance, why: nothing more can be taken for now
    # of the handshake
    CHALLENGE = 32  # nonce, proof of the end that was connected to
    PROOF = 33  # proof of the end that connects
    REFUSED = 34  # why, in ASCII; the connection ends


class Hindrance(IntEnum):
    """What has to happen until a destination can take more."""

    HELP = 0  # somebody has to do something
    TIME = 1  # it passes by itself
    COMMANDS = 2  # values have to come as commands: its store does not read what the source's dumps


class FrameError(ValueError):
    """Bytes on the channel that are not a frame of ours."""


Handed: TypeAlias = tuple[int, int, int, bytes]
"""Client ip, client port, hops, datagram."""


def frame(kind: Kind, *parts: bytes) -> bytes:
    """Return one frame."""
    body = b"".join(parts)
    return HEAD.pack(len(body) + 1, kind) + body


def hello(server: int, nonce: bytes = b"") -> bytes:
    """Return the HELLO of a server."""
    return frame(Kind.HELLO, _HELLO.pack(MAGIC, server), nonce)


def read_hello(body: memoryview) -> tuple[int, bytes]:
    """Return the server that says HELLO, and its nonce."""
    if len(body) < _HELLO.size:
        raise FrameError(f"HELLO of {len(body)} bytes")
    magic, server = _HELLO.unpack_from(body)
    if magic != MAGIC:
        raise FrameError(f"HELLO of another protocol: {magic!r}")
    return int(server), bytes(body[_HELLO.size :])


def migration(number: int) -> bytes:
    """Return how a body names its migration."""
    return _MIGRATION.pack(number)


def read_migration(body: memoryview) -> tuple[int, memoryview]:
    """Return the migration a body is about, and the rest."""
    if len(body) < _MIGRATION.size:
        raise FrameError("a body too short to name its migration")
    return _MIGRATION.unpack_from(body)[0], body[_MIGRATION.size :]


def hindrance(of: int, what: Hindrance, why: str) -> bytes:
    """Return the body of HINDERED."""
    return migration(of) + bytes([what]) + why.encode()


def read_hindrance(body: memoryview) -> tuple[Hindrance, str]:
    """Return what hinders, and why, of HINDERED behind its migration."""
    if not body or body[0] > max(Hindrance):
        raise FrameError("a hindrance that does not say what it is")
    return Hindrance(body[0]), bytes(body[1:]).decode(errors="replace")


def number(of: int) -> bytes:
    """Return how CLEAR, COPY, COPIED and TAKE are numbered."""
    return _NUMBER.pack(of)


def read_number(body: memoryview) -> tuple[int, memoryview]:
    """Return the number of CLEAR, COPY, COPIED or TAKE, and the rest."""
    if len(body) < _NUMBER.size:
        raise FrameError("a body too short for its number")
    return _NUMBER.unpack_from(body)[0], body[_NUMBER.size :]


def group_list(those: Sequence[int]) -> bytes:
    """Return a list of groups."""
    return struct.pack(f"!{len(those)}H", *those)


def groups(number: int, those: Sequence[int]) -> bytes:
    """Return the body of PREPARED, ARRIVED, CLEARED and TAKEN."""
    return _MIGRATION.pack(number) + group_list(those)


def read_groups(body: memoryview) -> list[int]:
    """Return a list of groups."""
    if len(body) % 2:
        raise FrameError("a list of groups is cut short")
    those = list(struct.unpack(f"!{len(body) // 2}H", body))
    if max(those, default=0) >= GROUPS:
        raise FrameError(f"group {max(those)}: 0 to {GROUPS - 1} exist")
    return those


def groups_with_records(those: Sequence[int], records: Mapping[int, bytes]) -> bytes:
    """Return groups and the completion records of some of them, for PREPARE and TAKE."""
    each = (_GROUP_COUNT.pack(group, len(data)) + data for group, data in records.items())
    return _COUNT.pack(len(those)) + group_list(those) + b"".join(each)


def read_groups_with_records(body: memoryview) -> tuple[list[int], dict[int, memoryview]]:
    """Return the groups of PREPARE and TAKE, and the completion records of some of them."""
    if len(body) < _COUNT.size:
        raise FrameError("PREPARE is cut short")
    (count,) = _COUNT.unpack_from(body)
    at = _COUNT.size + _MIGRATION.size * count
    those = read_groups(body[_COUNT.size : at])
    if len(those) != count:
        raise FrameError("PREPARE is cut short")
    records: dict[int, memoryview] = {}
    while at < len(body):
        if len(body) - at < _GROUP_COUNT.size:
            raise FrameError("PREPARE is cut short")
        group, length = _GROUP_COUNT.unpack_from(body, at)
        at += _GROUP_COUNT.size
        if length > len(body) - at:
            raise FrameError("PREPARE is cut short")
        records[group] = body[at : at + length]
        at += length
    return those, records


def handed(items: Iterable[Handed]) -> bytes:
    """Return the body of HANDOVER."""
    return b"".join(
        _HANDED.pack(ip, port, hops, len(datagram)) + datagram for ip, port, hops, datagram in items
    )


def read_handed(body: memoryview) -> list[Handed]:
    """Return the queries of HANDOVER."""
    items: list[Handed] = []
    while body:
        if len(body) < _HANDED.size:
            raise FrameError("HANDOVER is cut short")
        ip, port, hops, length = _HANDED.unpack_from(body)
        body = body[_HANDED.size :]
        if length > len(body) or hops == 0:
            raise FrameError("HANDOVER is cut short or counts no hop")
        items.append((ip, port, hops, bytes(body[:length])))
        body = body[length:]
    return items


def one_key(group: int, key: bytes, value: bytes | None, expiry: int) -> bytes:
    """Return a KEYS body (core/body.c) of one key as DUMP gave it; None: it does not exist."""
    head = b"\5" + _MIGRATION.pack(group)
    if value is None:
        return head + b"\2" + key_list([key])
    return head + b"\1" + key_list([key]) + _NUMBER.pack(expiry) + key_list([value])


def pull(number: int, wanted: Mapping[int, Sequence[bytes]]) -> bytes:
    """Return the body of PULL: some keys of each group."""
    parts = [_MIGRATION.pack(number)]
    for group, keys in wanted.items():
        parts.append(_GROUP_COUNT.pack(group, len(keys)))
        parts.append(key_list(keys))
    return b"".join(parts)


def read_pull(body: memoryview) -> dict[int, bytes]:
    """Return the list of keys that PULL wants of each group, as the core takes it."""
    wanted: dict[int, bytes] = {}
    at = 0
    while at < len(body):
        if len(body) - at < _GROUP_COUNT.size:
            raise FrameError("PULL is cut short")
        group, count = _GROUP_COUNT.unpack_from(body, at)
        if group >= GROUPS:
            raise FrameError(f"PULL of group {group}")
        first = at = at + _GROUP_COUNT.size
        for _ in range(count):
            if len(body) - at < _KEY.size:
                raise FrameError("PULL is cut short")
            at += _KEY.size + int(_KEY.unpack_from(body, at)[0])
        if at > len(body):
            raise FrameError("PULL is cut short")
        wanted[group] = wanted.get(group, b"") + bytes(body[first:at])
    return wanted


def key_list(keys: Iterable[bytes]) -> bytes:
    """Return a list of keys, as the core makes and takes them."""
    return b"".join(_KEY.pack(len(key)) + key for key in keys)


def read_keys(body: bytes | memoryview) -> list[bytes]:
    """Return a list of keys."""
    keys: list[bytes] = []
    rest = memoryview(body)
    while rest:
        if len(rest) < _KEY.size:
            raise FrameError("a list of keys is cut short")
        (length,) = _KEY.unpack_from(rest)
        rest = rest[_KEY.size :]
        if length > len(rest):
            raise FrameError("a list of keys is cut short")
        keys.append(bytes(rest[:length]))
        rest = rest[length:]
    return keys


def end_of_keys(keys: bytes, count: int) -> int:
    """Return where the first `count` keys of a list end."""
    at = 0
    for _ in range(count):
        at += _KEY.size + int(_KEY.unpack_from(keys, at)[0])
    return at


class Splitter:
    """Cuts a byte stream into frames. `longest` may change between two of them."""

    def __init__(self, longest: int = LONGEST) -> None:
        self.longest = longest
        self._left = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Kind, bytes]]:
        """Return the frames that are complete now; raise FrameError at what is none."""
        self._left += data
        at = 0
        try:
            while len(self._left) - at >= HEAD.size:
                length, kind = HEAD.unpack_from(self._left, at)
                if not 1 <= length <= self.longest:
                    raise FrameError(f"a frame of {length} bytes")
                end = at + HEAD.size - 1 + length
                if len(self._left) < end:
                    return
                try:
                    known = Kind(kind)
                except ValueError:
                    raise FrameError(f"a frame of unknown kind {kind}") from None
                body = bytes(self._left[at + HEAD.size : end])
                at = end
                yield known, body
        finally:
            del self._left[:at]
