"""The register calls of BMv2's Thrift port (bm/standard.thrift), in Thrift's binary protocol.

Only what these need of it: Thrift, doc/specs/thrift-binary-protocol.md.
"""

import asyncio
import struct
from enum import IntEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from controller.errors import RefusedError, UnreachableError

_CALL: Final = 0x80010001
_REPLY: Final = 0x80010002


class Type(IntEnum):
    """The types that occur."""

    STOP = 0
    I32 = 8
    I64 = 10
    STRING = 11
    STRUCT = 12
    LIST = 15


_CONTEXT: Final = struct.pack(">Bhi", Type.I32, 1, 0)
_TIMEOUT_SECONDS: Final = 10.0


def _name(register: str) -> bytes:
    encoded = register.encode()
    return struct.pack(">Bhi", Type.STRING, 2, len(encoded)) + encoded


def _index(field: int, index: int) -> bytes:
    return struct.pack(">Bhi", Type.I32, field, index)


def read_call(register: str, index: int) -> tuple[str, bytes]:
    """One cell."""
    return "bm_register_read", _CONTEXT + _name(register) + _index(3, index)


def read_all_call(register: str) -> tuple[str, bytes]:
    """All cells."""
    return "bm_register_read_all", _CONTEXT + _name(register)


def write_call(register: str, index: int, value: int) -> tuple[str, bytes]:
    """One cell."""
    cell = struct.pack(">Bhq", Type.I64, 4, value)
    return "bm_register_write", _CONTEXT + _name(register) + _index(3, index) + cell


class ThriftClient:
    """One connection to the port; `what` names the switch in messages."""

    def __init__(self, address: str, what: str) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._what = f"{what}, Thrift port {address}"
        self._busy = asyncio.Lock()
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def open(self) -> None:
        """Connect."""
        try:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        except OSError as error:
            raise UnreachableError(f"{self._what} is not reachable: {error}") from None

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()

    async def call(self, calls: list[tuple[str, bytes]]) -> list[Any]:
        """Return the result of each call: None, an integer, or an array of them."""
        async with self._busy:
            if self._writer.is_closing():
                await self.open()
            try:
                async with asyncio.timeout(_TIMEOUT_SECONDS):
                    results = await self._exchange(calls)
            except BaseException as error:
                # What is still on its way could not be told from the next answer.
                self._writer.close()
                if isinstance(error, (OSError, EOFError, TimeoutError)):
                    raise UnreachableError(f"{self._what} does not answer: {error!r}") from None
                raise
        for result in results:
            if isinstance(result, RefusedError):
                raise result
        return results

    async def _exchange(self, calls: list[tuple[str, bytes]]) -> list[Any]:
        for number, (function, arguments) in enumerate(calls):
            name = f"standard:{function}".encode()
            head = struct.pack(">Ii", _CALL, len(name)) + name + struct.pack(">i", number)
            self._writer.write(head + arguments + bytes([Type.STOP]))
        await self._writer.drain()
        return [await self._reply() for _ in calls]

    async def _unpack(self, form: str) -> tuple[Any, ...]:
        return struct.unpack(form, await self._reader.readexactly(struct.calcsize(form)))

    async def _reply(self) -> Any:
        kind, length = await self._unpack(">Ii")
        name = (await self._reader.readexactly(length)).decode()
        await self._unpack(">i")
        fields = await self._struct()
        if kind != _REPLY or any(fields):
            # 0 is the result; anything else an exception, with a text or a code.
            return RefusedError(f"{self._what} refused {name}: {fields}")
        return fields.get(0)

    async def _struct(self) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        while True:
            (kind,) = await self._unpack(">B")
            if kind == Type.STOP:
                return fields
            (number,) = await self._unpack(">h")
            fields[number] = await self._value(kind)

    async def _value(self, kind: int) -> Any:
        match kind:
            case Type.I32:
                return (await self._unpack(">i"))[0]
            case Type.I64:
                return (await self._unpack(">q"))[0]
            case Type.STRING:
                (length,) = await self._unpack(">i")
                return (await self._reader.readexactly(length)).decode(errors="replace")
            case Type.STRUCT:
                return await self._struct()
            case Type.LIST:
                return await self._list()
        raise RefusedError(f"{self._what} answered with the unknown type {kind}")

    async def _list(self) -> NDArray[np.int64]:
        kind, count = await self._unpack(">Bi")
        if kind != Type.I64:
            raise RefusedError(f"{self._what} answered with a list of the unknown type {kind}")
        return np.frombuffer(await self._reader.readexactly(8 * count), dtype=">i8").astype(
            np.int64
        )
