"""The command `netmigrate-gateway`: a Redis server to clients, a client to the service."""

import asyncio
import os
import signal
import socket
import sys
from typing import Annotated

import typer

from hosts.client import _core
from hosts.gateway.connection import Connection
from hosts.gateway.gateway import Gateway
from hosts.gateway.room import Limit


class StartError(Exception):
    """The gateway cannot start; one line says why."""


def _address(text: str, option: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit() or not 0 <= int(port) <= 0xFFFF:
        raise StartError(f"{option} {text}: expected HOST:PORT")
    return host, int(port)


async def _run(listen: tuple[str, int], vip: tuple[str, int], service: int, timeout: float) -> None:
    where = f"service {service} at {vip[0]}:{vip[1]}"
    try:
        address = int.from_bytes(socket.inet_aton(socket.gethostbyname(vip[0])), "big")
        session = _core.Session(address, vip[1], service, timeout, 0.05, raw=True)
    except OSError as error:
        raise StartError(f"{where}: {error}") from None
    gateway = Gateway(session, service, timeout, where, Limit())
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(lambda: Connection(gateway), *listen)
    except OSError as error:
        gateway.close()
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise StartError(f"--listen {listen[0]}:{listen[1]}: {reason}") from None
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    host, port = server.sockets[0].getsockname()[:2]
    print(f"ready: Redis clients on {host}:{port}, {where}", flush=True)
    await stopped.wait()
    server.close()
    gateway.close()


def gateway(
    *,
    vip: Annotated[str, typer.Option(help="HOST:PORT of the service.")],
    listen: Annotated[str, typer.Option(help="HOST:PORT for Redis clients.")] = "127.0.0.1:6379",
    service: Annotated[int, typer.Option(help="The service's id.", min=1, max=0xFFFF)] = 1,
    timeout: Annotated[float, typer.Option(help="Seconds until a request is given up.")] = 5.0,
) -> None:
    """Let any Redis client use the service: RESP in, queries through the switch out."""
    try:
        asyncio.run(_run(_address(listen, "--listen"), _address(vip, "--vip"), service, timeout))
    except StartError as error:
        print(f"netmigrate-gateway: {error}", file=sys.stderr)
        raise typer.Exit(2) from None


def main() -> None:
    """Entry point."""
    typer.run(gateway)


if __name__ == "__main__":
    main()
