"""An agent that is a user with few rights at its store."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from hosts.agent.agent import Agent, Settings, StartError
from hosts.agent.channel import Server
from hosts.agent.store import ACL_RULES, Login
from hosts.credentials import CredentialsError
from hosts.wire import Flags, Op
from tests.agent.harness import Client, Store, agent, assign, local

ADA = Login("ada", "pass word\r\n")


@pytest.fixture
def guarded(store: Store) -> Store:
    """The store with a user for the agent."""
    store.command("ACL", "SETUSER", ADA.user, "reset", "on", f">{ADA.password}", *ACL_RULES.split())
    return store


@pytest_asyncio.fixture
async def own(guarded: Store, tmp_path: Path) -> AsyncIterator[Server]:
    """An agent that logs in as that user."""
    async with agent(local(1), guarded, tmp_path, login=ADA) as one:
        assign([one])
        yield one.settings.own


async def test_queries_are_the_users(client: Client, own: Server, guarded: Store) -> None:
    assert (await client.ask(own, Op.WRITE, "SET", "k", "v")).payload == b"+OK\r\n"
    assert (await client.ask(own, Op.READ, "GET", "k")).payload == b"$1\r\nv\r\n"
    assert b"ada" in re.findall(rb"user=(\w+)", guarded.command("CLIENT", "LIST"))


@pytest.mark.parametrize(
    "call",
    ["'FLUSHALL'", "'CONFIG','SET','save','1 1'", "'KEYS','*'", "'SHUTDOWN'", "'ACL','LIST'"],
)
async def test_a_script_cannot_administer(
    client: Client, own: Server, guarded: Store, call: str
) -> None:
    await client.ask(own, Op.WRITE, "SET", "k", "v")
    answer = await client.ask(own, Op.WRITE, "EVAL", f"return redis.call({call})", 1, "k")
    assert answer.payload.startswith(b"-"), answer.payload
    assert guarded.client.get("k") == b"v"


async def test_it_logs_in_again(client: Client, own: Server, guarded: Store) -> None:
    guarded.command("CLIENT", "KILL", "USER", ADA.user)
    answer = await client.ask(own, Op.WRITE, "SET", "k", "v")
    assert answer.flags & Flags.AUTHORITATIVE, answer


async def test_without_the_right_password_it_says_so(guarded: Store, tmp_path: Path) -> None:
    wrong = Login(ADA.user, "guess")
    with pytest.raises(StartError, match=r"refuses user ada: .*WRONGPASS"):
        Agent(Settings(local(1), guarded.url, tmp_path, 0.1, wrong))


def test_what_the_options_say(tmp_path: Path) -> None:
    file = tmp_path / "password"
    assert Login.read("", None) is None
    with pytest.raises(CredentialsError, match="--redis-password-file is missing"):
        Login.read("ada", None)
    with pytest.raises(CredentialsError, match=f"--redis-password-file: cannot read {file}: "):
        Login.read("ada", file)
    file.touch(0o600)
    file.write_text("secret\n")
    assert Login.read("ada", file) == Login("ada", "secret")
    assert Login.read("", file) == Login("default", "secret")
