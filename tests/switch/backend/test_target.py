"""Programs that are P4, but that p4c refuses for BMv2."""

from __future__ import annotations

from pathlib import Path

import pytest

from switch import frontend
from switch.backend.program import generate
from switch.frontend.errors import CompileError
from tests.switch.backend.programs import program

HEADER = "header h_t { bit<8> a; bit<8> b; bit<16> c; } struct pair_t { bit<8> a; bit<8> b; }"
PARSER = "state start { packet.extract(hdr.h); transition accept; }"
CSUM = "HashAlgorithm.csum16"

REFUSED = [
    ("ingress", "register<bool>(4) r; apply { }", "a register of bool"),
    ("ingress", "register<pair_t>(4) r; apply { }", "a register of pair_t"),
    ("ingress", "Checksum16() c; apply { }", "extern 'Checksum16'"),
    ("ingress", "apply { resubmit({ meta.m }); }", "use 'resubmit_preserving_field_list'"),
    ("ingress", "apply { clone3(CloneType.I2E, 1, { meta.m }); }", "'clone3'"),
    ("ingress", "apply { recirculate_preserving_field_list(1); }", "for the egress block only"),
    ("egress", "apply { resubmit_preserving_field_list(1); }", "for the ingress block only"),
    ("ingress", "apply { clone(CloneType.E2E, 1); }", "'clone(E2E, …)' is for the egress block"),
    ("egress", "action a() { clone(CloneType.I2E, 1); } apply { a(); }", "for the ingress block"),
    ("egress", "CloneType t = CloneType.E2E; apply { clone(t, 1); }", "must be a constant"),
    ("ingress", "apply { hash(meta.m, HashAlgorithm.crc16, 8w0, hdr.h.a, 8w9); }", "takes a list"),
    (
        "ingress",
        """HashAlgorithm a = HashAlgorithm.crc16;
           apply { hash(meta.m, a, 8w0, { hdr.h.a }, 8w9); }""",
        "the algorithm of 'hash' must be a constant",
    ),
    (
        "verify",
        f"apply {{ if (hdr.h.a == 1) verify_checksum(true, {{ hdr.h.a }}, hdr.h.c, {CSUM}); }}",
        "only calls of verify_checksum",
    ),
    (
        "compute",
        f"apply {{ verify_checksum(true, {{ hdr.h.a }}, hdr.h.c, {CSUM}); }}",
        "only calls of update_checksum",
    ),
    (
        "compute",
        f"apply {{ update_checksum(true, {{ hdr.h.a + 1 }}, hdr.h.c, {CSUM}); }}",
        "a computation among the data of 'update_checksum'",
    ),
    ("deparser", "apply { if (hdr.h.a == 1) { packet.emit(hdr.h); } }", "'if' in a deparser"),
]


@pytest.mark.parametrize(("block", "body", "message"), REFUSED)
def test_refused(block: str, body: str, message: str, tmp_path: Path) -> None:
    blocks = {block: body}
    text = program(headers=HEADER, members="h_t h;", parser=PARSER, metadata="bit<8> m;", **blocks)
    path = tmp_path / "program.p4"
    path.write_text(text)
    parsed = frontend.elaborate(frontend.preprocess(path, [], {}))
    with pytest.raises(CompileError) as refused:
        generate(parsed)
    (diagnostic,) = refused.value.diagnostics
    assert message in diagnostic.message
    line = text[: text.index(body)].count("\n") + 1
    assert line <= diagnostic.line <= line + body.count("\n")
