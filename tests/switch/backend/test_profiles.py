"""Action profiles and selectors: members shared by tables, groups, and what the hash chooses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.frontend.errors import CompileError
from switch.runtime.pipeline import (
    Entry,
    EntryExists,
    Exact,
    Group,
    InUse,
    InvalidEntry,
    Lpm,
    Member,
    NoSuchEntry,
    OneShot,
    Optional,
    Pipeline,
    Range,
    Share,
    TableFull,
    Ternary,
    ToGroup,
    ToMember,
    Weighted,
)
from tests.switch.backend.programs import compiled, fresh, program

HEADERS = "header h_t { bit<8> a; bit<8> kind; bit<20> x; bit<4> y; bit<72> wide; }"
FORWARD = """
    action to(bit<9> port) { std.egress_spec = port; }
    action mark(bit<8> kind, bit<9> port) { hdr.h.kind = kind; std.egress_spec = port; }
    action drop() { mark_to_drop(std); }
"""


def source(ingress: str) -> str:
    return program(
        headers=HEADERS,
        members="h_t h; h_t other;",
        parser="state start { packet.extract(hdr.h); transition accept; }",
        metadata="bit<8> run;",
        ingress=FORWARD + ingress,
    )


SHARED = source(
    """
    action_profile(4) profile;
    direct_counter(CounterType.packets_and_bytes) hits;
    table first {
        key = { hdr.h.a : exact; }
        actions = { to; mark; drop; }
        implementation = profile;
        counters = hits;
        default_action = drop();
    }
    table second {
        key = { hdr.h.kind : ternary; }
        actions = { drop; NoAction; to; mark; }
        implementation = profile;
    }
    apply {
        switch (first.apply().action_run) {
            mark: { meta.run = 1; }
            drop: { second.apply(); }
        }
        hdr.h.y = (bit<4>) meta.run;
    }
    """
)


def selector(algorithm: str, *, size: int = 64, notes: str = "", key: str = "") -> str:
    key = key or "hdr.h.x : selector; hdr.h.y : selector; hdr.h.wide : selector;"
    return source(
        f"""
        {notes} action_selector(HashAlgorithm.{algorithm}, {size}, 16) chosen;
        table t {{
            key = {{ hdr.h.a : exact; {key} }}
            actions = {{ to; mark; drop; NoAction; }}
            implementation = chosen;
            default_action = to(100);
        }}
        apply {{ if (t.apply().hit) {{ hdr.h.kind = hdr.h.kind + 1; }} }}
        """
    )


def packet(a: int, kind: int = 0, x: int = 0, y: int = 0, wide: int = 0) -> bytes:
    value = ((a << 8 | kind) << 20 | x) << 4 | y
    return (value << 72 | wide).to_bytes(14, "big")


def out(pipeline: Pipeline, *fields: int) -> int | None:
    """The port by which a packet leaves."""
    found = pipeline.process(1, packet(*fields))
    return found[0][0] if found else None


PROFILE = "MyIngress.profile"
FIRST, SECOND, T, CHOSEN = "MyIngress.first", "MyIngress.second", "MyIngress.t", "MyIngress.chosen"
TO, MARK, DROP = "MyIngress.to", "MyIngress.mark", "MyIngress.drop"


def test_tables_share_members() -> None:
    pipeline = fresh(SHARED)
    pipeline.insert_member(PROFILE, Member(7, TO, (3,)))
    pipeline.insert_member(PROFILE, Member(9, MARK, (0x55, 4)))
    for entry in (Entry((Exact(1),), target=ToMember(7)), Entry((Exact(2),), target=ToMember(9))):
        pipeline.insert(FIRST, entry)
        assert pipeline.find(FIRST, entry) == entry
    wild = Entry((Ternary(0, 0),), priority=1, target=ToMember(7))
    pipeline.insert(SECOND, wild)
    assert [out(pipeline, a) for a in (1, 2, 3)] == [3, 4, 3]
    ((port, data),) = pipeline.process(1, packet(2))
    assert (port, data[1], data[4] & 15) == (4, 0x55, 1)
    pipeline.modify_member(PROFILE, Member(7, MARK, (1, 8)))
    assert [out(pipeline, a) for a in (1, 2, 3)] == [8, 4, 8]
    assert pipeline.entries(SECOND) == [wild]
    assert sorted(pipeline.members(PROFILE), key=lambda m: m.id) == [
        Member(7, MARK, (1, 8)),
        Member(9, MARK, (0x55, 4)),
    ]


def test_direct_counters_and_defaults() -> None:
    pipeline = fresh(SHARED)
    pipeline.insert_member(PROFILE, Member(1, TO, (3,)))
    entry = Entry((Exact(1),), target=ToMember(1))
    pipeline.insert(FIRST, entry)
    assert [out(pipeline, a) for a in (1, 1, 2)] == [3, 3, None]
    assert pipeline.direct_counter(FIRST, entry) == (2, 28)
    pipeline.set_default_target(FIRST, ToMember(1))
    assert pipeline.default_target(FIRST) == ToMember(1)
    assert out(pipeline, 2) == 3
    pipeline.delete(FIRST, entry)
    with pytest.raises(InUse, match="member 1"):
        pipeline.delete_member(PROFILE, 1)
    pipeline.reset_default(FIRST)
    assert pipeline.default(FIRST) == (DROP, ())
    pipeline.delete_member(PROFILE, 1)
    with pytest.raises(NoSuchEntry):
        pipeline.delete_member(PROFILE, 1)


def test_what_is_refused() -> None:
    pipeline = fresh(SHARED)
    pipeline.insert_member(PROFILE, Member(1, TO, (3,)))
    entry = Entry((Exact(1),), target=ToMember(1))
    with pytest.raises(EntryExists, match="member 1"):
        pipeline.insert_member(PROFILE, Member(1, TO, (3,)))
    with pytest.raises(NoSuchEntry, match="member 2"):
        pipeline.modify_member(PROFILE, Member(2, TO, (3,)))
    with pytest.raises(InvalidEntry, match="NoAction"):
        pipeline.insert_member(PROFILE, Member(2, "NoAction"))
    with pytest.raises(InvalidEntry, match="9 bits"):
        pipeline.insert_member(PROFILE, Member(2, TO, (512,)))
    with pytest.raises(NoSuchEntry, match="profile"):
        pipeline.insert(FIRST, Entry((Exact(1),), target=ToMember(2)))
    with pytest.raises(InvalidEntry, match="selector"):
        pipeline.insert(FIRST, Entry((Exact(1),), target=ToGroup(1)))
    with pytest.raises(InvalidEntry, match="selector"):
        pipeline.insert_group(PROFILE, Group(1, ()))
    pipeline.insert(FIRST, entry)
    with pytest.raises(NoSuchEntry):
        pipeline.modify(FIRST, Entry((Exact(1),), target=ToMember(2)))
    with pytest.raises(EntryExists):
        pipeline.insert(FIRST, entry)
    assert pipeline.entries(FIRST) == [entry]
    pipeline.delete(FIRST, entry)
    for number in (2, 3, 4):
        pipeline.insert_member(PROFILE, Member(number, DROP))
    with pytest.raises(TableFull, match="4 members"):
        pipeline.insert_member(PROFILE, Member(5, DROP))
    pipeline.delete_member(PROFILE, 1)  # nothing refers to it any more
    pipeline.insert_member(PROFILE, Member(5, DROP))


# --- what the hash chooses ------------------------------------------------------------------------


def crc(data: bytes, polynomial: int, register: int) -> int:
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (polynomial if register & 1 else 0)
    return register


def crc16(data: bytes) -> int:
    return crc(data, 0xA001, 0)


def crc32(data: bytes) -> int:
    return crc(data, 0xEDB88320, 0xFFFFFFFF) ^ 0xFFFFFFFF


def csum16(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def identity(data: bytes) -> int:
    return int.from_bytes(data[:8], "big") & 0xFFFFFFFF


HASHES: dict[str, Callable[[bytes], int]] = {
    "crc16": crc16,
    "crc32": crc32,
    "csum16": csum16,
    "identity": identity,
}


def chosen(algorithm: str, x: int, y: int, wide: int, shares: Sequence[tuple[int, int]]) -> int:
    """Whose (port, weight) turn it is, of members in the order of their ids."""
    data = ((x << 4 | y) << 72 | wide).to_bytes(12, "big")
    turns = [port for port, weight in shares for _ in range(weight)]
    return turns[HASHES[algorithm](data) % len(turns)]


keys = st.tuples(st.integers(0, (1 << 20) - 1), st.integers(0, 15), st.integers(0, (1 << 72) - 1))
groups = st.dictionaries(st.integers(0, (1 << 32) - 1), st.integers(1, 5), min_size=1, max_size=9)


@pytest.mark.parametrize("algorithm", HASHES)
@settings(max_examples=40, deadline=None)
@given(group=groups, packets=st.lists(keys, min_size=1, max_size=8), one_shot=st.booleans())
def test_the_choice(
    algorithm: str, group: dict[int, int], packets: list[tuple[int, int, int]], one_shot: bool
) -> None:
    pipeline = fresh(selector(algorithm))
    ports = {number: 10 + i for i, number in enumerate(group)}
    if one_shot:
        weighted = [Weighted(TO, (ports[m],), weight) for m, weight in group.items()]
        pipeline.insert(T, Entry((Exact(1),), target=OneShot(tuple(weighted))))
        shares = [(ports[m], weight) for m, weight in group.items()]
    else:
        for number, port in ports.items():
            pipeline.insert_member(CHOSEN, Member(number, TO, (port,)))
        members = tuple(Share(m, weight) for m, weight in group.items())
        pipeline.insert_group(CHOSEN, Group(5, members))
        pipeline.insert(T, Entry((Exact(1),), target=ToGroup(5)))
        shares = [(ports[m], group[m]) for m in sorted(group)]
    for x, y, wide in packets:
        expected = chosen(algorithm, x, y, wide, shares)
        assert out(pipeline, 1, 0, x, y, wide) == expected


def test_fields_of_invalid_headers_are_left_out() -> None:
    key = "hdr.other.x : selector; hdr.h.x : selector; hdr.other.wide : selector;"
    pipeline = fresh(selector("crc16", key=key))
    actions = tuple(Weighted(TO, (port,)) for port in range(7))
    pipeline.insert(T, Entry((Exact(1),), target=OneShot(actions)))
    for x in range(40):
        data = (x << 4).to_bytes(3, "big")
        assert out(pipeline, 1, 0, x) == crc16(data) % 7


def test_a_selector_without_keys_chooses_always_the_same() -> None:
    pipeline = fresh(selector("csum16", key=" "))
    actions = tuple(Weighted(TO, (port,)) for port in range(7))
    pipeline.insert(T, Entry((Exact(1),), target=OneShot(actions)))
    assert {out(pipeline, 1, 0, x) for x in range(20)} == {0xFFFF % 7}


# --- groups ---------------------------------------------------------------------------------------


def _three(pipeline: Pipeline) -> None:
    for number in (1, 2, 3):
        pipeline.insert_member(CHOSEN, Member(number, TO, (number,)))


def test_a_group_without_members_does_nothing() -> None:
    pipeline = fresh(selector("crc16"))
    pipeline.insert_group(CHOSEN, Group(1, ()))
    pipeline.insert(T, Entry((Exact(1),), target=ToGroup(1)))
    pipeline.insert(T, Entry((Exact(2),), target=OneShot(())))
    for a in (1, 2):
        ((port, data),) = pipeline.process(1, packet(a))
        assert (port, data[1]) == (0, 1)  # a hit
    assert pipeline.entries(T)[1].target == OneShot(())


def test_groups_change_and_go() -> None:
    pipeline = fresh(selector("crc16"))
    _three(pipeline)
    group = Group(8, (Share(1, 1), Share(3, 2)))
    with pytest.raises(NoSuchEntry, match="group 8"):
        pipeline.modify_group(CHOSEN, group)
    with pytest.raises(NoSuchEntry):
        pipeline.insert_group(CHOSEN, Group(8, (Share(4),)))
    with pytest.raises(InvalidEntry, match="twice"):
        pipeline.insert_group(CHOSEN, Group(8, (Share(1), Share(1))))
    with pytest.raises(InvalidEntry, match="weight"):
        pipeline.insert_group(CHOSEN, Group(8, (Share(1, 0),)))
    assert pipeline.groups(CHOSEN) == []
    pipeline.insert_group(CHOSEN, group)
    with pytest.raises(EntryExists):
        pipeline.insert_group(CHOSEN, group)
    assert pipeline.groups(CHOSEN) == [group]
    entry = Entry((Exact(1),), target=ToGroup(8))
    pipeline.insert(T, entry)
    assert {out(pipeline, 1, 0, x) for x in range(30)} == {1, 3}
    with pytest.raises(InUse):
        pipeline.delete_member(CHOSEN, 1)
    with pytest.raises(InUse):
        pipeline.delete_group(CHOSEN, 8)
    pipeline.modify_group(CHOSEN, Group(8, (Share(2),)))
    assert {out(pipeline, 1, 0, x) for x in range(30)} == {2}
    pipeline.delete_member(CHOSEN, 1)
    pipeline.modify(T, Entry((Exact(1),), target=ToMember(3)))
    assert out(pipeline, 1) == 3
    pipeline.delete_group(CHOSEN, 8)
    pipeline.delete_member(CHOSEN, 2)
    pipeline.delete(T, entry)
    pipeline.delete_member(CHOSEN, 3)
    assert not (pipeline.members(CHOSEN) or pipeline.groups(CHOSEN) or pipeline.entries(T))


@pytest.mark.parametrize(
    ("semantics", "weight"), [("", 2), ('@selector_size_semantics("sum_of_members")', 1)]
)
def test_groups_share_the_size(semantics: str, weight: int) -> None:
    """As P4Info says: the sum of all weights, or of all members."""
    pipeline = fresh(selector("crc16", size=4, notes=semantics))
    for number in range(1, 5):
        pipeline.insert_member(CHOSEN, Member(number, TO, (number,)))
    full = 4 // weight - 1
    pipeline.insert_group(CHOSEN, Group(1, tuple(Share(m, 2) for m in range(1, 1 + full))))
    last = Entry((Exact(1),), target=OneShot((Weighted(TO, (1,), 2),)))
    pipeline.insert(T, last)
    with pytest.raises(TableFull):
        pipeline.insert_group(CHOSEN, Group(2, (Share(1),)))
    with pytest.raises(TableFull):
        pipeline.modify_group(CHOSEN, Group(1, tuple(Share(m, 2) for m in range(1, 2 + full))))
    with pytest.raises(TableFull):
        pipeline.insert(T, Entry((Exact(2),), target=OneShot((Weighted(TO, (1,)),))))
    pipeline.modify(T, last)
    assert pipeline.profile_usage(CHOSEN).one_shots == 1
    pipeline.delete(T, last)
    pipeline.insert_group(CHOSEN, Group(2, (Share(1),)))
    assert pipeline.profile_usage(CHOSEN).one_shots == 0


def test_watched_ports() -> None:
    pipeline = fresh(selector("crc16"))
    _three(pipeline)
    shares = (Share(1, 1, 1), Share(2, 3, 2), Share(3, 1, 3))
    pipeline.insert_group(CHOSEN, Group(1, shares))
    pipeline.insert(T, Entry((Exact(1),), target=ToGroup(1)))
    one_shot = OneShot(tuple(Weighted(TO, (port,), 1, port) for port in (1, 2, 3)))
    pipeline.insert(T, Entry((Exact(2),), target=one_shot))

    def seen(a: int) -> set[int | None]:
        return {out(pipeline, a, 0, x) for x in range(60)}

    assert seen(1) == seen(2) == {1, 2, 3}
    pipeline.set_port(2, up=False)
    assert seen(1) == seen(2) == {1, 3}
    for x in range(20):
        assert out(pipeline, 1, 0, x) == chosen("crc16", x, 0, 0, [(1, 1), (3, 1)])
    pipeline.insert(T, Entry((Exact(3),), target=one_shot))
    assert seen(3) == {1, 3}
    pipeline.set_port(1, up=False)
    pipeline.set_port(3, up=False)
    assert seen(1) == seen(2) == {0}
    pipeline.set_port(2, up=True)
    assert seen(1) == seen(2) == seen(3) == {2}
    assert pipeline.groups(CHOSEN) == [Group(1, shares)]
    assert pipeline.find(T, Entry((Exact(2),))).target == one_shot
    for port in (1, 3):
        pipeline.set_port(port, up=True)
    assert seen(1) == {1, 2, 3}


def test_no_packet_sees_half_a_group() -> None:
    """Members of one generation lead to even ports, those of the other to odd ones; while the
    group goes back and forth a batch sees one kind only."""
    pipeline = fresh(selector("crc16"))
    for number in range(8):
        pipeline.insert_member(CHOSEN, Member(number, TO, (number,)))
    generations = [Group(1, tuple(Share(m) for m in range(kind, 8, 2))) for kind in (0, 1)]
    pipeline.insert_group(CHOSEN, generations[0])
    pipeline.insert(T, Entry((Exact(1),), target=ToGroup(1)))
    stop = threading.Event()

    def change() -> None:
        turn = 0
        while not stop.is_set():
            turn ^= 1
            pipeline.modify_group(CHOSEN, generations[turn])

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(200):
            with pipeline.held():
                ports = {out(pipeline, 1, 0, x) for x in range(8)}
            assert ports <= {0, 2, 4, 6} or ports <= {1, 3, 5, 7}
            assert len(ports) > 1
    finally:
        stop.set()
        thread.join()


# --- with other keys ------------------------------------------------------------------------------


def test_with_every_kind_of_key() -> None:
    pipeline = fresh(
        source(
            """
            table t {
                key = {
                    hdr.h.y : selector; hdr.h.a : optional; hdr.h.kind : ternary;
                    hdr.h.x : lpm; hdr.h.wide : range; hdr.h.x : selector;
                }
                actions = { to; }
                implementation = action_selector(HashAlgorithm.identity, 16, 16);
            }
            apply { t.apply(); }
            """
        )
    )
    low, high = 1 << 70, (1 << 70) + 5
    two = OneShot((Weighted(TO, (1,)), Weighted(TO, (2,))))
    entries = [
        Entry(
            (Optional(9), Ternary(0, 1), Lpm(0x80000, 1), Range(low, high)), priority=5, target=two
        ),
        Entry(
            (Optional(None), Ternary(0, 0), Lpm(0, 0), Range(high, (1 << 72) - 1)),
            priority=3,
            target=OneShot((Weighted(TO, (3,)),)),
        ),
    ]
    for entry in entries:
        pipeline.insert(T, entry)
    assert sorted(pipeline.entries(T), key=lambda e: -e.priority) == entries
    assert out(pipeline, 9, 2, 0x80001, 0, low) == 2  # 0 0x80001 in 24 bits is odd
    assert out(pipeline, 9, 2, 0x80000, 0, high) == 1
    assert out(pipeline, 9, 3, 0x80000, 0, high) == 3
    assert out(pipeline, 9, 2, 0x80000, 0, high + 1) == 3
    assert out(pipeline, 9, 2, 0x80000, 0, low - 1) == 0


def test_const_entries_have_actions_of_their_own() -> None:
    pipeline = fresh(
        source(
            """
            action_selector(HashAlgorithm.crc16, 16, 16) chosen;
            table t {
                key = { hdr.h.x : selector; hdr.h.a : exact; }
                actions = { to; drop; }
                implementation = chosen;
                entries = { const (_, 1) : to(5); (_, 2) : to(6); }
                default_action = to(7);
            }
            apply { t.apply(); }
            """
        )
    )
    assert [out(pipeline, a) for a in (1, 2, 3)] == [5, 6, 7]
    pipeline.insert_member(CHOSEN, Member(1, TO, (8,)))
    pipeline.insert(T, Entry((Exact(3),), target=ToMember(1)))
    pipeline.modify(T, Entry((Exact(2),), target=ToMember(1)))
    assert [out(pipeline, a) for a in (1, 2, 3)] == [5, 8, 8]
    own = Entry((Exact(1),), TO, (5,))
    assert pipeline.find(T, own) == own
    pipeline.reset()
    assert [out(pipeline, a) for a in (1, 2, 3)] == [5, 6, 7]
    assert pipeline.members(CHOSEN) == []


def test_a_table_with_nothing_but_a_selector_key() -> None:
    pipeline = fresh(
        source(
            """
            table t {
                key = { hdr.h.x : selector; }
                actions = { to; }
                implementation = action_selector(HashAlgorithm.identity, 16, 16);
            }
            apply { t.apply(); }
            """
        )
    )
    pipeline.set_default_target(T, OneShot((Weighted(TO, (1,)), Weighted(TO, (2,)))))
    # 20 bits are hashed as bytes, the last half byte 0: the lowest bit of x is bit 4
    assert [out(pipeline, 0, 0, x) for x in (0, 1, 2)] == [1, 1, 1]
    pipeline.set_default_target(T, OneShot(tuple(Weighted(TO, (p,)) for p in (1, 2, 3))))
    assert [out(pipeline, 0, 0, x) for x in (0, 1, 2)] == [1, 2, 3]


def test_tables_must_agree_on_the_selector_key() -> None:
    text = source(
        """
        action_selector(HashAlgorithm.crc16, 16, 16) chosen;
        table t {
            key = { hdr.h.a : exact; hdr.h.x : selector; }
            actions = { to; }
            implementation = chosen;
        }
        table u {
            key = { hdr.h.a : exact; hdr.h.y : selector; }
            actions = { to; }
            implementation = chosen;
        }
        apply { t.apply(); u.apply(); }
        """
    )
    with pytest.raises(CompileError, match=r"chosen.*selector keys"):
        compiled(text)
