"""What the back end gets: instances, names, calls and casts as `switch.ir` promises them."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from switch import ir
from tests.switch.frontend.programs import (
    assigned,
    body,
    check_rejected,
    complaints,
    program,
    source,
)


def call(statement: ir.Statement) -> ir.Expression:
    assert isinstance(statement, ir.CallStatement)
    return statement.call


def nodes(thing: Any, seen: set[int] | None = None) -> list[Any]:
    """Every node reachable from `thing`."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return []
    seen.add(id(thing))
    if isinstance(thing, tuple | list):
        return [n for item in thing for n in nodes(item, seen)]
    if isinstance(thing, dict):
        return [n for item in thing.values() for n in nodes(item, seen)]
    if not is_dataclass(thing):
        return []
    return [thing] + [n for f in fields(thing) for n in nodes(getattr(thing, f.name), seen)]


def test_each_instance_is_an_object(tmp_path: Path) -> None:
    result = program(
        tmp_path,
        top="""
        control Inner(inout bit<8> x)(bit<8> step, bool on) {
            action bump() { x = x + step; }
            table t { key = { x : exact; } actions = { bump; } }
            apply { if (on) { t.apply(); } }
        }
        control Outer(inout bit<8> x) {
            Inner(1, true) inner;
            apply { inner.apply(x); }
        }
        """,
        locals='Outer() one; Outer() two; @name("third") Inner(on = false, step = 3) other;',
        body="one.apply(meta.a); two.apply(meta.a); other.apply(meta.a); Outer.apply(meta.a);",
    )
    assert [c.name for c in result.ingress.controls] == ["I.one", "I.two", "I.third", "I.Outer"]
    assert [t.name for t in result.tables()] == [
        "I.one.inner.t", "I.two.inner.t", "I.third.t", "I.Outer.inner.t",
    ]  # fmt: skip
    assert len({id(t) for t in result.tables()}) == 4
    bumps = [c.actions[0].body.statements[0] for c in result.controls() if c.type_name == "Inner"]
    steps = [
        s.value.right for s in bumps if isinstance(s, ir.Assign) if isinstance(s.value, ir.Binary)
    ]
    assert [s.value for s in steps if isinstance(s, ir.IntLiteral)] == [1, 1, 3, 1]
    applied = call(body(result)[2])
    assert isinstance(applied, ir.ControlApply)
    assert applied.control is result.ingress.controls[2]
    assert isinstance(applied.arguments[0], ir.Member)


def test_objects_as_constructor_arguments(tmp_path: Path) -> None:
    result = program(
        tmp_path,
        top="""
        control Leaf(inout bit<8> x) { apply { x = 1; } }
        control Leaf_t(inout bit<8> x);
        control User(inout bit<8> x)(register<bit<8>> r, Leaf_t leaf) {
            apply { r.write(0, x); leaf.apply(x); }
        }
        """,
        locals="register<bit<8>>(4) shared; Leaf() leaf; User(shared, leaf) user;",
        body="user.apply(meta.a);",
    )
    user = result.ingress.controls[1]
    write, applied = (call(s) for s in user.body.statements)
    assert isinstance(write, ir.MethodCall)
    assert write.instance is result.ingress.externs[0]
    assert isinstance(applied, ir.ControlApply)
    assert applied.control is result.ingress.controls[0]


def test_tables(tmp_path: Path) -> None:
    result = program(
        tmp_path,
        types="type bit<9> port_t; @hidden action shared(bit<8> v) { }",
        fields='@name("renamed") port_t port;',
        locals="""
        direct_counter(CounterType.packets_and_bytes) seen;
        direct_meter<bit<8>>(MeterType.bytes) colour;
        action set(in bit<8> now, inout bit<16> b, bit<8> value, port_t port) {
            meta.a = value;
            colour.read(meta.a);
        }
        @name("table") @id(0x02000007)
        table t {
            key = {
                meta.a            : exact;
                hdr.ip.dst        : lpm @name("to");
                meta.port         : ternary;
                hdr.eth.isValid() : optional;
                hdr.stack[1].type : range;
                hdr.ip.src[15:8]  : exact;
                hdr.ip.src & 0xF0 : ternary;
            }
            actions = { set(meta.a, meta.b); @tableonly shared; @defaultonly NoAction; }
            const default_action = set(meta.a, meta.b, 4, (port_t) 1);
            counters = seen; meters = colour; size = 1 << 4; support_timeout = true;
        }
        """,
        body="if (t.apply().hit) { } if (!t.apply().miss) { }"
        "switch (t.apply().action_run) { shared: set: { exit; } default: { return; } }",
    )
    (table,) = result.tables()
    assert table.name == "I.table"
    assert ir.annotation(table.annotations, "id") == ir.Annotation(
        "id", "0x02000007", (0x02000007,)
    )
    assert [(k.name, k.match_kind, str(k.expression.type)) for k in table.keys] == [
        ("meta.a", "exact", "bit<8>"),
        ("to", "lpm", "bit<32>"),
        ("meta.renamed", "ternary", "bit<9>"),
        ("hdr.eth.$valid$", "optional", "bool"),
        ("hdr.stack[1].type", "range", "bit<16>"),
        ("hdr.ip.src[15:8]", "exact", "bit<8>"),
        ("hdr.ip.src & 0xf0", "ternary", "bit<32>"),
    ]
    assert [str(k.declared) for k in table.keys if k.declared] == ["port_t"]
    assert [r.action.name for r in table.actions] == ["I.set", "shared", "NoAction"]
    assert [(r.default_only, r.table_only) for r in table.actions] == [
        (False, False), (False, True), (True, False),
    ]  # fmt: skip
    first = table.actions[0]
    assert [type(b) for b in first.bound] == [ir.Member, ir.Member]
    assert [(p.name, str(p.declared)) for p in first.action.data] == [
        ("value", "None"), ("port", "port_t"),
    ]  # fmt: skip
    assert table.const_default
    assert table.default_action.ref is first
    assert [d.value for d in table.default_action.data if isinstance(d, ir.IntLiteral)] == [4, 1]
    assert (table.size, table.support_timeout) == (16, True)
    assert table.counter is not None
    assert table.counter.table is table
    assert table.meter is not None
    assert table.meter.type == ir.Extern("direct_meter", (ir.Bits(8),))
    hit, miss, switch = body(result)
    assert isinstance(hit, ir.If)
    assert hit.condition == ir.TableApply(ir.Bool(), hit.loc, table, "hit")
    assert isinstance(miss, ir.If)
    assert isinstance(miss.condition, ir.Unary)
    assert isinstance(switch, ir.SwitchAction)
    assert switch.cases[0][0] == (table.actions[1].action, first.action)
    assert switch.cases[1][0] is None


def test_default_action_without_property(tmp_path: Path) -> None:
    result = program(
        tmp_path,
        locals="action a() { } table t { key = { meta.a : exact; } actions = { a; } }",
        body="t.apply();",
    )
    (table,) = result.tables()
    assert [(r.action.name, r.default_only) for r in table.actions] == [
        ("I.a", False), ("NoAction", True),
    ]  # fmt: skip
    assert table.default_action.ref.action is result.actions[0]


def entries(directory: Path, table: str) -> tuple[ir.Entry, ...]:
    result = program(
        directory,
        locals="action a(bit<8> v) { } table t { " + table + " actions = { a; NoAction; } }",
        body="t.apply();",
    )
    return next(result.tables()).entries


def test_entries_in_order(tmp_path: Path) -> None:
    found = entries(
        tmp_path,
        "key = { meta.a : ternary; meta.c : lpm; meta.b : range; meta.s : optional; }"
        "const entries = { (1 &&& 0xF, 0x0A000000 &&& 0xFF000000, 1 .. 5, -1) : a(7);"
        "(_, default, _, _) : NoAction; }",
    )
    one, two = found
    types = (ir.Bits(8), ir.Bits(32), ir.Bits(16), ir.Bits(8, signed=True))
    loc = one.loc

    def literal(index: int, value: int) -> ir.IntLiteral:
        return ir.IntLiteral(types[index], loc, value)

    assert one.keysets == (
        ir.MaskKey(loc, literal(0, 1), literal(0, 15)),
        ir.MaskKey(loc, literal(1, 0x0A000000), literal(1, 0xFF000000)),
        ir.RangeKey(loc, literal(2, 1), literal(2, 5)),
        ir.ValueKey(loc, literal(3, -1)),
    )
    assert two.keysets == (ir.AnyKey(loc),) * 4
    assert one.priority > two.priority > 0
    assert one.is_const
    assert one.action.data == (literal(0, 7),)


def test_entry_priorities_say_larger_wins(tmp_path: Path) -> None:
    keys = "key = { meta.a : ternary; }"
    found = entries(
        tmp_path,
        keys + "entries = { priority = 10 : 1 : a(1); 2 : a(2);const priority = 4 : 3 : a(3); }",
    )
    assert [e.priority for e in found] == [10, 9, 4]
    assert [e.is_const for e in found] == [False, False, True]
    found = entries(
        tmp_path,
        "largest_priority_wins = false; priority_delta = 10; "
        + keys
        + "entries = { priority = 10 : 1 : a(1); 2 : a(2); }",
    )
    assert found[0].priority > found[1].priority


def test_calls(tmp_path: Path) -> None:
    result = program(
        tmp_path,
        top="T pick<T>(in bool c, in T x, in T y) { if (c) { return x; } return y; }",
        locals="register<bit<16>>(16) r; action act(inout bit<8> x, bit<16> y) { x = (bit<8>) y; }",
        body="""
        r.read(meta.b, 3);
        hash(meta.b, HashAlgorithm.crc16, 16w0, { hdr.ip.src, meta.a }, 32w8);
        meta.a = pick(meta.flag, meta.a, 5);
        meta.b = pick<bit<16>>(meta.flag, 1, 2);
        act(meta.a, 7);
        mark_to_drop(standard_metadata = std);
        hdr.stack.push_front(2);
        hdr.eth.setInvalid();
        log_msg("value {}", { meta.a });
        static_assert(hdr.eth.minSizeInBytes() == 14);
        """,
    )
    read, hashed, picked, named, acted, dropped, pushed, unset, logged = body(result)
    method = call(read)
    assert isinstance(method, ir.MethodCall)
    assert (method.method, [str(p.type) for p in method.params]) == ("read", ["bit<16>", "bit<32>"])
    assert [p.direction for p in method.params] == ["out", "in"]
    function = call(hashed)
    assert isinstance(function, ir.ExternCall)
    assert list(map(str, function.type_arguments)) == [
        "bit<16>", "bit<16>", "tuple<bit<32>, bit<8>>", "bit<32>",
    ]  # fmt: skip
    assert isinstance(function.arguments[1], ir.EnumLiteral)
    assert [f.name for f in result.functions] == ["pick<bit<8>>", "pick<bit<16>>"]
    for statement, chosen in zip((picked, named), result.functions, strict=True):
        assert isinstance(statement, ir.Assign)
        assert isinstance(statement.value, ir.FunctionCall)
        assert statement.value.function is chosen
    direct = call(acted)
    assert isinstance(direct, ir.ActionCall)
    assert direct.arguments[1] == ir.IntLiteral(ir.Bits(16), direct.loc, 7)
    drop = call(dropped)
    assert isinstance(drop, ir.ExternCall)
    assert isinstance(drop.arguments[0], ir.Var)
    assert call(pushed) == ir.PushFront(ir.Void(), pushed.loc, assigned_stack(pushed), 2)
    assert isinstance(call(unset), ir.SetInvalid)
    log = call(logged)
    assert isinstance(log, ir.ExternCall)
    assert isinstance(log.arguments[0], ir.StringLiteral)


def assigned_stack(statement: ir.Statement) -> ir.Expression:
    node = call(statement)
    assert isinstance(node, ir.PushFront)
    assert isinstance(node.stack.type, ir.HeaderStack)
    return node.stack


def test_parser(tmp_path: Path) -> None:
    result = program(
        tmp_path,
        top="parser Sub(packet_in p, out ip_h ip) { state start { p.extract(ip); "
        "transition accept; } }",
        parser_locals="Sub() sub; value_set<bit<16>>(4) kinds; bit<16> seen = 1;",
        start="packet.extract(hdr.eth); transition select(hdr.eth.type, meta.a) {"
        "(0x800, 1 &&& 3) : ip; (kinds, _) : many; (1 .. 5, default) : reject; default : accept; }",
        states="""
        state ip { sub.apply(packet, hdr.ip); verify(hdr.ip.version == 4, error.NoMatch);
                   packet.extract(hdr.opt, (bit<32>) hdr.ip.ihl * 32); transition many; }
        state many { packet.extract(hdr.stack.next);
                     meta.b = packet.lookahead<bit<16>>(); packet.advance(8);
                     transition select(hdr.stack.last.type) { Proto.tcp ++ 8w0 : many; } }
        state silent { packet.extract<eth_h>(_); }
        """,
    )
    parser = result.parser
    assert list(parser.states) == ["start", "ip", "many", "silent"]
    assert [p.name for p in parser.parsers] == ["P.sub"]
    assert [(v.name, v.size, v.matches) for v in parser.value_sets] == [("P.kinds", 4, ("exact",))]
    assert len(parser.prologue) == 1
    select = parser.states["start"].transition
    assert isinstance(select, ir.Select)
    assert [tuple(type(k) for k in c.keysets) for c in select.cases] == [
        (ir.ValueKey, ir.MaskKey),
        (ir.ValueSetKey, ir.AnyKey),
        (ir.RangeKey, ir.AnyKey),
        (ir.AnyKey, ir.AnyKey),
    ]
    applied, check, extract = (call(s) for s in parser.states["ip"].body)
    assert isinstance(applied, ir.ParserApply)
    assert applied.parser is parser.parsers[0]
    assert isinstance(check, ir.Verify)
    assert isinstance(extract, ir.Extract)
    assert extract.varbit_bits is not None
    following = call(parser.states["many"].body[0])
    assert isinstance(following, ir.Extract)
    assert isinstance(following.target, ir.StackNext)
    assert parser.states["silent"].transition == ir.Goto(parser.loc, "reject")
    skipped = call(parser.states["silent"].body[0])
    assert isinstance(skipped, ir.Extract)
    assert isinstance(skipped.target, ir.DontCare)


def test_casts_are_explicit_and_types_agree(tmp_path: Path) -> None:
    result = program(
        tmp_path,
        types="type bit<8> fresh_t;",
        fields="fresh_t fresh; tuple<bit<8>, bit<16>> both;",
        body="""
        meta.a = meta.proto; meta.fresh = (fresh_t) meta.a; meta.a = (bit<8>) meta.fresh;
        meta.pair = { 1, 2 }; meta.pair = { b = 4, a = meta.a }; meta.both = { 1, meta.b };
        hdr.eth = { 1, 2, 3 }; hdr.any.eth = {#}; meta.s = (int<8>) meta.a; meta.c[7:0] = meta.a;
        meta.a += 3; meta.flag = (bool) meta.a[0:0]; meta.b = meta.a ++ meta.a;
        meta.b[15:8] = meta.flag ? meta.a : 5; meta.proto = (Proto) 17;
        """,
    )
    for statement in body(result):
        assert isinstance(statement, ir.Assign)
        assert statement.target.type == statement.value.type
    values = [assigned(result, index) for index in range(len(body(result)))]
    assert isinstance(values[0], ir.Cast)
    assert isinstance(values[1], ir.Member)
    assert [e.value for e in values[3].elements if isinstance(e, ir.IntLiteral)] == [1, 2]  # type: ignore[attr-defined]
    assert isinstance(values[4], ir.StructValue)
    assert isinstance(values[4].elements[0], ir.Member)
    assert isinstance(values[5], ir.TupleValue)
    assert isinstance(values[6].type, ir.Header)
    assert isinstance(values[7], ir.InvalidValue)
    assert isinstance(values[10], ir.Binary)
    # NewTypes are erased everywhere, and only literals may be of type int
    for node in nodes(result.ingress.body):
        if isinstance(node, ir.Expression):
            assert not isinstance(node.type, ir.NewType | ir.InfInt)


def test_loops_and_switches(tmp_path: Path) -> None:
    result = program(
        tmp_path,
        body="""
        for (bit<8> i in 0 .. 255) { meta.b = meta.b + (bit<16>) i; if (i == 9) { break; } }
        for (bit<8> i = 0; i < 4; i += 1) { continue; }
        switch (meta.proto) { Proto.tcp: Proto.udp: { meta.a = 1; } default: { } }
        switch (meta.color) { Color.red: { exit; } }
        """,
    )
    ranged, counted, switch, last = body(result)
    assert isinstance(ranged, ir.For)
    names = [d.variable.name for d in ranged.init if isinstance(d, ir.Declare)]
    assert names == ["i", "counter", "last"]
    assert isinstance(ranged.condition, ir.Binary)
    assert ranged.condition.left.type == ir.Bits(9)  # 255 must not wrap
    assert isinstance(counted, ir.For)
    first = counted.init[0]
    assert isinstance(first, ir.Declare)
    assert (first.variable.name, first.variable.source_name) == ("i_1", "i")
    assert isinstance(switch, ir.SwitchValue)
    assert switch.cases[0][0] is not None
    assert len(switch.cases[0][0]) == 2
    assert isinstance(last, ir.SwitchValue)


def test_shadowed_variables_get_names_of_their_own(tmp_path: Path) -> None:
    result = program(
        tmp_path,
        locals="bit<8> x = 1; action a() { bit<16> x = 2; meta.b = x; }",
        body="bit<32> x = 3; { bit<8> x = 4; meta.a = x; } meta.c = x; a();",
    )
    names = [n.variable.name for n in nodes(result.ingress) if isinstance(n, ir.Declare)]
    assert sorted(names) == ["x", "x_1", "x_2", "x_3"]


def test_errors_field_lists_and_annotations(tmp_path: Path) -> None:
    result = program(
        tmp_path,
        types="error { Odd } struct inner_t { @field_list(2) bit<8> deep; bit<8> none; }"
        '@controller_header("packet_in") header in_h { bit<8> port; }',
        fields="@field_list(1, 2) bit<8> first; inner_t inner; @field_list(1) inner_t whole;",
    )
    assert result.errors[-1] == "Odd"
    assert result.errors[:3] == ("NoError", "PacketTooShort", "NoMatch")
    assert result.field_lists == {1: (("first",), ("whole",)), 2: (("first",), ("inner", "deep"))}
    header = result.types["in_h"]
    assert isinstance(header, ir.Header)
    assert header.annotations[0].values == ("packet_in",)


def test_generic_structs(tmp_path: Path) -> None:
    result = program(
        tmp_path,
        types="struct two<T> { T x; T y; } header wrap<T> { T value; }",
        fields="two<bit<8>> small; two<two<bit<16>>> nested; wrap<bit<24>> w;",
        body="meta.small = { 1, 2 }; meta.nested.x.y = meta.b; meta.w.setValid();",
    )
    assert {"two<bit<8>>", "two<two<bit<16>>>", "wrap<bit<24>>"} <= result.types.keys()


def test_unused_blocks_are_checked_too(tmp_path: Path) -> None:
    text = source(top="control Unused(inout bit<8> x)(bit<16> y) { apply { x = y; } }")
    (found,) = complaints(tmp_path, text)
    assert "bit<16> to bit<8>" in found.message


def test_one_run_reports_several_errors(tmp_path: Path) -> None:
    text = source(
        locals="bit<8> x = bad; table t { actions = { worse; } }",
        body="x = 1;\nt.apply();\nmeta.a = meta.b;",
    )
    found = complaints(tmp_path, text)
    assert [d.message for d in found] == [
        "'bad' is not declared",
        "'worse' is not declared",
        "cannot convert bit<16> to bit<8> implicitly in the assignment",
    ]
    assert [d.line for d in found] == sorted(d.line for d in found)


def test_headers_are_whole_bytes(tmp_path: Path) -> None:
    check_rejected(
        tmp_path,
        source(types="header §odd_h { bit<7> x; }", fields="odd_h[2] odd;"),
        "header 'odd_h' has 7 bits, not a multiple of 8",
    )


def test_control_plane_names(tmp_path: Path) -> None:
    """As in p4c: the @name of a pipeline block's type is ignored, a property's is global."""
    result = program(
        tmp_path,
        top="""
        @name("unused") control Named(inout headers_t hdr, inout meta_t meta,
                                      inout standard_metadata_t std) {
            @name(".global") action a() { }
            @name("x.y") register<bit<8>>(1) r;
            table t { actions = { a; } @name("profile") implementation = action_profile(4); }
            apply { t.apply(); r.write(0, 1); }
        }
        """,
        main="V1Switch(P(), V(), Named(), E(), C(), D()) main;",
    )
    assert [a.name for a in result.ingress.actions] == ["global"]
    assert [e.name for e in result.ingress.externs] == ["Named.x.y", "profile"]
    assert [t.name for t in result.ingress.tables] == ["Named.t"]
