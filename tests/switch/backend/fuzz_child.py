"""Random packets into programs built with sanitizers; run by test_robustness with libasan loaded.

Arguments: a seed, the number of packets, the P4 sources. A sanitizer's finding aborts the process.
"""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from switch import ir
from switch.backend.keys import KeyField, key_layout
from switch.backend.representation import width_of
from switch.runtime.entries import Target
from switch.runtime.pipeline import (
    Entry,
    EntryExists,
    Exact,
    Group,
    Lpm,
    Match,
    Member,
    OneShot,
    Optional,
    Pipeline,
    PipelineError,
    Range,
    Share,
    TableFull,
    Ternary,
    ToGroup,
    ToMember,
    Weighted,
)


def _match(field: KeyField, rng: random.Random) -> Match:
    value = rng.choice([0, rng.getrandbits(field.width)])
    match field.match_kind:
        case "exact":
            return Exact(value)
        case "lpm":
            return Lpm(value, rng.randint(0, field.width))
        case "ternary":
            return Ternary(value, rng.getrandbits(field.width))
        case "optional":
            return Optional(rng.choice([None, value]))
    low, high = sorted((value, rng.getrandbits(field.width)))
    return Range(low, high)


def _fill(pipeline: Pipeline, rng: random.Random) -> None:
    """Random entries in every table that takes them, random sessions and groups."""
    for table in pipeline.program.tables():
        if table.const_entries or not table.keys:
            continue
        layout = key_layout(table)
        for _ in range(40):
            ref = rng.choice([r for r in table.actions if not r.default_only])
            params = tuple(rng.getrandbits(width_of(p.type)) for p in ref.action.data)
            match = tuple(_match(field, rng) for field in layout.fields)
            priority = rng.randint(1, 99) if layout.kind == "ternary" else 0
            entry = Entry(match, ref.action.name, params, priority)
            try:
                pipeline.insert(table.name, entry)
                if rng.random() < 0.3:
                    pipeline.delete(table.name, entry)
            except (EntryExists, TableFull):
                pass
    for number in range(1, 8):
        replicas = [(rng.randrange(512), rng.randrange(100)) for _ in range(rng.randrange(4))]
        pipeline.set_clone_session(number, replicas, rng.choice([0, 20]))
        pipeline.set_multicast_group(number, replicas)


def _change_profile(pipeline: Pipeline, rng: random.Random, table: ir.Table, profile: str) -> None:
    """One random change of an action profile or of a table with it, most of them possible."""
    action = rng.choice([ref.action for ref in table.actions if not ref.default_only])
    params = tuple(rng.getrandbits(width_of(p.type)) for p in action.data)
    number = rng.randrange(6)
    watch = rng.choice([None, 1, 2])
    shares = [Share(member, rng.randint(1, 3), watch) for member in range(rng.randrange(5))]
    one_shot = OneShot((Weighted(action.name, params, 2, watch),) * rng.randrange(5))
    targets: list[Target] = [ToMember(number), ToGroup(number), one_shot]
    target = rng.choice(targets)
    match = tuple(_match(field, rng) for field in key_layout(table).fields)
    entry = Entry(match, target=target, priority=int(key_layout(table).kind == "ternary"))
    changes: list[Callable[[], object]] = [
        lambda: pipeline.insert_member(profile, Member(number, action.name, params)),
        lambda: pipeline.modify_member(profile, Member(number, action.name, params)),
        lambda: pipeline.delete_member(profile, number),
        lambda: pipeline.insert_group(profile, Group(number, tuple(shares))),
        lambda: pipeline.modify_group(profile, Group(number, tuple(shares))),
        lambda: pipeline.delete_group(profile, number),
        lambda: pipeline.insert(table.name, entry),
        lambda: pipeline.modify(table.name, replace(rng.choice(installed), target=target)),
        lambda: pipeline.delete(table.name, rng.choice(installed)),
        lambda: pipeline.set_default_target(table.name, target),
        lambda: pipeline.reset_default(table.name),
        lambda: pipeline.set_port(rng.choice([1, 2]), up=rng.random() < 0.5),
        lambda: (pipeline.groups(profile), pipeline.members(profile)),
    ]
    installed = pipeline.entries(table.name) or [entry]
    with contextlib.suppress(PipelineError):
        rng.choice(changes)()


def _send(pipeline: Pipeline, rng: random.Random, packet: bytes) -> Sequence[tuple[int, bytes]]:
    """Through the plain build, or through the one that traces."""
    port = rng.randrange(512)
    if rng.random() < 0.99:  # a trace may be of thousands of passes
        return pipeline.process(port, packet)
    trace = pipeline.trace(port, packet)
    assert str(trace)
    return trace.out


def _fuzz(source: Path, rng: random.Random, count: int) -> None:
    pipeline = Pipeline.compile(source, sanitize=True)
    _fill(pipeline, rng)
    packet = b""
    for _ in range(count):
        if packet and rng.random() < 0.7:
            # A neighbour of the last packet reaches deeper than noise.
            changed = bytearray(packet)
            for _ in range(rng.randrange(4)):
                changed[rng.randrange(len(changed))] = rng.choice([0, 1, 0xFF, rng.randrange(256)])
            packet = bytes(changed[: rng.choice([len(changed), rng.randrange(len(changed) + 1)])])
        else:
            packet = rng.randbytes(rng.choice([0, 1, rng.randrange(200), 1500]))
        out = pipeline.process(rng.randrange(512), packet)
        if out and rng.random() < 0.3:
            packet = out[0][1]
        pipeline.digests()
    pipeline.close()


def main() -> None:
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    for source in map(Path, sys.argv[3:]):
        print(source, file=sys.stderr, flush=True)
        _fuzz(source, random.Random(seed), count)


if __name__ == "__main__":
    main()
