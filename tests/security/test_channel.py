"""The agents' channel: nobody talks on it without the secret, nobody fills it, nothing hangs."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest

from hosts.agent import frames, handshake
from hosts.agent.agent import Agent, Settings
from hosts.agent.channel import Server
from hosts.agent.complaints import Complaints
from hosts.agent.frames import Kind
from hosts.agent.handshake import Connecting, Secret
from hosts.agent.incoming import STRANGERS
from hosts.agent.table import State
from hosts.credentials import CredentialsError
from hosts.wire import Op
from tests.agent.harness import EVERY, Client, Pair, Store, assign, local, until

SECRET = Secret(b"0123456789abcdef")
OTHER = Secret(b"another secret, as long")
FEW = (range(64),)


@contextlib.asynccontextmanager
async def agents(
    running: Sequence[Store], directory: Path, *secrets: Secret | None
) -> AsyncIterator[Pair]:
    """Run two agents with these secrets; the first owns every group."""
    both: list[Agent] = []
    for index, (store, secret) in enumerate(zip(running, secrets, strict=False), 1):
        store.client.flushall()
        settings = Settings(local(index), store.url, directory / f"agent{index}", 0.2, None, secret)
        both.append(await Agent(settings).start())
    assign(both)
    yield Pair(both, list(running[:2]))
    for one in both:
        await one.stop()


class Stranger:
    """Somebody who has reached an agent's port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def of(cls, to: Server) -> Self:
        """Connect."""
        return cls(*await asyncio.open_connection(to.ip, to.channel_port))

    def send(self, data: bytes) -> None:
        """Send any bytes."""
        self.writer.write(data)

    async def frame(self) -> tuple[Kind, bytes]:
        """Return the next frame."""
        length, kind = frames.HEAD.unpack(await asyncio.wait_for(self.reader.readexactly(5), 2))
        return Kind(kind), await self.reader.readexactly(length - 1)

    async def ended(self) -> bool:
        """Wait until the agent has ended the connection."""
        with contextlib.suppress(ConnectionError):
            while await asyncio.wait_for(self.reader.read(1 << 16), 2):
                pass
        return True

    async def greet(self, server: int, secret: Secret, to: Server) -> tuple[bytes, Kind, bytes]:
        """Say who we are, and prove it by `secret`; return what was sent, and the answer."""
        mine = Connecting(server, to.index, secret)
        sent = mine.hello()
        self.send(sent)
        kind, body = await self.frame()
        proof = mine.take(kind, body)
        self.send(proof)
        return sent + proof, kind, body


def take_over(groups: Sequence[int]) -> bytes:
    """What a source sends to make the destination the owner of groups."""
    return frames.frame(
        Kind.PREPARE, frames.migration(1), frames.groups_with_records(list(groups), {})
    )


async def test_agents_with_the_same_secret_migrate(running: list[Store], tmp_path: Path) -> None:
    async with agents(running, tmp_path, SECRET, SECRET) as pair:
        pair.stores[0].client.set("k", "v")
        await pair.migrate(0, 1)
        assert pair.stores[1].client.get("k") == b"v"


async def test_connections_that_break_are_made_again(running: list[Store], tmp_path: Path) -> None:
    async with agents(running, tmp_path, SECRET, SECRET) as pair:
        migration = pair.start(0, 1, throttle=400_000)
        for number in range(2000):
            pair.stores[0].client.set(f"key{number}", "x" * 64)
        for share in (0.2, 0.5):
            await until(lambda share=share: migration.share > share)  # type: ignore[misc]
            for one in pair.agents:
                one._door.close()
        migration.set_throttle(0)
        await until(lambda: migration.status.name == "DONE")


@pytest.mark.parametrize("secret", [None, OTHER], ids=["no secret", "another secret"])
async def test_without_the_secret_nobody_gives_orders(
    running: list[Store], tmp_path: Path, secret: Secret | None
) -> None:
    """An agent that is to receive groups is told by a stranger that they are its own."""
    async with agents(running, tmp_path, SECRET, SECRET) as pair:
        source, destination = pair.server(0), pair.agents[1]
        destination.immigrations.accept(1, source, list(FEW))
        stranger = await Stranger.of(pair.server(1))
        nonce = b"n" * 16 if secret else b""
        stranger.send(frames.hello(1, nonce))
        kind, body = await stranger.frame()
        if secret:
            assert kind is Kind.CHALLENGE
            nonces = nonce + body[:16]
            stranger.send(
                frames.frame(Kind.PROOF, secret.proof(handshake._CONNECTING, 1, 2, nonces))
            )
        else:
            assert (kind, body) == (
                Kind.REFUSED,
                b"server 2 has a --channel-secret-file, take the same",
            )
        stranger.send(take_over(FEW[0]))
        stranger.send(frames.frame(Kind.WATERMARKS, b"\0" * 12))
        assert await stranger.ended()
        assert destination.table.those(State.IMMIGRATING) == []
        assert destination.counters["channel_malformed"] == 1


async def test_what_was_heard_once_is_of_no_use_again(running: list[Store], tmp_path: Path) -> None:
    async with agents(running, tmp_path, SECRET, SECRET) as pair:
        to = pair.server(1)
        first, again = await Stranger.of(to), await Stranger.of(to)
        heard, _, _ = await first.greet(9, SECRET, to)
        before = pair.agents[1].counters["channel_malformed"]
        again.send(heard)
        assert (await again.frame())[0] is Kind.CHALLENGE
        assert await again.frame() == (Kind.REFUSED, b"server 9 does not prove who it is")
        assert pair.agents[1].counters["channel_malformed"] == before + 1
        first.send(frames.frame(Kind.WATERMARKS, b""))  # the first is still trusted
        await asyncio.sleep(0.05)
        assert not first.reader.at_eof()
        first.writer.close()
        again.writer.close()


async def test_an_agent_s_own_answer_does_not_prove_another_end(
    running: list[Store], tmp_path: Path
) -> None:
    """A stranger at a peer's address turns one connection's words against another."""
    async with agents(running[:1], tmp_path, SECRET) as pair:
        own = pair.server(0)
        peer = local(2)
        found: asyncio.Queue[tuple[Kind, bytes]] = asyncio.Queue()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            link = Stranger(reader, writer)
            _, hello = await link.frame()
            _, nonce = frames.read_hello(memoryview(hello))
            mirror = await Stranger.of(own)
            mirror.send(frames.hello(2, nonce))
            kind, challenge = await mirror.frame()
            link.send(frames.frame(kind, challenge))  # proves the other direction only
            with contextlib.suppress(asyncio.IncompleteReadError):
                found.put_nowait(await link.frame())
            mirror.writer.close()

        listening = await asyncio.start_server(accept, peer.ip, peer.channel_port)
        node = pair.agents[0].node
        node.know(peer)
        await until(lambda: node.link(2).complaint)
        assert node.link(2).complaint == "it has another secret, or is another server"
        assert not node.link(2).connected
        assert found.empty()
        listening.close()


@pytest.mark.parametrize(
    ("secrets", "why"),
    [
        ((SECRET, None), "it says: server 2 has no --channel-secret-file"),
        ((None, SECRET), "it says: server 2 has a --channel-secret-file, take the same"),
        ((SECRET, OTHER), "it has another secret, or is another server"),
    ],
)
async def test_agents_that_differ_say_so_and_the_migration_waits(
    running: list[Store],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    secrets: tuple[Secret | None, Secret | None],
    why: str,
) -> None:
    async with agents(running, tmp_path, *secrets) as pair:
        pair.stores[0].client.set("k", "v")
        migration = pair.start(0, 1)
        link = pair.agents[0].node.link(2)
        await until(lambda: migration.obstacle)
        assert migration.obstacle == f"no channel to server2: {why}"
        assert migration.status.name == "RUNNING"
        assert not migration.done
        await asyncio.sleep(0.5)
        logged = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
        said = f"no channel to server2 (127.0.0.1:{link.peer.channel_port}): {why}"
        assert logged.count(said) == 1
        await pair.agents[1].stop()
        settings = replace(pair.agents[1].settings, secret=secrets[0])
        pair.agents[1] = await Agent(settings).start()
        pair.aim(0, 1)
        pair.agents[1].immigrations.accept(migration.number, pair.server(0), [EVERY])
        await until(lambda: migration.status.name == "DONE")
        assert pair.stores[1].client.get("k") == b"v"
        assert migration.obstacle == ""


@pytest.mark.parametrize(
    "data",
    [
        frames.HEAD.pack(1 << 20, Kind.HELLO),
        frames.HEAD.pack(handshake.LONGEST + 1, Kind.KEYS),
        frames.hello(9) + frames.hello(9),
        frames.frame(Kind.KEYS, b"\0" * 64),
        frames.frame(Kind.PROOF, b"\0" * 32),
        frames.hello(0),
        frames.hello(2),
        b"GET / HTTP/1.1\r\n\r\n",
        b"*1\r\n$8\r\nFLUSHALL\r\n",
        os.urandom(4096),
    ],
)
async def test_who_is_not_trusted_can_say_little(
    running: list[Store], tmp_path: Path, data: bytes
) -> None:
    """A frame that would need memory, orders before HELLO, another protocol."""
    async with agents(running, tmp_path, SECRET, SECRET) as pair:
        stranger = await Stranger.of(pair.server(1))
        stranger.send(data)
        assert await stranger.ended()
        assert pair.agents[1].counters["channel_malformed"] == 1


async def test_who_says_nothing_has_to_leave(
    running: list[Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert handshake.SECONDS <= 5
    monkeypatch.setattr(handshake, "SECONDS", 0.3)
    async with agents(running, tmp_path, SECRET, SECRET) as pair:
        silent, half = [await Stranger.of(pair.server(1)) for _ in range(2)]
        half.send(frames.hello(1, b"n" * 16)[:9])
        assert await silent.ended()
        assert await half.ended()


async def test_a_crowd_at_the_door_does_not_keep_a_peer_out(
    running: list[Store], tmp_path: Path
) -> None:
    async with agents(running, tmp_path, SECRET, SECRET) as pair:
        door = pair.agents[1]._door
        crowd = [await Stranger.of(pair.server(1)) for _ in range(3 * STRANGERS)]
        await until(lambda: len(door._strangers) == STRANGERS)
        pair.agents[0]._door.close()
        await pair.migrate(0, 1, FEW)
        assert len(door._all) <= STRANGERS + 2
        for stranger in crowd[:STRANGERS]:
            assert await stranger.ended()
        for stranger in crowd:
            stranger.writer.close()


async def test_queries_are_served_while_strangers_come_and_go(
    running: list[Store], tmp_path: Path, client: Client
) -> None:
    async with agents(running, tmp_path, SECRET, SECRET) as pair:
        to = pair.server(0)
        for number in range(50):
            stranger = await Stranger.of(to)
            stranger.send(os.urandom(200))
            answer = await client.ask(to, Op.WRITE, "SET", "k", number)
            assert answer.payload == b"+OK\r\n"
            stranger.writer.close()


def test_strangers_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    complaints = Complaints()
    for _ in range(3):
        for number in range(1000):
            complaints.add(f"channel from 10.0.2.{number} closed")
    assert 1 < len(caplog.records) <= 100


def test_a_secret_has_to_be_one(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    assert Secret.read(None) is None
    with pytest.raises(CredentialsError, match=f"--channel-secret-file: cannot read {file}"):
        Secret.read(file)
    file.touch(0o600)
    file.write_text("short\n")
    with pytest.raises(CredentialsError, match=f"{file} holds 5 bytes, fewer than 16"):
        Secret.read(file)
    file.chmod(0o644)
    with pytest.raises(CredentialsError, match=f"everybody may use {file}"):
        Secret.read(file)


async def test_trust_is_of_agents_not_of_addresses(alone: Agent) -> None:
    """Without a secret HELLO is believed: docs/security.md says so."""
    stranger = await Stranger.of(alone.settings.own)
    stranger.send(frames.hello(7) + frames.frame(Kind.WATERMARKS, b""))
    await asyncio.sleep(0.05)
    assert not stranger.reader.at_eof()
    assert alone.counters["channel_malformed"] == 0
    stranger.writer.close()
