"""Requests by TCP to an agent, for what no datagram takes (docs/protocol.md, "By TCP")."""

import socket
from collections.abc import Sequence
from typing import Final, TypeAlias

from hosts.client.errors import TooLarge
from hosts.wire import Flags, Header, Op
from hosts.wire.stream import MAX_STREAM, StreamReader, frame_head, resp_command

Address: TypeAlias = tuple[int, int]
"""IPv4 address and TCP port of an agent."""

SLOWEST: Final = 1_000_000
"""Bytes a second, for how long a request may take beyond its timeout."""
_CHUNK: Final = 1 << 20


def payload_of(command: Sequence[bytes]) -> bytes:
    """Return the payload of a command; TooLarge if not even a stream takes it."""
    payload = resp_command(command)
    if len(payload) > MAX_STREAM:
        size = f"command of {len(payload)} bytes with its RESP framing"
        raise TooLarge(f"{size}: it must fit {MAX_STREAM}")
    return payload


def is_of(header: Header, client: int, seq: int) -> bool:
    """Whether a reply is to that request, or an agent's last words about all of them."""
    own = (header.client, header.seq) == (client, seq)
    return own or (header.client == 0 and Flags.ERROR in header.flags)


class Streams:
    """Connections to agents, one request at a time on each. Calls block."""

    def __init__(self, timeout: float) -> None:
        """`timeout`: seconds without any progress."""
        self._timeout = timeout
        self._open: dict[Address, socket.socket] = {}

    def exchange(self, to: Address, header: Header, payload: bytes) -> tuple[Header, bytes]:
        """Return the reply; OSError or WireError if none comes, whatever became of the request."""
        sock = self._open.pop(to, None) or self._connect(to)
        try:
            reply = _exchange(sock, header, payload)
        except BaseException:
            sock.close()  # what comes late must not be taken for something else's reply
            raise
        self._open[to] = sock
        return reply

    def _connect(self, to: Address) -> socket.socket:
        ip = socket.inet_ntoa(to[0].to_bytes(4))
        sock = socket.create_connection((ip, to[1]), self._timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def close(self) -> None:
        """Close all connections."""
        while self._open:
            self._open.popitem()[1].close()


def _exchange(sock: socket.socket, header: Header, payload: bytes) -> tuple[Header, bytes]:
    sock.sendall(frame_head(header.pack(), len(payload)))
    for at in range(0, len(payload), _CHUNK):  # the timeout is that of one call
        sock.sendall(memoryview(payload)[at : at + _CHUNK])
    reader = StreamReader(Op.REPLY)
    while True:
        while (found := reader.next()) is not None:
            if is_of(found[0], header.client, header.seq):
                return found
        data = sock.recv(_CHUNK)
        if not data:
            raise ConnectionResetError("the agent has closed the connection")
        reader.feed(data)
