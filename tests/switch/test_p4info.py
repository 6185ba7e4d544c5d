"""P4Info of small programs, against what p4c documents and gives (P4Runtime spec section 6)."""

from __future__ import annotations

from pathlib import Path

import pytest
from finsy.proto import p4i
from hypothesis import given
from hypothesis import strategies as st

from switch.frontend import CompileError, load
from switch.p4info import p4info
from switch.p4info.symbols import Kind, Symbols, one_at_a_time

PROGRAM = """
#include <core.p4>
#include <v1model.p4>
header h_t { bit<48> a; bit<32> b; bit<8> c; }
struct headers_t { h_t h; }
struct metadata_t { bit<9> port; }
%(types)s
parser P(packet_in p, out headers_t hdr, inout metadata_t meta,
         inout standard_metadata_t standard_metadata) {
    state start { p.extract(hdr.h); transition accept; }
}
control V(inout headers_t hdr, inout metadata_t meta) { apply { } }
control I(inout headers_t hdr, inout metadata_t meta,
          inout standard_metadata_t standard_metadata) {
    action go(bit<9> port) { standard_metadata.egress_spec = port; }
    action stop() { mark_to_drop(standard_metadata); }
    %(ingress)s
}
control E(inout headers_t hdr, inout metadata_t meta,
          inout standard_metadata_t standard_metadata) { apply { } }
control C(inout headers_t hdr, inout metadata_t meta) { apply { } }
control D(packet_out p, in headers_t hdr) { apply { p.emit(hdr.h); } }
%(annotations)s V1Switch(P(), V(), I(), E(), C(), D()) main;
"""
TABLE = "table t { key = { hdr.h.a: exact; } actions = { go; stop; } %s } apply { t.apply(); }"


def info_of(
    tmp_path: Path, ingress: str = TABLE % "", types: str = "", annotations: str = ""
) -> p4i.P4Info:
    source = tmp_path / "program.p4"
    parts = {"ingress": ingress, "types": types, "annotations": annotations}
    source.write_text(PROGRAM % parts)
    return p4info(load(source))


# Ids that p4c gave to these names.
@pytest.mark.parametrize(
    ("kind", "name", "number"),
    [
        (Kind.ACTION, "NoAction", 21257015),
        (Kind.TABLE, "ingress.bd", 48392551),
        (Kind.TABLE, "ingress.ipv4_fib", 41084491),
        (Kind.ACTION_PROFILE, "ap", 294074782),
        (Kind.DIGEST, "MyID.digest", 387633770),
        (Kind.DIRECT_COUNTER, "acls", 325583051),
    ],
)
def test_ids_are_p4cs(kind: Kind, name: str, number: int) -> None:
    symbols = Symbols()
    symbols.add(kind, name)
    symbols.assign()
    assert symbols.id(kind, name) == number


@given(st.lists(st.text("abc.", min_size=1, max_size=6), unique=True, max_size=30))
def test_ids_differ_and_tell_their_kind(names: list[str]) -> None:
    symbols = Symbols()
    pairs = [(kind, name) for name in names for kind in (Kind.TABLE, Kind.ACTION)]
    for kind, name in pairs:
        symbols.add(kind, name)
    symbols.assign()
    ids = [symbols.id(kind, name) for kind, name in pairs]
    assert len(set(ids)) == len(ids)
    assert [number >> 24 for number in ids] == [kind for kind, _ in pairs]


def test_colliding_names_get_neighbouring_ids() -> None:
    # Two names with the same 24 bits of hash.
    seen: dict[int, str] = {}
    for number in range(100_000):
        name = f"n{number}"
        other = seen.setdefault(one_at_a_time(name) & 0xFFFFFF, name)
        if other != name:
            break
    symbols = Symbols()
    symbols.add(Kind.TABLE, name)
    symbols.add(Kind.TABLE, other)
    symbols.assign()
    first, second = sorted([name, other])
    assert symbols.id(Kind.TABLE, second) == symbols.id(Kind.TABLE, first) + 1


def test_aliases_are_the_shortest_unique_suffixes() -> None:
    symbols = Symbols()
    for name in ("a.b.c", "b.c", "x.d", "y.d", "e"):
        symbols.add(Kind.TABLE, name)
    symbols.add(Kind.ACTION, "z.e")
    found = [symbols.alias(name) for name in ("a.b.c", "b.c", "x.d", "y.d", "e", "z.e")]
    assert found == ["a.b.c", "b.c", "x.d", "y.d", "e", "z.e"]


def test_a_table(tmp_path: Path) -> None:
    info = info_of(
        tmp_path,
        """
        direct_counter(CounterType.bytes) hits;
        @brief("Where to.") @custom(7) @id(0x1234)
        table t {
            key = {
                hdr.h.a: exact @name("mac") @id(5);
                hdr.h.b: lpm;
                hdr.h.c: ternary;
                meta.port: range;
                hdr.h.isValid(): optional @name("valid");
            }
            actions = { go; @tableonly stop; @defaultonly NoAction; }
            const default_action = NoAction();
            counters = hits;
            size = 99;
        }
        apply { t.apply(); }
        """,
    )
    (table,) = info.tables
    assert table.preamble.id == 0x02001234
    assert (table.preamble.name, table.preamble.alias) == ("I.t", "t")
    assert table.preamble.doc.brief == "Where to."
    assert list(table.preamble.annotations) == ["@custom(7)"]
    assert table.size == 99
    kinds = p4i.MatchField
    assert [(f.id, f.name, f.bitwidth, f.match_type) for f in table.match_fields] == [
        (5, "mac", 48, kinds.EXACT),
        (2, "hdr.h.b", 32, kinds.LPM),
        (3, "hdr.h.c", 8, kinds.TERNARY),
        (4, "meta.port", 9, kinds.RANGE),
        (6, "valid", 1, kinds.OPTIONAL),
    ]
    scopes = p4i.ActionRef
    assert [ref.scope for ref in table.action_refs] == [
        *(scopes.TABLE_AND_DEFAULT, scopes.TABLE_ONLY, scopes.DEFAULT_ONLY)
    ]
    names = {action.preamble.id: action.preamble.name for action in info.actions}
    assert names[table.const_default_action_id] == "NoAction"
    (counter,) = info.direct_counters
    assert list(table.direct_resource_ids) == [counter.preamble.id]
    assert counter.direct_table_id == table.preamble.id
    assert counter.spec.unit == p4i.CounterSpec.BYTES


def test_entries(tmp_path: Path) -> None:
    (table,) = info_of(tmp_path, TABLE % "const entries = { 5: go(1); }").tables
    assert (table.is_const_table, table.has_initial_entries) == (True, True)
    (table,) = info_of(tmp_path, TABLE % "entries = { 5: go(1); }").tables
    assert (table.is_const_table, table.has_initial_entries) == (False, True)
    (table,) = info_of(tmp_path).tables
    assert (table.is_const_table, table.has_initial_entries) == (False, False)
    assert table.size == 1024


def test_default_arguments(tmp_path: Path) -> None:
    (table,) = info_of(tmp_path, TABLE % "default_action = go(7);").tables
    (argument,) = table.initial_default_action.arguments
    assert (argument.param_id, argument.value) == (1, b"\x00\x07")


def test_externs(tmp_path: Path) -> None:
    info = info_of(
        tmp_path,
        f"""
        counter(10, CounterType.packets) c;
        meter(20, MeterType.bytes) m;
        @name("other") register<bit<7>>(30) r;
        register<int<9>>(40) s;
        {TABLE % ""}
        """.replace("apply {", "apply { c.count(0); m.execute_meter(0, meta.port[7:0]);"
                    " r.write(0, 1); s.write(0, 1);")
        .replace("meta.port[7:0]", "hdr.h.c"),
    )  # fmt: skip
    (counter,), (meter,) = info.counters, info.meters
    assert (counter.size, counter.spec.unit) == (10, p4i.CounterSpec.PACKETS)
    assert (meter.size, meter.spec.unit) == (20, p4i.MeterSpec.BYTES)
    first, second = info.registers
    assert first.preamble.name == "I.other"
    assert (first.size, first.type_spec.bitstring.bit.bitwidth) == (30, 7)
    assert (second.size, second.type_spec.bitstring.int.bitwidth) == (40, 9)


def test_controller_headers(tmp_path: Path) -> None:
    info = info_of(
        tmp_path,
        types="""
        struct inner_t { bit<3> x; bit<4> y; }
        @controller_header("packet_in")
        header in_t { @id(9) bit<9> port; inner_t inner; bit<7> z; @hidden bit<1> pad; }
        """,
    )
    (header,) = info.controller_packet_metadata
    assert (header.preamble.name, header.preamble.id >> 24) == ("packet_in", 0x04)
    assert [(item.id, item.name, item.bitwidth) for item in header.metadata] == [
        *((9, "port", 9), (2, "inner.x", 3), (3, "inner.y", 4), (4, "z", 7))
    ]


def test_the_package(tmp_path: Path) -> None:
    info = info_of(tmp_path, annotations='@pkginfo(name="program", version="1.2")')
    assert (info.pkg_info.arch, info.pkg_info.name, info.pkg_info.version) == (
        *("v1model", "program", "1.2"),
    )


def test_what_is_never_applied_is_left_out(tmp_path: Path) -> None:
    unused = "table u { key = { hdr.h.b: exact; } actions = { NoAction; } }"
    info = info_of(tmp_path, unused + TABLE % "")
    assert [table.preamble.alias for table in info.tables] == ["t"]


@pytest.mark.parametrize(
    ("ingress", "message"),
    [
        ("@id(0x05000001) " + TABLE % "", "does not begin with 0x02"),
        (TABLE.replace("exact;", "exact @id(1); hdr.h.b: exact @id(1);") % "", "used twice"),
        (
            "@id(3) table u { key = { hdr.h.b: exact; } actions = { NoAction; } } @id(3) "
            + (TABLE % "").replace("apply {", "apply { u.apply();"),
            "given to two objects",
        ),
    ],
)
def test_bad_ids(tmp_path: Path, ingress: str, message: str) -> None:
    with pytest.raises(CompileError, match=message) as error:
        info_of(tmp_path, ingress)
    assert error.value.diagnostics[0].line > 10


def test_structured_annotations(tmp_path: Path) -> None:
    info = info_of(tmp_path, '@list[1, "two", 1 == 1] @map[a = 2 + 3] ' + TABLE % "")
    values, pairs = info.tables[0].preamble.structured_annotations
    first, second, third = values.expression_list.expressions
    assert (first.int64_value, second.string_value, third.bool_value) == (1, "two", True)
    assert pairs.kv_pair_list.kv_pairs[0].value.int64_value == 5


def test_types_show_their_annotations_and_padded_values(tmp_path: Path) -> None:
    info = info_of(
        tmp_path,
        "action pick(port_t port, kind_t kind) { } "
        "table t { actions = { pick; } } apply { t.apply(); }",
        '@p4runtime_translation("", string) @note("x") type bit<9> port_t; '
        "enum bit<16> kind_t { small = 5 }",
    )
    new = info.type_info.new_types["port_t"]
    assert list(new.annotations) == ['@note("x")']
    assert info.type_info.serializable_enums["kind_t"].members[0].value == b"\x00\x05"


def test_what_the_control_plane_cannot_give_is_left_out(tmp_path: Path) -> None:
    info = info_of(
        tmp_path,
        "direct_counter(CounterType.packets) lost; action add(bit<8> n) { hdr.h.c = n; } "
        + TABLE % ""
        + " ",
    )
    assert not info.direct_counters
    called = info_of(tmp_path, "action add(bit<8> n) { hdr.h.c = n; } apply { add(1); }")
    assert [action.preamble.name for action in called.actions] == ["I.add"]
    assert not called.actions[0].params
