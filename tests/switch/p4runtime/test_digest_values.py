"""Digests of every kind of value, as P4Data of the type in P4Info (P4Runtime spec section 8.5)."""

from __future__ import annotations

from finsy.proto import p4d
from google.protobuf import text_format

from switch.p4info import p4info
from switch.p4runtime.p4data import Types, encode
from tests.switch.backend.programs import fresh, program

SOURCE = program(
    headers="""
        header h_t { bit<8> size; varbit<80> data; bool yes; bit<7> seven; }
        header pair_t { bit<4> high; bit<4> low; int<8> number; }
    """,
    members="h_t h; pair_t pair;",
    parser="""state start {
        packet.extract(hdr.h, (bit<32>)packet.lookahead<bit<8>>() * 8);
        transition select(hdr.h.yes) { true : pair; false : accept; }
    }
    state pair { packet.extract(hdr.pair); transition accept; }""",
    declarations="""
        enum plain_t { First, Second }
        enum bit<16> coded_t { Ten = 10, Big = 0x1234 }
        struct inner_t { bool yes; bit<100> wide; int<12> number; }
        struct all_t {
            inner_t inner; plain_t plain; coded_t coded; error found;
            pair_t pair; varbit<80> data; tuple<bit<8>, bool> both;
        }
    """,
    ingress="""apply {
        all_t all;
        all.inner = { hdr.h.yes, (bit<100>)hdr.h.seven << 90, -3 };
        all.plain = plain_t.Second;
        all.coded = coded_t.Big;
        all.found = std.parser_error;
        all.pair = hdr.pair;
        all.data = hdr.h.data;
        all.both = { hdr.h.size, true };
        digest<all_t>(1, all);
    }""",
)


def _sent(packet: bytes) -> p4d.P4Data:
    pipeline = fresh(SOURCE)
    pipeline.process(1, packet)
    (digest,) = pipeline.digests()
    info = p4info(pipeline.program)
    type_ = Types(info.type_info).described(info.digests[0].type_spec)
    assert type_ is not None
    values = iter(digest.values)
    message = p4d.P4Data()
    encode(type_, values, message)
    assert next(values, None) is None
    return message


COMMON = r"""
    members { enum: "Second" }
    members { enum_value: "\x12\x34" }
    members { error: "%s" }
"""


def test_valid() -> None:
    expected = text_format.Parse(
        r"""struct {
            members { struct {
                members { bool: true }
                members { bitstring: "\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" }
                members { bitstring: "\xfd" }
            } }
            %s
            members { header { is_valid: true bitstrings: "\x0a" bitstrings: "\x0b"
                               bitstrings: "\xfe" } }
            members { varbit { bitwidth: 72 bitstring: "\x01\x02\x03\x04\x05\x06\x07\x08\x09" } }
            members { tuple { members { bitstring: "\x09" } members { bool: true } } }
        }"""
        % (COMMON % "NoError"),
        p4d.P4Data(),
    )
    assert _sent(bytes.fromhex("09 010203040506070809 81 abfe")) == expected


def test_invalid() -> None:
    expected = text_format.Parse(
        r"""struct {
            members { struct {
                members { bool: true } members { bitstring: "\x00" } members { bitstring: "\xfd" }
            } }
            %s
            members { header { } }
            members { varbit { bitstring: "\x00" } }
            members { tuple { members { bitstring: "\x00" } members { bool: true } } }
        }"""
        % (COMMON % "PacketTooShort"),
        p4d.P4Data(),
    )
    assert _sent(bytes.fromhex("00 80 ab")) == expected
