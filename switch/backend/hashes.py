"""What checksums and hashes are taken of: fields packed into bytes, as simple_switch does it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from switch import ir
from switch.backend import representation as rep
from switch.backend.calls import CallWriter
from switch.backend.expressions import Place
from switch.backend.layout import Piece, write_bits
from switch.backend.types import is_flat, members
from switch.frontend.errors import unsupported

_HASHES = {
    "crc32": "p4_hash_crc32",
    "crc32_custom": "p4_hash_crc32",
    "crc16": "p4_hash_crc16",
    "crc16_custom": "p4_hash_crc16",
    "csum16": "p4_hash_csum16",
    "xor16": "p4_hash_xor16",
    "identity": "p4_hash_identity",
}
_WORD = ir.Bits(64)


class Packed:
    """One scalar or varbit of what is hashed, and the validity it depends on (None: none)."""

    __slots__ = ("type", "valid", "value")

    def __init__(self, value: str, type_: ir.Type, valid: str | None) -> None:
        self.value = value
        self.type = type_
        self.valid = valid


class HashWriter(CallWriter):
    """Hashes of expressions."""

    def validity(self, expression: ir.Expression) -> str | None:
        """The validity bit that a header's field depends on."""
        while isinstance(expression, ir.Member | ir.Slice):
            if isinstance(expression, ir.Member) and isinstance(expression.base.type, ir.Header):
                return f"{self.place(expression.base).c}.valid"
            expression = expression.base
        return None

    def _leaves(self, data: ir.Expression, valid: str | None = None) -> Iterator[Packed]:
        if isinstance(data, ir.TupleValue | ir.StructValue):
            for element in data.elements:
                yield from self._leaves(element)
            return
        valid = valid or self.validity(data)
        if rep.is_scalar(data.type):
            yield Packed(self.value(data), data.type, valid)
            return
        yield from self._place_leaves(self.place(data).c, data, data.type, valid)

    def _place_leaves(
        self, place: str, data: ir.Expression, type_: ir.Type, valid: str | None
    ) -> Iterator[Packed]:
        if rep.is_scalar(type_):
            yield Packed(self.load(Place(place, type_)), type_, valid)
            return
        if isinstance(type_, ir.Varbit):
            yield Packed(place, type_, valid)
            return
        if not is_flat(type_):
            raise unsupported(data.loc, f"a hash over {type_}")
        if isinstance(type_, ir.Header):
            valid = f"{place}.valid"
        for name, member in members(type_):
            yield from self._place_leaves(f"{place}.{name}", data, member, valid)

    def checksum(self, algorithm: ir.Expression, data: ir.Expression, payload: bool) -> str:
        """The hash of the packed data (and the payload), as a uint64_t."""
        assert isinstance(algorithm, ir.EnumLiteral)
        if algorithm.member == "random":
            return self.temporary(_WORD, "p4_random(s)")
        if algorithm.member not in _HASHES:
            raise unsupported(algorithm.loc, f"hash algorithm '{algorithm.member}'")
        leaves = list(self._leaves(data))
        result = self.temporary(_WORD)
        hashed = f"{result} = {_HASHES[algorithm.member]}"
        most = sum(
            leaf.type.max_width if isinstance(leaf.type, ir.Varbit) else rep.width_of(leaf.type)
            for leaf in leaves
        )
        buffer, size, rest = self.fresh("b"), most // 8 + 1, "c->p.length - c->p.parsed"
        if not payload:
            self.out.add(f"uint8_t {buffer}[{size}];")
            self.out.add(f"{hashed}({buffer}, {self._packed(leaves, buffer, most)});")
            return result
        self.out.add(f"uint8_t *{buffer} = p4_scratch(s, {size} + {rest});")
        self.out.add(f"if (!{buffer}) c->p.failed = true;")
        with self.out.block(f"if ({buffer})"):
            length = self._packed(leaves, buffer, most)
            self.out.add(f"memcpy({buffer} + {length}, c->p.data + c->p.parsed, {rest});")
            self.out.add(f"{hashed}({buffer}, {length} + {rest});")
        return result

    def _packed(self, leaves: Sequence[Packed], buffer: str, most: int) -> str:
        """Pack the data into bytes, leaving out fields of invalid headers; how many there are."""
        length, size = self.fresh("n"), most // 8 + 1
        self.out.add(f"size_t {length} = {-(-most // 8)};")
        flags = dict.fromkeys(leaf.valid for leaf in leaves if leaf.valid)
        variable = any(isinstance(leaf.type, ir.Varbit) for leaf in leaves)
        static = [] if variable else write_bits(buffer, [_piece(leaf) for leaf in leaves])
        if static and not flags:
            for line in static:
                self.out.add(line)
        elif static:
            with self.out.block(f"if ({' && '.join(flags)})", "} else {"):
                for line in static:
                    self.out.add(line)
            self.out.depth += 1
            if len(flags) == 1 and all(leaf.valid for leaf in leaves):
                self.out.add(f"{length} = 0;")
            else:
                self._pack_one_by_one(leaves, buffer, length, size)
            self.out.depth -= 1
            self.out.add("}")
        else:
            self._pack_one_by_one(leaves, buffer, length, size)
        return length

    def _pack_one_by_one(
        self, leaves: Sequence[Packed], buffer: str, length: str, size: int
    ) -> None:
        packer = self.fresh("k")
        self.out.add(f"memset({buffer}, 0, {size});")
        self.out.add(f"struct p4_packer {packer} = {{{buffer}, 0}};")
        for leaf in leaves:
            guard = f"if ({leaf.valid})" if leaf.valid else ""
            with self.out.block(guard):
                self.pack(leaf, packer)
        self.out.add(f"{length} = ({packer}.bits + 7) / 8;")

    def pack(self, leaf: Packed, packer: str) -> None:
        if isinstance(leaf.type, ir.Varbit):
            data = f"{leaf.value}.data, {leaf.value}.bits"
            self.out.add(f"p4_pack_bytes(&{packer}, {data});")
            return
        width = rep.width_of(leaf.type)
        if width <= rep.BIG:
            self.out.add(f"p4_pack(&{packer}, {leaf.value}, {width});")
            return
        for line in _wide_pack(leaf, packer, width):
            self.out.add(line)


def _piece(leaf: Packed) -> Piece:
    bits = rep.bits_of(leaf.type)
    if bits is None:
        return Piece(f"(uint64_t){leaf.value}", ir.Bits(1))
    return Piece(leaf.value, ir.Bits(bits.width))


def _wide_pack(leaf: Packed, packer: str, width: int) -> Iterator[str]:
    """A p4_big, 64 bits at a time from the top."""
    for low in reversed(range(0, width, 64)):
        part = rep.slice_of(leaf.value, ir.Bits(width), min(low + 63, width - 1), low)
        yield f"p4_pack(&{packer}, {part}, {min(64, width - low)});"
