"""Requests as Redis clients send them (Redis serialization protocol, "Sending commands")."""

from typing import Final

from hosts.wire.stream import MAX_BULK, MAX_STREAM

_LINE: Final = 64 << 10
_CRLF: Final = 2
_OBJECT: Final = 48  # bytes that an argument takes beside its own


class RequestError(Exception):
    """The bytes are no requests; nothing that follows can be understood."""


class Requests:
    """Finds requests in a stream of bytes, however it is cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._missing = 0  # arguments of the request begun
        self._length = -1  # of the argument begun
        self._arguments: list[bytes] = []
        self._size = 0  # of the request begun, as it is sent
        self._kept = 0  # what its arguments take

    @property
    def held(self) -> int:
        """Bytes that no whole request has come of yet."""
        return self._kept + len(self._buffer) - self._at

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        del self._buffer[: self._at]
        self._at = 0
        self._buffer += data

    def next(self) -> tuple[bytes, ...] | None:
        """Return the next whole request, or None; RequestError: close the connection."""
        while not self._missing:
            line = self._line()
            if line is None:
                return None
            if not line.startswith(b"*"):
                if words := line.split():
                    return tuple(words)  # typed by hand ("Inline commands")
                continue
            self._missing = _number(line, "multibulk length", MAX_STREAM)
            self._arguments, self._size = [], len(line) + _CRLF
        while self._missing:
            argument = self._argument()
            if argument is None:
                return None
            self._arguments.append(argument)
            self._missing -= 1
        self._kept = 0
        return tuple(self._arguments)

    def _argument(self) -> bytes | None:
        if self._length < 0:
            line = self._line()
            if line is None:
                return None
            if not line.startswith(b"$"):
                raise RequestError(f"expected '$', got {line[:1].decode('latin-1')!r}")
            self._length = _number(line, "bulk length", MAX_BULK)
            self._size += len(line) + _CRLF + self._length + _CRLF
            if self._size > MAX_STREAM:
                raise RequestError(f"a request of more than {MAX_STREAM} bytes")
        end = self._at + self._length
        if len(self._buffer) < end + _CRLF:
            return None
        if self._buffer[end : end + _CRLF] != b"\r\n":
            raise RequestError("an argument that does not end where its length says")
        with memoryview(self._buffer) as view:
            argument = bytes(view[self._at : end])
        self._kept += len(argument) + _OBJECT
        self._at, self._length = end + _CRLF, -1
        return argument

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\n", self._at, self._at + _LINE)
        if end < 0:
            if len(self._buffer) - self._at >= _LINE:
                raise RequestError("too big inline request")
            return None
        line = bytes(self._buffer[self._at : end]).rstrip(b"\r")
        self._at = end + 1
        return line


def _number(line: bytes, what: str, most: int) -> int:
    digits = line[1:]
    if digits == b"-1" and line.startswith(b"*"):
        return 0
    if not digits.isdigit() or len(digits) > len(str(most)) or int(digits) > most:
        raise RequestError(f"invalid {what}")
    return int(digits)
