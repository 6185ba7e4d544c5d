"""`make net`: the running network with the Mininet prompt."""

from mininet.cli import CLI
from rich.console import Console

from topology.settings import Network
from topology.system import System


def run(settings: Network) -> int:
    """Start the network, tell the user what there is, and stay until the prompt is left."""
    console = Console()
    with console.status("starting the network"):
        system = System(settings)
        system.__enter__()
    try:
        console.print(
            "[bold]The network is up.[/] In another terminal: "
            "[cyan]sudo .venv/bin/netmigrate status[/]"
        )
        CLI(system.net)
    finally:
        system.stop()
    return 0
