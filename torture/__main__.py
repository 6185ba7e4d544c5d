"""`python -m torture`: what `make torture` calls."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from controller.model import Protocol
from torture.faults import KINDS


def torture(
    *,
    seconds: Annotated[float, typer.Option(help="how long faults strike", min=1)] = 60.0,
    seed: Annotated[int, typer.Option(help="of the faults, the commands and the migrations")] = 1,
    faults: Annotated[
        str, typer.Option(help=f"ALL, or some of {','.join(KINDS)}, with commas")
    ] = "ALL",
    protocol: Annotated[
        str, typer.Option(help=f"how groups move: {', '.join(Protocol)}")
    ] = Protocol.NETMIGRATE,
    output: Annotated[Path, typer.Option(help="where records, logs and the summary go")] = Path(
        "out/torture"
    ),
) -> None:
    """Let faults strike while clients work and partitions move; judge every key's history."""
    from topology.processes import StartError
    from topology.system import free_port
    from torture import job

    kinds = tuple(KINDS) if faults.upper() == "ALL" else tuple(filter(None, faults.split(",")))
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or protocol not in list(Protocol):
        what = (
            f"--faults {unknown[0]}: there are ALL, {', '.join(KINDS)}"
            if unknown
            else (f"--protocol {protocol}: there are {', '.join(Protocol)}")
        )
        _fail(what)
    try:
        found = job.run(job.Torture(seconds, seed, kinds, protocol, output), free_port())
    except StartError as error:
        _fail(str(error))
    console = Console(highlight=False)
    for name, value in found.items():
        if name not in ("recoveries", "told"):
            console.print(f"{name:>21}  {value}", markup=False, soft_wrap=True)
    console.print(f"{'details':>21}  {output}/summary.json", soft_wrap=True)
    raise typer.Exit(0 if found["ok"] else 1)


def _fail(message: str) -> None:
    Console(stderr=True, soft_wrap=True).print(f"[red]error:[/] {message}", highlight=False)
    raise typer.Exit(2)


if __name__ == "__main__":
    typer.run(torture)
