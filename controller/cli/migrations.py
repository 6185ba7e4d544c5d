"""`netmigrate migrate`, `pause`, `resume`, `throttle`, `abort`."""

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from controller import controller_pb2 as pb
from controller.cli.connection import DEFAULT_NET, Net, controller
from controller.cli.output import AsJson, duration, fail, plain, print_json
from controller.errors import ControllerError
from controller.model import DEFAULT_LANES, MAX_LANES, UNTHROTTLED_LANES, Protocol
from controller.rates import format_rate, parse_rate

Reference = Annotated[
    int, typer.Argument(min=0, help="The migration's number; not needed if only one is running.")
]


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    for command in (migrate, pause, resume, throttle, abort):
        app.command()(command)


def _rate(text: str) -> int:
    try:
        return parse_rate(text)
    except ControllerError as error:
        fail(str(error))


def migrate(
    partition: Annotated[
        str, typer.Argument(help="A partition's name, or an aligned range of groups: 0-8191.")
    ],
    *,
    to: Annotated[str, typer.Option(help="The destination server.")],
    throttle: Annotated[str, typer.Option(help="40Mbps, 1Gbps, 500kbps, bits/s; 0: none.")] = "0",
    lanes: Annotated[
        int,
        typer.Option(
            min=0,
            max=MAX_LANES,
            help="Parallel senders.",
            show_default=f"{DEFAULT_LANES}, without a throttle {UNTHROTTLED_LANES}",
        ),
    ] = 0,
    group_batch: Annotated[
        int,
        typer.Option(
            min=0,
            help="Groups that move as one: a power of two.",
            show_default="as take about 128 kB of memory, less under a slow throttle; at most 64",
        ),
    ] = 0,
    protocol: Annotated[
        Protocol, typer.Option(help="How the groups move: docs/protocols.md.")
    ] = Protocol.NETMIGRATE,
    stop_bytes: Annotated[
        int,
        typer.Option(
            min=0,
            help="Protocol source stops serving when no more is left to copy.",
            show_default="64 KiB",
        ),
    ] = 0,
    pull_reads: Annotated[
        bool,
        typer.Option(
            "--pull-reads",
            help="Protocol netmigrate sends reads of groups on the move to the destination alone, "
            "which pulls their keys ahead.",
            show_default="they go to both servers",
        ),
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress until it ends.")] = False,
    net: Net = DEFAULT_NET,
    json: AsJson = False,
) -> None:
    """Begin to move a partition, or a part of one, to another server."""
    request = pb.MigrateRequest(
        partition=partition,
        destination=to,
        throttle=_rate(throttle),
        lanes=lanes,
        group_batch=group_batch,
        protocol=protocol,
        stop_bytes=stop_bytes,
        pull_reads=pull_reads,
    )
    with controller(net) as stub:
        migration: pb.Migration = stub.Migrate(request)
        if wait:
            migration = _wait(stub, migration, quiet=json)
    _report(migration, json)
    if migration.state in ("failed", "aborted"):
        raise typer.Exit(1)


def _wait(stub: Any, migration: pb.Migration, *, quiet: bool) -> pb.Migration:
    """Show progress until the migration has ended; an interrupt leaves it running."""
    # On stderr, so that stdout holds the result alone.
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[state]}, {task.fields[left]} left"),
        console=Console(stderr=True),
        disable=quiet,
    ) as bar:
        task = bar.add_task(
            f"{migration.partition}: {migration.source} → {migration.destination}",
            total=1.0,
            state=migration.state,
            left="?",
        )
        try:
            for latest in stub.Watch(pb.MigrationRef(migration=migration.id)):
                migration = latest
                bar.update(
                    task,
                    completed=migration.share,
                    state=migration.error or _doing(migration),
                    left=duration(migration.seconds_left),
                )
        except KeyboardInterrupt:
            bar.stop()
            print(f"migration {migration.id} goes on: `netmigrate status` shows it")
            raise typer.Exit(130) from None
    return migration


def _doing(migration: pb.Migration) -> str:
    """Return the state; of pre-copy, whose progress starts anew with each round, the round too."""
    if migration.protocol == Protocol.SOURCE and not migration.ended:
        return f"{migration.state}, round {migration.rounds + 1}"
    return migration.state


def pause(migration: Reference = 0, net: Net = DEFAULT_NET, json: AsJson = False) -> None:
    """Let the groups in flight finish and start no more, until `resume`."""
    with controller(net) as stub:
        _report(stub.Pause(pb.MigrationRef(migration=migration)), json)


def resume(migration: Reference = 0, net: Net = DEFAULT_NET, json: AsJson = False) -> None:
    """Go on with a paused migration, or try again with a stalled one."""
    with controller(net) as stub:
        _report(stub.Resume(pb.MigrationRef(migration=migration)), json)


def throttle(
    rate: Annotated[str, typer.Argument(help="40Mbps, 1Gbps, 500kbps, bits/s; 0: none.")],
    migration: Reference = 0,
    net: Net = DEFAULT_NET,
    json: AsJson = False,
) -> None:
    """Change the throttle of a migration while it runs."""
    request = pb.ThrottleRequest(migration=migration, throttle=_rate(rate))
    with controller(net) as stub:
        _report(stub.SetThrottle(request), json)


def abort(
    migration: Reference = 0,
    protocol: Annotated[
        Protocol, typer.Option(help="How the groups move: docs/protocols.md.")
    ] = Protocol.NETMIGRATE,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress until all is back.")] = False,
    net: Net = DEFAULT_NET,
    json: AsJson = False,
) -> None:
    """Stop a migration and move back what was moved."""
    with controller(net) as stub:
        found: pb.Migration = stub.Abort(pb.MigrationRef(migration=migration))
        if wait and not found.ended:
            found = _wait(stub, found, quiet=json)
    _report(found, json)


def _report(migration: pb.Migration, json: bool) -> None:
    if json:
        print_json(plain(migration))
        return
    print(
        f"migration {migration.id}: {migration.partition} "
        f"(groups {migration.first}-{migration.last}) from {migration.source} to "
        f"{migration.destination}, {migration.state}, "
        f"{migration.groups_done} of {migration.groups_total} groups, {migration.keys} keys, "
        f"{format_rate(migration.throttle)}, {duration(migration.seconds)}"
        + (f": {migration.error}" if migration.error else "")
    )
