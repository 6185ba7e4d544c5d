"""Headers: validity, extraction, emission, stacks."""

from __future__ import annotations

from collections.abc import Iterator

from switch import ir
from switch.backend import representation as rep
from switch.backend.expressions import Place
from switch.backend.externs import ExternWriter
from switch.backend.hashes import Packed
from switch.backend.layout import Piece, write_bits
from switch.backend.source import source
from switch.backend.text import identifier, p4_name
from switch.backend.trace import Datum
from switch.backend.types import bit_width, flatten, members, varbit_of
from switch.frontend.errors import unsupported


def header_bytes(header: ir.Header, loc: ir.Loc) -> int:
    """The fixed part; simple_switch has no headers that end within a byte."""
    width = bit_width(header)
    if width % 8:
        raise unsupported(loc, f"header '{header.name}' of {width} bits, not whole bytes,")
    return width // 8


class HeaderWriter(ExternWriter):
    """Operations on headers and on the packet."""

    # --- validity ---------------------------------------------------------------------------------

    def _others(self, header: ir.Expression) -> Iterator[str]:
        """The other members of the union that a header belongs to."""
        if isinstance(header, ir.Member) and isinstance(header.base.type, ir.HeaderUnion):
            union = self.place(header.base).c
            for field in header.base.type.fields:
                if field.name != header.field:
                    yield f"{union}.{identifier(field.name)}"

    def invalidate_others(self, header: ir.Expression) -> None:
        for other in self._others(header):
            self.out.add(f"{other}.valid = false;")

    def set_valid(self, header: ir.Expression) -> None:
        """A header that was not valid starts with zero fields, as in simple_switch."""
        assert isinstance(header.type, ir.Header)
        name = self.place(header).c
        size = header_bytes(header.type, header.loc)
        with self.out.block(f"if (!{name}.valid)"):
            self.out.add(f"memset(&{name}, 0, sizeof {name});")
            self.out.add(f"{name}.valid = true;")
            self.out.add(f"c->p.packet_length += {size};")
        self.invalidate_others(header)

    def set_invalid(self, header: ir.Expression) -> None:
        name = self.place(header).c
        types = (
            [(f".{field}", type_) for field, type_ in members(header.type)]
            if isinstance(header.type, ir.HeaderUnion)
            else [("", header.type)]
        )
        for path, type_ in types:
            assert isinstance(type_, ir.Header)
            with self.out.block(f"if ({name}{path}.valid)"):
                self.out.add(f"{name}{path}.valid = false;")
                length = self._length(f"{name}{path}", type_, header.loc)
                self.out.add(f"c->p.packet_length -= {length};")

    def count_header(self, name: str, header: ir.Header, value: ir.Expression) -> None:
        """For p4c a list assigned is setValid and its fields; a copy leaves packet_length alone."""
        made = value.operand if isinstance(value, ir.Cast) else value
        if isinstance(made, ir.TupleValue | ir.StructValue):
            size = header_bytes(header, value.loc)
            self.out.add(f"if (!{name}.valid) c->p.packet_length += {size};")

    @staticmethod
    def _length(name: str, header: ir.Header, loc: ir.Loc) -> str:
        """Bytes of a header with its varbit."""
        fixed = header_bytes(header, loc)
        varbit = varbit_of(header)
        return f"({fixed} + {name}{varbit[0]}.bits / 8)" if varbit else str(fixed)

    # --- stacks -----------------------------------------------------------------------------------

    def push_front(self, stack: ir.Expression, count: int) -> None:
        name, size = self._stack(stack)
        moved = max(0, size - count)
        if moved:
            at = f"{name}.e + {size - moved}"
            self.out.add(f"memmove({at}, {name}.e, {moved} * sizeof *{name}.e);")
        self._invalidate(name, 0, size - moved)
        self.out.add(
            f"{name}.next = {name}.next + {count} < {size} ? {name}.next + {count} : {size};"
        )

    def pop_front(self, stack: ir.Expression, count: int) -> None:
        name, size = self._stack(stack)
        moved = max(0, size - count)
        if moved:
            at = f"{name}.e + {size - moved}"
            self.out.add(f"memmove({name}.e, {at}, {moved} * sizeof *{name}.e);")
        self._invalidate(name, moved, size)
        self.out.add(f"{name}.next = {name}.next > {count} ? {name}.next - {count} : 0;")

    def _stack(self, stack: ir.Expression) -> tuple[str, int]:
        assert isinstance(stack.type, ir.HeaderStack)
        return self.place(stack).c, stack.type.size

    def _invalidate(self, name: str, first: int, end: int) -> None:
        if first < end:
            self.out.add(f"memset({name}.e + {first}, 0, {end - first} * sizeof *{name}.e);")

    # --- extraction -------------------------------------------------------------------------------

    def extract(self, call: ir.Extract) -> None:
        header = call.target.type
        assert isinstance(header, ir.Header)
        place = self.place(call.target).c
        if varbit_of(header):
            self._extract_varbit(call, place, header)
        else:
            size = header_bytes(header, call.loc)
            self.fail("PacketTooShort", f"c->p.length - c->p.parsed < {size}")
            pointer = self.fresh("p")
            self.out.add(f"const uint8_t *{pointer} = c->p.data + c->p.parsed;")
            self.out.add(f"c->p.parsed += {size};")
            self.read_fields(place, header, pointer, 0)
        self.hook("extract", source(call.target), call.loc, *_fields(place, header))
        self.invalidate_others(call.target)
        if isinstance(call.target, ir.StackNext):
            self.out.add(f"{self.place(call.target.stack).c}.next++;")
        elif isinstance(call.target, ir.Member) and isinstance(call.target.base, ir.StackNext):
            self.out.add(f"{self.place(call.target.base.stack).c}.next++;")

    def _extract_varbit(self, call: ir.Extract, place: str, header: ir.Header) -> None:
        """The checks and their order are simple_switch's."""
        assert call.varbit_bits is not None
        found = varbit_of(header)
        assert found is not None
        varbit_path, varbit = found
        bits = self.temporary(ir.Bits(64), self.value(call.varbit_bits))
        size = header_bytes(header, call.loc)
        self.fail("ParserInvalidArgument", f"{bits} % 8 != 0 || {bits} > INT32_MAX")
        self.fail("PacketTooShort", f"c->p.length - c->p.parsed < {size} + {bits} / 8")
        self.fail("HeaderTooShort", f"{bits} > {varbit.max_width}")
        pointer = self.fresh("p")
        self.out.add(f"const uint8_t *{pointer} = c->p.data + c->p.parsed;")
        offset = 0
        for path, leaf in flatten(header):
            if isinstance(leaf, ir.Varbit):
                after = f"{pointer}v"
                self.out.add(f"const uint8_t *{after} = {pointer} + {offset // 8};")
                offset %= 8
                self.out.add(f"{place}{varbit_path}.bits = (uint32_t){bits};")
                target = f"{place}{varbit_path}.data"
                if offset:
                    self.out.add(f"p4_unpack_bytes({target}, {after}, {offset}, {bits} / 8);")
                else:
                    self.out.add(f"memcpy({target}, {after}, {bits} / 8);")
                self.out.add(f"{after} += {bits} / 8;")
                pointer = after
            else:
                offset = self.read_fields(f"{place}{path}", leaf, pointer, offset)
        self.out.add(f"{place}.valid = true;")
        self.out.add(f"c->p.parsed += {size} + (uint32_t){bits} / 8;")

    def advance(self, call: ir.Advance) -> None:
        amount = rep.bits_of(call.bits.type)
        assert amount is not None
        bits = self.temporary(ir.Bits(64), rep.shift_amount(self.value(call.bits), amount))
        self.fail("ParserInvalidArgument", f"{bits} % 8 != 0")
        self.fail("PacketTooShort", f"c->p.length - c->p.parsed < {bits} / 8")
        self.out.add(f"c->p.parsed += (uint32_t)({bits} / 8);")
        self.hook("advance", "packet", call.loc, ("bits", bits, ir.Bits(32)))

    # --- emission ---------------------------------------------------------------------------------

    def emit(self, value: ir.Expression) -> None:
        self._emit(self.place(value).c, source(value), value.type, value.loc)

    def _emit(self, place: str, name: str, type_: ir.Type, loc: ir.Loc) -> None:
        match type_:
            case ir.Header():
                self._emit_header(place, name, type_, loc)
            case ir.HeaderStack(element=element, size=size):
                for i in range(size):
                    self._emit(f"{place}.e[{i}]", f"{name}[{i}]", element, loc)
            case ir.Composite() | ir.Tuple():
                for field, member in members(type_):
                    self._emit(f"{place}.{field}", f"{name}.{p4_name(field)}", member, loc)
            case _:
                raise unsupported(loc, f"emit of {type_}")

    def _emit_header(self, place: str, name: str, header: ir.Header, loc: ir.Loc) -> None:
        size = header_bytes(header, loc)
        length = self._length(place, header, loc)
        with self.out.block(f"if ({place}.valid)"):
            reserved = f"p4_reserve_out(s, c->p.out_length + {length})"
            self.out.add(f"if (!{reserved}) {{ c->p.failed = true; {self.leave} }}")
            pointer = self.fresh("p")
            self.out.add(f"uint8_t *{pointer} = s->out + c->p.out_length;")
            if _varbit_offset(header) % 8:
                self._pack_header(place, header, pointer, length)
            else:
                self._write_header(place, header, pointer)
            self.out.add(f"c->p.out_length += {length if varbit_of(header) else size};")
            self.hook("emit", name, loc, *_fields(place, header))

    def _write_header(self, place: str, header: ir.Header, pointer: str) -> None:
        """With the fields before and after a varbit on byte borders."""
        pieces: list[Piece] = []
        for path, leaf in flatten(header):
            if isinstance(leaf, ir.Varbit):
                self._write(pointer, pieces)
                before = sum(piece.bits.width for piece in pieces) // 8
                data = f"{place}{path}"
                after = f"{pointer}v"
                self.out.add(f"uint8_t *{after} = {pointer} + {before};")
                self.out.add(f"memcpy({after}, {data}.data, {data}.bits / 8);")
                self.out.add(f"{after} += {data}.bits / 8;")
                pointer, pieces = after, []
            else:
                value = self.load(Place(f"{place}{path}", leaf))
                bits = rep.bits_of(leaf)
                if bits is None:
                    value, bits = f"(uint64_t){value}", ir.Bits(1)
                pieces.append(Piece(value, ir.Bits(bits.width)))
        self._write(pointer, pieces)

    def _pack_header(self, place: str, header: ir.Header, pointer: str, length: str) -> None:
        """With a varbit that begins within a byte."""
        self.out.add(f"memset({pointer}, 0, {length});")
        packer = self.fresh("k")
        self.out.add(f"struct p4_packer {packer} = {{{pointer}, 0}};")
        for path, leaf in flatten(header):
            value = self.load(Place(f"{place}{path}", leaf))
            self.pack(Packed(value, leaf, None), packer)

    def _write(self, pointer: str, pieces: list[Piece]) -> None:
        for line in write_bits(pointer, pieces):
            self.out.add(line)


def _varbit_offset(header: ir.Header) -> int:
    """Bits before the varbit; 0 when there is none."""
    offset = 0
    for _, leaf in flatten(header):
        if isinstance(leaf, ir.Varbit):
            return offset
        offset += rep.width_of(leaf)
    return 0


def _fields(place: str, header: ir.Header) -> Iterator[Datum]:
    """All fields, for a trace."""
    for path, leaf in flatten(header):
        yield p4_name(path.removeprefix(".")), f"{place}{path}", leaf
