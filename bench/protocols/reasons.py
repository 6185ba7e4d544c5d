"""Why a goal was met or missed, as far as what was measured with it says so."""

import os

from bench.protocols.compare import Row
from bench.protocols.run import PARTS
from hosts.agent.agent import JOURNAL_BYTES

_NAMED = 3
_SERVERS = ("source_store", "source_agent", "destination_store", "destination_agent")


def cores(row: Row, *, suffix: str = "", parts: tuple[str, ...] = PARTS) -> float:
    """Return the cores that some parts kept busy, during the migration or (`_before`) before it."""
    names = [f"cpu_{part}{suffix}" for part in parts]
    return sum(row[name] for name in names if name in row.figures)


def busy(*rows: Row) -> str:
    """Return which parts took how many cores during the migrations of these rows."""
    return f"cores of {os.cpu_count()} busy: " + "; ".join(map(_busy, rows))


def _busy(row: Row) -> str:
    each = {part: row[f"cpu_{part}"] for part in PARTS if f"cpu_{part}" in row.figures}
    most = sorted(each, key=lambda part: -each[part])[:_NAMED]
    named = ", ".join(f"{part.replace('_', ' ')} {each[part]:.2f}" for part in most)
    return (
        f"{row.case.protocol} {cores(row):.2f} (before {cores(row, suffix='_before'):.2f}; {named})"
    )


def servers(row: Row) -> str:
    """Return what both stores and agents took during the migration, and before it."""
    during, before = (cores(row, suffix=suffix, parts=_SERVERS) for suffix in ("", "_before"))
    return f"stores and agents take {during:.2f} cores during, {before:.2f} before"


def before(name: str, *rows: Row) -> str:
    """Return a latency (µs) before the migrations: what is no part of them."""
    each = ", ".join(f"{row.case.protocol} {row[f'{name}_before']:,.0f} µs" for row in rows)
    return f"{name} before: {each}"


def doubled(row: Row) -> str:
    """Return what made bytes of clients extra."""
    return (
        f"{row['double_reads']:.0f} double reads, {row['client_bytes'] / 1e6:.1f} MB in all: "
        "what is on the move at once does not grow with the data"
    )


def control(row: Row) -> str:
    """Return how many bytes of control packets there were."""
    size = row["server_control"] / 100 * row["moved_bytes"]
    return (
        f"{size / 1e3:,.1f} kB for {row['moved_bytes'] / 1e6:.1f} MB: four packets a batch, which "
        "is so small that few groups are on the move"
    )


def memory(size: float) -> str:
    """Return what an agent's memory is made of; it hardly grows with the data."""
    return f"{size / 1e6:.1f} MB, up to {JOURNAL_BYTES / 1e6:.1f} MB of them the mapped journal"
