"""Small v1model programs out of parts."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from switch.runtime.pipeline import Pipeline

ETHERNET = "header ethernet_t { bit<48> dst; bit<48> src; bit<16> type; }"


def program(
    *,
    headers: str,
    members: str,
    parser: str,
    ingress: str = "apply { }",
    egress: str = "apply { }",
    verify: str = "apply { }",
    compute: str = "apply { }",
    deparser: str = "apply { packet.emit(hdr); }",
    metadata: str = "",
    declarations: str = "",
) -> str:
    """`headers` declares header types, `members` the fields of the headers struct, the others are
    the bodies of the blocks."""
    return f"""
#include <core.p4>
#include <v1model.p4>
{headers}
struct headers_t {{ {members} }}
struct metadata_t {{ {metadata} }}
{declarations}
parser MyParser(packet_in packet, out headers_t hdr, inout metadata_t meta,
                inout standard_metadata_t std) {{ {parser} }}
control MyVerify(inout headers_t hdr, inout metadata_t meta) {{ {verify} }}
control MyIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std)
{{ {ingress} }}
control MyEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std)
{{ {egress} }}
control MyCompute(inout headers_t hdr, inout metadata_t meta) {{ {compute} }}
control MyDeparser(packet_out packet, in headers_t hdr) {{ {deparser} }}
V1Switch(MyParser(), MyVerify(), MyIngress(), MyEgress(), MyCompute(), MyDeparser()) main;
"""


@cache
def compiled(source: str) -> Pipeline:
    """One pipeline per source; a test that changes its state resets it first."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "program.p4"
        path.write_text(source)
        return Pipeline.compile(path)


def fresh(source: str) -> Pipeline:
    pipeline = compiled(source)
    pipeline.reset()
    return pipeline


def one(pipeline: Pipeline, packet: bytes, port: int = 1) -> bytes:
    """The one packet that comes out."""
    ((_, data),) = pipeline.process(port, packet)
    return data
