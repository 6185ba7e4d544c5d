"""Keys of more than 64 bits of every kind, against a brute-force model."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.runtime.pipeline import (
    Entry,
    EntryExists,
    Exact,
    Lpm,
    Match,
    Optional,
    Range,
    Ternary,
)
from tests.switch.backend.programs import fresh, one, program

WIDTHS = {"range": (65, 128, 200), "ternary": (72, 130), "optional": (96, 129), "lpm": (128, 192)}
CASES = [(kind, width) for kind, widths in WIDTHS.items() for width in widths]
T = "MyIngress.t"


def source(kind: str, width: int) -> str:
    """The wide key stands between narrow ones, so that words are shared."""
    pad = -(width + 3 + 5) % 8 or 8
    return program(
        headers=f"""header h_t {{
            bit<3> a; bit<{width}> w; bit<5> b; bit<{pad}> pad; bit<8> result;
        }}""",
        members="h_t h;",
        parser="state start { packet.extract(hdr.h); transition accept; }",
        ingress=f"""
            action found(bit<8> value) {{ hdr.h.result = value; }}
            table t {{
                key = {{ hdr.h.a : exact; hdr.h.w : {kind}; hdr.h.b : exact; }}
                actions = {{ found; NoAction; }}
            }}
            apply {{ t.apply(); std.egress_spec = 1; }}
        """,
    )


def matches(match: Match, value: int, width: int) -> bool:
    match match:
        case Exact(value=wanted):
            return value == wanted
        case Lpm(value=wanted, prefix_len=length):
            return (value ^ wanted) >> (width - length) == 0
        case Ternary(value=wanted, mask=mask):
            return (value ^ wanted) & mask == 0
        case Optional(value=wanted):
            return wanted is None or value == wanted
        case Range(low=low, high=high):
            return low <= value <= high


def values(width: int) -> st.SearchStrategy[int]:
    """Close to each other and to the borders of words, so that comparisons matter."""
    borders = [1 << at for at in range(0, width, 32)] + [1 << (width - 1)]
    near = st.builds(
        lambda a, b, d: a ^ b + d, *[st.sampled_from([0, *borders])] * 2, st.integers(0, 2)
    )
    return st.one_of(near, st.integers(0, (1 << width) - 1)).map(lambda v: v % (1 << width))


def drawn(draw: st.DrawFn, kind: str, width: int) -> Match:
    a, b = draw(values(width)), draw(values(width))
    match kind:
        case "range":
            return Range(min(a, b), max(a, b))
        case "ternary":
            return Ternary(a & b, b)
        case "optional":
            return Optional(draw(st.sampled_from([None, a])))
        case _:
            length = draw(st.integers(0, width))
            return Lpm(a >> (width - length) << (width - length), length)


@st.composite
def tables(draw: st.DrawFn, kind: str, width: int) -> Sequence[tuple[int, Match]]:
    """(a, match) per entry; its place is its result and its priority."""
    return [
        (draw(st.integers(0, 1)), drawn(draw, kind, width)) for _ in range(draw(st.integers(1, 12)))
    ]


@pytest.mark.parametrize(("kind", "width"), CASES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_look_ups(kind: str, width: int, data: st.DataObject) -> None:
    pipeline = fresh(source(kind, width))
    installed: list[tuple[int, Match, int, int]] = []
    for place, (a, match) in enumerate(data.draw(tables(kind, width)), 1):
        priority = 0 if kind == "lpm" else place
        entry = Entry((Exact(a), match, Exact(3)), "MyIngress.found", (place,), priority)
        try:
            pipeline.insert(T, entry)
        except EntryExists:
            continue
        rank = match.prefix_len if isinstance(match, Lpm) else place
        installed.append((a, match, rank, place))
    found = {(e.match[0], e.match[1]) for e in pipeline.entries(T)}
    assert found == {(Exact(a), match) for a, match, _, _ in installed}
    for _ in range(6):
        a, value = data.draw(st.integers(0, 1)), data.draw(values(width))
        best = max(
            (
                (rank, place)
                for b, m, rank, place in installed
                if a == b and matches(m, value, width)
            ),
            default=(0, 0),
        )
        pad = -(width + 8) % 8 or 8
        bits = ((a << width | value) << 5 | 3) << pad << 8
        packet = bits.to_bytes((width + 16 + pad) // 8, "big")
        assert one(pipeline, packet)[-1] == best[1]
