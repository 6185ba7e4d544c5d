"""v1model's extern functions and objects, as simple_switch performs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from switch import ir
from switch.backend import representation as rep
from switch.backend.context import array_size
from switch.backend.expressions import Place
from switch.backend.hashes import HashWriter
from switch.backend.keys import KeyLayout
from switch.backend.source import source
from switch.backend.text import p4_name
from switch.backend.trace import Datum, Kind
from switch.backend.types import flatten, is_flat, members
from switch.frontend.errors import unsupported

_WORD = ir.Bits(64)


class ExternWriter(HashWriter):
    """Extern calls."""

    # --- functions --------------------------------------------------------------------------------

    def extern_call(self, call: ir.ExternCall) -> None:
        arguments = call.arguments
        match call.name:
            case "mark_to_drop":
                self.out.add("c->std.egress_spec_ = s->drop_port;")
                self.out.add("c->std.mcast_grp_ = 0;")
                self.hook("request", call.name, call.loc)
            case "hash":
                self._hash(call)
            case "random":
                self._random(call)
            case "digest":
                self._digest(call)
            case "clone" | "clone_preserving_field_list":
                session = self.temporary(_WORD, self._word(arguments[1]))
                self.hook("request", call.name, call.loc, ("session", session, ir.Bits(32)))
                self.out.add("c->p.cloned = true;")
                self.out.add(f"c->p.clone_session = (uint32_t){session} & 0x7fff;")
                self.out.add(f"c->p.clone_list = {self._field_list(call, 2)};")
            case "resubmit_preserving_field_list":
                self.hook("request", call.name, call.loc)
                self.out.add("c->p.resubmitted = true;")
                self.out.add(f"c->p.resubmit_list = {self._field_list(call, 0)};")
            case "recirculate_preserving_field_list":
                self.hook("request", call.name, call.loc)
                self.out.add("c->p.recirculated = true;")
                self.out.add(f"c->p.recirculate_list = {self._field_list(call, 0)};")
            case "truncate":
                length = self.temporary(_WORD, self._word(arguments[0]))
                self.hook("request", call.name, call.loc, ("length", length, ir.Bits(32)))
                self.out.add(f"if ({length} < c->p.truncate) c->p.truncate = (uint32_t){length};")
            case "verify_checksum" | "verify_checksum_with_payload":
                self._verify_checksum(call)
            case "update_checksum" | "update_checksum_with_payload":
                self._update_checksum(call)
            case "assert" | "assume":
                with self.out.block(f"if (P4_UNLIKELY(!{self.value(arguments[0])}))"):
                    self.out.add("c->p.failed = true;")
                    kind: Kind = "assert" if call.name == "assert" else "assume"
                    self.hook(kind, source(arguments[0]), call.loc)
            case "log_msg":
                self._log(call)
            case _:
                raise unsupported(call.loc, f"extern function '{call.name}'")

    def _log(self, call: ir.ExternCall) -> None:
        """The message and, when there are any, the values that it shows."""
        text, *data = call.arguments
        if not isinstance(text, ir.StringLiteral):
            raise unsupported(text.loc, "a message that is not a constant")
        values = [
            (str(i), leaf.value, leaf.type)
            for i, leaf in enumerate(leaf for each in data for leaf in self._leaves(each))
        ]
        self.hook("log_msg", text.value, call.loc, *values)

    def _word(self, expression: ir.Expression) -> str:
        bits = rep.bits_of(expression.type)
        assert bits is not None
        return rep.convert(self.value(expression), ir.Bits(bits.width), _WORD)

    def _field_list(self, call: ir.ExternCall, position: int) -> int:
        """The list's number + 1; 0 is the empty list."""
        if position >= len(call.arguments):
            return 0
        index = call.arguments[position]
        if not isinstance(index, ir.IntLiteral):
            raise unsupported(index.loc, "a field list that is not a constant")
        return index.value + 1

    def assign_word(self, target: ir.Expression, value: str) -> None:
        """Store a uint64_t in a scalar of any width."""
        if isinstance(target, ir.DontCare):
            return
        bits = rep.bits_of(target.type)
        assert bits is not None
        self.store(self.place(target), rep.convert(value, _WORD, ir.Bits(bits.width)))

    def _hash(self, call: ir.ExternCall) -> None:
        """result = base + hash % max, in 64 bits; max 0 counts as 1."""
        _, algorithm, base, data, most = call.arguments
        first = self.temporary(_WORD, self._word(base))
        digest = self.checksum(algorithm, data, payload=False)
        span = self._word(most)
        if isinstance(most, ir.IntLiteral):
            span = f"{most.value & (1 << 64) - 1 or 1:#x}ull"
        else:
            span = self.temporary(_WORD, span)
            self.out.add(f"if ({span} == 0) {span} = 1;")
        self._assign_result(call, f"({first} + {digest} % {span})")

    def _assign_result(self, call: ir.ExternCall, value: str) -> None:
        """Assign to the first argument."""
        target = call.arguments[0]
        result = self.temporary(_WORD, value)
        self.assign_word(target, result)
        bits = rep.bits_of(target.type)
        assert bits is not None
        found = rep.convert(result, _WORD, ir.Bits(bits.width))
        self.hook("result", call.name, call.loc, (source(target), found, target.type))

    def _random(self, call: ir.ExternCall) -> None:
        result, low, high = call.arguments
        a, b = (self.temporary(_WORD, self._word(e)) for e in (low, high))
        otherwise = "0" if isinstance(result, ir.DontCare) else self._word(result)
        self._assign_result(call, f"p4_random_between(s, {a}, {b}, {otherwise})")

    def _digest(self, call: ir.ExternCall) -> None:
        data = call.arguments[1]
        if not is_flat(data.type):
            raise unsupported(data.loc, f"a digest of {data.type}")
        number = self.context.digests.index(data.type)
        place = self.place(data).c
        for i, value in enumerate(self._digest_words(place, data.type)):
            self.out.add(f"c->digest_words[{i}] = {value};")
        self.out.add(f"c->p.digest = {number + 1};")
        values = [
            (p4_name(path.removeprefix(".")), f"{place}{path}", leaf)
            for path, leaf in flatten(data.type)
        ]
        self.hook("digest", str(data.type), call.loc, *values)

    def _digest_words(self, place: str, type_: ir.Type) -> Iterator[str]:
        """As many words as `digest_values` says."""
        if rep.is_scalar(type_):
            yield from self.words(self.load(Place(place, type_)), type_)
        elif isinstance(type_, ir.Varbit):
            yield f"{place}.bits"
            for i in range(words_for(type_.max_width)):
                yield f"p4_varbit_word({place}.data, {place}.bits, {i})"
        else:
            if isinstance(type_, ir.Header):
                yield f"{place}.valid"
            for name, member in members(type_):
                yield from self._digest_words(f"{place}.{name}", member)

    def words(self, value: str, type_: ir.Type) -> Iterator[str]:
        """A scalar as 64-bit words, lowest first."""
        if isinstance(type_, ir.Bool):
            yield f"(uint64_t){value}"
            return
        bits = rep.bits_of(type_)
        assert bits is not None
        if bits.width <= 64:
            yield value
            return
        name = self.temporary(type_, value)
        for i in range(rep.words_of(type_)):
            yield f"(uint64_t)({name} >> {64 * i})" if bits.width <= rep.BIG else f"{name}.w[{i}]"

    def find_entry(self, table: str, layout: KeyLayout, keys: Sequence[Sequence[str]]) -> str:
        """Pack the keys, given as words, and look them up: a pointer, NULL when nothing matches."""
        parts: list[list[str]] = [[] for _ in range(layout.words)]
        for key, field in zip(keys, layout.fields, strict=True):
            for i, word in enumerate(key):
                part = f"({word})"
                parts[field.word + i].append(f"({part} << {field.shift})" if field.shift else part)
        packed, words = self.fresh("key"), layout.words
        values = ", ".join(" | ".join(part) or "0" for part in parts)
        self.out.add(f"const uint64_t {packed}[{words}] = {{{values}}};")
        if layout.kind == "exact":
            return f"p4_lookup_exact({table}, {packed}, {words})"
        ranges = "true" if layout.ranges else "false"
        return f"p4_lookup_masked({table}, {packed}, {words}, {ranges})"

    # --- checksums --------------------------------------------------------------------------------

    def _verify_checksum(self, call: ir.ExternCall) -> None:
        condition, data, checksum, algorithm = call.arguments
        bits = rep.bits_of(checksum.type)
        assert bits is not None
        guard = self.value(condition)
        valid = self.validity(checksum)
        with self.out.block(f"if ({guard}{f' && {valid}' if valid else ''})"):
            digest = self.checksum(algorithm, data, payload=call.name.endswith("payload"))
            found = self.temporary(_WORD, self._word(checksum))
            different = rep.compare("!=", digest, found, _WORD)
            self.out.add(f"if ({different}) c->p.checksum_error = true;")
            computed = rep.convert(digest, _WORD, ir.Bits(bits.width))
            values = [(source(checksum), found), ("computed", computed)]
            self.hook("checksum", call.name, call.loc, *((n, v, checksum.type) for n, v in values))

    def _update_checksum(self, call: ir.ExternCall) -> None:
        condition, data, checksum, algorithm = call.arguments
        with self.out.block(f"if ({self.value(condition)})"):
            digest = self.checksum(algorithm, data, payload=call.name.endswith("payload"))
            self.assign_word(checksum, digest)
            bits = rep.bits_of(checksum.type)
            assert bits is not None
            computed = rep.convert(digest, _WORD, ir.Bits(bits.width))
            self.hook("checksum", call.name, call.loc, (source(checksum), computed, checksum.type))

    # --- objects ----------------------------------------------------------------------------------

    def method_call(self, call: ir.MethodCall) -> None:
        instance = call.instance
        match instance.type.name, call.method:
            case "register", "read":
                self._register_read(call)
            case "register", "write":
                self._register_write(call)
            case "counter", "count":
                number = self.context.counters[instance]
                index = self._index(call.arguments[0])
                self.out.add(f"p4_count(s, {number}, {index}, c->p.ingress_length);")
                self.hook("counter", instance.name, call.loc, ("index", index, _WORD))
            case "meter", "execute_meter":
                self._execute_meter(call)
            case "direct_counter", "count":
                pass  # counted by the table, whether or not the action says so
            case "direct_meter", "read":
                self._read_direct_meter(call)
            case kind, method:
                raise unsupported(call.loc, f"'{kind}.{method}'")

    def _index(self, expression: ir.Expression) -> str:
        """An array index as uint64_t; what needs more bits is out of bounds."""
        bits = rep.bits_of(expression.type)
        assert bits is not None
        return rep.shift_amount(self.value(expression), bits)

    def _register_read(self, call: ir.MethodCall) -> None:
        """Out of bounds the target keeps its value."""
        target, index = call.arguments
        at = self.temporary(_WORD, self._index(index))
        element = call.instance.type.arguments[0]
        cell, zero = self._cell(call.instance, at), self.types.zero(element)
        seen = f"{at} < {array_size(call.instance)} ? {cell} : {zero}"
        self.hook(
            "read", call.instance.name, call.loc, ("index", at, _WORD), ("value", seen, element)
        )
        if isinstance(target, ir.DontCare):
            return
        place = self.place(target)
        with self.out.block(f"if ({at} < {array_size(call.instance)})"):
            self.store(place, cell)

    def _register_write(self, call: ir.MethodCall) -> None:
        index, value = call.arguments
        at = self.temporary(_WORD, self._index(index))
        new = self.temporary(value.type, self.value(value))
        self.hook(
            "write", call.instance.name, call.loc, ("index", at, _WORD), ("value", new, value.type)
        )
        with self.out.block(f"if ({at} < {array_size(call.instance)})"):
            self.out.add(f"{self._cell_place(call.instance, at)} = {new};")

    def _cell_place(self, instance: ir.ExternInstance, at: str) -> str:
        element = instance.type.arguments[0]
        if not rep.is_scalar(element):
            raise unsupported(instance.loc, f"a register of {element}")
        number = self.context.registers[instance]
        if isinstance(element, ir.Bool):
            return f"((bool *)s->registers[{number}])[{at}]"
        bits = rep.bits_of(element)
        assert bits is not None
        return f"(({rep.c_storage(bits)} *)s->registers[{number}])[{at}]"

    def _cell(self, instance: ir.ExternInstance, at: str) -> str:
        return self.load(Place(self._cell_place(instance, at), instance.type.arguments[0]))

    def _execute_meter(self, call: ir.MethodCall) -> None:
        index, target = call.arguments
        number = self.context.meters[call.instance]
        meter = self.fresh("m")
        at = self.temporary(_WORD, self._index(index))
        self.out.add(f"struct p4_meter *{meter} = p4_meter_at(s, {number}, {at});")
        amount = f"p4_program.meter_types[{number}].bytes, c->p.ingress_length"
        with self.out.block(f"if ({meter})"):
            colour = self.temporary(_WORD, f"p4_meter_execute({meter}, {amount}, s->origin_ns)")
            self.assign_word(target, colour)
            seen: tuple[Datum, Datum] = ("index", at, _WORD), ("colour", colour, _WORD)
            self.hook("meter", call.instance.name, call.loc, *seen)

    def _read_direct_meter(self, call: ir.MethodCall) -> None:
        """The colour that the table found when the entry was hit; a miss has none."""
        with self.out.block("if (c->colour != P4_NONE)"):
            self.assign_word(call.arguments[0], "(uint64_t)c->colour")
            self.hook("meter", call.instance.name, call.loc, ("colour", "c->colour", _WORD))


def words_for(width: int) -> int:
    return max(1, -(-width // 64))


def digest_values(type_: ir.Type) -> Iterator[int]:
    """The words of each value in a digest: a header's validity and a varbit's width come first."""
    if rep.is_scalar(type_):
        yield rep.words_of(type_)
    elif isinstance(type_, ir.Varbit):
        yield 1
        yield words_for(type_.max_width)
    else:
        if isinstance(type_, ir.Header):
            yield 1
        for _, member in members(type_):
            yield from digest_values(member)
