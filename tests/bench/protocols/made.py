"""Runs made up for tests."""

from typing import Any

import numpy as np

from bench.protocols.run import Case, Run, Settings

PLAIN: Settings = (("throttle", 40_000_000),)


def run(
    protocol: str,
    *,
    loop: str = "open",
    writes: int = 5,
    budget: int = 100,
    settings: Settings = PLAIN,
    problem: str = "",
    **figures: float,
) -> Run:
    """Return a run with those figures, as numpy gives them, over some that do not matter."""
    case = Case(protocol, writes, budget, loop, settings)
    usual = {"throughput": 1000.0, "migration_seconds": 4.0, "errors": 0, "violations": 0}
    line: dict[str, Any] = {
        name: np.array([1.0, 2.0]) for name in ("seconds", "throughput", "p50", "p99", "p999")
    }
    measured = {name: np.float64(value) for name, value in figures.items()}
    return Run(case, usual | measured, line, (0.5, 1.5), problem)
