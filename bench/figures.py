"""What a benchmark finds: figures with their goals, printed and written to out/bench/."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

OUTPUT: Final = Path("out/bench")


@dataclass(frozen=True)
class Figure:
    """One measured number. `goal` is what it should at least be; with `most`, at most."""

    name: str
    value: float
    unit: str = ""
    goal: float | None = None
    most: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None where there is none."""
        if self.goal is None:
            return None
        return bool(self.value <= self.goal if self.most else self.value >= self.goal)


@dataclass(frozen=True)
class Benchmark:
    """A named measurement. `measure` returns figures and whatever else is worth keeping."""

    name: str
    title: str
    measure: Callable[[], tuple[list[Figure], Mapping[str, Any]]]


def number(value: float) -> str:
    """Return a number as people read it."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def run(benchmark: Benchmark, console: Console) -> bool:
    """Run one benchmark; return whether all goals were met."""
    with console.status(benchmark.title):
        figures, details = benchmark.measure()
    table = Table(title=benchmark.title, title_justify="left")
    for column in ("figure", "measured", "goal", ""):
        table.add_column(column, justify="left" if column == "figure" else "right")
    for figure in figures:
        goal = ""
        if figure.goal is not None:
            goal = f"{'≤' if figure.most else '≥'} {number(figure.goal)}"
        mark = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[figure.met]
        table.add_row(figure.name, f"{number(figure.value)} {figure.unit}".strip(), goal, mark)
    console.print(table)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    content = {
        "title": benchmark.title,
        "figures": [asdict(figure) | {"met": figure.met} for figure in figures],
        **details,
    }
    (OUTPUT / f"{benchmark.name}.json").write_text(json.dumps(content, indent=2) + "\n")
    return all(figure.met is not False for figure in figures)
