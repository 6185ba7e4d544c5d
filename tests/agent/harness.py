"""Real stores, real agents and a scripted peer, for tests of the agent and of what stands on it."""

import asyncio
import contextlib
import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import pytest
import redis

from hosts.agent import agent_pb2 as pb
from hosts.agent import frames
from hosts.agent.agent import Agent, Settings
from hosts.agent.channel import Server
from hosts.agent.frames import Kind
from hosts.agent.protocols import Protocol
from hosts.agent.store import Login
from hosts.agent.table import State
from hosts.wire import GROUPS, Flags, Header, Op, group_of
from topology.stores import executable as program

SERVICE = 1
EVERY = range(GROUPS)
_clients = itertools.count(int.from_bytes(os.urandom(7)))


def free_port() -> int:
    """Return a port that is free for UDP and TCP at this moment."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            with contextlib.suppress(OSError):
                udp.bind(("127.0.0.1", port))
                return port


class Store:
    """A store in cluster mode that owns all slots, on a unix socket in `directory`."""

    def __init__(
        self,
        directory: Path,
        *,
        cluster: bool = True,
        slots: str = "0 16383",
        executable: str = "",
        settings: Sequence[str] = (),
    ) -> None:
        self.path = directory / "redis.sock"
        self._log = directory / "redis.log"
        self._ready = not cluster or slots != "0 16383"
        self.port = free_port()
        command = [executable or program(), "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--unixsocket", str(self.path), "--dir", str(directory)]
        if cluster:
            command += ["--cluster-port", str(free_port())]
            command += ["--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf"]
        self._command = [*command, *settings]
        self.client = redis.Redis(unix_socket_path=str(self.path))
        self._run()
        if cluster and slots:
            first, last = slots.split()
            self.command("CLUSTER", "ADDSLOTSRANGE", first, last)

    def _run(self) -> None:
        with self._log.open("a") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        while not self._listens():
            if self.process.poll() is not None:
                raise RuntimeError(self._log.read_text())
            time.sleep(0.01)

    def kill(self) -> None:
        """End it as a crash does."""
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        """After `kill`: it has what is on its disk. `wait` until it serves."""
        self._ready = False
        self._run()

    def wait(self) -> Self:
        """Wait until it serves: a cluster of one takes two seconds to trust itself."""
        while not self._ready:
            self._ready = b"cluster_state:ok" in self._cluster_info()
            time.sleep(0.01)
        return self

    def command(self, *words: bytes | str | int) -> Any:
        """Run a command."""
        return self.client.execute_command(*words)  # type: ignore[no-untyped-call]

    def lacks(self, *commands: str) -> list[str]:
        """Return which of these commands the store does not know."""
        with redis.Redis(unix_socket_path=str(self.path)) as client:
            client.response_callbacks.clear()  # the reply as it comes
            found: Any = client.execute_command("COMMAND", "INFO", *commands)
        return [name for name, row in zip(commands, found, strict=True) if row is None]

    def needs(self, *commands: str) -> None:
        """Skip the test unless the store has these."""
        if missing := self.lacks(*commands):
            pytest.skip(f"the store has no {' '.join(missing)}")

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.path)) == 0

    def _cluster_info(self) -> bytes:
        info = self.command("CLUSTER INFO")
        if isinstance(info, dict):
            return "\n".join(f"{key}:{value}" for key, value in info.items()).encode()
        return bytes(info)

    @property
    def url(self) -> str:
        """What `--redis` takes."""
        return f"unix:{self.path}"

    def stop(self) -> None:
        """Kill it."""
        self.client.close()
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def stores(directory: Path, count: int, settings: Sequence[str] = ()) -> Iterator[list[Store]]:
    """Start `count` stores."""
    running: list[Store] = []
    try:
        for index in range(count):
            place = directory / f"store{index + 1}"
            place.mkdir()
            running.append(Store(place, settings=settings))
        for store in running:
            store.wait()
        yield running
    finally:
        for store in running:
            store.stop()


def resp(*words: bytes | str | int) -> bytes:
    """Return a command as a RESP array."""
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


def bulk(value: bytes) -> bytes:
    """Return a RESP bulk string."""
    return b"$%d\r\n%s\r\n" % (len(value), value)


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply as it came."""

    header: Header
    payload: bytes

    @property
    def flags(self) -> Flags:
        """Its flags, without those the agent merely echoes."""
        return self.header.flags & ~(Flags.DOUBLE | Flags.ONGOING)


class Client(asyncio.DatagramProtocol):
    """One client session that sends exactly what a test says."""

    def __init__(self) -> None:
        self.client = next(_clients) & (1 << 64) - 1
        self.seq = 0
        self.acked = 0
        self.answers: asyncio.Queue[Answer] = asyncio.Queue()
        self.transport: asyncio.DatagramTransport | None = None

    @classmethod
    async def open(cls) -> Self:
        """Bind an ephemeral port."""
        loop = asyncio.get_running_loop()
        _, client = await loop.create_datagram_endpoint(cls, local_addr=("127.0.0.1", 0))
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Queue the reply."""
        self.answers.put_nowait(Answer(Header.unpack(data), data[28:]))

    def send(
        self,
        to: Server,
        op: Op,
        *words: bytes | str | int,
        flags: Flags = Flags.NONE,
        seq: int | None = None,
        group: int | None = None,
        migration: int = 0,
    ) -> int:
        """Send a query without waiting; return its seq."""
        if seq is None:
            self.seq += 1
            seq = self.seq
        if group is None:
            key = words[1] if isinstance(words[1], bytes) else str(words[1]).encode()
            group = group_of(key)
        header = Header(op, flags, SERVICE, group, migration, self.client, seq, self.acked)
        self.send_raw(to, header.pack() + resp(*words))
        return seq

    def send_raw(self, to: Server, datagram: bytes) -> None:
        """Send any bytes."""
        assert self.transport is not None
        self.transport.sendto(datagram, (to.ip, to.udp_port))

    async def answer(self, timeout: float = 2.0) -> Answer:
        """Return the next reply."""
        return await asyncio.wait_for(self.answers.get(), timeout)

    async def ask(
        self,
        to: Server,
        op: Op,
        *words: bytes | str | int,
        flags: Flags = Flags.NONE,
        seq: int | None = None,
        group: int | None = None,
        migration: int = 0,
    ) -> Answer:
        """Send one query, return its reply (older ones are thrown away)."""
        wanted = self.send(to, op, *words, flags=flags, seq=seq, group=group, migration=migration)
        while True:
            answer = await self.answer()
            if answer.header.seq != wanted:
                continue
            if answer.flags & Flags.RETRY:
                await asyncio.sleep(int.from_bytes(answer.payload) / 1e6)
            elif not answer.flags & Flags.MOVING or flags & Flags.MOVING:
                return answer
            again = flags | Flags.RETRY  # this client asks no source
            self.send(to, op, *words, flags=again, seq=wanted, group=group, migration=migration)

    async def silent(self, seconds: float = 0.1) -> bool:
        """Whether no reply comes for a while."""
        await asyncio.sleep(seconds)
        return self.answers.empty()

    def close(self) -> None:
        """Close the socket."""
        assert self.transport is not None
        self.transport.close()


def local(index: int) -> Server:
    """Return a server on loopback with free ports."""
    port = free_port()
    return Server(index, f"server{index}", "127.0.0.1", port, port)


@contextlib.asynccontextmanager
async def agent(
    server: Server, store: Store, directory: Path, grace: float = 0.2, login: Login | None = None
) -> AsyncIterator[Agent]:
    """Run an agent in this process."""
    running = await Agent(Settings(server, store.url, directory, grace, login)).start()
    try:
        yield running
    finally:
        await running.stop()


async def until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until something is so; TimeoutError if it never is."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the condition did not come true")
        await asyncio.sleep(0.002)


class Peer(asyncio.DatagramProtocol):
    """A scripted agent: a test plays the source or the destination of one real agent with it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.frames: asyncio.Queue[tuple[Kind, bytes]] = asyncio.Queue()
        self.datagrams: asyncio.Queue[bytes] = asyncio.Queue()
        self.connections = 0
        self._listening: asyncio.Server | None = None
        self._incoming: list[asyncio.StreamWriter] = []
        self._outgoing: asyncio.StreamWriter | None = None
        self._udp: asyncio.DatagramTransport | None = None

    async def start(self) -> Self:
        """Listen on TCP and UDP."""
        ip, port = self.server.ip, self.server.channel_port
        self._listening = await asyncio.start_server(self._accept, ip, port)
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=(ip, self.server.udp_port)
        )
        return self

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._incoming.append(writer)
        splitter = frames.Splitter()
        while data := await reader.read(1 << 16):
            for item in splitter.feed(data):
                if item[0] is not Kind.HELLO:
                    self.frames.put_nowait(item)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Queue control packets."""
        self.datagrams.put_nowait(data)

    async def connect(self, to: Server) -> None:
        """Open the channel to a real agent and say HELLO."""
        _, self._outgoing = await asyncio.open_connection(to.ip, to.channel_port)
        self._outgoing.write(frames.hello(self.server.index))

    def send(self, kind: Kind, *parts: bytes) -> None:
        """Send a frame."""
        assert self._outgoing is not None
        self._outgoing.write(frames.frame(kind, *parts))

    def send_control(self, to: Server, datagram: bytes) -> None:
        """Send a control packet from the peer's own address."""
        assert self._udp is not None
        self._udp.sendto(datagram, (to.ip, to.udp_port))

    async def frame(self, kind: Kind, timeout: float = 2.0) -> memoryview:
        """Return the body of the next frame of a kind, skipping others."""
        while True:
            found, body = await asyncio.wait_for(self.frames.get(), timeout)
            if found is kind:
                return memoryview(body)

    async def datagram(self, timeout: float = 2.0) -> bytes:
        """Return the next control packet."""
        return await asyncio.wait_for(self.datagrams.get(), timeout)

    def break_connections(self) -> None:
        """Cut the channel from the real agent."""
        for writer in self._incoming:
            writer.transport.abort()
        self._incoming.clear()

    async def stop(self) -> None:
        """Close everything."""
        self.break_connections()
        if self._outgoing is not None:
            self._outgoing.close()
        if self._listening is not None:
            self._listening.close()
        if self._udp is not None:
            self._udp.close()


@dataclass(slots=True)
class Relay(asyncio.DatagramProtocol):
    """Stands for the switch on the way of control packets between two agents, and may lose or
    repeat them. Both know each other by its address."""

    one: Server
    other: Server
    fate: Callable[[bytes], int] = lambda packet: 1  # how many copies go on
    seen: list[bytes] = field(default_factory=list)
    port: int = 0
    _transport: asyncio.DatagramTransport | None = None

    async def start(self) -> Self:
        """Bind an ephemeral port."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]
        return self

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Nothing to do."""

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Pass it on to the other end."""
        assert self._transport is not None
        self.seen.append(data)
        to = self.other if addr[1] == self.one.udp_port else self.one
        for _ in range(self.fate(data)):
            self._transport.sendto(data, (to.ip, to.udp_port))

    def close(self) -> None:
        """Close the socket."""
        assert self._transport is not None
        self._transport.close()


@dataclass(slots=True)
class Pair:
    """Two agents; the first owns every group at the beginning."""

    agents: list[Agent]
    stores: list[Store]
    number: int = 0
    protocol: Protocol = Protocol.NETMIGRATE
    batch: int = 1  # where the ranges allow it
    doors: Sequence[int] = ()  # UDP ports at which clients find the agents, if not their own

    def server(self, index: int) -> Server:
        """Return the server 0 or 1."""
        return self.agents[index].settings.own

    def found(self, index: int) -> Server:
        """Return the server 0 or 1 as the others are told of it."""
        own = self.server(index)
        return replace(own, udp_port=self.doors[index]) if self.doors else own

    def aim(self, source: int, destination: int) -> None:
        """Point the VIP of `source` straight at `destination`, as the switch would route it."""
        to = self.server(destination)
        node = self.agents[source].node
        node.vip = (0x7F000001, to.udp_port)

    def start(
        self,
        source: int,
        destination: int,
        ranges: Sequence[range] = (EVERY,),
        *,
        lanes: int = 16,
        throttle: int = 0,
        batch: int = 0,
        stop_bytes: int = 0,
    ) -> Any:
        """Start a migration; return the source's Mover."""
        self.number += 1
        self.aim(source, destination)
        one, other = self.agents[source], self.agents[destination]
        batch = batch or self.batch
        while any(groups.start % batch or groups.stop % batch for groups in ranges):
            batch //= 2
        other.immigrations.accept(self.number, self.found(source), ranges, batch, self.protocol)
        to = self.found(destination)
        return one.emigrations.start(
            self.number, to, ranges, lanes, throttle, self.protocol, batch, stop_bytes
        )

    async def migrate(
        self,
        source: int,
        destination: int,
        ranges: Sequence[range] = (EVERY,),
        *,
        lanes: int = 16,
        throttle: int = 0,
        batch: int = 0,
    ) -> Any:
        """Migrate and wait for the end."""
        emigration = self.start(
            source, destination, ranges, lanes=lanes, throttle=throttle, batch=batch
        )
        await until(lambda: emigration.status.name in ("DONE", "FAILED"), 60)
        assert emigration.status.name == "DONE", emigration.error
        return emigration


def assign(agents: Sequence[Agent], placements: Sequence[tuple[range, int]] | None = None) -> None:
    """Give every agent the same first placement: by default, all groups to the first."""
    servers = [one.settings.own for one in agents]
    placed = placements or [(EVERY, servers[0].index)]
    for one in agents:
        one.service.assign(SERVICE, ("127.0.0.1", servers[0].udp_port), servers, placed)


@contextlib.asynccontextmanager
async def owner(store: Store, directory: Path) -> AsyncIterator[Agent]:
    """Run an agent that owns every group, on a store that is emptied first."""
    store.client.flushall()
    async with agent(local(1), store, directory) as one:
        assign([one])
        yield one


@contextlib.asynccontextmanager
async def pair(
    running: Sequence[Store], directory: Path, grace: float = 0.2
) -> AsyncIterator[Pair]:
    """Run two agents on two stores, emptied first."""
    async with contextlib.AsyncExitStack() as stack:
        agents = []
        for index, store in enumerate(running[:2], 1):
            store.client.flushall()
            place = directory / f"agent{index}"
            agents.append(await stack.enter_async_context(agent(local(index), store, place, grace)))
        assign(agents)
        yield Pair(agents, list(running[:2]))


def message(server: Server) -> pb.Server:
    """Return a server for gRPC."""
    return pb.Server(
        index=server.index,
        name=server.name,
        ip=server.ip,
        udp_port=server.udp_port,
        channel_port=server.channel_port,
    )


def set_state(one: Agent, group: int, state: State, owner: int, *, former: bool = False) -> None:
    """Put a group into a state without a migration."""
    one.table.set(group, state, owner, former=former)


class Process:
    """`netmigrate-agent` as its users start it."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "hosts.agent.main", *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def ready(self) -> str:
        """Wait for the line that says so."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self) -> tuple[int, str]:
        """Wait for the end; return status and standard error."""
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors

    def stop(self) -> tuple[int, str]:
        """Ask it to end, and wait."""
        self.process.terminate()
        return self.end()
