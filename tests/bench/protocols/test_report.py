"""The report has its sections, figures and tables, also of a way to migrate that is not ours."""

import csv
import json
from dataclasses import replace
from pathlib import Path

from bench.protocols import report, results
from bench.protocols.compare import Comparison, rows
from bench.protocols.goals import goals
from bench.protocols.plan import Plan
from bench.protocols.run import AS_LONG_AS_STOCK
from tests.bench.protocols.made import PLAIN, run


def test_everything_is_written(tmp_path: Path) -> None:
    plan = replace(Plan(), writes=(5, 30), budgets=(100,))
    runs = [
        run(protocol, loop=loop, writes=writes, p50=100.0, p99=value, throughput_ratio=0.9)
        for protocol in ("netmigrate", "source")
        for loop in ("closed", "open")
        for writes in (5, 30)
        for value in (200.0, 210.0)
    ]
    runs.append(run("reshard", settings=(("pipeline", 10),), p99=999.0))
    runs.append(run("netmigrate", settings=AS_LONG_AS_STOCK, p99=99.0))
    runs.append(run("source", problem="stalled: for a reason"))
    comparison = Comparison(rows(runs), plan.pivot, PLAIN)
    judged = goals(comparison, ())
    earlier = tmp_path / "budgets.png"
    earlier.write_bytes(b"of an earlier run")
    results.write(plan, comparison, runs, (), judged, tmp_path)
    report.write(plan, comparison, runs, (), judged, tmp_path)
    text = (tmp_path / "report.md").read_text()
    for picture in ("protocols", "peers", "writes", "trade"):
        assert f"({picture}.png)" in text
        assert (tmp_path / f"{picture}.png").read_bytes().startswith(b"\x89PNG")
    assert "budgets.png" not in text  # there is but one
    assert not earlier.exists()
    assert "|  | netmigrate | source | reshard | netmigrate, as long as reshard |" in text
    (line,) = (
        line for line in text.splitlines() if line.startswith("| open loop: p99 during, ms |")
    )
    assert line.endswith("| 0.999 | 0.0990 |")
    assert "| open | reshard | 1,000 | – |" in text
    assert "| open | netmigrate, as long as reshard | 1,000 | – |" in text
    assert "stalled: for a reason" in text
    for goal in judged:
        assert goal.name in text
    content = json.loads((tmp_path / "protocols.json").read_text())
    assert len(content["runs"]) == len(runs)
    first = content["medians"][0]
    assert first["protocol"] == "netmigrate" and first["runs"] == 2
    assert first["p99"] == {"median": 205.0, "least": 200.0, "most": 210.0}
    with (tmp_path / "timelines.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 2 * len(runs)
    assert lines[0]["settings"] == "40 Mbit/s"
