"""Registers, counters, meters, hashes, checksums, random numbers, digests."""

from __future__ import annotations

import binascii

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from switch.runtime.pipeline import Digest, Entry, Exact, InvalidEntry, MeterConfig, UnknownName
from tests.switch.backend.programs import compiled, fresh, one, program

STATE = program(
    headers="""header h_t { bit<8> op; bit<32> index; bit<100> wide; bit<4> rest;
                           bit<16> narrow; bit<1> flag; bit<7> colour; bit<32> rnd; }""",
    members="h_t h;",
    parser="state start { packet.extract(hdr.h); transition accept; }",
    ingress="""
        register<bit<100>>(4) wide;
        register<bit<9>>(4) narrow;
        register<bit<1>>(4) flag;
        counter(4, CounterType.packets_and_bytes) traffic;
        meter(2, MeterType.packets) limit;
        direct_meter<bit<7>>(MeterType.bytes) rate;
        action metered() { rate.read(hdr.h.colour); }
        table measured { key = { hdr.h.index : exact; } actions = { metered; NoAction; }
            default_action = NoAction(); meters = rate; }
        apply {
            bit<9> n = 0x155;
            bit<2> colour = 3;
            if (hdr.h.op == 0) {
                wide.write(hdr.h.index, hdr.h.wide);
                narrow.write(hdr.h.index, (bit<9>)hdr.h.narrow);
                flag.write(hdr.h.index, hdr.h.flag);
            } else if (hdr.h.op == 1) {
                wide.read(hdr.h.wide, hdr.h.index);
                narrow.read(n, hdr.h.index);
                flag.read(hdr.h.flag, hdr.h.index);
                hdr.h.narrow = (bit<16>)n;
            } else if (hdr.h.op == 2) {
                traffic.count(hdr.h.index);
            } else if (hdr.h.op == 3) {
                limit.execute_meter(hdr.h.index, colour);
                hdr.h.colour = (bit<7>)colour;
            } else if (hdr.h.op == 4) {
                measured.apply();
            } else if (hdr.h.op == 5) {
                random(hdr.h.rnd, 10, 13);
            }
        }
    """,
)


def _packet(op: int, index: int, wide: int = 0, narrow: int = 0, flag: int = 0) -> bytes:
    return (
        bytes([op])
        + index.to_bytes(4, "big")
        + (wide << 4).to_bytes(13, "big")
        + narrow.to_bytes(2, "big")
        + bytes([flag << 7])
        + bytes(4)
    )


@given(st.integers(0, 3), st.integers(0, (1 << 100) - 1), st.integers(0, 511), st.integers(0, 1))
@settings(max_examples=50, deadline=None)
def test_registers_keep_what_packets_write(index: int, wide: int, narrow: int, flag: int) -> None:
    pipeline = compiled(STATE)
    pipeline.process(1, _packet(0, index, wide, narrow, flag))
    assert pipeline.register("MyIngress.wide", index) == wide
    assert pipeline.register("MyIngress.narrow", index) == narrow
    assert pipeline.registers("MyIngress.flag")[index] == flag
    assert one(pipeline, _packet(1, index)) == _packet(1, index, wide, narrow, flag)


def test_registers_out_of_bounds_change_nothing() -> None:
    pipeline = fresh(STATE)
    for index in (4, 5, 0xFFFFFFFF):
        pipeline.process(1, _packet(0, index, 1, 1, 1))
        assert one(pipeline, _packet(1, index)) == _packet(1, index, narrow=0x155)
    assert not any(pipeline.registers("MyIngress.narrow"))


def test_registers_from_the_control_side() -> None:
    pipeline = fresh(STATE)
    pipeline.set_registers("MyIngress.narrow", np.array([1, 2, 3]), first=1)
    cells = pipeline.registers("MyIngress.narrow")
    assert isinstance(cells, np.ndarray)
    assert cells.tolist() == [0, 1, 2, 3]
    pipeline.set_registers("MyIngress.wide", [1 << 99, 5])
    assert pipeline.registers("MyIngress.wide") == [1 << 99, 5, 0, 0]
    assert one(pipeline, _packet(1, 0))[5:18] == (1 << 103).to_bytes(13, "big")
    pipeline.reset()
    assert pipeline.registers("MyIngress.wide") == [0, 0, 0, 0]
    for values in ([512], [-1], np.array([512])):
        with pytest.raises(InvalidEntry, match="9 bits"):
            pipeline.set_registers("MyIngress.narrow", values)
    with pytest.raises(InvalidEntry, match="out of range"):
        pipeline.set_registers("MyIngress.narrow", [0, 0], first=3)
    with pytest.raises(InvalidEntry, match="out of range"):
        pipeline.register("MyIngress.narrow", 4)
    with pytest.raises(UnknownName, match=r"MyIngress\.narrow"):
        pipeline.register("narrow", 0)


def test_counters_count_packets_and_bytes() -> None:
    pipeline = fresh(STATE)
    for index in (1, 1, 3, 4, 0xFFFFFFFF):
        pipeline.process(1, _packet(2, index))
    size = len(_packet(2, 0))
    assert pipeline.counters("MyIngress.traffic").tolist() == [
        [0, 0],
        [2, 2 * size],
        [0, 0],
        [1, size],
    ]
    pipeline.set_counter("MyIngress.traffic", 0, 5, 6)
    assert pipeline.counter("MyIngress.traffic", 0) == (5, 6)


def test_meter_colours() -> None:
    """Rates so low that no token comes back: green for the committed burst, then yellow, red."""
    pipeline = fresh(STATE)

    def colour(index: int) -> int:
        return one(pipeline, _packet(3, index))[20] & 0x7F

    assert colour(0) == 0
    config = MeterConfig(cir=0, cburst=2, pir=0, pburst=5)
    pipeline.set_meter("MyIngress.limit", 0, config)
    assert pipeline.meter("MyIngress.limit", 0) == config
    assert [colour(0) for _ in range(7)] == [0, 0, 1, 1, 1, 2, 2]
    assert colour(1) == 0
    assert colour(9) == 3, "out of bounds the result keeps its value"
    pipeline.set_meter("MyIngress.limit", 0, None)
    assert colour(0) == 0
    with pytest.raises(InvalidEntry, match="cir"):
        pipeline.set_meter("MyIngress.limit", 0, MeterConfig(2, 1, 1, 1))


def test_direct_meter_colours_hits_by_bytes() -> None:
    pipeline = fresh(STATE)
    entry = Entry((Exact(1),), "MyIngress.metered")
    pipeline.insert("MyIngress.measured", entry)
    size = len(_packet(4, 1))
    pipeline.set_direct_meter(
        "MyIngress.measured", entry, MeterConfig(cir=0, cburst=size, pir=0, pburst=2 * size)
    )
    colours = [one(pipeline, _packet(4, 1))[20] & 0x7F for _ in range(3)]
    assert colours == [0, 1, 2]
    found = pipeline.direct_meter("MyIngress.measured", entry)
    assert found == MeterConfig(0, size, 0, 2 * size)


def test_a_direct_meter_colours_misses_once_it_is_set() -> None:
    pipeline = fresh(STATE)
    table = "MyIngress.measured"
    pipeline.set_default(table, "MyIngress.metered", ())

    def colours(count: int) -> list[int]:
        return [one(pipeline, _packet(4, 1))[20] & 0x7F for _ in range(count)]

    unchanged = colours(1)
    size = len(_packet(4, 1))
    config = MeterConfig(cir=0, cburst=size, pir=0, pburst=2 * size)
    pipeline.set_direct_meter(table, None, config)
    assert pipeline.direct_meter(table, None) == config
    assert colours(3) == [0, 1, 2]
    assert pipeline.direct_meter_counts(table, None).red == (1, size)
    pipeline.set_direct_meter(table, None, None)
    assert colours(1) == unchanged


def test_random_stays_within_its_bounds() -> None:
    pipeline = compiled(STATE)
    seen = {int.from_bytes(one(pipeline, _packet(5, 0))[-4:], "big") for _ in range(400)}
    assert seen == {10, 11, 12, 13}


ALGORITHMS = ("crc32", "crc16", "csum16", "xor16", "identity")
HASHES = program(
    headers="""
        header kind_t { bit<8> kind; }
        header input_t { bit<3> a; bit<13> b; bit<32> c; bit<40> d; }
        header optional_t { bit<16> e; }
        header output_t { bit<64> value; bit<64> limited; }
    """,
    members="kind_t kind; input_t i; optional_t opt; output_t o;",
    parser="""
        state start { packet.extract(hdr.kind); packet.extract(hdr.i);
            transition select(hdr.kind.kind) { 0x80 &&& 0x80 : more; default : accept; } }
        state more { packet.extract(hdr.opt); transition accept; }
    """,
    ingress="apply { hdr.o.setValid();"
    + " else ".join(
        f"""if (hdr.kind.kind & 0x7f == {i}) {{
            hash(hdr.o.value, HashAlgorithm.{name}, 64w0,
                 {{hdr.i.a, hdr.i.b, hdr.i.c, hdr.opt.e, hdr.i.d}}, 64w0xffffffffffffffff);
            hash(hdr.o.limited, HashAlgorithm.{name}, 16w1000,
                 {{hdr.i.c, hdr.opt.e}}, 32w77); }}"""
        for i, name in enumerate(ALGORITHMS)
    )
    + "}",
    deparser="apply { packet.emit(hdr.o); }",
)


def _crc16(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def _csum16(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _xor16(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    result = 0
    for i in range(0, len(data), 2):
        result ^= int.from_bytes(data[i : i + 2], "big")
    return result


MODELS = (binascii.crc32, _crc16, _csum16, _xor16, lambda data: int.from_bytes(data[:8], "big"))


@given(
    kind=st.sampled_from(range(len(ALGORITHMS))),
    data=st.binary(min_size=11, max_size=11),
    extra=st.none() | st.binary(min_size=2, max_size=2),
)
@settings(max_examples=200, deadline=None)
def test_hashes(kind: int, data: bytes, extra: bytes | None) -> None:
    """Fields of an invalid header take no part; the result is base + hash mod max."""
    packet = bytes([kind | (0 if extra is None else 0x80)]) + data + (extra or b"")
    out = one(compiled(HASHES), packet)
    middle = extra or b""
    full = data[:6] + middle + data[6:]
    assert int.from_bytes(out[:8], "big") == MODELS[kind](full) % 0xFFFFFFFFFFFFFFFF
    assert int.from_bytes(out[8:], "big") == 1000 + MODELS[kind](data[2:6] + middle) % 77


IPV4_FIELDS = (
    "hdr.ip.version, hdr.ip.ihl, hdr.ip.tos, hdr.ip.len, hdr.ip.id, hdr.ip.flags, hdr.ip.frag, "
    "hdr.ip.ttl, hdr.ip.proto, hdr.ip.src, hdr.ip.dst"
)
CHECKSUMS = program(
    headers="""
        header ethernet_t { bit<48> dst; bit<48> src; bit<16> type; }
        header ipv4_t { bit<4> version; bit<4> ihl; bit<8> tos; bit<16> len; bit<16> id;
                        bit<3> flags; bit<13> frag; bit<8> ttl; bit<8> proto; bit<16> csum;
                        bit<32> src; bit<32> dst; }
        header udp_t { bit<16> sport; bit<16> dport; bit<16> len; bit<16> csum; }
    """,
    members="ethernet_t eth; ipv4_t ip; udp_t udp;",
    parser="""
        state start { packet.extract(hdr.eth); packet.extract(hdr.ip); packet.extract(hdr.udp);
                      transition accept; }
    """,
    verify=f"""apply {{
        verify_checksum(true, {{{IPV4_FIELDS}}}, hdr.ip.csum, HashAlgorithm.csum16);
        verify_checksum_with_payload(true, {{hdr.ip.src, hdr.ip.dst, 8w0, hdr.ip.proto,
            hdr.udp.len, hdr.udp.sport, hdr.udp.dport, hdr.udp.len}}, hdr.udp.csum,
            HashAlgorithm.csum16);
    }}""",
    ingress="""apply {
        if (std.checksum_error == 1) { mark_to_drop(std); }
        else { hdr.ip.ttl = hdr.ip.ttl - 1; hdr.udp.dport = 4242; }
    }""",
    compute=f"""apply {{
        update_checksum(hdr.ip.isValid(), {{{IPV4_FIELDS}}}, hdr.ip.csum, HashAlgorithm.csum16);
        update_checksum_with_payload(true, {{hdr.ip.src, hdr.ip.dst, 8w0, hdr.ip.proto,
            hdr.udp.len, hdr.udp.sport, hdr.udp.dport, hdr.udp.len}}, hdr.udp.csum,
            HashAlgorithm.csum16);
    }}""",
)


@given(
    src=st.ip_addresses(v=4).map(str),
    ttl=st.integers(1, 255),
    tos=st.integers(0, 255),
    port=st.integers(0, 0xFFFF),
    payload=st.binary(max_size=1400),
)
@settings(max_examples=100, deadline=None)
def test_checksums_equal_scapys(src: str, ttl: int, tos: int, port: int, payload: bytes) -> None:
    def packet(ttl: int, dport: int) -> bytes:
        ip = IP(src=src, dst="10.0.0.1", ttl=ttl, tos=tos)
        return bytes(Ether(dst="02:00:00:00:00:01") / ip / UDP(sport=port, dport=dport) / payload)

    sent, wanted = packet(ttl, 9), packet(ttl - 1, 4242)
    # scapy sends a computed UDP checksum of 0 as all ones (RFC 768); a P4 program does not.
    if sent[40:42] == b"\xff\xff" or wanted[40:42] == b"\xff\xff":
        return
    assert one(compiled(CHECKSUMS), sent) == wanted


@given(st.integers(14, 41), st.integers(1, 255))
@settings(max_examples=50, deadline=None)
def test_a_wrong_checksum_is_noticed(at: int, change: int) -> None:
    whole = Ether() / IP(dst="10.0.0.1") / UDP(sport=1, dport=2) / b"some payload"
    packet = bytearray(bytes(whole))
    packet[at] ^= change
    assert compiled(CHECKSUMS).process(1, bytes(packet)) == []


DIGESTS = program(
    headers="header h_t { bit<8> kind; bit<48> mac; bit<100> wide; bit<4> rest; }",
    members="h_t h;",
    parser="state start { packet.extract(hdr.h); transition accept; }",
    declarations="""
        struct learn_t { bit<48> mac; bit<9> port; }
        struct wide_t { bool flag; bit<100> wide; }
    """,
    ingress="""apply {
        if (hdr.h.kind == 1) { digest<learn_t>(1, {hdr.h.mac, std.ingress_port}); }
        if (hdr.h.kind == 2) { digest<wide_t>(1, {true, hdr.h.wide}); }
    }""",
)


def test_digests_are_queued_for_the_controller() -> None:
    pipeline = fresh(DIGESTS)

    def packet(kind: int) -> bytes:
        return (
            bytes([kind])
            + bytes.fromhex("020000000007")
            + (((1 << 99) | 5) << 4).to_bytes(13, "big")
        )

    for kind, port in ((1, 3), (2, 4), (0, 5)):
        pipeline.process(port, packet(kind))
    assert pipeline.digests() == [
        Digest("learn_t", (0x020000000007, 3)),
        Digest("wide_t", (1, (1 << 99) | 5)),
    ]
    assert pipeline.digests() == []
    for _ in range(1030):
        pipeline.process(1, packet(1))
    assert len(pipeline.digests()) == 1024
    assert pipeline.statistics()["dropped_digests"] == 6
