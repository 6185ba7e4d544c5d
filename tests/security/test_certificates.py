"""Who may control agents and switch: whoever has a certificate of the CA."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from controller.agents import Agents
from controller.config import Config, Device
from controller.errors import UnreachableError
from controller.switch import Found, Session, Switch
from hosts.agent import rpc
from hosts.agent.agent import Agent
from hosts.credentials import TlsFiles
from tests.agent.harness import Process, Store, free_port, local
from tests.agent.test_main import arguments
from tests.controller.networks import network
from tests.switch.pki import openssl, tls
from tests.switch.test_cli import running as running_switch


def files(pki: Path, name: str, ca: str = "ca") -> TlsFiles:
    """Return the certificate `name`, and the CA that others must be of."""
    return TlsFiles(pki / f"{name}.pem", pki / f"{name}.key", pki / f"{ca}.pem")


@pytest_asyncio.fixture
async def secure(alone: Agent, pki: Path) -> AsyncIterator[str]:
    """The address of an agent that wants certificates."""
    where = f"127.0.0.1:{free_port()}"
    server = await rpc.serve(alone, where, files(pki, "server").load())
    yield where
    await server.stop(0)


@contextlib.asynccontextmanager
async def controller(
    directory: Path, where: str, credentials: TlsFiles | None
) -> AsyncIterator[Agents]:
    """The controller's way to the agent of server1 at `where`."""
    net = network(directory)
    net["servers"][0]["agent"] = where
    agents = Agents(Config.parse(net), credentials.load() if credentials else None)
    yield agents
    await agents.close()


async def test_the_controller_controls_with_its_certificate(
    secure: str, pki: Path, tmp_path: Path
) -> None:
    async with controller(tmp_path, secure, files(pki, "client")) as agents:
        assert (await agents.status("server1")).server == "server1"


@pytest.mark.parametrize(
    ("name", "ca", "why"),
    [
        ("", "", "it may want TLS"),
        ("stranger", "ca", "it takes no certificate of ours"),
        ("client", "stranger", "its certificate is not of our CA"),
    ],
)
async def test_nobody_controls_an_agent_without_one(
    secure: str, pki: Path, tmp_path: Path, name: str, ca: str, why: str
) -> None:
    credentials = files(pki, name, ca) if name else None
    async with controller(tmp_path, secure, credentials) as agents:
        with pytest.raises(UnreachableError, match=f"agent of server1 .*{why}"):
            await agents.status("server1")


async def test_the_controller_tells_nothing_to_who_only_has_the_agent_s_address(
    alone: Agent, pki: Path, tmp_path: Path
) -> None:
    where = f"127.0.0.1:{free_port()}"
    server = await rpc.serve(alone, where)
    async with controller(tmp_path, where, files(pki, "client")) as agents:
        with pytest.raises(UnreachableError, match="it does not speak TLS"):
            await agents.status("server1")
    await server.stop(0)


async def test_a_unix_socket_is_the_user_s_alone(alone: Agent, pki: Path, tmp_path: Path) -> None:
    """Its mode guards it: certificates are for networks."""
    path = tmp_path / "agent.sock"
    server = await rpc.serve(alone, f"unix:{path}", files(pki, "server").load())
    assert path.stat().st_mode & 0o077 == 0
    async with controller(tmp_path, f"unix:{path}", files(pki, "client")) as agents:
        assert (await agents.status("server1")).server == "server1"
    await server.stop(0)


async def switch_says(port: int, credentials: TlsFiles | None) -> str:
    """Return the error of the controller's connection to the switch at `port`."""
    device = Device("tor", f"127.0.0.1:{port}", 1, "", "", None, None, None, credentials)

    async def take_over(session: Session, found: Found) -> None:
        raise AssertionError("there is no program to take over")

    switch = Switch(device, tuple, credentials.load() if credentials else None)
    before = switch.error
    running = asyncio.create_task(switch.run(take_over))
    while switch.error == before:
        await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return switch.error


async def test_the_controller_s_connection_to_the_switch(pki: Path) -> None:
    with running_switch(*tls(pki, mutual=True)) as (_, port):
        known = await switch_says(port, files(pki, "client"))
        assert known.startswith("no P4 program is loaded there")
        assert await switch_says(port, None) == "it may want TLS"
        stranger = await switch_says(port, files(pki, "stranger"))
        assert stranger == "it takes no certificate of ours"
        other = await switch_says(port, files(pki, "client", "stranger"))
        assert other == "its certificate is not of our CA"
    with running_switch() as (_, port):
        assert await switch_says(port, files(pki, "client")) == "it does not speak TLS"


@pytest.mark.parametrize(
    ("cert", "key", "ca", "message"),
    [
        ("server.pem", "server.key", None, "TLS takes --tls-cert, --tls-key and --tls-ca"),
        ("none.pem", "server.key", "ca.pem", "--tls-cert: cannot read {}/none.pem"),
        ("names", "server.key", "ca.pem", "--tls-cert: {}/names holds no certificate"),
        ("server.pem", "client.key", "ca.pem", "--tls-key: {0}/client.key is not the key of {0}"),
        ("server.pem", "locked.key", "ca.pem", "--tls-key: {}/locked.key is no unencrypted"),
        ("server.pem", "open.key", "ca.pem", "--tls-key: everybody may use {}/open.key"),
        ("server.pem", "server.key", "names", "--tls-ca: {}/names holds no certificate"),
    ],
)
def test_an_agent_says_what_is_wrong_with_its_files(
    store: Store,
    pki: Path,
    tmp_path: Path,
    cert: str,
    key: str,
    ca: str | None,
    message: str,
) -> None:
    locked = pki / "locked.key"
    openssl("ec", "-in", pki / "server.key", "-aes128", "-passout", "pass:x", "-out", locked)
    (pki / "open.key").write_bytes((pki / "server.key").read_bytes())
    (pki / "open.key").chmod(0o644)
    given = (("--tls-cert", cert), ("--tls-key", key), ("--tls-ca", ca))
    words = [word for option, name in given if name for word in (option, str(pki / name))]
    status, errors = Process(*arguments(local(1), store.url, tmp_path), *words).end()
    assert status == 2
    assert errors.startswith("netmigrate-agent: " + message.format(pki))
    assert errors.count("\n") == 1


def test_a_password_that_everybody_can_read_is_refused(store: Store, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret")
    password.chmod(0o604)
    words = arguments(local(1), store.url, tmp_path)
    status, errors = Process(*words, "--redis-password-file", str(password)).end()
    assert status == 2
    assert f"--redis-password-file: everybody may use {password} (mode 0604)" in errors
