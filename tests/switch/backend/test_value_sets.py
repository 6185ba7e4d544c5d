"""value_set in a select: members come and go from the control plane."""

from __future__ import annotations

import pytest

from switch.runtime.pipeline import Exact, InvalidEntry, Match, Range, TableFull, Ternary
from tests.switch.backend.programs import fresh, program

SOURCE = program(
    headers="header h_t { bit<16> a; bit<8> b; }",
    members="h_t h;",
    metadata="bit<9> port;",
    declarations="struct pair_t { @match(ternary) bit<16> a; @match(range) bit<8> b; }",
    parser="""
        value_set<bit<16>>(4) single;
        value_set<pair_t>(4) pair;
        state start {
            packet.extract(hdr.h);
            transition select(hdr.h.a) { single : one; 7 : seven; default : more; }
        }
        state more { transition select(hdr.h.a, hdr.h.b) { pair : two; default : accept; } }
        state one { meta.port = 1; transition accept; }
        state two { meta.port = 2; transition accept; }
        state seven { meta.port = 7; transition accept; }
    """,
    ingress="apply { std.egress_spec = meta.port; }",
)


def _state(pipeline_port: list[tuple[int, bytes]]) -> int:
    ((port, _),) = pipeline_port
    return port


def test_members_decide_the_transition() -> None:
    pipeline = fresh(SOURCE)

    def seen(a: int, b: int = 0) -> int:
        return _state(pipeline.process(4, a.to_bytes(2, "big") + bytes([b])))

    assert [seen(5), seen(7), seen(9)] == [0, 7, 0]
    pipeline.set_value_set("MyParser.single", [(Exact(5),), (Exact(7),), (Exact(5),)])
    assert [seen(5), seen(7), seen(9)] == [1, 1, 0]
    members: list[tuple[Match, ...]] = [
        (Ternary(0x0900, 0xFF00), Range(3, 5)),
        (Ternary(0x0900, 0xFF00), Range(8, 8)),
    ]
    pipeline.set_value_set("MyParser.pair", members)
    assert sorted(pipeline.value_set("MyParser.pair"), key=str) == sorted(members, key=str)
    assert [seen(0x0912, b) for b in (2, 3, 5, 6, 8)] == [0, 2, 2, 0, 2]
    pipeline.set_value_set("MyParser.single", [])
    assert [seen(5), seen(7)] == [0, 7]
    pipeline.reset()
    assert pipeline.value_set("MyParser.pair") == []


def test_refused_members_change_nothing() -> None:
    pipeline = fresh(SOURCE)
    pipeline.set_value_set("MyParser.single", [(Exact(5),)])
    with pytest.raises(TableFull, match=r"MyParser\.single.*4 members"):
        pipeline.set_value_set("MyParser.single", [(Exact(i),) for i in range(5)])
    with pytest.raises(InvalidEntry, match="16 bits"):
        pipeline.set_value_set("MyParser.single", [(Exact(1 << 16),)])
    with pytest.raises(InvalidEntry, match="ternary"):
        pipeline.set_value_set("MyParser.pair", [(Exact(1), Range(1, 2))])
    assert pipeline.value_set("MyParser.single") == [(Exact(5),)]
