"""A client of the framed protocol that sends exactly what a test says."""

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator
from typing import Self

from hosts.agent.agent import Agent
from hosts.wire import Flags, Header, Op, group_of
from hosts.wire.stream import StreamReader, frame_head
from tests.agent.harness import SERVICE, resp

_clients = itertools.count(int.from_bytes(os.urandom(7)))


class Framed:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._frames = StreamReader(Op.REPLY)
        self.client = next(_clients)

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, to: Agent) -> AsyncIterator[Self]:
        """Connect to an agent."""
        reader, writer = await asyncio.open_connection("127.0.0.1", to.streams.port)
        yield cls(reader, writer)
        writer.close()

    def send_raw(self, data: bytes) -> None:
        """Send any bytes."""
        self._writer.write(data)

    def send(self, op: Op, seq: int, *words: bytes | str | int, acked: int = 0) -> None:
        """Send a query without waiting."""
        key = words[1] if isinstance(words[1], bytes) else str(words[1]).encode()
        header = Header(op, Flags.NONE, SERVICE, group_of(key), 0, self.client, seq, acked)
        payload = resp(*words)
        self.send_raw(frame_head(header.pack(), len(payload)) + payload)

    def end(self) -> None:
        """Send nothing more."""
        self._writer.write_eof()

    async def answer(self, timeout: float = 20.0) -> tuple[Header, bytes] | None:
        """Return the next reply; None: the connection has ended."""
        async with asyncio.timeout(timeout):
            while (found := self._frames.next()) is None:
                data = await self._reader.read(1 << 20)
                if not data:
                    return None
                self._frames.feed(data)
            return found

    async def ask(self, op: Op, seq: int, *words: bytes | str | int) -> bytes:
        """Return the reply to one query."""
        self.send(op, seq, *words)
        found = await self.answer()
        assert found is not None
        assert (found[0].client, found[0].seq) == (self.client, seq)
        return found[1]
