"""Bytestrings and match formats (P4Runtime spec sections 8.4 and 9.1.1)."""

import pytest
from finsy.proto import p4d, p4i, p4r
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from switch.p4runtime import codec, p4data
from switch.p4runtime.errors import Refused
from switch.p4runtime.schema import Schema, Table
from switch.runtime.entries import Exact, Lpm, Match, MeterConfig, Optional, Range, Ternary

INFO = """
tables {
  preamble { id: 0x02000001 name: "t" }
  match_fields { id: 1 name: "exact" bitwidth: 12 match_type: EXACT }
  match_fields { id: 2 name: "lpm" bitwidth: 32 match_type: LPM }
  match_fields { id: 3 name: "ternary" bitwidth: 16 match_type: TERNARY }
  match_fields { id: 4 name: "range" bitwidth: 8 match_type: RANGE }
  match_fields { id: 9 name: "optional" bitwidth: 9 match_type: OPTIONAL }
}
"""
TABLE: Table = Schema(text_format.Parse(INFO, p4i.P4Info())).table(0x02000001)
EXACT = "match { field_id: 1 exact { value: '\\x01' } }"


def decode(text: str) -> tuple[Match, ...]:
    return codec.decode_match(TABLE, text_format.Parse(text, p4r.TableEntry()).match)


# The tables of valid and invalid encodings in the spec, unsigned part.
@pytest.mark.parametrize(
    ("width", "given", "value"),
    [
        (8, b"\x63", 99),
        (16, b"\x00\x63", 99),
        (16, b"\x63", 99),
        (16, b"\x30\x64", 12388),
        (16, b"\x00\x30\x64", 12388),
        (12, b"\x00\x63", 99),
        (12, b"\x00\x00\x63", 99),
        (8, b"\x01\x63", None),
        (8, b"", None),
        (16, b"\x01\x00\x63", None),
        (12, b"\x10\x63", None),
        (12, b"\x01\x00\x63", None),
        (12, b"\x00\x40\x63", None),
    ],
)
def test_bytestrings(width: int, given: bytes, value: int | None) -> None:
    if value is None:
        with pytest.raises(Refused):
            codec.decode(given, width, "x")
    else:
        assert codec.decode(given, width, "x") == value


@pytest.mark.parametrize(
    ("width", "given", "value", "code"),
    [
        (8, b"\x63", 99, ""),
        (8, b"\x9d", -99, ""),
        (8, b"\xff\x9d", -99, ""),
        (12, b"\xfd\x1d", -739, ""),
        (16, b"\x00\x00", 0, ""),
        (8, b"\x00\x9d", None, "OUT_OF_RANGE"),
        (12, b"\x8d\x1d", None, "OUT_OF_RANGE"),
        (16, b"", None, "OUT_OF_RANGE"),
    ],
)
def test_signed_cells(width: int, given: bytes, value: int | None, code: str) -> None:
    type_ = p4data.Scalar("bitstring", width, True)
    data = p4d.P4Data(bitstring=given)
    if value is None:
        with pytest.raises(Refused) as refused:
            p4data.decode(type_, data, "x")
        assert refused.value.code.name == code
    else:
        assert p4data.decode(type_, data, "x") == value % (1 << width)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (p4d.P4Data(bool=True), 1),
        (p4d.P4Data(bool=False), 0),
        (p4d.P4Data(error="NoMatch"), 2),
        (p4d.P4Data(error="TooLate"), None),
        (p4d.P4Data(error="NoError"), 0),
        (p4d.P4Data(enum="NoError"), None),
        (p4d.P4Data(bitstring=b"\x01"), None),
        (p4d.P4Data(), None),
    ],
)
def test_truths_and_errors(data: p4d.P4Data, value: int | None) -> None:
    kinds = {
        "bool": p4data.Scalar("bool", 1),
        "error": p4data.Scalar("error", members=("NoError", "PacketTooShort", "NoMatch")),
    }
    type_ = kinds["bool" if data.HasField("bool") else "error"]
    if value is None:
        with pytest.raises(Refused) as refused:
            p4data.decode(type_, data, "x")
        assert refused.value.code.name == "INVALID_ARGUMENT"
        return
    assert p4data.decode(type_, data, "x") == value
    again = p4d.P4Data()
    p4data.encode(type_, iter((value,)), again)
    assert again == data


@given(width=st.integers(1, 80), signed=st.booleans(), data=st.data())
def test_cells_come_back_in_the_shortest_form(
    width: int, signed: bool, data: st.DataObject
) -> None:
    type_ = p4data.Scalar("bitstring", width, signed)
    stored = data.draw(st.integers(0, 2**width - 1))
    message = p4d.P4Data()
    p4data.encode(type_, iter((stored,)), message)
    assert p4data.decode(type_, message, "x") == stored
    shorter = message.bitstring[1:]
    if shorter:
        assert p4data.decode(type_, p4d.P4Data(bitstring=shorter), "x") != stored


TWO_RATE = p4i.MeterSpec.TWO_RATE_THREE_COLOR
ONE_RATE, ONE_RATE_TWO = p4i.MeterSpec.SINGLE_RATE_THREE_COLOR, p4i.MeterSpec.SINGLE_RATE_TWO_COLOR


@pytest.mark.parametrize(
    ("type_", "rates", "code"),
    [
        (TWO_RATE, (1, 2, 3, 4, 0), ""),
        (TWO_RATE, (1, 2, 3, 4, 5), "INVALID_ARGUMENT"),
        (TWO_RATE, (3, 2, 1, 4, 0), "INVALID_ARGUMENT"),
        (TWO_RATE, (1, -2, 3, 4, 0), "INVALID_ARGUMENT"),
        (ONE_RATE, (1, 2, 1, 2, 0), ""),
        (ONE_RATE, (1, 2, 1, 2, 5), "UNIMPLEMENTED"),
        (ONE_RATE, (1, 2, 1, 2, -5), "INVALID_ARGUMENT"),
        (ONE_RATE, (1, 2, 3, 2, 0), "INVALID_ARGUMENT"),
        (ONE_RATE_TWO, (1, 2, 1, 2, 0), ""),
        (ONE_RATE_TWO, (1, 2, 1, 4, 0), "INVALID_ARGUMENT"),
        (ONE_RATE_TWO, (1, 2, 1, 2, 5), "INVALID_ARGUMENT"),
    ],
)
def test_meter_configs(type_: int, rates: tuple[int, ...], code: str) -> None:
    """9.4, by the meter's type in P4Info."""
    cir, cburst, pir, pburst, eburst = rates
    config = p4r.MeterConfig(cir=cir, cburst=cburst, pir=pir, pburst=pburst, eburst=eburst)
    if code:
        with pytest.raises(Refused) as refused:
            codec.decode_meter(config, type_, "x")
        assert refused.value.code.name == code
    else:
        assert codec.decode_meter(config, type_, "x") == MeterConfig(*rates[:4])


def test_all_match_kinds() -> None:
    assert decode(
        EXACT
        + """
        match { field_id: 2 lpm { value: '\\x0a\\x00\\x00\\x00' prefix_len: 8 } }
        match { field_id: 9 optional { value: '\\x01\\x00' } }
        match { field_id: 3 ternary { value: '\\x08' mask: '\\xff' } }
        match { field_id: 4 range { low: '\\x02' high: '\\x05' } }
        """
    ) == (Exact(1), Lpm(0x0A000000, 8), Ternary(8, 0xFF), Range(2, 5), Optional(256))


def test_what_is_left_out_matches_anything() -> None:
    anything = (Lpm(0, 0), Ternary(0, 0), Range(0, 255), Optional(None))
    assert decode(EXACT) == (Exact(1), *anything)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "match { field_id: 2 lpm { value: '\\x01' prefix_len: 32 } }",
        EXACT + EXACT,
        EXACT + "match { field_id: 5 exact { value: '\\x01' } }",
        EXACT + "match { field_id: 0 exact { value: '\\x01' } }",
        "match { field_id: 1 }",
        "match { field_id: 1 exact { } }",
        "match { field_id: 1 exact { value: '\\x10\\x00' } }",
        "match { field_id: 1 ternary { value: '\\x01' mask: '\\xff' } }",
        "match { field_id: 1 optional { value: '\\x01' } }",
        EXACT + "match { field_id: 2 exact { value: '\\x01' } }",
        EXACT + "match { field_id: 2 lpm { value: '\\x00' prefix_len: 0 } }",
        EXACT + "match { field_id: 2 lpm { value: '\\x00' prefix_len: -1 } }",
        EXACT + "match { field_id: 2 lpm { value: '\\x00' prefix_len: 33 } }",
        EXACT + "match { field_id: 2 lpm { value: '\\x01' prefix_len: 31 } }",
        EXACT + "match { field_id: 3 ternary { value: '\\x00' mask: '\\x00' } }",
        EXACT + "match { field_id: 3 ternary { value: '\\x01' mask: '\\x02' } }",
        EXACT + "match { field_id: 3 ternary { value: '\\x01' } }",
        EXACT + "match { field_id: 4 range { low: '\\x02' high: '\\x01' } }",
        EXACT + "match { field_id: 4 range { low: '\\x00' high: '\\xff' } }",
        EXACT + "match { field_id: 4 range { low: '\\x00' high: '\\x01\\x00' } }",
        EXACT + "match { field_id: 9 optional { value: '' } }",
    ],
)
def test_bad_matches_are_invalid(text: str) -> None:
    with pytest.raises(Refused) as refused:
        decode(text)
    assert refused.value.code.name == "INVALID_ARGUMENT"
    assert "table t" in refused.value.message


@given(
    st.tuples(
        st.builds(Exact, st.integers(0, 2**12 - 1)),
        st.integers(0, 32).flatmap(
            lambda n: st.builds(lambda v: Lpm(v << (32 - n), n), st.integers(0, 2**n - 1))
        ),
        st.builds(
            lambda value, mask: Ternary(value & mask, mask),
            st.integers(0, 2**16 - 1),
            st.integers(0, 2**16 - 1),
        ),
        st.tuples(st.integers(0, 255), st.integers(0, 255)).map(lambda p: Range(min(p), max(p))),
        st.builds(Optional, st.none() | st.integers(0, 511)),
    )
)
def test_matches_survive_a_round_trip(matches: tuple[Match, ...]) -> None:
    message = p4r.TableEntry()
    codec.encode_match(TABLE, matches, message)
    assert codec.decode_match(TABLE, message.match) == matches
