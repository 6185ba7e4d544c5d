"""`netmigrate get`, `set`, `exec`: commands to the store, through the switch."""

import json as json_module
from typing import Annotated

import typer

from controller.cli.connection import DEFAULT_NET, Net, load
from controller.cli.namespace import HostName, pick, run_inside
from controller.cli.output import AsJson


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("get")(get)
    app.command("set")(set_)
    # Whatever follows the command's name belongs to it, dashes and all.
    app.command(
        "exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False}
    )(exec_)


def _run(net: Net, host: str, command: list[str], json: bool) -> None:
    config = load(net)
    service = config.service
    request = {
        "vip": service.vip,
        "port": service.port,
        "service": service.id,
        "command": command,
        "json": json,
    }
    run_inside(pick(config, host), "controller.cli.execute", [json_module.dumps(request)])


def get(
    key: Annotated[str, typer.Argument()],
    host: HostName = "",
    net: Net = DEFAULT_NET,
    json: AsJson = False,
) -> None:
    """Read a key through the switch."""
    _run(net, host, ["GET", key], json)


def set_(
    key: Annotated[str, typer.Argument()],
    value: Annotated[str, typer.Argument()],
    host: HostName = "",
    net: Net = DEFAULT_NET,
    json: AsJson = False,
) -> None:
    """Write a key through the switch."""
    _run(net, host, ["SET", key, value], json)


def exec_(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND ARG…")],
    host: HostName = "",
    net: Net = DEFAULT_NET,
    json: AsJson = False,
) -> None:
    """Run any command of one group through the switch; options come before COMMAND."""
    _run(net, host, command, json)
