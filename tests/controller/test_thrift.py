"""BMv2's registers over Thrift, against a server that knows the protocol from its description."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from controller.errors import RefusedError, UnreachableError
from controller.thrift import ThriftClient, read_all_call, read_call, write_call

I32, I64, STRING, LIST, STRUCT = b"\x08", b"\x0a", b"\x0b", b"\x0f", b"\x0c"


class Bmv2:
    """One register array, served as BMv2 does; `bm_register_reset` ends the connection."""

    def __init__(self) -> None:
        self.cells = list(range(100, 110))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                version, length = struct.unpack(">Ii", await reader.readexactly(8))
                assert version == 0x80010001
                function = await reader.readexactly(length)
                sequence = await reader.readexactly(4)
                arguments = await self._arguments(reader)
                if function == b"standard:bm_register_reset":
                    return
                name = function.removeprefix(b"standard:")
                writer.write(struct.pack(">Ii", 0x80010002, len(name)) + name + sequence)
                writer.write(self._result(name.decode(), arguments) + b"\0")
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def _arguments(self, reader: asyncio.StreamReader) -> list[int | bytes]:
        found: list[int | bytes] = []
        while (kind := await reader.readexactly(1)) != b"\0":
            (number,) = struct.unpack(">h", await reader.readexactly(2))
            assert number == len(found) + 1
            if kind == STRING:
                (length,) = struct.unpack(">i", await reader.readexactly(4))
                found.append(await reader.readexactly(length))
            else:
                size = {I32: 4, I64: 8}[kind]
                found.append(int.from_bytes(await reader.readexactly(size), "big", signed=True))
        return found

    def _result(self, function: str, arguments: list[int | bytes]) -> bytes:
        context, name, *rest = arguments
        assert context == 0
        if name != b"Ingress.seen":
            return self._refusal(1)
        if function == "bm_register_read_all":
            cells = b"".join(cell.to_bytes(8, "big") for cell in self.cells)
            return LIST + b"\0\0" + I64 + len(self.cells).to_bytes(4, "big") + cells
        index, *value = rest
        assert isinstance(index, int)
        if index >= len(self.cells):
            return self._refusal(2)
        if function == "bm_register_write":
            assert isinstance(value[0], int)
            self.cells[index] = value[0]
            return b""
        return I64 + b"\0\0" + self.cells[index].to_bytes(8, "big")

    @staticmethod
    def _refusal(code: int) -> bytes:
        """The declared exception, field 1, with its code, field 1."""
        return STRUCT + b"\0\1" + I32 + b"\0\1" + code.to_bytes(4, "big") + b"\0"


@asynccontextmanager
async def connected(bmv2: Bmv2) -> AsyncIterator[ThriftClient]:
    async with await asyncio.start_server(bmv2.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        client = ThriftClient(f"127.0.0.1:{port}", "switch tor")
        await client.open()
        yield client
        await client.close()


async def test_cells_are_written_and_read() -> None:
    bmv2 = Bmv2()
    async with connected(bmv2) as client:
        calls = [write_call("Ingress.seen", i, 1 << 40 | i) for i in (3, 9)]
        assert await client.call(calls) == [None, None]
        assert await client.call([read_call("Ingress.seen", i) for i in (9, 2, 3)]) == [
            1 << 40 | 9,
            102,
            1 << 40 | 3,
        ]
        (cells,) = await client.call([read_all_call("Ingress.seen")])
        assert cells.tolist() == bmv2.cells


async def test_callers_take_turns() -> None:
    async with connected(Bmv2()) as client:
        calls = [[read_call("Ingress.seen", i)] * 20 for i in range(10)]
        answers = await asyncio.gather(*(client.call(each) for each in calls))
        assert answers == [[100 + i] * 20 for i in range(10)]


async def test_a_refusal_names_the_call() -> None:
    async with connected(Bmv2()) as client:
        with pytest.raises(RefusedError, match=r"switch tor.* refused bm_register_read: .*1: 2"):
            await client.call([read_call("Ingress.seen", 10)])
        with pytest.raises(RefusedError, match=r"refused bm_register_read_all: .*1: 1"):
            await client.call([read_all_call("Ingress.other")])


async def test_what_follows_a_refusal_is_still_understood() -> None:
    async with connected(Bmv2()) as client:
        calls = [read_call("Ingress.seen", index) for index in (10, 1, 11, 2)]
        with pytest.raises(RefusedError):
            await client.call(calls)
        assert await client.call([read_call("Ingress.seen", 5)]) == [105]


async def test_a_cancelled_call_leaves_no_answer_behind() -> None:
    async with connected(Bmv2()) as client:
        call = asyncio.ensure_future(client.call([read_call("Ingress.seen", 1)]))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await client.call([read_call("Ingress.seen", 2)]) == [102]


async def test_a_lost_connection_is_made_anew() -> None:
    async with connected(Bmv2()) as client:
        with pytest.raises(UnreachableError, match="does not answer"):
            await client.call([("bm_register_reset", b"")])
        assert await client.call([read_call("Ingress.seen", 2)]) == [102]


async def test_nobody_there() -> None:
    with pytest.raises(UnreachableError, match=r"switch tor, .*127\.0\.0\.1:1 is not reachable"):
        await ThriftClient("127.0.0.1:1", "switch tor").open()
