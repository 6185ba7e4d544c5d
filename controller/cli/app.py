"""All commands put together."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from controller.cli import daemon, data, gateway, inject, migrations, status, switch

app = typer.Typer(
    name="netmigrate",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (status, migrations, switch, data, gateway, inject, daemon):
    part.add_to(app)


@app.callback()
def options(
    net: Annotated[Path | None, typer.Option(help="The network's configuration file.")] = None,
) -> None:
    """Move the partitions of a key-value store between servers, steered by a P4 switch."""
    if net is not None:
        os.environ["NETMIGRATE_NET"] = str(net)


def main() -> None:
    """Run the command line; whatever is wrong with it is one line and exit status 2."""
    try:
        status = app(standalone_mode=False)
    except typer.Exit as done:
        sys.exit(done.exit_code)
    except typer.Abort:
        sys.exit(130)
    except typer.TyperException as error:
        if message := error.format_message():  # empty where help has been printed instead
            print(f"netmigrate: {' '.join(message.split())}", file=sys.stderr)
        sys.exit(2)
    sys.exit(status if isinstance(status, int) else 0)
