"""`protocols.json` and `timelines.csv`: everything measured, for programs."""

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bench.protocols import machine
from bench.protocols.compare import Comparison, ratios
from bench.protocols.goals import Goal
from bench.protocols.plan import Plan
from bench.protocols.run import FIGURES, Case, Run
from bench.protocols.sizes import Size

_TIMELINE = ("seconds", "throughput", "p50", "p99", "p999")


def write(
    plan: Plan, comparison: Comparison, runs: Sequence[Run], sizes: Sequence[Size],
    goals: Sequence[Goal], output: Path,
) -> None:  # fmt: skip
    """Write both files."""
    content = {
        "plan": asdict(plan),
        "machine": machine.about(plan.peers),
        "units": dict(FIGURES),
        "goals": [asdict(goal) for goal in goals],
        "medians": [
            _about(row.case)
            | {"runs": row.runs}
            | {name: asdict(spread) for name, spread in row.figures.items()}
            for row in comparison.rows
        ],
        "ratios": ratios(comparison),
        "sizes": [asdict(size) for size in sizes],
        "runs": [
            _about(run.case) | {"problem": run.problem, "migration": run.migration, **run.figures}
            for run in runs
        ],
    }
    (output / "protocols.json").write_text(json.dumps(content, indent=1) + "\n")
    with (output / "timelines.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("run", "protocol", "writes", "budget", "loop", "settings", *_TIMELINE))
        for number, run in enumerate(runs):
            case = run.case
            about = (number, case.protocol, case.writes, case.budget, case.loop, case.label)
            columns = (run.timeline[name].tolist() for name in _TIMELINE)
            for values in zip(*columns, strict=True):
                table.writerow((*about, *(round(value, 2) for value in values)))


def _about(case: Case) -> dict[str, object]:
    return asdict(case) | {"settings": dict(case.settings)}
