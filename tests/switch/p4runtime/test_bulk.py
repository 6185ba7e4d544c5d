"""Whole register arrays, serialized by numpy, against protobuf itself."""

import numpy as np
from finsy.proto import p4r
from hypothesis import given
from hypothesis import strategies as st

from switch.p4runtime import bulk, codec
from switch.p4runtime.p4data import Scalar
from switch.p4runtime.schema import Register

CELLS = st.lists(
    st.one_of(st.integers(0, 300), st.integers(0, 2**64 - 1), st.sampled_from([0, 2**64 - 1]))
)


def register(number: int, size: int) -> Register:
    return Register(number, "r", size, Scalar("bitstring", 64))


def plainly(number: int, first: int, cells: list[int]) -> bytes:
    response = p4r.ReadResponse()
    for index, value in enumerate(cells, first):
        entry = response.entities.add().register_entry
        entry.register_id = number
        entry.index.index = index
        entry.data.bitstring = codec.encode(value)
    return response.SerializeToString()


@given(
    cells=CELLS,
    first=st.one_of(st.integers(0, 200), st.integers(0, 2**31)),
    number=st.integers(1, 2**32 - 1),
)
def test_the_bytes_are_protobufs(cells: list[int], first: int, number: int) -> None:
    values = np.array(cells, dtype=np.uint64)
    found = b"".join(bulk.register_cells(register(number, len(cells)), values, first))
    assert found == plainly(number, first, cells)


def test_blocks_join_up() -> None:
    values = np.arange(2 * bulk.BLOCK + 5, dtype=np.uint32)
    found = list(bulk.register_cells(register(7, len(values)), values))
    assert len(found) == 3
    assert b"".join(found) == plainly(7, 0, values.tolist())
