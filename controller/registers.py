"""Access to the switch's register arrays.

Over P4Runtime: one RegisterEntry per cell (P4Runtime spec, section 9.4). Nothing else in the
controller knows how registers are reached.
"""

from typing import Final

import finsy as fy
import numpy as np
from finsy.proto import p4r
from numpy.typing import NDArray

from controller.errors import UnknownNameError
from controller.p4runtime import read

Cells = NDArray[np.int64]

# Small enough that neither end is busy for long with one request.
_BATCH: Final = 2048


class P4RuntimeRegisters:
    """Registers as P4Runtime entities."""

    def __init__(self, switch: fy.Switch) -> None:
        self._switch = switch
        self.sizes: dict[str, int] = {each.alias: each.size for each in switch.p4info.registers}
        self.bits: dict[str, int] = {}
        for each in switch.p4info.registers:
            spec = each.pbuf.type_spec.bitstring
            self.bits[each.alias] = spec.bit.bitwidth

    def size(self, name: str) -> int:
        """Return how many cells register `name` has."""
        if name not in self.sizes:
            raise UnknownNameError(f"no register {name!r}: there are {', '.join(self.sizes)}")
        return self.sizes[name]

    async def read(self, name: str, indices: Cells) -> Cells:
        """Return the values at `indices`."""
        register = self._switch.p4info.registers[name].id
        values: list[int] = []
        for start in range(0, len(indices), _BATCH):
            wanted = indices[start : start + _BATCH].tolist()
            request = [
                p4r.Entity(
                    register_entry=p4r.RegisterEntry(
                        register_id=register, index=p4r.Index(index=index)
                    )
                )
                for index in wanted
            ]
            found: dict[int, int] = {}
            async for entity in read(self._switch, request, fy.P4RegisterEntry):
                assert entity.index is not None
                assert isinstance(entity.data, int)
                found[entity.index] = entity.data
            values += (found[index] for index in wanted)
        return np.array(values, dtype=np.int64)

    async def write(self, name: str, indices: Cells, values: Cells) -> None:
        """Set the cells at `indices` to `values`."""
        for start in range(0, len(indices), _BATCH):
            pairs = zip(
                indices[start : start + _BATCH].tolist(),
                values[start : start + _BATCH].tolist(),
                strict=True,
            )
            await self._switch.write(
                [~fy.P4RegisterEntry(name, index=index, data=value) for index, value in pairs]
            )

    async def put(self, name: str, indices: Cells, values: Cells) -> int:
        """Make the cells at `indices` hold `values`, writing only those that differ: how many."""
        different = np.flatnonzero(await self.read(name, indices) != values)
        await self.write(name, indices[different], values[different])
        return len(different)
