"""Why a goal was met or missed, as far as what was measured with it says so."""

import os
from collections.abc import Mapping, Sequence

from bench.protocols.compare import Row
from bench.protocols.forms import ms
from bench.protocols.run import PARTS
from bench.protocols.sizes import Size
from hosts.agent.agent import JOURNAL_BYTES

Why = tuple[str, ...]
_NAMED = 3


def _cores(row: Row, phase: str = "") -> dict[str, float]:
    """Return the cores that each part kept busy during the migration or (`_before`) before it."""
    return {p: row[f"cpu_{p}{phase}"] for p in PARTS if f"cpu_{p}{phase}" in row.figures}


def _costs(row: Row, phase: str = "") -> dict[str, float]:
    """Return the µs of processor time of each part for each operation that clients finished."""
    rate = row[f"throughput{phase}"]
    return {part: 1e6 * busy / rate for part, busy in _cores(row, phase).items() if rate > 0}


def profile(*rows: Row) -> Why:
    """Return how busy the machine was, and what an operation cost with the migration and without.

    All parts share the machine: where it is full, what an operation costs is what it serves.
    """
    return tuple(map(_profile, rows))


def _profile(row: Row) -> str:
    during, before = _costs(row), _costs(row, "_before")
    more = {part: during[part] - before.get(part, 0.0) for part in during}
    most = [part for part in sorted(more, key=lambda part: -more[part]) if more[part] >= 0.05]
    named = ", ".join(f"{_words(part)} +{more[part]:.1f}" for part in most[:_NAMED])
    return (
        f"{row.case.name}: {sum(_cores(row).values()):.2f} of {os.cpu_count()} cores (before "
        f"{sum(_cores(row, '_before').values()):.2f}), {sum(during.values()):.1f} µs of processor "
        f"an operation (before {sum(before.values()):.1f}{'; ' + named if named else ''})"
    )


def _words(part: str) -> str:
    return part.replace("_", " ")


def latency(name: str, ours: Row, *others: Row) -> Why:
    """Return a latency before the migrations, which is no part of them; that of most of their
    time, without peaks; and the profile."""
    earlier, usual, rows = f"{name}_before", f"{name}_usual", (ours, *others)
    half = "; at least half of ours was there already" if ours[earlier] >= ours[name] / 2 else ""
    return (
        f"{name} before the migration: {_each(rows, earlier)}{half}",
        f"median of the {name} of each 100 ms during the migration: {_each(rows, usual)}",
        *profile(*rows),
    )


def _each(rows: Sequence[Row], name: str) -> str:
    return ", ".join(f"{row.case.name} {ms(row[name])} ms" for row in rows)


def pace(row: Row) -> Why:
    """Return how fast the data moved, and the profile."""
    rate = 8 * row["moved_bytes"] / row["migration_seconds"]
    moved = f"{row['moved_bytes'] / 1e6:.1f} MB of group data, {rate / 1e6:.1f} Mbit/s on average"
    return moved, *profile(row)


def told(row: Row) -> Why:
    """Return what clients were told instead of an answer."""
    counted = {"errors": "errors", "redirects": "redirects", "retries": "packets of 'ask again'"}
    named = ", ".join(f"{row[n]:.0f} {text}" for n, text in counted.items() if n in row.figures)
    return (f"{row.case.name}: {named}",)


def doubled(row: Row, sizes: Sequence[Size]) -> Why:
    """Return what made bytes of clients extra, and what they were with other numbers of records."""
    extra = f"{row['double_reads']:.0f} double reads, {row['retries']:.0f} packets of 'ask again'"
    each = tuple(f"{size.client_extra:.4f} % with {size.keys:,} records" for size in sizes)
    return f"{extra}, in {row['client_bytes'] / 1e6:.1f} MB", *each


def control(row: Row) -> Why:
    """Return how many bytes of control packets there were."""
    size = row["server_control"] / 100 * row["moved_bytes"]
    return (
        f"{size / 1e3:,.1f} kB for {row['moved_bytes'] / 1e6:.1f} MB of group data: four packets "
        "for a batch of groups, however few bytes they hold",
    )


def work(sizes: Sequence[Size]) -> Why:
    """Return what a key cost each part, without load."""
    return tuple(f"{size.keys:,} records: {_parts(size.cpu)}" for size in sizes)


def _parts(cpu: Mapping[str, float]) -> str:
    return ", ".join(f"{_words(part)} {value:.1f} µs" for part, value in cpu.items())


def unmoved(sizes: Sequence[Size]) -> Why:
    """Return p99 before and during the migrations of each size: what was before is no part."""
    return tuple(
        f"{size.keys:,} records: {ms(size.p99_before)} ms before, {ms(size.p99)} ms during"
        for size in sizes
    )


def memory(sizes: Sequence[Size]) -> Why:
    """Return how an agent's memory goes with the data, and what else is in it."""
    return (
        *(
            f"{s.keys:,} records: {_mb(s.agent_bytes)} for {_mb(s.data_bytes)} of data"
            for s in sizes
        ),
        f"with what was used of its mapped journal, which has {_mb(JOURNAL_BYTES)}",
    )


def _mb(size: float) -> str:
    return f"{size / 1e6:.1f} MB"
