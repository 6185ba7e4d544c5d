"""`netmigrate gateway`: a Redis server for any client, in one of the network's hosts."""

from typing import Annotated

import typer

from controller.cli.connection import DEFAULT_NET, Net, load
from controller.cli.namespace import HostName, pick, run_inside


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(gateway)


def gateway(
    listen: Annotated[
        str, typer.Option(help="HOST:PORT for Redis clients, in that host.")
    ] = "127.0.0.1:6379",
    host: HostName = "",
    net: Net = DEFAULT_NET,
) -> None:
    """Let any Redis client on a host use the service, until Ctrl-C."""
    config = load(net)
    service = config.service
    arguments = ["--vip", f"{service.vip}:{service.port}", "--service", str(service.id)]
    run_inside(pick(config, host), "hosts.gateway.main", [*arguments, "--listen", listen])
