"""Headers of many shapes: each field read and written at its place, nothing else touched."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.switch.backend.programs import compiled, one, program


def _random_shape(rng: random.Random, widths: list[int]) -> list[int]:
    """Field widths in whole bytes altogether."""
    shape = [rng.choice(widths) for _ in range(rng.randint(1, 12))]
    rest = -sum(shape) % 8
    return shape + [rest] * (rest > 0)


_RNG = random.Random(7)
SHAPES = [
    [48, 48, 16],
    [4, 4, 8, 16, 16, 3, 13, 8, 8, 16, 32, 32],
    [1] * 16,
    [7, 64, 1],
    [1, 127],
    [3, 128, 5],
    [5, 200, 3],
    [256],
    [1, 63, 65, 7, 129, 7],
    *(_random_shape(_RNG, [1, 2, 3, 7, 8, 9]) for _ in range(4)),
    *(_random_shape(_RNG, [5, 12, 16, 24, 31, 33, 40, 56]) for _ in range(4)),
    *(_random_shape(_RNG, [1, 48, 63, 64, 65, 100, 128, 130]) for _ in range(4)),
]


def _source() -> str:
    types, members, states, changes = [], [], [], []
    for i, shape in enumerate(SHAPES):
        fields = "".join(f"bit<{width}> f{j};" for j, width in enumerate(shape))
        types.append(f"header h{i}_t {{ {fields} }}")
        members.append(f"h{i}_t h{i};")
        states.append(f"state s{i} {{ packet.extract(hdr.h{i}); transition accept; }}")
        bumps = "".join(f"hdr.h{i}.f{j} = hdr.h{i}.f{j} + 1;" for j in range(len(shape)))
        changes.append(f"if (hdr.h{i}.isValid()) {{ {bumps} }}")
    cases = "".join(f"{i} : s{i};" for i in range(len(SHAPES)))
    return program(
        headers="header which_t { bit<8> which; }" + "".join(types),
        members="which_t which;" + "".join(members),
        parser=f"""
            state start {{ packet.extract(hdr.which);
                           transition select(hdr.which.which) {{ {cases} default : accept; }} }}
            {"".join(states)}
        """,
        ingress=f"apply {{ {' '.join(changes)} }}",
    )


def _bumped(shape: list[int], data: bytes) -> bytes:
    value, left = int.from_bytes(data, "big"), 8 * len(data)
    result = 0
    for width in shape:
        left -= width
        field = (value >> left) + 1 & ((1 << width) - 1)
        result = result << width | field
    return result.to_bytes(len(data), "big")


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_every_field_is_read_and_written_at_its_place(data: st.DataObject) -> None:
    which = data.draw(st.integers(0, len(SHAPES) - 1))
    size = sum(SHAPES[which]) // 8
    header = data.draw(st.binary(min_size=size, max_size=size) | st.just(b"\xff" * size))
    payload = data.draw(st.binary(max_size=40))
    out = one(compiled(_source()), bytes([which]) + header + payload)
    assert out == bytes([which]) + _bumped(SHAPES[which], header) + payload


@given(st.integers(0, len(SHAPES) - 1), st.data())
@settings(max_examples=100, deadline=None)
def test_a_short_packet_is_left_alone(which: int, data: st.DataObject) -> None:
    size = sum(SHAPES[which]) // 8
    packet = bytes([which]) + data.draw(st.binary(max_size=size - 1))
    assert one(compiled(_source()), packet) == packet
