"""Access to the switch's register arrays. Nothing else in the controller knows how it is done.

Over P4Runtime: one RegisterEntry per cell (P4Runtime spec, section 9.4). BMv2 refuses those, so
its registers are reached over its Thrift port.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Final, Self, cast

import finsy as fy
import numpy as np
from finsy.proto import p4r
from numpy.typing import NDArray

from controller.errors import UnknownNameError
from controller.thrift import ThriftClient, read_all_call, read_call, write_call

Cells = NDArray[np.int64]

# Small enough that neither end is busy for long with one request.
_BATCH: Final = 2048
# Asked for cell by cell, a cell costs about as much as this many in a read of the whole array.
_WHOLE: Final = 16
# Thrift calls under way at a time.
_CALLS: Final = 256


class Registers(ABC):
    """The arrays of one switch; an async context, because they need a connection of their own."""

    def __init__(self, switch: fy.Switch) -> None:
        self._switch = switch
        registers = list(switch.p4info.registers)
        self.sizes: dict[str, int] = {each.alias: each.size for each in registers}
        self.bits: dict[str, int] = {
            each.alias: each.pbuf.type_spec.bitstring.bit.bitwidth for each in registers
        }

    @abstractmethod
    async def __aenter__(self) -> Self: ...

    @abstractmethod
    async def __aexit__(self, *error: object) -> None: ...

    @abstractmethod
    async def read(self, name: str, indices: Cells) -> Cells:
        """Return the values at `indices`."""

    @abstractmethod
    async def write(self, name: str, indices: Cells, values: Cells) -> None:
        """Set the cells at `indices` to `values`."""

    def size(self, name: str) -> int:
        """Return how many cells register `name` has."""
        if name not in self.sizes:
            raise UnknownNameError(f"no register {name!r}: there are {', '.join(self.sizes)}")
        return self.sizes[name]

    async def put(self, name: str, indices: Cells, values: Cells) -> None:
        """Make the cells at `indices` hold `values`, writing only those that differ."""
        different = np.flatnonzero(await self.read(name, indices) != values)
        await self.write(name, indices[different], values[different])


class P4RuntimeRegisters(Registers):
    """Registers as P4Runtime entities.

    finsy's own reading would turn every cell into an object: ten times slower.
    """

    def __init__(self, switch: fy.Switch) -> None:
        super().__init__(switch)
        self._reader = fy.P4Client(switch.address)

    async def __aenter__(self) -> Self:
        await self._reader.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._reader.close()

    async def read(self, name: str, indices: Cells) -> Cells:
        """Return the values at `indices`."""
        if len(indices) * _WHOLE > self.size(name):
            return (await self._read_all(name))[indices]
        register = self._switch.p4info.registers[name].id
        values = np.zeros(len(indices), dtype=np.int64)
        for start in range(0, len(indices), _BATCH):
            wanted = indices[start : start + _BATCH].tolist()
            places = {index: start + i for i, index in enumerate(wanted)}
            entries = [
                p4r.RegisterEntry(register_id=register, index=p4r.Index(index=index))
                for index in wanted
            ]
            async for found, data in self._cells(entries):
                values[[places[index] for index in found]] = data
        return values

    async def _read_all(self, name: str) -> Cells:
        entry = p4r.RegisterEntry(register_id=self._switch.p4info.registers[name].id)
        values = np.zeros(self.sizes[name], dtype=np.int64)
        async for found, data in self._cells([entry]):
            values[found] = data
        return values

    async def _cells(
        self, entries: list[p4r.RegisterEntry]
    ) -> AsyncIterator[tuple[list[int], list[int]]]:
        """Yield the indices and the values of the cells that `entries` ask for, in batches."""
        request = p4r.ReadRequest(
            device_id=self._switch.device_id,
            entities=[p4r.Entity(register_entry=entry) for entry in entries],
        )
        async for reply in self._reader.request_iter(request):
            cells = [entity.register_entry for entity in reply.entities]
            yield (
                [cell.index.index for cell in cells],
                [int.from_bytes(cell.data.bitstring, "big") for cell in cells],
            )

    async def write(self, name: str, indices: Cells, values: Cells) -> None:
        """Set the cells at `indices` to `values`."""
        for start in range(0, len(indices), _BATCH):
            pairs = zip(
                indices[start : start + _BATCH].tolist(),
                values[start : start + _BATCH].tolist(),
                strict=True,
            )
            await self._switch.modify(
                [fy.P4RegisterEntry(name, index=index, data=value) for index, value in pairs]
            )


class ThriftRegisters(Registers):
    """Registers of BMv2, by the calls of its Thrift port."""

    def __init__(self, switch: fy.Switch, address: str) -> None:
        super().__init__(switch)
        self._client = ThriftClient(address, f"switch {switch.name}")

    async def __aenter__(self) -> Self:
        await self._client.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.close()

    def _name(self, name: str) -> str:
        self.size(name)
        return str(self._switch.p4info.registers[name].name)

    async def read(self, name: str, indices: Cells) -> Cells:
        """Return the values at `indices`."""
        register = self._name(name)
        if len(indices) * _WHOLE > self.size(name):
            (cells,) = await self._client.call([read_all_call(register)])
            return cast(Cells, cells[indices])
        calls = [read_call(register, index) for index in indices.tolist()]
        return np.array(await self._batches(calls), dtype=np.int64)

    async def write(self, name: str, indices: Cells, values: Cells) -> None:
        """Set the cells at `indices` to `values`."""
        register = self._name(name)
        pairs = zip(indices.tolist(), values.tolist(), strict=True)
        await self._batches([write_call(register, index, value) for index, value in pairs])

    async def _batches(self, calls: list[tuple[str, bytes]]) -> list[int]:
        """In batches, so that neither end's socket fills up while nobody reads it."""
        results: list[int] = []
        for start in range(0, len(calls), _CALLS):
            results += await self._client.call(calls[start : start + _CALLS])
        return results
