"""`netmigrate inject`: one packet by hand, from a host, and every reply to it."""

from enum import StrEnum
from typing import Annotated

import typer

from controller.cli.connection import DEFAULT_NET, Net, load
from controller.cli.namespace import HostName, pick, run_inside
from controller.cli.output import AsJson, fail
from hosts.wire import GROUPS, Flags

_MAX_16 = (1 << 16) - 1


class Control(StrEnum):
    """The control packets (docs/protocol.md)."""

    START = "start"
    COMPLETE = "complete"
    ACK = "ack"


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(inject)


def inject(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND ARG…", help="A query's command.")
    ] = None,
    *,
    control: Annotated[
        Control | None, typer.Option(help="Send a control packet instead of a query.")
    ] = None,
    host: HostName = "",
    group: Annotated[
        int | None, typer.Option(min=0, max=GROUPS - 1, help="Without it the key's.")
    ] = None,
    migration: Annotated[int, typer.Option(min=0, max=_MAX_16)] = 0,
    lane: Annotated[int, typer.Option(min=0, max=_MAX_16)] = 0,
    sequence: Annotated[int, typer.Option(min=0, max=(1 << 32) - 1)] = 1,
    flags: Annotated[str, typer.Option(help="Names separated by commas: DOUBLE,ONGOING.")] = "",
    service: Annotated[
        int | None, typer.Option(min=0, max=_MAX_16, help="Without it the network's.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.0, help="Seconds to wait for replies.")] = 0.5,
    net: Net = DEFAULT_NET,
    json: AsJson = False,
) -> None:
    """Send one query or control packet with scapy and show every reply, decoded.

    Exit status 1: no reply came.
    """
    if bool(command) == bool(control):
        fail("inject either a COMMAND or a --control packet")
    if control and group is None:
        fail("a control packet is about a group: --group")
    for name in filter(None, flags.upper().split(",")):
        if name not in Flags.__members__:
            fail(f"flag {name}: there are {', '.join(each.name or '' for each in Flags)}")
    config = load(net)
    arguments = ["--vip", config.service.vip, "--port", str(config.service.port)]
    arguments += ["--service", str(config.service.id if service is None else service)]
    arguments += ["--flags", flags, "--migration", str(migration), "--timeout", str(timeout)]
    arguments += ["--group", str(group)] if group is not None else []
    arguments += ["--json"] if json else []
    if control:
        arguments += [control, "--lane", str(lane), "--sequence", str(sequence)]
    else:
        arguments += ["query", "--", *(command or ())]
    run_inside(pick(config, host), "hosts.scapy", arguments)
