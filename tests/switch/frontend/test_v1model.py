"""The architecture that programs and control planes rely on: names, order and widths."""

from __future__ import annotations

from pathlib import Path

import pytest

from switch import ir
from tests.switch.frontend.programs import program

FIELDS = [
    ("ingress_port", "bit<9>"), ("egress_spec", "bit<9>"), ("egress_port", "bit<9>"),
    ("instance_type", "bit<32>"), ("packet_length", "bit<32>"), ("enq_timestamp", "bit<32>"),
    ("enq_qdepth", "bit<19>"), ("deq_timedelta", "bit<32>"), ("deq_qdepth", "bit<19>"),
    ("ingress_global_timestamp", "bit<48>"), ("egress_global_timestamp", "bit<48>"),
    ("mcast_grp", "bit<16>"), ("egress_rid", "bit<16>"), ("checksum_error", "bit<1>"),
    ("parser_error", "error"), ("priority", "bit<3>"),
]  # fmt: skip
ENUMS = {
    "CounterType": ("packets", "bytes", "packets_and_bytes"),
    "MeterType": ("packets", "bytes"),
    "CloneType": ("I2E", "E2E"),
    "HashAlgorithm": (
        "crc32", "crc32_custom", "crc16", "crc16_custom", "random", "identity", "csum16", "xor16",
    ),
}  # fmt: skip
ERRORS = (
    "NoError", "PacketTooShort", "NoMatch", "StackOutOfBounds", "HeaderTooShort", "ParserTimeout",
    "ParserInvalidArgument",
)  # fmt: skip
CALLS = """
    mark_to_drop(standard_metadata = std); mark_to_drop();
    hash(result = meta.b, algo = HashAlgorithm.xor16, base = 16w0, data = { meta.a }, max = 16w9);
    random(result = meta.a, lo = 8w1, hi = 8w7);
    digest(receiver = 1, data = meta.pair);
    clone(type = CloneType.E2E, session = 5); clone3(CloneType.I2E, 5, { meta.a });
    clone_preserving_field_list(type = CloneType.I2E, session = 5, index = 1);
    resubmit(data = meta.pair); resubmit_preserving_field_list(index = 1);
    recirculate(data = meta.pair); recirculate_preserving_field_list(index = 1);
    truncate(length = 64); assert(check = meta.flag); assume(check = meta.flag);
    log_msg(msg = "text"); log_msg(msg = "text {}", data = { meta.a });
    plain.count(index = 1); direct.count(); rate.execute_meter(index = 1, result = meta.a);
    cells.read(result = meta.b, index = 2); cells.write(index = 2, value = 3);
    meta.b = sum.get(data = { meta.a, meta.b });
"""
INSTANCES = """
    counter(size = 4, type = CounterType.bytes) plain;
    direct_counter(type = CounterType.packets) direct;
    meter(size = 4, type = MeterType.packets) rate;
    direct_meter<bit<8>>(type = MeterType.bytes) own_rate;
    register<bit<16>>(size = 8) cells; Checksum16() sum;
    action_profile(size = 4) profile;
    action_selector(algorithm = HashAlgorithm.crc16, size = 4, outputWidth = 8) selector;
    action color() { own_rate.read(result = meta.a); }
    table own { actions = { color; } meters = own_rate; }
"""


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ir.Program:
    directory: Path = tmp_path_factory.mktemp("v1model")
    checksum = (
        "(condition = true, data = { meta.a }, checksum = meta.b, algo = HashAlgorithm.csum16)"
    )
    return program(
        directory,
        locals=INSTANCES,
        body=CALLS,
        verify=f"verify_checksum{checksum}; verify_checksum_with_payload{checksum};",
        compute=f"update_checksum{checksum}; update_checksum_with_payload{checksum};",
    )


def test_standard_metadata(result: ir.Program) -> None:
    fields = result.standard_metadata.fields
    assert [(f.name, str(f.type)) for f in fields] == FIELDS


def test_enums_and_errors(result: ir.Program) -> None:
    for name, members in ENUMS.items():
        assert result.types[name] == ir.Enum(name, members)
    assert result.errors == ERRORS


def test_every_extern_can_be_used_by_its_parameter_names(result: ir.Program) -> None:
    kinds = [instance.type.name for instance in result.ingress.externs]
    assert kinds == [
        "counter", "direct_counter", "meter", "direct_meter", "register", "Checksum16",
        "action_profile", "action_selector",
    ]  # fmt: skip
    assert len(result.ingress.body.statements) == 23


def test_pipeline_parameters(result: ir.Program) -> None:
    blocks = (
        result.parser, result.verify_checksum, result.ingress, result.egress,
        result.compute_checksum, result.deparser,
    )  # fmt: skip
    assert [tuple(p.direction for p in b.params) for b in blocks] == [
        ("", "out", "inout", "inout"), ("inout", "inout"), ("inout", "inout", "inout"),
        ("inout", "inout", "inout"), ("inout", "inout"), ("", "in"),
    ]  # fmt: skip
    assert result.parser.params[0].type == ir.Extern("packet_in")
    assert result.deparser.params[0].type == ir.Extern("packet_out")
