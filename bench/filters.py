"""False positives of the switch's two filters against theory, for 16 to 16,384 groups."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from matplotlib import pyplot as plt
from numpy.typing import NDArray

from bench.figures import OUTPUT, Benchmark, Figure
from controller import filters
from hosts.wire import GROUPS

SIZES: Final = tuple(16 << i for i in range(11))
_TRIALS: Final = 20


def theory(n: int, cells: int) -> float:
    """Return (1 − e^(−kn/m))^k for k arrays of `cells` each."""
    return float((1 - np.exp(-n / cells)) ** filters.HASHES)


def measured(n: int, kind: str, contiguous: bool, random: np.random.Generator) -> float:
    """Return the share of the groups outside a set of `n` that the filter says are in it."""
    wrong = total = 0
    for _ in range(_TRIALS):
        if contiguous:
            members = random.integers(GROUPS // n) * n + np.arange(n)
        else:
            members = random.choice(GROUPS, n, replace=False)
        others: NDArray[np.int64] = np.setdiff1d(np.arange(GROUPS), members)
        if kind == "ongoing":
            contents, cells = filters.ongoing_contents(members), filters.ongoing_hashes(others)
        else:
            contents, cells = filters.migrated_contents(members), filters.migrated_hashes(others)
        seen = (contents[np.arange(filters.HASHES)[:, None], cells] > 0).all(axis=0)
        wrong += int(np.count_nonzero(seen))
        total += others.size
    return wrong / total if total else 0.0


def _plot(rates: dict[str, dict[str, list[float]]]) -> None:
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained", sharey=True)
    for axes, (kind, curves) in zip(panels, rates.items(), strict=True):
        for name, values in curves.items():
            style = "k--" if name == "theory" else "o-"
            axes.plot(SIZES, np.maximum(values, 1e-9), style, label=name, markersize=4)
        axes.set(xscale="log", yscale="log", xlabel="groups in the filter", title=kind)
        axes.set_ylim(1e-9, 2)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("false positives (10⁻⁹: none)")
    panels[0].legend()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    figure.savefig(OUTPUT / "filters.png", dpi=110)
    plt.close(figure)


def measure() -> tuple[list[Figure], Mapping[str, Any]]:
    """Compare random sets and aligned ranges with theory, for both filters."""
    random = np.random.default_rng(1)
    rates: dict[str, dict[str, list[float]]] = {}
    figures = []
    for kind, cells in (("ongoing", filters.ONGOING_CELLS), ("migrated", filters.MIGRATED_CELLS)):
        rates[kind] = {
            "theory": [theory(n, cells) for n in SIZES],
            "random sets": [measured(n, kind, False, random) for n in SIZES],
            "aligned ranges": [measured(n, kind, True, random) for n in SIZES],
        }
        for i, n in enumerate(SIZES):
            ideal = rates[kind]["theory"][i]
            worst = max(rates[kind]["random sets"][i], rates[kind]["aligned ranges"][i])
            # A slice never has more ongoing groups than lanes; beyond that it is only of interest.
            within = kind == "migrated" or n <= filters.LANES
            name = f"{kind}, {n} groups (theory {ideal:.2g})"
            figures.append(Figure(name, worst, "", ideal if within else None, most=True))
    _plot(rates)
    return figures, {"groups": SIZES, "rates": rates}


BENCHMARK = Benchmark("filters", "False positives against theory", measure)
