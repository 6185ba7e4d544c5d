"""Running a module inside a host of the network."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from controller.cli.output import fail
from controller.config import Config, Host

HostName = Annotated[
    str, typer.Option("--host", help="The host to send from; without it the first client host.")
]


def pick(config: Config, name: str) -> Host:
    """Return the host called `name`, or the first client host."""
    everyone: tuple[Host, ...] = (*config.hosts, *config.servers)
    if not name:
        return everyone[0]
    found = [host for host in everyone if host.name == name]
    if not found:
        fail(f"no host {name!r}: there are {', '.join(host.name for host in everyone)}")
    return found[0]


def run_inside(host: Host, module: str, arguments: list[str]) -> None:
    """Run `module` in the network namespace of `host`, if it has one, and end with its status."""
    command = [sys.executable, "-m", module, *arguments]
    if host.pid is not None:
        if os.geteuid() != 0:
            fail(f"{host.name} has a network namespace of its own: entering it needs root (sudo)")
        if not Path(f"/proc/{host.pid}").exists():
            fail(f"{host.name} is gone (process {host.pid}): is the network still running?")
        mnexec = shutil.which("mnexec")
        if mnexec is None:
            fail("mnexec is not on PATH: it comes with the Debian package mininet")
        command = [mnexec, "-a", str(host.pid), *command]
    sys.stdout.flush()
    raise typer.Exit(subprocess.run(command, check=False).returncode)
