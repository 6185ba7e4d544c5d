"""STF lines: what they mean, and that a wrong one is named and never worse."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.stf.parser import COMMANDS, StfError, parse, parse_text
from switch.stf.statements import (
    Add,
    AddIndirect,
    Call,
    CheckCounter,
    Condition,
    Expect,
    GroupMember,
    Masked,
    MemberCreate,
    MeterRates,
    Mirror,
    NodeCreate,
    NoPacket,
    Number,
    Packet,
    Pattern,
    Prefix,
    SetDefault,
    Span,
    Statement,
)

FILE = Path("test.stf")


def one(line: str) -> Statement:
    (statement,) = parse_text(line, FILE)
    return statement


@pytest.mark.parametrize(
    ("line", "statement"),
    [
        ("packet 0 0A 0b0C", Packet(1, 0, b"\x0a\x0b\x0c")),
        ("PACKET 12", Packet(1, 12, b"")),
        ("expect 3 0A ** b*", Expect(1, 3, Pattern("0a**b*", False))),
        ("expect 3 0A $ # exactly", Expect(1, 3, Pattern("0a", True))),
        ("expect 3", Expect(1, 3, Pattern("", False))),
        ("  no_packet  ", NoPacket(1)),
        (
            "table_indirect_add t 4 hdr.a:1 => 7",
            AddIndirect(1, "t", 4, (("hdr.a", Number(1)),), 7, False),
        ),
        ("table_indirect_add_with_group t => 0", AddIndirect(1, "t", None, (), 0, True)),
        ("act_prof_create_member p a(x:1)", MemberCreate(1, "p", Call("a", (("x", 1),)))),
        ("act_prof_remove_member_from_group p 1 2", GroupMember(1, "p", 1, 2, False)),
        (
            'add c.t 7 "hdr.a":0x0a hdr.s[1].b:0b1* d:5/3 e:6&&&0xf f:1->9 c.act(x:1, y:0x2) = A',
            Add(
                1,
                "c.t",
                7,
                (
                    ("hdr.a", Number(10, 0, 0xFF)),
                    ("hdr.s[1].b", Number(2, 1, 3)),
                    ("d", Prefix(5, 3)),
                    ("e", Masked(6, 15)),
                    ("f", Span(1, 9)),
                ),
                Call("c.act", (("x", 1), ("y", 2))),
                "A",
            ),
        ),
        ("add t act()", Add(1, "t", None, (), Call("act", ()), None)),
        ("setdefault t a(p:010)", SetDefault(1, "t", Call("a", (("p", 10),)))),
        ("check_counter c($A)", CheckCounter(1, "c", "$A", None)),
        (
            "check_counter a.c[4] bytes >= 5",
            CheckCounter(1, "a.c", 4, Condition("bytes", ">=", 5)),
        ),
        ("check_counter c(4) == 5", CheckCounter(1, "c", 4, Condition("packets", "==", 5))),
        ("mirroring_add 1 2", Mirror(1, 1, 2, None)),
        ("mirroring_add_mc 1 2", Mirror(1, 1, None, 2)),
        ("mc_node_create 5 1 2 3", NodeCreate(1, 5, (1, 2, 3))),
        ("meter_set_rates m 3 0.5:1 2:3", MeterRates(1, "m", 3, ((0.5, 1), (2.0, 3)))),
    ],
)
def test_a_line_means(line: str, statement: Statement) -> None:
    assert one(line) == statement


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("pocket 1 00", "there is no command 'pocket'"),
        ("packet", "a port number must follow"),
        ("packet x 00", "a port number must follow"),
        ("packet 1 0", "half a byte at the end"),
        ("packet 1 0*", "'*' is not a hexadecimal digit"),
        ("expect 1 $00", "'$' is neither"),
        ("add t a:1", "a key or an action is missing"),
        ("add t a:1 act(x:1", "',' is missing"),
        ("add t a:1 act(x:0x1*)", "an argument may not have wildcards"),
        ("add t a:1*2 act()", "cannot read '1*2 act()'"),
        ("add t a:0x*/4 act()", "a value before '/' may not have wildcards"),
        ("add t a:1 act() x", "'x' is too much"),
        ("remove some", "only 'remove all' is possible"),
        ("check_counter c(1) octets == 1", "packets or bytes, not octets"),
        ("check_counter c(1) packets = 1", "'=' is not one of"),
        ("register_write r 1", "a value is missing"),
        ("register_read r 1.5", "an index must be a whole number"),
        ("wait 3", "'3' is too much"),
    ],
)
def test_a_wrong_line_is_named(line: str, complaint: str) -> None:
    with pytest.raises(StfError) as raised:
        parse_text(f"# a comment\n\n{line}\n", FILE)
    assert str(raised.value).startswith("test.stf:3: ")
    assert complaint in str(raised.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StfError, match=r"none\.stf:1: cannot read the test: No such file"):
        parse(tmp_path / "none.stf")
    (tmp_path / "binary.stf").write_bytes(b"\xff\xfe")
    with pytest.raises(StfError, match="not UTF-8"):
        parse(tmp_path / "binary.stf")


PIECES = st.sampled_from(
    [
        *"()[]:,./=<>*$\"' ",
        "&&&",
        "->",
        "==",
        "0x",
        "0x1*",
        "0b2",
        "12",
        "1.5",
        "a.b",
        "all",
        "é",
        "٣",
    ]
)


@given(
    st.sampled_from(sorted(COMMANDS)),
    st.lists(PIECES | st.text(max_size=4), max_size=12),
    st.booleans(),
)
def test_any_line_is_read_or_refused(command: str, pieces: list[str], spaced: bool) -> None:
    text = f"{command} " + (" " if spaced else "").join(pieces)
    try:
        parse_text(text, FILE)
    except StfError as error:
        assert str(error).startswith("test.stf:")


@given(st.integers(0, 511), st.binary(max_size=80))
def test_packets_are_read_as_written(port: int, data: bytes) -> None:
    assert one(f"packet {port} {data.hex(' ')}") == Packet(1, port, data)
    assert one(f"packet {port} {data.hex().upper()}") == Packet(1, port, data)


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_patterns(expected: bytes, seen: bytes) -> None:
    assert Pattern(expected.hex(), True).matches(seen) == (expected == seen)
    assert Pattern(expected.hex(), False).matches(seen) == seen.startswith(expected)
    assert Pattern("*" * len(expected.hex()), False).matches(seen) == (len(seen) >= len(expected))
