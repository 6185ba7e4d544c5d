"""The whole C program: types, blocks in pipeline order, and what the runtime must know of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from switch import ir
from switch.backend import analysis, target
from switch.backend import representation as rep
from switch.backend.context import Context, array_size, counts_bytes
from switch.backend.controls import write_control, write_function, write_top_action
from switch.backend.externs import digest_values
from switch.backend.keys import data_words, key_layout, pack_data, table_size, value_set_layout
from switch.backend.literals import constant, entry_match
from switch.backend.matches import pack_match
from switch.backend.parsers import write_parser
from switch.backend.text import Lines, identifier
from switch.backend.trace import Site
from switch.runtime.entries import Entry


@dataclass(frozen=True, slots=True)
class Code:
    """A program in C, and the places that its trace tells of."""

    text: str
    sites: tuple[Site, ...]


def generate(program: ir.Program, *, trace: bool = False) -> Code:
    """C for one program; raises CompileError for what is not supported.

    With `trace` it tells of each packet what happens to it; the sites are the same without.
    """
    target.check(program)
    context = Context(program, trace=trace)
    context.names.of("reserved", "frame")
    _write_code(context)
    packet = _packet(context)
    head = Lines()
    head.add(f"#define P4_BIG_LIMBS {analysis.big_limbs(program)}")
    if trace:
        head.add("#define P4_TRACE")
    used = analysis.fields_read(program)
    for field, macro in (
        ("ingress_global_timestamp", "P4_USES_INGRESS_TIME"),
        ("enq_timestamp", "P4_USES_QUEUE_TIME"),
        ("egress_global_timestamp", "P4_USES_EGRESS_TIME"),
        ("priority", "P4_USES_PRIORITY"),
    ):
        if field in used:
            head.add(f"#define {macro}")
    head.add('#include "program.h"')
    head.add("#include <stdlib.h>")
    blocks = _blocks(context)
    description = _description(context)
    parts = [head, context.types.definitions, packet, context.frames, context.prototypes]
    parts += [context.functions, blocks, description]
    text = "\n".join(map(str, parts)) + '\n#include "simple_switch.h"\n'
    return Code(text, tuple(context.trace.sites))


def _places(params: Sequence[ir.Param], *places: str) -> dict[ir.Variable, str]:
    """The parameters of a top-level block live in the packet."""
    return dict(zip(params, places, strict=True))


def _write_code(context: Context) -> None:
    program = context.program
    headers, meta, std = "c->hdr", "c->meta", "c->std"
    for function in program.functions:
        write_function(context, function)
    for action in program.actions:
        write_top_action(context, action)
    for parser in program.parsers():
        bound = _places(parser.params, "", headers, meta, std) if parser is program.parser else {}
        write_parser(context, parser, bound)
    top: dict[ir.Control, dict[ir.Variable, str]] = {
        block: _places(block.params, headers, meta, *([std] if len(block.params) == 3 else []))
        for block in (
            program.verify_checksum,
            program.ingress,
            program.egress,
            program.compute_checksum,
        )
    }
    top[program.deparser] = _places(program.deparser.params, "", headers)
    for control in program.controls():
        write_control(context, control, top.get(control, {}))


def _packet(context: Context) -> Lines:
    program, types = context.program, context.types
    lines = Lines()
    with lines.block("struct packet", "};"):
        lines.add("struct p4_packet p;")
        lines.add(f"{types.value(program.headers)} hdr;")
        lines.add(f"{types.value(program.metadata)} meta;")
        lines.add(f"{types.value(program.standard_metadata)} std;")
        if any(table.meter for table in program.tables()):
            lines.add("uint32_t colour;")
        if context.digests:
            most = max(1, *(sum(digest_values(type_)) for type_ in context.digests))
            lines.add(f"uint64_t digest_words[{most}];")
    return lines


def _blocks(context: Context) -> Lines:
    """The names under which simple_switch.h calls the program."""
    program = context.program
    lines = Lines()
    for name, block in (
        ("parse", program.parser),
        ("verify", program.verify_checksum),
        ("ingress", program.ingress),
        ("egress", program.egress),
        ("compute", program.compute_checksum),
        ("deparse", program.deparser),
    ):
        with lines.block(f"static void program_{name}(struct p4s *s, struct packet *c)"):
            lines.add(f"{context.function_name(block)}(s, c);")
    packets = "struct packet *to, const struct packet *from"
    with lines.block(f"static void program_preserve({packets}, uint32_t list)"):
        lines.add("(void)to, (void)from;")
        with lines.block("switch (list)"):
            for number, paths in program.field_lists.items():
                lines.add(f"case {number + 1}:")
                for path in paths:
                    field = ".".join(map(identifier, path))
                    lines.add(f"    to->meta.{field} = from->meta.{field};")
                lines.add("    break;")
    with lines.block("static void program_send_digest(struct p4s *s, struct packet *c)"):
        if context.digests:
            counts = ", ".join(str(sum(digest_values(type_))) for type_ in context.digests)
            lines.add(f"static const uint32_t words[] = {{{counts}}};")
            lines.add("uint32_t digest = c->p.digest - 1;")
            words = "c->digest_words, words[digest]"
            lines.add(f"p4_digest_add(&s->digests, digest, {words});")
        else:
            lines.add("(void)s, (void)c;")
    return lines


# --- what the runtime must know -----------------------------------------------------------------


def _array(lines: Lines, kind: str, name: str, items: Iterable[str]) -> None:
    """A constant array, never of no elements."""
    values = [item for item in items if item]
    with lines.block(f"static const {kind} {name}[] =", "};"):
        for value in values or ["0" if kind.startswith("uint") else "{0}"]:
            lines.add(f"{value},")


def _words(values: Iterable[int]) -> str:
    return ", ".join(f"{value:#x}ull" for value in values)


def _action_index(table: ir.Table, bound: ir.BoundAction) -> int:
    return next(i for i, ref in enumerate(table.actions) if ref.action is bound.ref.action)


def _bound_data(context: Context, table: ir.Table, bound: ir.BoundAction) -> list[int]:
    values = [constant(value, context.program.errors) for value in bound.data]
    return pack_data(values, bound.ref.action.data, data_words(table))


def _const_row(context: Context, table: ir.Table, entry: ir.Entry) -> list[int]:
    layout = key_layout(table)
    matched = [
        keyset
        for keyset, key in zip(entry.keysets, table.keys, strict=True)
        if key.match_kind != "selector"
    ]
    keys = zip(matched, layout.fields, strict=True)
    matches = tuple(entry_match(keyset, field, context.program.errors) for keyset, field in keys)
    priority = entry.priority if layout.kind == "ternary" else 0
    packed = pack_match(table.name, layout, Entry(matches, "", (), priority))
    row = [packed.priority, _action_index(table, entry.action), int(entry.is_const)]
    row += packed.key + packed.mask
    if layout.ranges:
        row += packed.low + packed.high
    return row + _bound_data(context, table, entry.action)


def _table_type(context: Context, lines: Lines, table: ir.Table) -> str:
    number = context.tables[table]
    layout = key_layout(table)
    default = _words(_bound_data(context, table, table.default_action))
    _array(lines, "uint64_t", f"default_{number}", [default])
    rows = [_words(_const_row(context, table, entry)) for entry in table.entries]
    _array(lines, "uint64_t", f"rows_{number}", rows)
    ranges = [f"{{{field.word}, {field.shift}, {field.width}}}" for field in layout.ranges]
    _array(lines, "struct p4_range_field", f"ranges_{number}", ranges)
    fields = {
        "key_words": layout.words,
        "data_words": data_words(table),
        "size": table_size(table),
        "ranges": len(ranges),
        "range_fields": f"ranges_{number}",
        "meter": int(table.meter is not None),
        "meter_bytes": int(table.meter is not None and counts_bytes(table.meter)),
        "profile": profile[0] + 1 if (profile := context.profile(table)) else 0,
        "default_action": _action_index(table, table.default_action),
        "default_data": f"default_{number}",
        "const_entries": len(rows),
        "const_rows": f"rows_{number}",
    }
    return "{" + ", ".join(f".{name} = {value}" for name, value in fields.items()) + "}"


def _value_set_type(context: Context, lines: Lines, value_set: ir.ValueSet) -> str:
    number = context.value_sets[value_set]
    layout = value_set_layout(value_set)
    ranges = [f"{{{field.word}, {field.shift}, {field.width}}}" for field in layout.ranges]
    _array(lines, "struct p4_range_field", f"ranges_{number}", ranges)
    counts = f".key_words = {layout.words}, .size = {value_set.size}, .ranges = {len(ranges)}"
    return f"{{{counts}, .range_fields = ranges_{number}}}"


def register_cell_bytes(instance: ir.ExternInstance) -> int:
    element = instance.type.arguments[0]
    width = rep.width_of(element)
    if width <= 32:
        return 1 if width <= 8 else 2 if width <= 16 else 4
    return 8 if width <= 64 else 16 if width <= rep.BIG else -1


def _description(context: Context) -> Lines:
    lines = Lines()
    tables = [_table_type(context, lines, table) for table in context.tables]
    tables += [_value_set_type(context, lines, value_set) for value_set in context.value_sets]
    _array(lines, "struct p4_table_type", "table_types", tables)
    registers = []
    for instance in context.registers:
        cell = register_cell_bytes(instance)
        size = "sizeof(p4_big)" if cell < 0 else str(cell)
        registers.append(f"{{{array_size(instance)}, {size}}}")
    _array(lines, "struct p4_register_type", "register_types", registers)
    counters = [str(array_size(instance)) for instance in context.counters]
    _array(lines, "uint32_t", "counter_sizes", counters)
    meters = [f"{{{array_size(i)}, {int(counts_bytes(i))}}}" for i in context.meters]
    _array(lines, "struct p4_meter_type", "meter_types", meters)
    profiles = [
        f"{{{profile.size}, {profile.data_words}, {int(profile.by_weight)}}}"
        for profile in context.profiles.values()
    ]
    _array(lines, "struct p4_profile_type", "profile_types", profiles)
    with lines.block("const struct p4_program p4_program =", "};"):
        for name, values in (
            ("table", tables),
            ("register", registers),
            ("counter", counters),
            ("meter", meters),
            ("profile", profiles),
        ):
            lines.add(f".{name}s = {len(values)},")
        lines.add(".table_types = table_types,")
        lines.add(".register_types = register_types,")
        lines.add(".counter_sizes = counter_sizes,")
        lines.add(".meter_types = meter_types,")
        lines.add(".profile_types = profile_types,")
        lines.add(".packet_size = sizeof(struct packet),")
    return lines
