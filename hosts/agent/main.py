"""The command `netmigrate-agent`: answers queries beside a store, and moves its groups."""

import asyncio
import gc
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from hosts.agent import incoming, limits
from hosts.agent.agent import Agent, Settings, StartError
from hosts.agent.channel import Server
from hosts.agent.handshake import Secret
from hosts.agent.store import Login, UnfitStore
from hosts.agent.streams import CONNECTIONS, ROOM, Tcp
from hosts.credentials import CredentialsError, Tls, TlsFiles


async def _run(settings: Settings, where: str, tls: Tls | None) -> None:
    # read when grpc is imported; what it would print comes as an exception too
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from hosts.agent import rpc

    agent = Agent(settings)
    await agent.start()
    try:
        server = await rpc.serve(agent, where, tls)
    except RuntimeError as error:
        await agent.stop()
        raise StartError(f"--grpc {where}: {str(error).partition(';')[0]}") from None
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    own = settings.own
    if settings.secret is None and not _is_local(own.ip):
        _warn("--channel-secret-file", f"pass for a server: {own.ip}:{own.channel_port}")
    if tls is None and not _is_local(where.rpartition(":")[0]):
        _warn("--tls-cert", f"give this agent orders: {where}")
    # Queries would wait some 30 ms for a collection that walks what lives as long as the process.
    gc.collect()
    gc.freeze()
    print(
        f"ready: {own.name} (server {own.index}), queries on {own.ip}:{own.udp_port}, "
        f"TCP clients on {agent.streams.port}, channel on {own.channel_port}, "
        f"control on {where}, store {agent.store_version}",
        flush=True,
    )
    await stopped.wait()
    await server.stop(0.2)
    await agent.stop()


def _is_local(host: str) -> bool:
    return host in ("unix", "localhost") or host.startswith(("unix:", "127.", "[::1"))


def _warn(option: str, what: str) -> None:
    logging.getLogger("netmigrate.agent").warning("without %s everybody may %s", option, what)


def agent(
    *,
    name: Annotated[str, typer.Option(help="This server's name.")],
    index: Annotated[int, typer.Option(help="Its index in the switch, from 1.", min=1, max=65535)],
    ip: Annotated[str, typer.Option(help="The IPv4 address to listen on.")],
    redis: Annotated[str, typer.Option(help="The store: unix:/path/to/redis.sock.")],
    state: Annotated[Path, typer.Option(help="Directory for what must outlive the process.")],
    grpc: Annotated[str, typer.Option(help="Where to listen for the controller.")],
    redis_user: Annotated[str, typer.Option(help="The store's ACL user.")] = "",
    redis_password_file: Annotated[Path | None, typer.Option(help="Holds its password.")] = None,
    channel_secret_file: Annotated[
        Path | None, typer.Option(help="Holds what all agents prove themselves with.")
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="Serve --grpc over TLS with this certificate.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
    tls_ca: Annotated[
        Path | None, typer.Option(help="Admit only who has a certificate of this CA.")
    ] = None,
    udp_port: Annotated[int, typer.Option(help="Queries.", min=1, max=65535)] = 4701,
    channel_port: Annotated[int, typer.Option(help="Other agents.", min=1, max=65535)] = 4701,
    tcp_port: Annotated[
        int, typer.Option(help="Redis clients, and requests beyond a datagram.", min=0, max=65535)
    ] = 6380,
    tcp_connections: Annotated[
        int, typer.Option(help="Clients by TCP at a time.", min=1)
    ] = CONNECTIONS,
    tcp_memory: Annotated[
        int, typer.Option(help="Bytes of their requests and replies in memory.", min=1)
    ] = ROOM,
    grace: Annotated[float, typer.Option(help="Seconds that copies are kept.", min=0)] = 2.0,
) -> None:
    """Answer queries beside a Redis or Valkey store, and move its groups."""
    logging.basicConfig(format=f"{name}: %(levelname)s %(message)s", level=logging.INFO)
    own = Server(index, name, ip, udp_port, channel_port)
    try:
        login = Login.read(redis_user, redis_password_file)
        files = TlsFiles.named(tls_cert, tls_key, tls_ca)
        tcp = Tcp(tcp_port, tcp_connections, tcp_memory)
        secret = Secret.read(channel_secret_file)
        settings = Settings(own, redis, state, grace, login, secret, tcp)
        limits.allow(tcp_connections + incoming.CONNECTIONS)
        asyncio.run(_run(settings, grpc, files.load() if files else None))
    except (StartError, UnfitStore, CredentialsError, limits.LimitError) as error:
        print(f"netmigrate-agent: {error}", file=sys.stderr)
        raise typer.Exit(2) from None


def main() -> None:
    """Entry point."""
    typer.run(agent)


if __name__ == "__main__":
    main()
