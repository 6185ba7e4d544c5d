"""`netmigrate controller`: the daemon."""

import asyncio
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.connection import load
from controller.cli.output import fail
from controller.errors import ControllerError


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("controller")(controller)


def controller(
    config: Annotated[Path, typer.Option(help="The network's configuration file.")],
    verbose: Annotated[bool, typer.Option(help="Log what is done, not only what fails.")] = False,
) -> None:
    """Run the controller until it is interrupted; says `ready:` once the switch steers."""
    # Here, not above: the other commands need not wait for all that a controller needs.
    from controller.daemon import serve

    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(message)s",
    )
    # A lost connection is reported by us, once; finsy would add a traceback.
    logging.getLogger("finsy").setLevel(logging.CRITICAL + 1)
    try:
        asyncio.run(serve(load(config)))
    except ControllerError as error:
        fail(str(error))
