"""Register arrays as serialized ReadResponses, a whole block of cells at a time.

Building half a million protobuf messages one by one takes seconds; every cell's bytes have the
same few parts, so numpy lays them all out at once. Each row of a matrix is one `Entity`; a mask
tells which of its bytes are there (varints and bytestrings are as short as they can be).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from finsy.proto import p4d, p4r

from switch.p4runtime.schema import Register

BLOCK = 8192
"""Cells in one message: about 200 KB, well under the 4 MB clients accept by default."""


def _tag(message: type, name: str) -> bytes:
    """The key of a field: its number and wire type (all below 16 or given as two bytes)."""
    field = message.DESCRIPTOR.fields_by_name[name]  # type: ignore[attr-defined]
    wire_type = 0 if field.type in (field.TYPE_BOOL, field.TYPE_INT64, field.TYPE_UINT32) else 2
    return _varint(field.number << 3 | wire_type)


def _varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


ENTITIES = _tag(p4r.ReadResponse, "entities")
REGISTER_ENTRY = _tag(p4r.Entity, "register_entry")
REGISTER_ID = _tag(p4r.RegisterEntry, "register_id")
INDEX = _tag(p4r.RegisterEntry, "index")
INDEX_INDEX = _tag(p4r.Index, "index")
DATA = _tag(p4r.RegisterEntry, "data")
BITSTRING = _tag(p4d.P4Data, "bitstring")


def register_cells(
    register: Register, values: npt.NDArray[np.generic], first: int = 0
) -> Iterator[bytes]:
    """ReadResponses with the cells of an unsigned register of at most 64 bits."""
    for start in range(0, len(values), BLOCK):
        block = values[start : start + BLOCK].astype(np.uint64)
        indices = np.arange(first + start, first + start + len(block), dtype=np.uint64)
        yield _serialize(register.id, indices, block)


def _serialize(
    number: int, indices: npt.NDArray[np.uint64], values: npt.NDArray[np.uint64]
) -> bytes:
    rows = len(values)
    index_bytes, index_mask = _varints(indices)
    value_bytes, value_mask = _bytestrings(values)
    index_length = index_mask.sum(axis=1, dtype=np.uint8)
    value_length = value_mask.sum(axis=1, dtype=np.uint8)
    # Index 0 is the default value: its message is there, but empty.
    index_message = np.where(index_length > 0, index_length + len(INDEX_INDEX), 0)
    data_message = value_length + len(BITSTRING) + 1
    identifier = REGISTER_ID + _varint(number)
    entry = len(identifier) + len(INDEX) + 1 + index_message + len(DATA) + 1 + data_message
    entity = entry + len(REGISTER_ENTRY) + 1

    columns: list[npt.NDArray[np.uint8]] = []
    masks: list[npt.NDArray[np.bool_]] = []

    def constant(part: bytes, present: npt.NDArray[np.bool_] | None = None) -> None:
        columns.append(np.broadcast_to(np.frombuffer(part, np.uint8), (rows, len(part))))
        there = np.ones(rows, np.bool_) if present is None else present
        masks.append(np.broadcast_to(there[:, None], (rows, len(part))))

    def length(lengths: npt.NDArray[np.generic]) -> None:
        columns.append(lengths.astype(np.uint8)[:, None])  # all below 128: one byte
        masks.append(np.ones((rows, 1), np.bool_))

    constant(ENTITIES)
    length(entity)
    constant(REGISTER_ENTRY)
    length(entry)
    constant(identifier)
    constant(INDEX)
    length(index_message)
    constant(INDEX_INDEX, index_length > 0)
    columns.append(index_bytes)
    masks.append(index_mask)
    constant(DATA)
    length(data_message)
    constant(BITSTRING)
    length(value_length)
    columns.append(value_bytes)
    masks.append(value_mask)
    return np.concatenate(columns, axis=1)[np.concatenate(masks, axis=1)].tobytes()


def _varints(
    numbers: npt.NDArray[np.uint64],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Varints, seven bits a column, lowest first; zero has no bytes at all."""
    width = max(1, -(-int(numbers.max(initial=0)).bit_length() // 7))
    shifted = numbers[:, None] >> (7 * np.arange(width, dtype=np.uint64))
    present = shifted > 0
    more = np.concatenate([present[:, 1:], np.zeros((len(numbers), 1), np.bool_)], axis=1)
    return ((shifted & 0x7F) | (more.astype(np.uint64) << np.uint64(7))).astype(np.uint8), present


def _bytestrings(
    numbers: npt.NDArray[np.uint64],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Big-endian, without leading zero bytes; zero is one byte."""
    width = max(1, (int(numbers.max(initial=0)).bit_length() + 7) // 8)
    shifts = 8 * np.arange(width - 1, -1, -1, dtype=np.uint64)
    shifted = numbers[:, None] >> shifts
    present = shifted > 0
    present[:, -1] = True
    return (shifted & 0xFF).astype(np.uint8), present
