"""docs/protocol.md: Python, C, scapy and P4 agree on the header, field by field."""

import re
import struct
import subprocess
from pathlib import Path

import pytest

from hosts.scapy import NetMigrate
from hosts.wire import Control, Flags, Header, Moving, Op
from hosts.wire import header as codec
from switch import ir
from switch.runtime.pipeline import Pipeline

ROOT = Path(__file__).parents[2]

FIELDS = ("op", "flags", "service", "group", "migration", "client", "seq", "acked")

PRINTER = """
#include <stdio.h>
#include <string.h>
#include "hosts/wire/wire.h"

/* For each field: its name, and the bytes of a header in which it alone is all ones. */
static void show(const char *name, struct nm_header h) {
    uint8_t bytes[NM_HEADER_LENGTH];
    nm_header_put(bytes, &h);
    printf("%s ", name);
    for (size_t i = 0; i < sizeof bytes; i++) printf("%02x", bytes[i]);
    printf("\\n");
}

#define FIELD(f) { struct nm_header h = {0}; memset(&h.f, 0xff, sizeof h.f); show(#f, h); }

int main(void) {
    FIELD(op) FIELD(flags) FIELD(service) FIELD(group)
    FIELD(migration) FIELD(client) FIELD(seq) FIELD(acked)
    printf("lengths %d %d %d %d\\n", NM_HEADER_LENGTH, NM_CONTROL_LENGTH, NM_MOVING_LENGTH,
           NM_GROUPS);
    uint8_t end[] = {0, 7, 10, 0, 1, 1, 0x12, 0x5d, 0, 100, 0x3f, 0xff};
    struct nm_moving m;
    bool good = nm_moving_get(&m, end);
    printf("moving %d %d %u %d %d %d\\n", good, m.migration, m.address, m.port, m.first, m.last);
    return 0;
}
"""


def _python_layout() -> dict[str, tuple[int, int]]:
    """Return (offset, width) in bits of each field, from where the codec puts its ones."""
    layout = {}
    for name in FIELDS:
        ones = {"op": 0xFF, "client": (1 << 64) - 1, "seq": (1 << 32) - 1, "acked": (1 << 32) - 1}
        value = ones.get(name, 0xFFFF)
        fields: dict[str, int] = dict.fromkeys(FIELDS, 0) | {name: value}
        layout[name] = _ones(Header(**fields).pack())  # type: ignore[arg-type]
    return layout


def _ones(header: bytes) -> tuple[int, int]:
    """Return where the ones are behind magic and version."""
    bits = "".join(f"{byte:08b}" for byte in header)
    found = re.search("1+", bits[24:])
    assert found is not None
    return found.start() + 24, found.end() - found.start()


def _p4_layout(header: ir.Header) -> dict[str, tuple[int, int]]:
    layout, offset = {}, 0
    for field in header.fields:
        assert isinstance(field.type, ir.Bits)
        layout[field.name] = offset, field.type.width
        offset += field.type.width
    return layout


def test_the_p4_header_is_the_codec_s(compiled: Pipeline) -> None:
    headers = compiled.program.headers
    assert isinstance(headers, ir.Struct)
    header = headers.field("netmigrate").type
    assert isinstance(header, ir.Header)
    layout = _p4_layout(header)
    assert layout.pop("magic") == (0, 16)
    assert layout.pop("version") == (16, 8)
    assert list(layout.items()) == list(_python_layout().items())
    control = headers.field("ctrl").type
    assert isinstance(control, ir.Header)
    assert _p4_layout(control) == {"lane": (0, 16), "sequence": (16, 32)}
    assert Control(0xFFFF, 0).pack() == b"\xff\xff\0\0\0\0"


@pytest.fixture(scope="module")
def c_output(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("wire")
    (folder / "printer.c").write_text(PRINTER)
    program = folder / "printer"
    command = ["cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}"]
    subprocess.run([*command, str(folder / "printer.c"), "-o", str(program)], check=True)
    lines = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return dict(line.split(" ", 1) for line in lines.splitlines())


def test_the_c_header_is_the_codec_s(c_output: dict[str, str]) -> None:
    found = {name: _ones(bytes.fromhex(c_output[name])) for name in FIELDS}
    assert found == _python_layout()
    for name in FIELDS:
        assert struct.unpack_from("!HB", bytes.fromhex(c_output[name])) == (
            codec.MAGIC,
            codec.VERSION,
        )
    lengths = f"{codec.HEADER_LENGTH} {codec.CONTROL_LENGTH} {codec.MOVING_LENGTH} 16384"
    assert c_output["lengths"] == lengths


def test_c_reads_the_end_of_a_reply_as_the_codec_does(c_output: dict[str, str]) -> None:
    end = bytes([0, 7, 10, 0, 1, 1, 0x12, 0x5D, 0, 100, 0x3F, 0xFF])
    told = Moving(7, 0x0A000101, 4701, 100, 16383)
    assert told.pack() == end
    assert Moving.unpack(Header(Op.REPLY).pack() + end) == told
    assert c_output["moving"] == f"1 7 {told.address} 4701 100 16383"


@pytest.mark.parametrize("enum", [Op, Flags])
def test_c_has_the_same_values(enum: type[Op] | type[Flags]) -> None:
    text = (ROOT / "hosts" / "wire" / "wire.h").read_text()
    found = {
        name: eval(value, {"__builtins__": {}})
        for name, value in re.findall(r"^    NM_(\w+) = ([^,]+),$", text, re.M)
    }
    for member in enum:
        if member.name != "NONE":
            assert member.name is not None
            assert found[member.name] == member.value


def test_the_scapy_layer_is_the_codec_s() -> None:
    header = Header(Op.WRITE, Flags.DOUBLE | Flags.GONE, 3, 16383, 9, 0x1122334455667788, 7, 5)
    packet = NetMigrate(header.pack())
    for name in FIELDS:
        assert int(getattr(packet, name)) == getattr(header, name)
    fields = {name: int(getattr(header, name)) for name in FIELDS}
    assert bytes(NetMigrate(**fields)) == header.pack()
