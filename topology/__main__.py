"""`python -m topology`: what the Makefile's run, net and clean call."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from topology import clean as cleaning
from topology import settings
from topology.processes import StartError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

Servers = Annotated[int, typer.Option(help="server hosts, each with a store and an agent")]
Clients = Annotated[int, typer.Option(help="client hosts")]
SwitchKind = Annotated[str, typer.Option(help=f"one of {', '.join(settings.SWITCHES)}")]
Rdb = Annotated[Path | None, typer.Option(help="dump file the first server's store starts from")]

LogPackets = Annotated[int, typer.Option(min=0, max=1, help="1: trace packets in switch.log")]


@app.command()
def run(
    servers: Servers = 2,
    clients: Clients = 1,
    switch: SwitchKind = "embedded",
    rdb: Rdb = None,
    log_packets: LogPackets = 0,
    keys: Annotated[int, typer.Option(help="records to load")] = 200_000,
    value_size: Annotated[int, typer.Option(help="bytes of a value")] = 64,
    workload: Annotated[str, typer.Option(help="YCSB workload")] = "B",
    rate: Annotated[int, typer.Option(help="operations per second, open loop")] = 8_000,
    throttle: Annotated[float, typer.Option(help="Mbit/s of group data; 0: unthrottled")] = 20.0,
    lanes: Annotated[int, typer.Option(help="parallel senders of the source")] = settings.Run.lanes,
    group_batch: Annotated[
        int, typer.Option(help="groups that move as one, a power of two; 0: what fits")
    ] = settings.Run.group_batch,
    pull_reads: Annotated[
        int, typer.Option(min=0, max=1, help="1: reads of groups on the move are not doubled")
    ] = 0,
    protocol: Annotated[str, typer.Option(help="how the groups move")] = settings.Run.protocol,
    seed: Annotated[int, typer.Option(help="seed of the workload")] = 1,
) -> None:
    """Load a store, move its partition to another server under live load, check, report."""
    from topology import job

    _exit_on_error(
        lambda: job.run(
            settings.Network(
                servers=servers,
                clients=clients,
                switch=switch,
                rdb=rdb,
                log_packets=bool(log_packets),
            ),
            settings.Run(
                keys=keys,
                value_size=value_size,
                workload=workload.upper(),
                rate=rate,
                throttle=round(throttle * 1_000_000),
                lanes=lanes,
                group_batch=group_batch,
                pull_reads=bool(pull_reads),
                protocol=protocol,
                seed=seed,
            ),
        )
    )


@app.command()
def net(
    servers: Servers = 2,
    clients: Clients = 1,
    switch: SwitchKind = "embedded",
    rdb: Rdb = None,
    log_packets: LogPackets = 0,
) -> None:
    """Start the network, stores and controller, and stay with the Mininet prompt."""
    from topology import prompt

    _exit_on_error(
        lambda: prompt.run(
            settings.Network(
                servers=servers,
                clients=clients,
                switch=switch,
                rdb=rdb,
                log_packets=bool(log_packets),
            )
        )
    )


@app.command()
def clean() -> None:
    """Stop and remove everything a network started, also after a crash."""
    _exit_on_error(cleaning.clean)


def _exit_on_error(action: Callable[[], int]) -> None:
    """Run `action`; what a user can mend ends in one message and exit status 2."""
    try:
        status = action()
    except (settings.SettingError, StartError) as error:
        Console(stderr=True, soft_wrap=True).print(f"[red]error:[/] {error}", highlight=False)
        raise typer.Exit(2) from None
    raise typer.Exit(status)


if __name__ == "__main__":
    app()
