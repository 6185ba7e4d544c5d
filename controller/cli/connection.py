"""Finding the configuration, and talking to the controller that runs it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import grpc
import typer

from controller.cli.output import fail
from controller.config import Config
from controller.controller_pb2_grpc import ControllerStub
from controller.errors import ControllerError

DEFAULT_NET: Final = Path("/run/netmigrate/net.json")

Net = Annotated[
    Path,
    typer.Option("--net", envvar="NETMIGRATE_NET", help="The network's configuration file."),
]


def load(net: Path) -> Config:
    """Read the configuration."""
    if not net.exists():
        fail(f"no {net}: start a network first (`make net`), or name its file with --net")
    try:
        return Config.load(net)
    except ControllerError as error:
        fail(str(error))


@contextlib.contextmanager
def controller(net: Path) -> Iterator[Any]:
    """Yield a stub of the running controller; its refusals end the command with one line."""
    config = load(net)
    # A proxy of the environment has no business between the two.
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(config.listen, options=options) as channel:
        try:
            yield ControllerStub(channel)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                fail(
                    f"no controller answers at {config.listen}: "
                    f"start one with `netmigrate controller --config {net}`"
                )
            fail(error.details() or error.code().name)
