"""What the comparison shall show, and what was measured of it."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bench.protocols import reasons
from bench.protocols.compare import OURS, STOCK, Comparison, Row
from bench.protocols.forms import ms, seconds
from bench.protocols.pace import SHARE
from bench.protocols.sizes import Size

THROUGHPUT: Final = 1.32
"""Ours is at least so many times each other's average throughput during the migration."""
LOWER: Final = {"p50": 0.49, "p99": 0.39}
"""By what part our latency is below that of the worst of the others."""
CLIENT_EXTRA: Final = 0.05
"""Per cent of the bytes between clients and switch."""
SERVER_EXTRA: Final = 0.001
"""Per cent of the bytes moved."""
OF_BEFORE: Final = 0.95
"""Throughput during / before, at a throttle that ends within twice the unthrottled time."""
FLAT: Final = 1.5
"""What does not depend on the number of records differs by this factor at most."""
AGENT_MEMORY: Final = 5.0
"""Per cent of the data."""


@dataclass(frozen=True)
class Goal:
    """One goal; `met` is None where it was not measured. `why`: what was measured with it, which a
    missed one always has."""

    name: str
    wanted: str
    measured: str
    met: bool | None
    why: reasons.Why = ()


def goals(comparison: Comparison, sizes: Sequence[Size]) -> list[Goal]:
    """Return every goal with what was measured of it."""
    return [
        *_throughput(comparison),
        *_latency(comparison),
        *_bytes(comparison, sizes),
        _throttled(comparison),
        *_reshard(comparison),
        *_sizes(sizes),
    ]


def _missing(name: str, wanted: str) -> Goal:
    return Goal(name, wanted, "not measured", None)


def _throughput(comparison: Comparison) -> Iterator[Goal]:
    ours = comparison.ours("closed")
    for other in comparison.others("closed"):
        name, wanted = f"throughput / {other}", f"≥ {THROUGHPUT}"
        best = comparison.best("closed", other, "throughput", most=True)
        if ours is None or best is None:
            yield _missing(name, wanted)
            continue
        ratio = ours["throughput"] / best["throughput"]
        shown = f"{ratio:.2f} ({_times(ours, best)})"
        yield Goal(name, wanted, shown, ratio >= THROUGHPUT, reasons.profile(ours, best))


def _times(ours: Row, other: Row) -> str:
    mine, theirs = ours["migration_seconds"], other["migration_seconds"]
    return f"{seconds(mine)}, {seconds(theirs)} at {other.case.label or 'its only setting'}"


def _latency(comparison: Comparison) -> Iterator[Goal]:
    ours = comparison.ours("open")
    for figure, lower in LOWER.items():
        name, wanted = f"{figure} below the worst of the others", f"≥ {100 * lower:.0f} %"
        rows = {
            other: best
            for other in comparison.others("open")
            if (best := comparison.best("open", other, figure)) is not None
        }
        found = {other: row[figure] for other, row in rows.items()}
        if ours is None or not found:
            yield _missing(name, wanted)
            yield _missing(f"no {figure} better than ours", "none")
            continue
        worst = max(found, key=lambda other: found[other])
        below = 1 - ours[figure] / found[worst]
        shown = f"{100 * abs(below):.0f} % {'below' if below >= 0 else 'above'}"
        shown += f" ({ms(ours[figure])} ms; {worst} {ms(found[worst])} ms)"
        why = reasons.latency(figure, ours, rows[worst])
        yield Goal(name, wanted, shown, below >= lower, why)
        better = {other: value for other, value in found.items() if value < ours[figure]}
        names = ", ".join(f"{other} {ms(value)} ms" for other, value in better.items())
        yield Goal(
            f"no {figure} better than ours",
            "none",
            f"{names} (ours {ms(ours[figure])} ms)" if better else "none",
            not better,
            reasons.latency(figure, ours, *(rows[other] for other in better)),
        )


def _bytes(comparison: Comparison, sizes: Sequence[Size]) -> Iterator[Goal]:
    ours = comparison.ours("open")
    for name, figure, most in (
        ("extra bytes of clients", "client_extra", CLIENT_EXTRA),
        ("control packets of the bytes moved", "server_control", SERVER_EXTRA),
    ):
        wanted = f"< {most} %"
        if ours is None or math.isnan(ours[figure]):
            yield _missing(name, wanted)
            continue
        control = figure == "server_control"
        why = reasons.control(ours) if control else reasons.doubled(ours, sizes)
        yield Goal(name, wanted, f"{ours[figure]:.4f} %", ours[figure] < most, why)


def _throttled(comparison: Comparison) -> Goal:
    name = "throughput during / before, within twice the unthrottled time"
    wanted = f"≥ {OF_BEFORE}"
    found = comparison.at("closed", OURS)
    unthrottled = [row for row in found if dict(row.case.settings).get("throttle") == 0]
    if not unthrottled:
        return _missing(name, wanted)
    fastest = min(unthrottled, key=lambda row: row["migration_seconds"])
    limit = 2 * fastest["migration_seconds"]
    throttled = [
        row
        for row in found
        if dict(row.case.settings).get("throttle") and row["migration_seconds"] <= limit
    ]
    if not throttled:
        rate = 8 * fastest["moved_bytes"] / (SHARE * limit)
        try_this = "" if math.isnan(rate) else f": try THROTTLE={math.ceil(rate / 1e6)}"
        return Goal(name, wanted, f"no throttle tried ends within {seconds(limit)}{try_this}", None)
    best = max(throttled, key=lambda row: row["throughput_ratio"])
    shown = f"{best['throughput_ratio']:.2f} at {best.case.label} ({_times(best, fastest)})"
    met = best["throughput_ratio"] >= OF_BEFORE
    return Goal(name, wanted, shown, met, reasons.profile(best))


def _reshard(comparison: Comparison) -> Iterator[Goal]:
    """Against the stock way at the best of its settings: felt less, not noticed, no longer.

    Ours is the best of what ends no later.
    """
    theirs = [row for row in comparison.at("open", STOCK) if not math.isnan(row["p99"])]
    mine = [row for row in comparison.at("open", OURS) if not math.isnan(row["p99"])]
    if not mine or not theirs:
        yield _missing(f"p99 / {STOCK}", "< 1")
        return
    best = min(theirs, key=lambda row: row["p99"])
    in_time = [row for row in mine if row["migration_seconds"] <= best["migration_seconds"]]
    ours = (
        min(in_time, key=lambda row: row["p99"])
        if in_time
        else min(mine, key=lambda row: row["migration_seconds"])
    )
    p99, times = (ours[name] / best[name] for name in ("p99", "migration_seconds"))
    shown = f"{p99:.2f} ({ms(ours['p99'])} ms {ours.case.label}, {ms(best['p99'])} ms)"
    yield Goal(f"p99 / {STOCK}", "< 1", shown, p99 < 1, reasons.latency("p99", ours, best))
    shown = f"{times:.2f} ({_times(ours, best)})"
    yield Goal(f"time / {STOCK}", "≤ 1", shown, times <= 1, reasons.pace(ours))
    seen, others = (
        sum(row[name] for name in ("errors", "redirects", "retries") if name in row.figures)
        for row in (ours, best)
    )
    shown = f"{seen:.0f} ({STOCK}: {others:.0f})"
    name = "redirects and errors that clients see"
    yield Goal(name, "none", shown, seen == 0, reasons.told(ours))


def _sizes(sizes: Sequence[Size]) -> Iterator[Goal]:
    if len(sizes) < 2:
        yield _missing("processor time a key, p99: flat over the sizes", f"within × {FLAT}")
    else:
        span = f"{sizes[0].keys:,} to {sizes[-1].keys:,} records"
        work = [size.cpu_per_key for size in sizes]
        p99 = [size.p99 / 1000 for size in sizes]
        for name, values, unit, why in (
            ("processor time a key", work, "µs", reasons.work(sizes)),
            ("p99 during", p99, "ms", reasons.unmoved(sizes)),
        ):
            factor = max(values) / max(1e-9, min(values))
            shown = f"× {factor:.2f} ({min(values):.3g} to {max(values):.3g} {unit})"
            yield Goal(f"{name}, {span}", f"within × {FLAT}", shown, factor <= FLAT, why)
    if sizes:
        largest = sizes[-1]
        shown = f"{largest.memory_share:.1f} % at {largest.keys:,} records"
        met = largest.memory_share < AGENT_MEMORY
        why = reasons.memory(sizes)
        yield Goal("agent memory of the data", f"< {AGENT_MEMORY:g} %", shown, met, why)
    else:
        yield _missing("agent memory of the data", f"< {AGENT_MEMORY:g} %")
