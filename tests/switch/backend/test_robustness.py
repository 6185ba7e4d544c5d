"""Any bytes at all: neither crash nor hang, and nothing read or written out of bounds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.runtime.compiled import compile_source
from tests.switch.backend import test_externs, test_profiles, test_replication, test_tables
from tests.switch.backend.programs import compiled, fresh, one, program

ROOT = Path(__file__).resolve().parents[3]
PARTS = 12
CORPUS = ROOT / "tests" / "switch" / "stf" / "corpus"

# Stacks with run-time indices, unions, varbits, lookahead, advance, loops, sub-parsers.
WILD = program(
    headers="""
        header label_t { bit<20> label; bit<3> tc; bit<1> bottom; bit<8> ttl; }
        header small_t { bit<8> kind; bit<8> value; }
        header large_t { bit<8> kind; bit<200> value; }
        header options_t { bit<8> length; varbit<320> data; bit<8> after; }
        header_union either_t { small_t small; large_t large; }
    """,
    members="label_t[4] labels; either_t[2] either; options_t options; label_t last;",
    declarations="""
        parser Inner(packet_in packet, inout options_t options) {
            state start {
                packet.extract(options, (bit<32>)(packet.lookahead<bit<8>>()) << 3);
                transition accept;
            }
        }
    """,
    parser="""
        Inner() inner;
        state start {
            transition select(packet.lookahead<bit<16>>()) {
                0x0000 &&& 0xff00 : options; 0x0100 &&& 0xff00 : skip; default : labels; }
        }
        state skip { packet.advance((bit<32>)(packet.lookahead<bit<8>>()) * 16);
                     transition start; }
        state labels {
            packet.extract(hdr.labels.next);
            transition select(hdr.labels.last.bottom) { 0 : labels; 1 : either; }
        }
        state either {
            transition select(packet.lookahead<bit<8>>()) {
                1 : small; 2 : large; 3 : options; default : accept; }
        }
        state small { packet.extract(hdr.either.next.small); transition either; }
        state large { packet.extract(hdr.either.next.large); transition either; }
        state options { inner.apply(packet, hdr.options); transition accept; }
    """,
    ingress="""
        apply {
            bit<8> at = hdr.labels[0].ttl;
            if (hdr.labels[at].isValid()) { hdr.labels[at].ttl = 7; }
            hdr.last = hdr.labels[hdr.labels[1].label];
            hdr.labels[hdr.either[0].small.value].setValid();
            if (hdr.labels[2].isValid()) { hdr.labels.push_front(2); hdr.labels[0].setValid(); }
            if (hdr.labels[3].isValid()) { hdr.labels.pop_front(3); }
            if (hdr.either[1].large.isValid()) { hdr.either[0].small.setValid(); }
            std.mcast_grp = (bit<16>)hdr.labels[1].tc;
            std.egress_spec = 2;
        }
    """,
)

PROGRAMS = {
    "wild": WILD,
    "replication": test_replication.SOURCE,
    "tables": test_tables.SOURCE,
    "checksums": test_externs.CHECKSUMS,
    "hashes": test_externs.HASHES,
    "state": test_externs.STATE,
    "digests": test_externs.DIGESTS,
    "profiles": test_profiles.SHARED,
    "selectors": test_profiles.selector("crc16"),
}


def _libasan() -> str:
    cc = os.environ.get("CC", "cc")
    found = subprocess.run(
        [cc, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(found).is_absolute():
        pytest.skip("this C compiler has no AddressSanitizer")
    return found


def _fuzz(sources: Sequence[Path], count: int) -> None:
    for source in sources:
        # Into the cache, where the child finds it: the C compiler is slow with libasan loaded.
        compile_source(source, sanitize=True)
    environment = os.environ | {
        "LD_PRELOAD": _libasan(),
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONPATH": str(ROOT),
    }
    child = [sys.executable, "-m", "tests.switch.backend.fuzz_child", "1", str(count)]
    result = subprocess.run(
        [*child, *map(str, sources)],
        capture_output=True,
        text=True,
        timeout=110,
        env=environment,
        cwd=ROOT,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-4000:]


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_random_packets_under_sanitizers(name: str, tmp_path: Path) -> None:
    source = tmp_path / f"{name}.p4"
    source.write_text(PROGRAMS[name])
    _fuzz([source], 5_000)


@pytest.mark.slow
def test_random_packets_into_the_product_under_sanitizers() -> None:
    _fuzz([ROOT / "p4src" / "netmigrate.p4"], 5_000)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_random_packets_into_every_feature_under_sanitizers(part: int) -> None:
    _fuzz(sorted(CORPUS.glob("*.p4"))[part::PARTS], 1_000)


# What is skipped by advance is gone, so this one does not skip; its ingress does nothing.
IDENTITY = (
    WILD.replace("0x0100 &&& 0xff00 : skip;", "")
    .replace("control MyIngress", "control Unused", 1)
    .replace("MyIngress()", "Nothing()")
    .replace(
        "V1Switch(",
        """control Nothing(inout headers_t hdr, inout metadata_t meta,
                           inout standard_metadata_t std) { apply { } }
        V1Switch(""",
    )
)


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_what_the_parser_leaves_comes_out_unchanged(packet: bytes) -> None:
    """A program that only parses sends what it got, however the parser ended."""
    assert one(compiled(IDENTITY), packet) == packet


def test_a_parser_error_goes_on_to_ingress() -> None:
    source = program(
        headers="header h_t { bit<32> a; } header e_t { bit<8> code; bit<8> valid; }",
        members="e_t e; h_t first; h_t second;",
        parser="""state start { packet.extract(hdr.first); packet.extract(hdr.second);
                               verify(hdr.second.a != 7, error.HeaderTooShort);
                               transition select(hdr.second.a) { 1 : accept; 2 : reject; } }""",
        ingress="""apply {
            hdr.e.setValid();
            hdr.e.valid = (bit<8>)(bit<1>)hdr.second.isValid();
            if (std.parser_error == error.PacketTooShort) { hdr.e.code = 1; }
            else if (std.parser_error == error.HeaderTooShort) { hdr.e.code = 2; }
            else if (std.parser_error != error.NoError) { hdr.e.code = 9; }
        }""",
    )
    pipeline = fresh(source)
    first = b"abcd"
    expected = {
        first + b"xyz": (1, 0),
        first + bytes([0, 0, 0, 7]): (2, 1),
        first + bytes([0, 0, 0, 9]): (0, 1),
        first + bytes([0, 0, 0, 1]): (0, 1),
        first + bytes([0, 0, 0, 2]): (0, 1),
    }
    for packet, (code, valid) in expected.items():
        assert one(pipeline, packet) == bytes([code, valid]) + packet


def test_a_parser_loop_ends() -> None:
    source = program(
        headers="header h_t { bit<8> code; }",
        members="h_t h;",
        parser="state start { transition select(std.ingress_port) { 1 : start; _ : accept; } }",
        ingress="""apply { hdr.h.setValid();
            if (std.parser_error == error.ParserTimeout) { hdr.h.code = 1; } }""",
    )
    pipeline = fresh(source)
    assert one(pipeline, b"x", port=1) == b"\1x"
    assert one(pipeline, b"x", port=2) == b"\0x"


def test_a_failed_assertion_drops_the_packet() -> None:
    source = program(
        headers="header h_t { bit<8> a; }",
        members="h_t h;",
        parser="state start { packet.extract(hdr.h); transition accept; }",
        ingress="apply { assert(hdr.h.a != 3); }",
    )
    pipeline = fresh(source)
    before = pipeline.statistics()["failed_assertions"]
    assert pipeline.process(1, b"\3") == []
    assert len(pipeline.process(1, b"\4")) == 1
    assert pipeline.statistics()["failed_assertions"] == before + 1
