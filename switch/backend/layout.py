"""Fields in packet bytes: loads and stores with constant offsets, nothing but shifts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from switch import ir
from switch.backend import representation as rep


def read_bits(pointer: str, offset: int, bits: ir.Bits) -> str:
    """The field of that width `offset` bits after `pointer`, as a masked value."""
    width = bits.width
    if width == 0:
        return rep.literal(0, bits)
    first, last = offset // 8, (offset + width - 1) // 8
    count = last - first + 1
    shift = (last + 1) * 8 - (offset + width)
    at = f"{pointer} + {first}" if first else pointer
    if count <= 8:
        loaded = ir.Bits(8 * count)
        value = f"p4_load({at}, {count})"
    elif count <= 16:
        loaded = ir.Bits(8 * count)
        value = f"p4_load128({at}, {count})"
    else:
        loaded = ir.Bits(max(8 * count, rep.BIG + 1))
        value = f"big_load({at}, {count})"
    if shift:
        value = rep.shift(">>", value, str(shift), loaded)
    return rep.convert(value, loaded, ir.Bits(width))


@dataclass(frozen=True, slots=True)
class Piece:
    """A value to be stored: a C expression and its width."""

    value: str
    bits: ir.Bits


def _groups(pieces: Sequence[Piece]) -> Iterator[tuple[int, list[Piece]]]:
    """Runs of pieces that begin and end on byte borders (the last one may not end on one)."""
    offset = start = 0
    run: list[Piece] = []
    for piece in pieces:
        if piece.bits.width == 0:
            continue
        run.append(piece)
        offset += piece.bits.width
        if offset % 8 == 0:
            yield start, run
            start, run = offset, []
    if run:
        yield start, run


def _joined(run: Sequence[Piece], count: int) -> str:
    """One value of `count` bytes with the pieces at its high end."""
    whole = ir.Bits(8 * count)
    left = 8 * count
    value = ""
    for piece in run:
        left -= piece.bits.width
        wide = rep.convert(piece.value, ir.Bits(piece.bits.width), whole)
        part = rep.shift("<<", wide, str(left), whole) if left else wide
        value = rep.arithmetic("|", value, part, whole) if value else part
    return value


def _byte(run: Sequence[Piece], index: int) -> str:
    """Byte `index` of the joined pieces."""
    byte = ir.Bits(8)
    value, at = "", 0
    for piece in run:
        high, low = 8 * index, 8 * index + 8
        first, end = max(at, high), min(at + piece.bits.width, low)
        if first < end:
            top = at + piece.bits.width - 1
            cut = rep.slice_of(piece.value, piece.bits, top - first, top - end + 1)
            part = rep.shift("<<", cut, str(low - end), byte) if low > end else cut
            value = rep.arithmetic("|", value, part, byte) if value else part
        at += piece.bits.width
    return value


def write_bits(pointer: str, pieces: Sequence[Piece]) -> list[str]:
    """Statements that store the pieces one after the other; the last byte is filled up with 0."""
    lines: list[str] = []
    for start, run in _groups(pieces):
        count = -(-sum(piece.bits.width for piece in run) // 8)
        at = f"{pointer} + {start // 8}" if start else pointer
        if 8 * count > rep.BIG and len(run) > 1:
            lines += [f"({at})[{i}] = (uint8_t){_byte(run, i)};" for i in range(count)]
            continue
        store = {"uint64_t": "p4_store", "u128": "p4_store128", "p4_big": "big_store"}
        kind = store[rep.c_type(ir.Bits(8 * count))]
        lines.append(f"{kind}({at}, {_joined(run, count)}, {count});")
    return lines
