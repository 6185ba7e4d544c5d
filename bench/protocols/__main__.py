"""`python -m bench.protocols`: what `make bench-protocols` runs; root."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.figures import OUTPUT
from bench.protocols import report
from bench.protocols.measure import Plan, Run, runs
from controller.model import Protocol
from topology.processes import StartError
from topology.settings import SettingError

QUICK = Plan(keys=50_000, writes=(5,), repeat=1, before=3.0, after=2.0, throttle=20_000_000)


def _numbers(name: str, text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(0 <= number <= 100 for number in found):
        raise SettingError(f"{name}={text}: percentages, such as 0,5,30")
    return found


def _protocols(text: str) -> tuple[Protocol, ...]:
    try:
        return tuple(Protocol(name) for name in text.split(","))
    except ValueError:
        raise SettingError(f"PROTOCOLS={text}: some of {','.join(Protocol)}") from None


def main(
    keys: Annotated[int, typer.Option(help="records to move", min=0)] = 0,
    writes: Annotated[str, typer.Option(help="percentages of writes")] = "",
    budget: Annotated[str, typer.Option(help="percentages of a core for the source")] = "",
    rate: Annotated[int, typer.Option(help="open loop: operations per second", min=1)] = Plan.rate,
    throttle: Annotated[float, typer.Option(help="Mbit/s of group data; 0: unthrottled")] = -1.0,
    repeat: Annotated[int, typer.Option(help="how often each", min=0)] = 0,
    protocols: Annotated[str, typer.Option(help="which ones")] = "",
    quick: Annotated[int, typer.Option(help="1: three minutes, few records")] = 0,
) -> None:
    """Move a partition by each protocol under the same load; figures, plots and a report."""
    console = Console()
    try:
        plan = replace(QUICK if quick else Plan(), rate=rate)
        if keys:
            plan = replace(plan, keys=keys)
        if writes:
            plan = replace(plan, writes=_numbers("WRITES", writes))
        if budget:
            plan = replace(plan, budgets=_numbers("BUDGET", budget))
        if throttle >= 0:
            plan = replace(plan, throttle=round(throttle * 1_000_000))
        if repeat:
            plan = replace(plan, repeat=repeat)
        if protocols:
            plan = replace(plan, protocols=_protocols(protocols))
        output = OUTPUT / "protocols"
        with console.status("") as status:
            found = _measure(plan, output / "raw", status.update, console)
    except (SettingError, StartError) as error:
        Console(stderr=True, soft_wrap=True).print(f"[red]error:[/] {error}", highlight=False)
        raise typer.Exit(2) from None
    (output / "protocols.json").write_text(json.dumps(_content(plan, found), indent=2) + "\n")
    report.write(plan, found, output)
    console.print((output / "report.md").read_text(), markup=False, highlight=False)
    console.print(f"[dim]written to {output}/[/]")
    bad = [run for run in found if run.summary["state"] != "done" or run.summary["violations"]]
    raise typer.Exit(1 if bad else 0)


def _measure(plan: Plan, output: Path, tell: Callable[[str], None], console: Console) -> list[Run]:
    found: list[Run] = []
    for run in runs(plan, output, tell):
        found.append(run)
        figures = run.summary
        console.print(
            f"{run.protocol:10} {run.writes:3} % writes, {run.loop:6} loop, CPU {run.budget:3} %: "
            f"{figures['throughput']['during']:9,.0f} op/s, "
            f"p99 {figures['latency_us']['during']['p99'] or 0:9,.0f} µs, "
            f"{figures['migration_seconds']:6.2f} s, {figures['state']}"
        )
    return found


def _content(plan: Plan, found: list[Run]) -> dict[str, object]:
    return {
        "plan": asdict(plan),
        "medians": report.medians(found),
        "runs": [
            {
                "protocol": run.protocol,
                "budget": run.budget,
                "writes": run.writes,
                "loop": run.loop,
                **run.summary,
            }
            for run in found
        ],
    }


if __name__ == "__main__":
    typer.run(main)
