"""The tables that lookups are measured with: every packet hits an entry."""

import pytest

from bench import tables


@pytest.mark.parametrize("kind", tables.KINDS)
def test_every_packet_hits(kind: str) -> None:
    pipeline, values = tables.loaded(kind, 200)
    assert len(pipeline.entries("TablesIngress.lookup")) == len(values) == 200
    frames = tables.packets(values, 20)[:20]
    assert all(pipeline.process(5, frame) == [(1, frame)] for frame in frames)
    pipeline.reset()
    assert all(pipeline.process(5, frame) == [(0, frame)] for frame in frames)
