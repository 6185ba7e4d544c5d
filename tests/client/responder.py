"""A UDP service that answers by script: each reply combination, on demand."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from hosts.wire import HEADER_LENGTH, Flags, Header, Op

Script = Callable[[Header, bytes, int], Sequence[bytes]]


def reply(
    request: Header, flags: Flags, payload: bytes = b"$-1\r\n", *, migration: int = 0
) -> bytes:
    """A reply to `request` as an agent builds it."""
    header = replace(request, op=Op.REPLY, flags=flags, migration=migration, acked=0)
    return header.pack() + payload


@dataclass
class Responder:
    """Its port, and every request that came."""

    port: int
    requests: list[tuple[Header, bytes]] = field(default_factory=list)


@contextmanager
def responder(script: Script) -> Iterator[Responder]:
    """Serve on a loopback port; `script` gets header, payload and how often that seq came."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(0.05)
        served = Responder(server.getsockname()[1])
        stop = threading.Event()

        def serve() -> None:
            seen: dict[int, int] = {}
            while not stop.is_set():
                try:
                    datagram, sender = server.recvfrom(2048)
                except TimeoutError:
                    continue
                header, payload = Header.unpack(datagram), datagram[HEADER_LENGTH:]
                served.requests.append((header, payload))
                seen[header.seq] = seen.get(header.seq, 0) + 1
                for answer in script(header, payload, seen[header.seq]):
                    server.sendto(answer, sender)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield served
        finally:
            stop.set()
            thread.join()
