"""The trace of packets: what it says of each construct, and that it changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from switch.backend.program import generate
from switch.runtime.pipeline import (
    Entry,
    Exact,
    Group,
    Lpm,
    Member,
    MeterConfig,
    Optional,
    Pipeline,
    Range,
    Share,
    Ternary,
    ToGroup,
)
from switch.stf import Pair, pairs, run_all
from tests.switch.backend.programs import fresh, program
from tests.switch.backend.test_profiles import CHOSEN, selector

CORPUS = Path(__file__).parents[1] / "stf" / "corpus"

Replicas = Sequence[tuple[int, int]]

SOURCE = program(
    headers="""
        header first_t { bit<48> station; bit<32> address; bit<4> kind; bit<12> length; }
        header item_t { bit<8> value; }
        header rest_t { bit<8> count; varbit<128> data; }
        enum bit<8> Colour { RED = 1, GREEN = 2 }
        enum Side { LEFT, RIGHT }
    """,
    members="first_t first; item_t[2] items; rest_t rest;",
    metadata="@field_list(1) bit<16> kept; bit<200> wide; Side side; bool flag;",
    declarations="struct seen_t { bit<48> station; bit<9> port; }",
    parser="""
        state start {
            packet.extract(hdr.first);
            transition select(hdr.first.kind) { 0: items; 1: rest; default: accept; }
        }
        state items {
            packet.extract(hdr.items.next);
            packet.extract(hdr.items.next);
            transition accept;
        }
        state rest {
            packet.advance(8);
            packet.extract(hdr.rest, (bit<32>) hdr.first.length * 8);
            transition accept;
        }
    """,
    ingress="""
        register<bit<12>>(4) memory;
        counter(4, CounterType.packets) seen;
        meter(4, MeterType.packets) rates;
        action send(bit<9> port) { std.egress_spec = port; }
        @name("gone") action drop() { mark_to_drop(std); }
        table choose {
            key = {
                hdr.first.address: lpm;
                hdr.first.kind: ternary;
                hdr.first.length: range @name("length");
                hdr.items[1].isValid(): optional;
            }
            actions = { send; drop; }
            default_action = drop();
        }
        apply {
            bit<12> old;
            memory.read(old, (bit<32>) hdr.first.length);
            memory.write(1, old + 1);
            seen.count(2);
            bit<2> colour;
            rates.execute_meter(3, colour);
            bit<16> digested;
            hash(digested, HashAlgorithm.crc16, 16w0, { hdr.first.station }, 32w0x10000);
            digest<seen_t>(1, { hdr.first.station, std.ingress_port });
            meta.wide = 8w0x80 ++ 192w0;
            meta.side = Side.RIGHT;
            meta.flag = hdr.items[0].isValid();
            choose.apply();
            log_msg("from {} \\\\{really\\\\}: {}", { std.ingress_port, hdr.first.station });
            assert(hdr.first.length != 77);
        }
    """,
)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    path = tmp_path_factory.mktemp("trace") / "all.p4"
    path.write_text(SOURCE)
    return Pipeline.compile(path)


def texts(pipeline: Pipeline, packet: str, port: int = 5) -> list[str]:
    return [step.text for step in pipeline.trace(port, bytes.fromhex(packet)).steps]


FIRST = "020000000001 0a000102"


def test_headers_and_values(pipeline: Pipeline) -> None:
    pipeline.reset()
    entry = Entry(
        (Lpm(0x0A000000, 16), Ternary(0, 0x8), Range(1, 3), Optional(1)), "MyIngress.send", (7,), 10
    )
    pipeline.insert("MyIngress.choose", entry)
    pipeline.set_register("MyIngress.memory", 2, 0xABC)
    assert texts(pipeline, FIRST + "0002 aa bb ffff") == [
        "state start",
        "extract hdr.first: station=02:00:00:00:00:01, address=0x0a000102, kind=0x0, length=0x002",
        "select(hdr.first.kind=0x0)",
        "state items",
        "extract hdr.items.next: value=0xaa",
        "extract hdr.items.next: value=0xbb",
        "parser done, 14 bytes of headers",
        "ingress, port 5",
        "register MyIngress.memory[2] is 0xabc",
        "register MyIngress.memory[1] = 0xabd",
        "counter MyIngress.seen[2]",
        "meter MyIngress.rates[3] is green",
        f"hash: digested={crc16('020000000001'):#06x}",
        "digest seen_t: station=02:00:00:00:00:01, port=0x005",
        "meta.wide = 0x8" + 49 * "0",
        "meta.side = RIGHT",
        "meta.flag = true",
        "table MyIngress.choose(hdr.first.address=0x0a000102, hdr.first.kind=0x0, length=0x002, "
        "hdr.items[1].$valid$=true) hit hdr.first.address=0x0a000000/16, "
        "hdr.first.kind=0x0&&&0x8, length=0x001..0x003, hdr.items[1].$valid$=true, priority 10",
        "action MyIngress.send(port=0x007)",
        "std.egress_spec = 0x007",
        "log_msg: from 5 {really}: 2199023255553",
        "egress, port 7",
        "emit hdr.first: station=02:00:00:00:00:01, address=0x0a000102, kind=0x0, length=0x002",
        "emit hdr.items[0]: value=0xaa",
        "emit hdr.items[1]: value=0xbb",
        "out of port 7, 16 bytes",
    ]


def test_a_varbit_and_a_drop(pipeline: Pipeline) -> None:
    pipeline.reset()
    pipeline.set_meter("MyIngress.rates", 3, MeterConfig(0, 0, 0, 0))
    steps = pipeline.trace(1, bytes.fromhex(FIRST + "1003 ff 03 aabbcc")).steps
    lines = [step.text for step in steps]
    assert "advance 8 bits" in lines
    assert "extract hdr.rest: count=0x03, data=0xaabbcc" in lines
    assert "meter MyIngress.rates[3] is red" in lines
    (table,) = (step for step in steps if step.kind == "table")
    assert (table.hit, table.entry) == (False, None)
    assert lines[lines.index(table.text) + 1 :][:2] == ["action MyIngress.gone()", "mark_to_drop()"]
    (mark,) = (step.loc for step in steps if step.name == "mark_to_drop")
    assert mark
    assert lines[-1] == f"dropped at the end of ingress: mark_to_drop in all.p4({mark.line})"
    assert '@name("gone")' in SOURCE.splitlines()[mark.line - 1]


def test_a_parser_error(pipeline: Pipeline) -> None:
    lines = texts(pipeline, FIRST + "0002 aa")
    assert lines[2:6] == [
        "select(hdr.first.kind=0x0)",
        "state items",
        "extract hdr.items.next: value=0xaa",
        "parser stops after 13 bytes: error.PacketTooShort",
    ]


def test_a_failed_assertion(pipeline: Pipeline) -> None:
    pipeline.reset()
    pipeline.set_default("MyIngress.choose", "MyIngress.send", (1,))
    trace = pipeline.trace(1, bytes.fromhex(FIRST + "004d aa bb"))
    failed, dropped = trace.steps[-2:]
    assert failed.text == "assert(hdr.first.length != 0x04d) failed: the packet is dropped"
    assert failed.loc
    assert "assert(" in SOURCE.splitlines()[failed.loc.line - 1]
    assert dropped.text == "dropped: an assertion failed"
    assert trace.out == ()
    pipeline.trace(1, bytes.fromhex(FIRST + "004c aa bb"))
    assert pipeline.statistics()["failed_assertions"] == 1


def crc16(data: str) -> int:
    crc = 0
    for byte in bytes.fromhex(data):
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def test_what_a_selector_chooses() -> None:
    chosen = fresh(selector("crc16"))
    chosen.insert_member(CHOSEN, Member(5, "MyIngress.to", (7,)))
    chosen.insert_group(CHOSEN, Group(2, (Share(5),)))
    chosen.insert("MyIngress.t", Entry((Exact(1),), target=ToGroup(2)))
    lines = [step.text for step in chosen.trace(1, bytes([1]) + bytes(13)).steps]
    at = lines.index("table MyIngress.t(hdr.h.a=0x01) hit, group 2")
    assert lines[at + 1 : at + 3] == [f"{CHOSEN}: member 5", "action MyIngress.to(port=0x007)"]


# --- copies ---------------------------------------------------------------------------------------


def copies(name: str, packet: str, *, session: Replicas = (), group: Replicas = ()) -> list[str]:
    """Copy and text of what the runtime does with a packet of a corpus program."""
    pipeline = Pipeline.compile(CORPUS / f"{name}.p4")
    if session:
        pipeline.set_clone_session(5, session)
    if group:
        pipeline.set_multicast_group(1, group)
    trace = pipeline.trace(1, bytes.fromhex(packet))
    pipeline.close()
    return [f"{step.copy} {step.text}" for step in trace.steps if step.loc is None]


def test_multicast_copies() -> None:
    assert copies("multicast", "01" + 7 * "00", group=[(2, 0), (3, 9)]) == [
        "0 parser done, 8 bytes of headers",
        "0 ingress, port 1",
        "0 multicast group 1: copy 1 to port 2",
        "1 egress, port 2",
        "1 out of port 2, 8 bytes",
        "0 multicast group 1: copy 2 to port 3, instance 9",
        "2 egress, port 3, instance 9",
        "2 out of port 3, 8 bytes",
    ]
    assert copies("multicast", "01" + 7 * "00")[-1] == "0 multicast group 1 has no ports: dropped"


def test_clones_of_the_ingress() -> None:
    found = copies("clone_to_group", "aa" + 7 * "00", session=[(3, 1), (4, 2)])
    assert found == [
        "0 parser done, 8 bytes of headers",
        "0 ingress, port 1",
        "0 clone session 5: copy 1 to port 4, instance 2",
        "1 parser done, 8 bytes of headers",
        "0 clone session 5: copy 2 to port 3, instance 1",
        "2 egress, port 3, instance 1",
        "2 out of port 3, 8 bytes",
        "1 egress, port 4, instance 2",
        "1 out of port 4, 8 bytes",
        "0 egress, port 2",
        "0 out of port 2, 8 bytes",
    ]
    without = copies("clone_to_group", "aa" + 7 * "00")
    assert "0 clone session 5 has no ports: no copy" in without


def test_resubmitted_and_recirculated_packets() -> None:
    resubmitted = copies("resubmit", 8 * "00")
    assert resubmitted[2:5] == [
        "0 resubmitted as copy 1",
        "1 parser done, 8 bytes of headers",
        "1 ingress, resubmitted",
    ]
    recirculated = copies("recirculate", 8 * "00")
    again = next(i for i, line in enumerate(recirculated) if "recirculated as copy" in line)
    assert recirculated[again] == "0 recirculated as copy 1, 8 bytes"
    assert recirculated[again + 2] == "1 ingress, recirculated"


# --- two builds -----------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", pairs([CORPUS]), ids=lambda pair: pair.test.stem)
def test_a_traced_packet_comes_out_the_same(pair: Pair, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_all([pair], log_packets=True) == 0, capsys.readouterr().out


def test_the_plain_build_has_no_hooks(pipeline: Pipeline) -> None:
    plain, traced = (generate(pipeline.program, trace=trace) for trace in (False, True))
    assert plain.sites == traced.sites
    hooks = [line.strip() for line in plain.text.splitlines() if "race" in line]
    assert [line.partition("(")[0] for line in hooks] == ["p4_trace_message"] * 2
    assert traced.text.count("p4_trace_words(") > 20


def test_a_failing_stf_test_shows_the_packet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    test = tmp_path / "wrong.stf"
    test.write_text((CORPUS / "ternary.stf").read_text().replace("expect 2\n", "expect 2 99\n", 1))
    pair = Pair(CORPUS / "ternary.p4", test)
    assert run_all([pair]) == 1
    assert "state start" not in capsys.readouterr().out
    assert run_all([pair], log_packets=True) == 1
    said = capsys.readouterr().out
    assert "ternary.p4(13) table MyIngress.t(" in said
    assert "out of port 2, 8 bytes" in said
