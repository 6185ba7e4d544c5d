"""`python -m torture.restarts`: how long it takes until all is well after a restart, as a table."""

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from controller.model import Protocol
from topology.processes import StartError
from topology.system import free_port
from torture import job
from torture.recoveries import RESTARTS

_NAMES: Final = {
    "switch": "switch",
    "agents": "agent",
    "controller": "controller",
    "store": "store",
}
_COLUMNS: Final = ("served_after", "moved_after")


def restarts(
    *,
    seconds: Annotated[float, typer.Option(help="for each kind of restart", min=10)] = 60.0,
    seed: Annotated[int, typer.Option(help="of the faults, the commands and the migrations")] = 1,
    protocol: Annotated[str, typer.Option(help="how groups move")] = Protocol.NETMIGRATE,
    output: Annotated[Path, typer.Option(help="where all is kept")] = Path("out/restarts"),
) -> None:
    """Restart one kind of part again and again, the others alone, and write `restarts.md`."""
    found: dict[str, dict[str, float]] = {}
    ok = True
    for kind in RESTARTS:
        wanted = job.Torture(seconds, seed, (kind,), protocol, output / kind)
        try:
            summary = job.run(wanted, free_port())
        except StartError as error:
            Console(stderr=True, soft_wrap=True).print(f"[red]error:[/] {error}", highlight=False)
            raise typer.Exit(2) from None
        ok = ok and summary["ok"]
        found |= summary["recovery_times"]
    (output / "restarts.json").write_text(json.dumps(found, indent=2) + "\n")
    table = "\n".join(rows(found)) + "\n"
    (output / "restarts.md").write_text(table)
    Console().print(table, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(0 if ok else 1)


def rows(found: dict[str, Any]) -> list[str]:
    """Return the table in Markdown: seconds, median and longest."""
    lines = [
        "| killed, started again | its groups are served after | a migration goes on after |",
        "| --- | --- | --- |",
    ]
    for kind, name in _NAMES.items():
        times = found.get(kind, {})
        cells = [
            f"{times[f'{each}_median']:.2f} s ({times[f'{each}_longest']:.2f} s, "
            f"{times[f'{each}_count']:.0f} times)"
            if f"{each}_median" in times
            else "not seen"
            for each in _COLUMNS
        ]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    return lines


if __name__ == "__main__":
    typer.run(restarts)
