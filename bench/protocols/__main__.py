"""`python -m bench.protocols`: what `make bench-protocols` runs; root."""

import math
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

import grpc
import typer
from rich.console import Console
from rich.markup import escape

from bench.figures import OUTPUT
from bench.peers import ways
from bench.protocols import measure, places, report, results, sizes
from bench.protocols.compare import Comparison, rows
from bench.protocols.forms import ms
from bench.protocols.goals import goals
from bench.protocols.plan import QUICK, SWEEPS, Plan
from bench.protocols.run import Run
from bench.protocols.sizes import Size
from controller.model import Protocol
from topology.processes import StartError
from topology.settings import SettingError


def _numbers(name: str, text: str, least: int, most: int) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or not all(least <= number <= most for number in found):
        raise SettingError(f"{name}={text}: numbers from {least} to {most:,}, such as 5,10")
    return found


def _protocols(text: str) -> tuple[Protocol, ...]:
    try:
        return tuple(Protocol(name) for name in text.split(","))
    except ValueError:
        raise SettingError(f"PROTOCOLS={text}: some of {','.join(Protocol)}") from None


def _peers(text: str) -> tuple[str, ...]:
    """Return the peers named, which must be there; of all, those that are."""
    if text == "none":
        return ()
    wanted = text.split(",") if text else list(ways.SETTINGS)
    unknown = [name for name in wanted if name not in ways.SETTINGS]
    if unknown:
        raise SettingError(f"PEERS={text}: none, or some of {','.join(ways.SETTINGS)}")
    missing = {name: found for name in wanted if isinstance(found := ways.find(name), str)}
    for name, why in missing.items():
        if text:
            raise SettingError(f"PEERS={text}: no {name}: {why}")
        Console().print(f"[dim]without {name}: {why}[/]", highlight=False)
    return tuple(name for name in wanted if name not in missing)


def main(
    keys: Annotated[int, typer.Option(help="records to move", min=0)] = 0,
    writes: Annotated[str, typer.Option(help="percentages of writes")] = "",
    budget: Annotated[str, typer.Option(help="percentages of a core for the source")] = "",
    full: Annotated[int, typer.Option(help="1: every WRITES with every BUDGET")] = 0,
    rate: Annotated[int, typer.Option(help="open loop: operations per second", min=1)] = Plan.rate,
    throttle: Annotated[float, typer.Option(help="Mbit/s of group data; 0: unthrottled")] = -1.0,
    repeat: Annotated[int, typer.Option(help="how often each", min=0)] = 0,
    protocols: Annotated[str, typer.Option(help="which ones")] = "",
    peers: Annotated[str, typer.Option(help="the stores' own ways beside them; or none")] = "",
    sweep: Annotated[str, typer.Option(help=f"other settings to try: {', '.join(SWEEPS)}")] = "",
    sizes: Annotated[str, typer.Option(help="numbers of records to move; 0: leave this out")] = "",
    quick: Annotated[int, typer.Option(help="1: three minutes, few records")] = 0,
) -> None:
    """Move a partition by each protocol under the same load; figures, plots and a report."""
    try:
        plan = replace(QUICK if quick else Plan(), rate=rate, full=bool(full))
        if keys:
            plan = replace(plan, keys=keys)
        if writes:
            plan = replace(plan, writes=_numbers("WRITES", writes, 0, 100))
        if budget:
            plan = replace(plan, budgets=_numbers("BUDGET", budget, 5, 100))
        if throttle >= 0:
            plan = replace(plan, throttle=round(throttle * 1_000_000))
        if repeat:
            plan = replace(plan, repeat=repeat)
        if protocols:
            plan = replace(plan, protocols=_protocols(protocols))
        if peers or not quick:
            plan = replace(plan, peers=_peers(peers))
        if sweep:
            if sweep not in SWEEPS:
                raise SettingError(f"SWEEP={sweep}: one of {', '.join(SWEEPS)}")
            plan = replace(plan, sweep=sweep)
        if sizes:
            found = _numbers("SIZES", sizes, 0, 50_000_000)
            plan = replace(plan, sizes=tuple(size for size in found if size))
        raise typer.Exit(_Bench(plan).run())
    except (SettingError, StartError) as error:
        Console(stderr=True, soft_wrap=True).print(f"[red]error:[/] {error}", highlight=False)
        raise typer.Exit(2) from None


class _Bench:
    """One bench: what it has found so far, told as it comes."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._console = Console()
        self._output = OUTPUT / "protocols"
        self._runs: list[Run] = []
        self._sizes: list[Size] = []
        self._stopped = ""
        """What kept it from measuring everything, if anything did."""
        self._began = time.monotonic()

    def run(self) -> int:
        """Measure and report, also what there is when it is stopped; 1 if anything went wrong."""
        plan, raw = self._plan, self._output / "raw"
        count = sum(1 for budget in plan.budgets for _ in plan.cases(budget))
        about = f"{count} runs and {len(plan.sizes)} sizes, about {_minutes(plan.seconds())}"
        self._console.print(about, highlight=False)
        with self._console.status("") as status:

            def tell(text: str) -> None:
                status.update(f"{text} [dim]({self._left(count)})[/]")

            try:
                places.clear()
                self._take(measure.runs(plan, raw, tell), count)
                for size in sizes.measure(plan, raw, tell):
                    self._sizes.append(size)
            except KeyboardInterrupt:
                self._stopped = "interrupted"
            except (RuntimeError, grpc.RpcError) as error:
                if not self._runs:
                    raise StartError(str(error)) from error
                self._stopped = str(error)
        self._report()
        bad = [run for run in self._runs if run.problem or run.figures["violations"]]
        bad_sizes = [size for size in self._sizes if size.problems or size.violations]
        return 1 if bad or bad_sizes or self._stopped else 0

    def _take(self, runs: Iterable[Run], count: int) -> None:
        for run in runs:
            self._runs.append(run)
            figures, case = run.figures, run.case
            p99 = ms(figures.get("p99", math.nan))
            came = (
                f"{figures['throughput']:9,.0f} op/s, p99 {p99:>6} ms, "
                f"{figures['migration_seconds']:6.2f} s {case.label}"
            )
            self._console.print(
                f"{case.protocol:19} {case.writes:3} % writes, {case.loop:6} loop, CPU "
                f"{case.budget:3} %: {escape(run.problem) or came} [dim]({self._left(count)})[/]",
                highlight=False,
                soft_wrap=True,
            )

    def _left(self, count: int) -> str:
        done = len(self._runs)
        if not done:
            return f"about {_minutes(self._plan.seconds())}"
        each = (time.monotonic() - self._began) / done
        return f"{done} of {count} runs, {_minutes(each * (count - done))} to go"

    def _report(self) -> None:
        plan = self._plan
        comparison = Comparison(rows(self._runs), plan.pivot, plan.settings)
        judged = goals(comparison, self._sizes)
        results.write(plan, comparison, self._runs, self._sizes, judged, self._output)
        report.write(plan, comparison, self._runs, self._sizes, judged, self._output)
        text = (self._output / "report.md").read_text()
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        if self._stopped:
            message = f"not everything was measured: {self._stopped}"
            self._console.print(message, style="red", markup=False, highlight=False)
        self._console.print(f"[dim]written to {self._output}/[/]")


def _minutes(seconds: float) -> str:
    return f"{max(1, round(seconds / 60))} min"


if __name__ == "__main__":
    typer.run(main)
