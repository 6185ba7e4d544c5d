"""What no datagram takes goes by TCP, and callers see nothing of it."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, cast

import pytest

from hosts.agent.channel import Server
from hosts.agent.protocols import Protocol
from hosts.client import AsyncClient, Client, ReplyError
from hosts.wire import Header, Op
from tests.agent.conftest import each_two, running, two
from tests.agent.harness import Pair, until

__all__ = ["each_two", "running", "two"]

BIG = bytes(range(256)) * (10 << 12)  # 10 MiB
SLOW = 20_000_000


class Vip(asyncio.DatagramProtocol):
    """Stands for the switch: takes queries to one agent, and the replies of all back."""

    def __init__(self, to: Server) -> None:
        self._to = to
        self._clients: dict[int, Any] = {}

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, pair: Pair, index: int = 0) -> AsyncIterator[int]:
        """Listen; yields the port."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: cls(pair.server(index)), local_addr=("127.0.0.1", 0)
        )
        yield transport.get_extra_info("sockname")[1]
        transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Pass it on."""
        header = Header.unpack(data)
        if header.op is Op.REPLY:
            self._transport.sendto(data, self._clients[header.client])
        else:
            self._clients[header.client] = addr
            self._transport.sendto(data, (self._to.ip, self._to.udp_port))


@contextlib.asynccontextmanager
async def client_of(pair: Pair, index: int = 0, **options: Any) -> AsyncIterator[AsyncClient]:
    """Run a client whose datagrams go to one of the agents."""
    async with Vip.open(pair, index) as port, AsyncClient("127.0.0.1", port, **options) as kv:
        yield kv


async def test_ten_megabytes(two: Pair) -> None:
    """With either client, at the owner or not."""
    for index in (0, 1):
        async with client_of(two, index) as kv:
            assert await kv.set("k", BIG)
            assert await kv.get("k") == BIG
            assert await kv.execute_command("GETDEL", "k") == BIG
            assert await kv.get("k") is None

        def work(port: int) -> None:
            with Client("127.0.0.1", port) as kv:
                assert kv.set("k", BIG)
                assert kv.get("k") == BIG
                assert kv.execute_command("GETDEL", "k") == BIG
                assert kv.get("k") is None

        async with Vip.open(two, index) as port:
            await asyncio.to_thread(work, port)


async def test_thousands_of_arguments(two: Pair) -> None:
    """In a request, and in a reply."""
    async with client_of(two) as kv:
        pairs = [word for number in range(5000) for word in (f"{{t}}{number}", number)]
        assert await kv.execute_command("MSET", *pairs) == b"OK"
        values = await kv.execute_command("MGET", *pairs[::2])
        assert values == [b"%d" % number for number in range(5000)]
        assert await kv.execute_command("RPUSH", "l", *range(20_000)) == 20_000
        assert await kv.execute_command("LRANGE", "l", 0, -1) == [b"%d" % n for n in range(20_000)]
        with pytest.raises(ReplyError, match="WRONGTYPE"):
            await kv.execute_command("APPEND", "l", BIG)


async def test_a_write_with_a_long_reply_is_executed_once(two: Pair) -> None:
    """Its reply is fetched by TCP; the agent has remembered it."""
    async with client_of(two) as kv:
        for number in range(30):
            await kv.execute_command(
                "RPUSH", "l", *(f"{number}-{i}-{'x' * 50}" for i in range(100))
            )
        popped = [await kv.execute_command("LPOP", "l", 100) for _ in range(30)]
        assert all(len(part) == 100 for part in popped)
        assert [part[0].split(b"-")[0] for part in popped] == [b"%d" % n for n in range(30)]
        assert await kv.execute_command("LLEN", "l") == 0
    counters = two.agents[0].counters
    assert counters["duplicates"] >= 30


async def test_small_and_big_together(two: Pair) -> None:
    """More than a window of numbers, with long ones in between; replies in their places."""
    port = two.server(0).udp_port

    def work() -> None:
        with Client("127.0.0.1", port) as kv:
            commands: list[tuple[str | bytes | int, ...]] = []
            for number in range(6000):
                size = 100_000 if number % 500 == 0 else 10
                commands.append(("SET", f"k{number}", b"%d" % number * size))
            assert kv.execute_many(commands) == [b"OK"] * 6000
            values = kv.execute_many([("GET", f"k{number}") for number in range(6000)])
            assert values == [command[2] for command in commands]

    await asyncio.to_thread(work)


async def while_it_moves(pair: Pair, work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` beside a migration of everything."""
    precopy = pair.protocol is Protocol.SOURCE
    moving = pair.start(0, 1, throttle=0 if precopy else SLOW)
    await work()
    moving.set_throttle(0)
    await until(lambda: moving.status.name in ("DONE", "FAILED"))
    assert moving.status.name == "DONE", moving.error


async def test_while_groups_move(each_two: Pair) -> None:
    """Big reads and writes in every protocol, with no error."""
    one = BIG[: 1 << 20]
    async with client_of(each_two) as old, client_of(each_two, 1) as new:
        await asyncio.gather(*(old.set(f"k{number}", one) for number in range(8)))

        async def work() -> None:
            for number in range(8):
                key = f"k{number}"
                for turn, kv in enumerate((old, new, old)):
                    assert await kv.append(key, one) == (turn + 2) * len(one)
                    assert await kv.get(key) == (turn + 2) * one
                await new.set(key, number)
                assert await old.get(key) == b"%d" % number

        await while_it_moves(each_two, work)


@contextlib.contextmanager
def unreliable(port: int, lives: int) -> Iterator[int]:
    """A TCP relay to `port` that cuts its first connections after some bytes; yields its port."""
    import socket

    listening = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, sink: socket.socket, most: int) -> None:
        with contextlib.suppress(OSError):
            while most > 0 and (data := source.recv(min(65536, most))):
                sink.sendall(data)
                most -= len(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def serve() -> None:
        count = 0
        with contextlib.suppress(OSError):
            while True:
                near, _ = listening.accept()
                far = socket.create_connection(("127.0.0.1", port))
                # the first die on the way there, the next ones on the way back
                there = 300_000 if count < lives // 2 else 1 << 40
                back = 10 if lives // 2 <= count < lives else 1 << 40
                count += 1
                for args in ((near, far, there), (far, near, back)):
                    threading.Thread(target=pump, args=args, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield int(listening.getsockname()[1])
    finally:
        listening.close()


async def test_connections_that_break(two: Pair) -> None:
    """The same request goes by another one, and a write is executed once."""
    own = two.agents[0]
    for kind in ("loop", "blocking"):
        with unreliable(own.streams.port, 4) as port:
            own.core.streams(own.streams.queries.answers.answered, 0x7F000001, port)
            if kind == "loop":
                async with client_of(two) as kv:
                    assert await kv.append(kind, BIG) == len(BIG)
            else:

                def work() -> int:
                    with Client("127.0.0.1", two.server(0).udp_port) as kv:
                        return int(kv.append("blocking", BIG))

                assert await asyncio.to_thread(work) == len(BIG)


async def test_nobody_listens(two: Pair) -> None:
    """It takes as long as the timeout, and says so."""
    own = two.agents[0]
    own.core.streams(own.streams.queries.answers.answered, 0x7F000001, 1)
    async with client_of(two, timeout=0.5) as kv:
        with pytest.raises(TimeoutError):
            await kv.set("k", BIG[:100_000])
        assert await kv.set("k", "small")
