"""Tables of every kind against a list that is searched from end to end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from switch.runtime.pipeline import (
    ConstTable,
    Entry,
    EntryExists,
    Exact,
    InvalidEntry,
    Lpm,
    Match,
    NoSuchEntry,
    Optional,
    PipelineError,
    Range,
    TableFull,
    Ternary,
    UnknownName,
)
from tests.switch.backend.programs import compiled, fresh, one, program

SIZE = 24

SOURCE = program(
    headers="header h_t { bit<8> which; bit<16> a; bit<8> b; bit<32> result; }",
    members="h_t h;",
    parser="state start { packet.extract(hdr.h); transition accept; }",
    ingress=f"""
        direct_counter(CounterType.packets_and_bytes) hits;
        action found(bit<32> v) {{ hdr.h.result = v; }}
        action missed() {{ hdr.h.result = 0; }}
        table exact_t {{ key = {{ hdr.h.a : exact; hdr.h.b : exact; }}
            actions = {{ found; missed; }} default_action = missed(); size = {SIZE};
            counters = hits; }}
        table lpm_t {{ key = {{ hdr.h.b : exact; hdr.h.a : lpm; }}
            actions = {{ found; missed; }} default_action = missed(); size = {SIZE}; }}
        table ternary_t {{ key = {{ hdr.h.a : ternary; hdr.h.b : ternary; }}
            actions = {{ found; missed; }} default_action = missed(); size = {SIZE}; }}
        table mixed_t {{ key = {{ hdr.h.a : range; hdr.h.b : optional; }}
            actions = {{ found; missed; }} default_action = missed(); size = {SIZE}; }}
        table const_t {{ key = {{ hdr.h.a : lpm; }}
            actions = {{ found; missed; }} default_action = missed();
            const entries = {{ 0x1200 &&& 0xff00 : found(1); 0x1234 : found(2); _ : found(3); }} }}
        table empty_t {{ actions = {{ found; missed; @defaultonly NoAction; }}
            default_action = missed(); }}
        apply {{
            if (hdr.h.which == 0) {{ exact_t.apply(); }}
            else if (hdr.h.which == 1) {{ lpm_t.apply(); }}
            else if (hdr.h.which == 2) {{ ternary_t.apply(); }}
            else if (hdr.h.which == 3) {{ mixed_t.apply(); }}
            else if (hdr.h.which == 4) {{ const_t.apply(); }}
            else {{ empty_t.apply(); }}
        }}
    """,
)

TABLES = ("MyIngress.exact_t", "MyIngress.lpm_t", "MyIngress.ternary_t", "MyIngress.mixed_t")
FOUND = "MyIngress.found"

# Few distinct values, so that entries collide and overlap.
words = st.sampled_from([0, 1, 0x1200, 0x1234, 0x12FF, 0x8000, 0xFFFF]) | st.integers(0, 0xFFFF)
octets = st.sampled_from([0, 1, 0x80, 0xFF])


@st.composite
def matches(draw: st.DrawFn, table: str) -> tuple[Match, ...]:
    kind = table.rpartition(".")[2]
    a, b = draw(words), draw(octets)
    if kind == "exact_t":
        return Exact(a), Exact(b)
    if kind == "lpm_t":
        return Exact(b), Lpm(a, draw(st.sampled_from([0, 1, 8, 12, 16])))
    if kind == "ternary_t":
        masks = st.sampled_from([0, 0xFF00, 0x00FF, 0xFFFF, 0x8001])
        return Ternary(a, draw(masks)), Ternary(b, draw(st.sampled_from([0, 0xFF, 0x80])))
    low, high = sorted((a, draw(words)))
    return Range(low, high), Optional(draw(st.sampled_from([None, b])))


def _hits(match: Match, value: int, width: int) -> bool:
    match match:
        case Exact(value=wanted):
            return value == wanted
        case Ternary(value=wanted, mask=mask):
            return value & mask == wanted & mask
        case Lpm(value=wanted, prefix_len=length):
            return value >> (width - length) == wanted >> (width - length)
        case Range(low=low, high=high):
            return low <= value <= high
        case Optional(value=wanted):
            return wanted is None or value == wanted


def _canonical(match: Match) -> Match:
    """What identifies an entry: bits outside the mask do not."""
    match match:
        case Ternary(value=value, mask=mask):
            return Ternary(value & mask, mask)
        case Lpm(value=value, prefix_len=length):
            return Lpm(value & (0xFFFF ^ (0xFFFF >> length)), length)
    return match


class Model:
    """A table as a dict in order of priority."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.entries: dict[tuple[tuple[Match, ...], int], int] = {}

    def key(self, entry: Entry) -> tuple[tuple[Match, ...], int]:
        return tuple(map(_canonical, entry.match)), entry.priority

    def look_up(self, a: int, b: int) -> int:
        lpm = self.table.endswith("lpm_t")
        values = ((b, 8), (a, 16)) if lpm else ((a, 16), (b, 8))
        best, result = -1, 0
        for (match, priority), value in self.entries.items():
            rank = priority
            if isinstance(match[1], Lpm):
                rank = match[1].prefix_len
            pairs = zip(match, values, strict=True)
            if rank > best and all(_hits(m, v, width) for m, (v, width) in pairs):
                best, result = rank, value
        return result


class TableMachine(RuleBasedStateMachine):
    """Random changes, every lookup compared; priorities are distinct where they decide."""

    def __init__(self) -> None:
        super().__init__()
        self.pipeline = fresh(SOURCE)
        self.counter = 0

    @initialize(table=st.sampled_from(TABLES))
    def choose(self, table: str) -> None:
        self.model = Model(table)
        self.which = TABLES.index(table)

    def _entry(self, data: st.DataObject) -> Entry:
        table = self.model.table
        self.counter += 1
        priority = 0
        if self.which >= 2:
            # A new one, or (to collide) one that is there.
            known = [p for _, p in self.model.entries]
            drawn = data.draw(st.integers(1, 1 << 30))
            priority = data.draw(st.sampled_from([drawn, *known]))
        return Entry(data.draw(matches(table)), FOUND, (self.counter,), priority)

    def _ambiguous(self, entry: Entry) -> bool:
        """Another entry of the same priority: which one wins is nobody's promise."""
        return self.which >= 2 and any(
            priority == entry.priority and match != self.model.key(entry)[0]
            for match, priority in self.model.entries
        )

    @rule(data=st.data())
    def insert(self, data: st.DataObject) -> None:
        entry = self._entry(data)
        if self._ambiguous(entry):
            return
        key = self.model.key(entry)
        if key in self.model.entries:
            with pytest.raises(EntryExists):
                self.pipeline.insert(self.model.table, entry)
        elif len(self.model.entries) == SIZE:
            with pytest.raises(TableFull):
                self.pipeline.insert(self.model.table, entry)
        else:
            self.pipeline.insert(self.model.table, entry)
            self.model.entries[key] = entry.params[0]

    @precondition(lambda self: self.model.entries)
    @rule(data=st.data())
    def modify(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.model.entries, key=str)))
        self.counter += 1
        self.pipeline.modify(self.model.table, Entry(key[0], FOUND, (self.counter,), key[1]))
        self.model.entries[key] = self.counter

    @precondition(lambda self: self.model.entries)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.model.entries, key=str)))
        self.pipeline.delete(self.model.table, Entry(key[0], FOUND, (0,), key[1]))
        del self.model.entries[key]

    @rule(data=st.data())
    def miss(self, data: st.DataObject) -> None:
        entry = self._entry(data)
        if self.model.key(entry) not in self.model.entries:
            for refused in (self.pipeline.modify, self.pipeline.delete):
                with pytest.raises(NoSuchEntry):
                    refused(self.model.table, entry)

    @rule(a=words, b=octets)
    def look_up(self, a: int, b: int) -> None:
        packet = bytes([self.which]) + a.to_bytes(2, "big") + bytes([b]) + bytes(4)
        result = int.from_bytes(one(self.pipeline, packet)[4:8], "big")
        assert result == self.model.look_up(a, b)

    @invariant()
    def same_entries(self) -> None:
        if hasattr(self, "model"):
            found = {
                self.model.key(e): e.params[0] for e in self.pipeline.entries(self.model.table)
            }
            assert found == self.model.entries


def test_tables_equal_a_brute_force_model() -> None:
    run_state_machine_as_test(
        TableMachine, settings=settings(max_examples=150, stateful_step_count=60, deadline=None)
    )


@given(st.sets(st.integers(0, 0xFFFF), min_size=1, max_size=SIZE), st.data())
@settings(max_examples=50, deadline=None)
def test_deleting_keeps_the_rest_reachable(keys: set[int], data: st.DataObject) -> None:
    pipeline = fresh(SOURCE)
    table = TABLES[0]
    for key in keys:
        pipeline.insert(table, Entry((Exact(key), Exact(0)), FOUND, (key + 1,)))
    gone = data.draw(st.sets(st.sampled_from(sorted(keys))))
    for key in gone:
        pipeline.delete(table, Entry((Exact(key), Exact(0)), FOUND))
    for key in keys:
        packet = b"\0" + key.to_bytes(2, "big") + bytes(5)
        result = int.from_bytes(one(pipeline, packet)[4:8], "big")
        assert result == (0 if key in gone else key + 1)


def _result(which: int, a: int) -> int:
    packet = bytes([which]) + a.to_bytes(2, "big") + bytes(5)
    return int.from_bytes(one(compiled(SOURCE), packet)[4:8], "big")


def test_const_entries_are_there_and_stay() -> None:
    pipeline = fresh(SOURCE)
    assert [_result(4, a) for a in (0x1234, 0x1235, 0x9999)] == [2, 1, 3]
    entries = pipeline.entries("MyIngress.const_t")
    assert {e.match for e in entries} == {(Lpm(0x1200, 8),), (Lpm(0x1234, 16),), (Lpm(0, 0),)}
    assert all(e.is_const for e in entries)
    for change in (pipeline.insert, pipeline.modify, pipeline.delete):
        with pytest.raises(ConstTable):
            change("MyIngress.const_t", entries[0])
    pipeline.reset()
    assert _result(4, 0x1234) == 2


def test_default_action() -> None:
    pipeline = fresh(SOURCE)
    assert pipeline.default("MyIngress.empty_t") == ("MyIngress.missed", ())
    pipeline.set_default("MyIngress.empty_t", FOUND, (77,))
    assert _result(5, 0) == 77
    assert pipeline.default("MyIngress.empty_t") == (FOUND, (77,))
    pipeline.reset_default("MyIngress.empty_t")
    assert _result(5, 0) == 0


def test_direct_counters_count_hits_and_misses() -> None:
    pipeline = fresh(SOURCE)
    table = TABLES[0]
    entry = Entry((Exact(1), Exact(2)), FOUND, (5,))
    pipeline.insert(table, entry)
    for a in (1, 1, 3):
        pipeline.process(1, b"\0" + a.to_bytes(2, "big") + b"\2" + bytes(96))
    assert pipeline.direct_counter(table, entry) == (2, 200)
    assert pipeline.direct_counter(table, None) == (1, 100)
    pipeline.set_direct_counter(table, entry, 7, 8)
    pipeline.modify(table, Entry(entry.match, FOUND, (6,)))
    assert pipeline.direct_counter(table, entry) == (7, 8)


REFUSED = [
    (TABLES[0], Entry((Exact(1),), FOUND, (1,)), "2 keys"),
    (TABLES[0], Entry((Exact(1), Lpm(1, 8)), FOUND, (1,)), "hdr.h.b"),
    (TABLES[0], Entry((Exact(0x10000), Exact(1)), FOUND, (1,)), "16 bits"),
    (TABLES[0], Entry((Exact(1), Exact(1)), FOUND, (1,), 5), "priority"),
    (TABLES[0], Entry((Exact(1), Exact(1)), "MyIngress.none", ()), "MyIngress.none"),
    (TABLES[0], Entry((Exact(1), Exact(1)), FOUND, ()), "1 parameters"),
    (TABLES[0], Entry((Exact(1), Exact(1)), FOUND, (1 << 32,)), "32 bits"),
    (TABLES[1], Entry((Exact(1), Lpm(0, 17)), FOUND, (1,)), "prefix length"),
    (TABLES[2], Entry((Ternary(1, 1), Ternary(1, 1)), FOUND, (1,)), "priority"),
    (TABLES[3], Entry((Range(2, 1), Optional(None)), FOUND, (1,), 1), "empty"),
    ("MyIngress.empty_t", Entry((), FOUND, (1,)), "no keys"),
]


@pytest.mark.parametrize(("table", "entry", "message"), REFUSED)
def test_refused_entries_say_what_is_wrong(table: str, entry: Entry, message: str) -> None:
    pipeline = fresh(SOURCE)
    with pytest.raises(InvalidEntry, match=message) as raised:
        pipeline.insert(table, entry)
    assert table in str(raised.value)
    assert pipeline.entries(table) == []


def test_unknown_names_list_what_there_is() -> None:
    pipeline = compiled(SOURCE)
    with pytest.raises(UnknownName, match=r"MyIngress\.exact_t"):
        pipeline.entries("nothing")
    with pytest.raises(InvalidEntry, match="has no action 'NoAction'"):
        pipeline.insert(TABLES[0], Entry((Exact(1), Exact(1)), "NoAction"))
    with pytest.raises(PipelineError, match="no direct counter"):
        pipeline.direct_counter(TABLES[1], None)


def test_idle_time_counts_from_insertion_or_the_last_hit() -> None:
    source = program(
        headers="header h_t { bit<8> a; }",
        members="h_t h;",
        parser="state start { packet.extract(hdr.h); transition accept; }",
        ingress="""action go() { std.egress_spec = 1; }
            table t { key = { hdr.h.a : exact; } actions = { go; NoAction; }
                default_action = NoAction(); support_timeout = true; }
            apply { t.apply(); }""",
    )
    pipeline = fresh(source)
    table = "MyIngress.t"
    for a in (1, 2):
        pipeline.insert(table, Entry((Exact(a),), "MyIngress.go"))
    pipeline.process(1, b"\2")
    idle = {entry.match: since for entry, _, since in pipeline.rows(table)}
    # The second entry is younger, and was hit later still.
    assert 0 < idle[(Exact(2),)] < idle[(Exact(1),)] < 60 * 10**9
