"""The cost of one table lookup, by kind of key and number of entries.

It is the time per packet in process, less that of the same program without the table. Many flows
hit entries chosen at random, so that caches play the part that they have in life; a few flows tell
what the number of entries costs beside the caches.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt

from bench.figures import OUTPUT, Benchmark, Figure
from bench.l3 import LENGTHS
from switch.runtime.pipeline import Entry, Exact, Lpm, Match, Optional, Pipeline, Range, Ternary

PROGRAM: Final = Path(__file__).with_suffix(".p4")
SIZES: Final = (10, 1000, 100_000)
MASKS: Final = (0xFFFFFFFF, 0xFFFFFF00, 0xFFFF0000, 0x00FFFFFF, 0xFFFF00FF, 0xF0F0FFFF)
MANY: Final = 4096
FEW: Final = 10
_PACKET_BYTES: Final = 64
_TURNS: Final = 5
_SECONDS: Final = 0.05

# A key's value and a match for it.
Choice = tuple[int, Match]


def _exact(chooser: random.Random) -> Choice:
    value = chooser.getrandbits(32)
    return value, Exact(value)


def _lpm(chooser: random.Random) -> Choice:
    value, length = chooser.getrandbits(32), chooser.choice(LENGTHS)
    return value, Lpm(value >> 32 - length << 32 - length, length)


def _ternary(chooser: random.Random) -> Choice:
    value, mask = chooser.getrandbits(32), chooser.choice(MASKS)
    return value, Ternary(value & mask, mask)


def _optional(chooser: random.Random) -> Choice:
    value = chooser.getrandbits(32)
    return value, Optional(value)


def _range(chooser: random.Random) -> Choice:
    value = chooser.getrandbits(32)
    return value, Range(value, min(value + 0xFFFF, 0xFFFFFFFF))


KINDS: Final[dict[str, Callable[[random.Random], Choice]]] = {
    "exact": _exact,
    "lpm": _lpm,
    "ternary": _ternary,
    "optional": _optional,
    "range": _range,
}
_FLAT: Final = ("exact", "lpm")
_PRIORITY: Final = ("ternary", "optional", "range")


def loaded(kind: str, count: int) -> tuple[Pipeline, list[int]]:
    """Return a program with a table of `count` entries, and a value that each of them matches."""
    chooser = random.Random(count)
    pipeline = Pipeline.compile(PROGRAM, defines={"KIND": kind})
    values: dict[Match, int] = {}
    while len(values) < count:
        value, match = KINDS[kind](chooser)
        if match not in values:
            values[match] = value
            priority = chooser.randint(1, 1 << 20) if kind in _PRIORITY else 0
            entry = Entry((match,), "TablesIngress.forward", (1,), priority)
            pipeline.insert("TablesIngress.lookup", entry)
    return pipeline, list(values.values())


def packets(values: list[int], flows: int) -> list[bytes]:
    """Return packets that take turns between some of the values."""
    chosen = random.Random(1).choices(values, k=flows) * (MANY // flows)
    return [value.to_bytes(4, "big").ljust(_PACKET_BYTES, b"\0") for value in chosen]


def nanoseconds(pipeline: Pipeline, frames: list[bytes]) -> float:
    """Return the time per packet."""
    rounds = max(1, round(_SECONDS / pipeline.benchmark(1, frames, 1)))
    return pipeline.benchmark(1, frames, rounds) / (rounds * len(frames)) * 1e9


def measure() -> tuple[list[Figure], Mapping[str, Any]]:
    """Take turns between all tables and the program that has none."""
    without = Pipeline.compile(PROGRAM)
    tables = {(kind, count): loaded(kind, count) for kind in KINDS for count in SIZES}
    frames = {
        (*key, flows): packets(values, flows)
        for key, (_, values) in tables.items()
        for flows in (FEW, MANY)
    }
    costs: dict[tuple[str, int, int], list[float]] = {key: [] for key in frames}
    for _ in range(_TURNS):
        for (kind, count, flows), sent in frames.items():
            with_table = nanoseconds(tables[kind, count][0], sent)
            costs[kind, count, flows].append(with_table - nanoseconds(without, sent))
    cost = {key: median(values) for key, values in costs.items()}
    _plot({key[:2]: value for key, value in cost.items() if key[2] == MANY})
    return list(_figures(cost)), {
        f"{kind}, {count} entries, {flows} flows": values
        for (kind, count, flows), values in costs.items()
    }


def _figures(cost: Mapping[tuple[str, int, int], float]) -> Iterator[Figure]:
    for (kind, count, flows), value in cost.items():
        if flows == MANY:
            goal = 2000 if (kind, count) == ("ternary", 1000) else None
            yield Figure(f"{kind}, {count:,} entries", value, "ns", goal, most=True)
    for kind in _FLAT:
        growth = cost[kind, SIZES[-1], FEW] - cost[kind, SIZES[0], FEW]
        title = f"{kind}, {FEW} flows: {SIZES[-1]:,} entries over {SIZES[0]}"
        yield Figure(title, growth, "ns", 10, most=True)


def _plot(cost: Mapping[tuple[str, int], float]) -> None:
    mpl.use("Agg")
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for kind in KINDS:
        points = [(count, value) for (each, count), value in cost.items() if each == kind]
        axes.plot(*zip(*points, strict=True), marker="o", label=kind)
    axes.set(xscale="log", xlabel="entries", ylabel="ns per lookup", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    figure.savefig(OUTPUT / "tables.png", dpi=150)
    plt.close(figure)


BENCHMARK = Benchmark("tables", "One table lookup, in process", measure)
