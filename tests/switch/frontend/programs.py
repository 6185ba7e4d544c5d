"""A small v1model program with holes, and ways to compile it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from switch import ir
from switch.frontend import CompileError, Diagnostic, SourceText, elaborate, load, preprocess

MARK = "§"
"""Put before a construct: where the complaint must point."""

SKELETON = """\
#include <core.p4>
#include <v1model.p4>
header eth_h {{ bit<48> dst; bit<48> src; bit<16> type; }}
header ip_h {{ bit<4> version; bit<4> ihl; bit<8> ttl; int<8> signed; bit<32> src; bit<32> dst; }}
header opt_h {{ bit<8> len; varbit<320> data; }}
header_union any_h {{ eth_h eth; ip_h ip; }}
struct headers_t {{ eth_h eth; ip_h ip; opt_h opt; eth_h[4] stack; any_h any; }}
enum Color {{ red, green, blue }}
enum bit<8> Proto {{ tcp = 6, udp = 17 }}
struct pair_t {{ bit<8> a; bit<16> b; }}
{types}
struct meta_t {{ bit<8> a; bit<16> b; bit<32> c; int<8> s; bool flag; Color color; Proto proto;
                 pair_t pair; error problem; {fields} }}
{top}
parser P(packet_in packet, out headers_t hdr, inout meta_t meta,
         inout standard_metadata_t std) {{
{parser_locals}
    state start {{ {start} }}
{states}
}}
control V(inout headers_t hdr, inout meta_t meta) {{ apply {{ {verify} }} }}
control I(inout headers_t hdr, inout meta_t meta, inout standard_metadata_t std) {{
{locals}
    apply {{
{body}
    }}
}}
control E(inout headers_t hdr, inout meta_t meta, inout standard_metadata_t std) {{ apply {{ }} }}
control C(inout headers_t hdr, inout meta_t meta) {{ apply {{ {compute} }} }}
control D(packet_out packet, in headers_t hdr) {{ apply {{ {deparser} }} }}
{main}
"""
HOLES = {
    "types": "",
    "fields": "",
    "top": "",
    "parser_locals": "",
    "start": "transition accept;",
    "states": "",
    "verify": "",
    "locals": "",
    "body": "",
    "compute": "",
    "deparser": "",
    "main": "V1Switch(P(), V(), I(), E(), C(), D()) main;",
}


def source(**holes: str) -> str:
    assert holes.keys() <= HOLES.keys()
    return SKELETON.format(**{**HOLES, **holes})


def compile_text(directory: Path, text: str) -> ir.Program:
    path = directory / "program.p4"
    path.write_text(text)
    return load(path)


def program(directory: Path, **holes: str) -> ir.Program:
    return compile_text(directory, source(**holes))


@cache
def _template(*marks: str) -> SourceText:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "program.p4"
        path.write_text(source(fields=f"{marks[0]} result;", body=f"meta.result = {marks[1]};"))
        return preprocess(path)


def compile_expression(type_: ir.Type, expression: str) -> ir.Program:
    """A program that assigns `expression` to a field of that type; quick, for many of them."""
    template = _template("type_of_result", "value_of_result")
    text = template.text.replace("type_of_result", str(type_))
    text = text.replace("value_of_result", expression)
    return elaborate(SourceText(text, template.origins, template.files))


def complaints(directory: Path, text: str) -> tuple[Diagnostic, ...]:
    """What is wrong with a program that must be rejected."""
    try:
        compile_text(directory, text)
    except CompileError as problem:
        return problem.diagnostics
    raise AssertionError("the program was accepted")


def check_rejected(directory: Path, text: str, message: str) -> None:
    """The marked construct, and only it, is complained about, in these words."""
    before, mark, _ = text.partition(MARK)
    assert mark, "the program has no mark"
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    file = directory / "program.p4"
    found = complaints(directory, text.replace(MARK, ""))
    assert [str(d) for d in found] == [
        f"{file}:{line}:{column}: {message}".replace("{file}", str(file))
    ]


def body(program: ir.Program) -> tuple[ir.Statement, ...]:
    """The statements of ingress."""
    return program.ingress.body.statements


def assigned(program: ir.Program, index: int = 0) -> ir.Expression:
    """The value of an assignment in ingress."""
    statement = body(program)[index]
    assert isinstance(statement, ir.Assign)
    return statement.value
