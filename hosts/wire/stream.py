"""Queries and replies by TCP, of any length: the header of a datagram, 32 bits of length, payload.

A stream begins with the header's magic, by which an agent tells it from RESP. Requests may be
pipelined; replies come in any order, as datagrams do.
"""

import struct
from collections.abc import Sequence
from typing import Final

from hosts.wire.header import HEADER_LENGTH, Header, Op, WireError

MAX_BULK: Final = 512 << 20
"""Bytes of one argument: Redis' own limit (proto-max-bulk-len)."""
MAX_STREAM: Final = (1 << 30) - (1 << 16)
"""Bytes of one payload: `LONGEST` of hosts/agent/core/core.h."""
_LENGTH: Final = struct.Struct("!I")
_STREAM: Final = struct.Struct("!IH")
_HEAD: Final = HEADER_LENGTH + _LENGTH.size


def resp_command(words: Sequence[bytes]) -> bytes:
    """Return a command as a RESP array."""
    pieces = [piece for word in words for piece in (b"$%d\r\n" % len(word), word, b"\r\n")]
    return b"*%d\r\n%s" % (len(words), b"".join(pieces))


def frame_head(header: bytes, length: int) -> bytes:
    """Return what goes before a payload of `length` bytes."""
    return header + _LENGTH.pack(length)


def stream_address(payload: bytes) -> tuple[int, int]:
    """Return IPv4 address and TCP port, which a reply that is flagged LONG consists of."""
    if len(payload) != _STREAM.size:
        raise WireError(f"the address of a stream of {len(payload)} bytes: it has {_STREAM.size}")
    address, port = _STREAM.unpack(payload)
    if not port:
        raise WireError("a stream at port 0")
    return address, port


class StreamReader:
    """Finds frames in a stream of bytes, however it is cut."""

    def __init__(self, *ops: Op) -> None:
        """`ops`: those that are expected."""
        self._ops = ops
        self._buffer = bytearray()
        self._at = 0
        self._head: tuple[Header, int] | None = None

    @property
    def held(self) -> int:
        """Bytes that no whole frame has come of yet."""
        return len(self._buffer) - self._at

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        del self._buffer[: self._at]
        self._at = 0
        self._buffer += data

    def next(self) -> tuple[Header, bytes] | None:
        """Return the next whole frame, or None; WireError: what follows makes no sense."""
        if self._head is None:
            if self.held < _HEAD:
                return None
            with memoryview(self._buffer) as view:
                header = Header.unpack(bytes(view[self._at : self._at + HEADER_LENGTH]))
            (length,) = _LENGTH.unpack_from(self._buffer, self._at + HEADER_LENGTH)
            if header.op not in self._ops:
                raise WireError(f"op {header.op.name} is not expected in this stream")
            if length > MAX_STREAM:
                raise WireError(f"a payload of {length} bytes: at most {MAX_STREAM} are taken")
            self._at += _HEAD
            self._head = header, length
        header, length = self._head
        if self.held < length:
            return None
        with memoryview(self._buffer) as view:
            payload = bytes(view[self._at : self._at + length])
        self._at += length
        self._head = None
        return header, payload
