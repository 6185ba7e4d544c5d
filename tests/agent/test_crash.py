"""`kill -9` of either agent in the middle of a migration, with clients at work."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from hosts.agent import agent_pb2 as pb
from hosts.agent import agent_pb2_grpc
from hosts.agent.channel import Server
from hosts.agent.protocols import Protocol
from hosts.wire import GROUPS, Flags, Op
from tests.agent.conftest import WAYS
from tests.agent.harness import SERVICE, Client, Process, Store, local, message, until
from tests.agent.test_main import arguments
from tests.agent.test_migration import PART, named

NAMES = named("key", 3000)
COUNTERS = named("counter", 30)
UNKNOWN = b"whether the write was executed is not known"


@dataclass(slots=True)
class Rack:
    """Two agent processes that can be killed and started again."""

    stores: list[Store]
    directory: Path
    servers: list[Server] = field(default_factory=lambda: [local(1), local(2)])
    processes: list[Process] = field(default_factory=list)

    def start(self, index: int) -> None:
        """Start an agent on the state that an earlier one left."""
        server = self.servers[index]
        process = Process(*arguments(server, self.stores[index].url, self.directory))
        self.processes[index : index + 1] = [process]

    async def restart(self, index: int) -> None:
        """Kill an agent at this very moment, and start it again."""
        self.processes[index].process.kill()
        self.processes[index].end()
        self.start(index)
        await asyncio.to_thread(self.ready, index)

    def ready(self, index: int) -> None:
        """Wait until an agent answers."""
        line = self.processes[index].ready()
        assert line.startswith("ready"), self.processes[index].end()

    @contextlib.contextmanager
    def stub(self, index: int) -> Iterator[agent_pb2_grpc.AgentStub]:
        """Speak to an agent."""
        where = f"unix:{self.directory}/{self.servers[index].name}.sock"
        with grpc.insecure_channel(where) as channel:
            yield agent_pb2_grpc.AgentStub(channel)

    def move(self, protocol: Protocol, batch: int, throttle: int) -> None:
        """Tell both agents of a migration of what the source still has, as the controller does."""
        with self.stub(0) as source, self.stub(1) as destination:
            table = source.GetGroups(pb.GroupsRequest())
            ranges = [
                pb.GroupRange(first=first, last=first + batch - 1)
                for first in PART[::batch]
                if table.states[first] in (1, 2)
            ]
            destination.AcceptMigration(
                pb.AcceptRequest(
                    migration=1,
                    source=message(self.servers[0]),
                    groups=ranges,
                    group_batch=batch,
                    protocol=pb.Protocol.ValueType(protocol),
                )
            )
            source.StartMigration(
                pb.StartRequest(
                    migration=1,
                    destination=message(self.servers[1]),
                    groups=ranges,
                    group_batch=batch,
                    lanes=16,
                    throttle=throttle,
                    protocol=pb.Protocol.ValueType(protocol),
                )
            )

    async def progress(self) -> pb.MigrationProgress:
        """Return how far it is."""
        await asyncio.sleep(0.02)
        with self.stub(0) as source:
            truth = await asyncio.to_thread(source.GetMigration, pb.MigrationRef(migration=1))
            found: pb.MigrationProgress = truth.progress
            return found

    async def sent(self, share: float) -> None:
        """Wait until so much has been sent."""
        while (await self.progress()).keys_sent < share * len(NAMES):
            pass

    async def done(self) -> None:
        """Wait until the migration is over."""
        while (found := await self.progress()).state == pb.RUNNING:
            pass
        assert found.state == pb.DONE, found.error


@pytest_asyncio.fixture
async def rack(running: list[Store], tmp_path: Path) -> AsyncIterator[Rack]:
    """Two agents; the first has everything, the VIP leads to the second."""
    for store in running[:2]:
        store.client.flushall()
    pipe = running[0].client.pipeline(transaction=False)
    for name in NAMES:
        pipe.set(name, "x" * 100)
    pipe.execute()
    made = Rack(running[:2], tmp_path)
    for index in (0, 1):
        made.start(index)
    for index in (0, 1):
        made.ready(index)
        with made.stub(index) as stub:
            stub.AssignGroups(
                pb.AssignRequest(
                    service=SERVICE,
                    vip="127.0.0.1",
                    port=made.servers[1].udp_port,
                    servers=[message(server) for server in made.servers],
                    placements=[
                        pb.Placement(groups=pb.GroupRange(first=0, last=GROUPS - 1), server=1)
                    ],
                )
            )
    yield made
    for process in made.processes:
        process.stop()


@dataclass(slots=True)
class Worker:
    """A client that writes keys of its own, and counters that it shares with others.

    `least[key]`: the number that the key has reached for sure: what was acknowledged or seen may
    not vanish.
    """

    rack: Rack
    seed: int
    stop: asyncio.Event
    least: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)

    async def work(self) -> None:
        """Until told to stop."""
        client = await Client.open()
        chance = random.Random(self.seed)
        own, mine = named(f"own{self.seed}", 30), named(f"mine{self.seed}", 30)
        while not self.stop.is_set():
            match chance.randrange(4):
                case 0:
                    await self._count(client, chance, chance.choice(COUNTERS))
                case 1:
                    await self._set(client, chance, chance.choice(own))
                case 2:
                    await self._increment(client, chance, chance.choice(mine))
                case _:
                    await self._read(client, chance, chance.choice(own + mine))
        client.close()

    async def _ask(self, client: Client, chance: random.Random, op: Op, *words: str | int) -> bytes:
        """Ask either server, again and again, until somebody answers."""
        client.seq += 1
        flags = Flags.NONE
        while True:
            for _ in range(chance.choice((1, 1, 2))):
                to = self.rack.servers[chance.randrange(2)]
                client.send(to, op, *words, seq=client.seq, flags=flags)
            try:
                while (answer := await client.answer(0.05)).header.seq != client.seq:
                    pass
            except TimeoutError:
                continue
            if answer.flags & Flags.ERROR and UNKNOWN not in answer.payload:
                await asyncio.sleep(0.01)  # refused: nothing was executed
            elif answer.flags & (Flags.RETRY | Flags.MOVING):
                flags = Flags.RETRY  # this client asks no source
            else:
                client.acked = client.seq
                return answer.payload

    async def _count(self, client: Client, chance: random.Random, key: str) -> None:
        answer = await self._ask(client, chance, Op.WRITE, "INCR", key)
        kind = self.unknown if UNKNOWN in answer else self.counted
        kind[key] = kind.get(key, 0) + 1

    async def _set(self, client: Client, chance: random.Random, key: str) -> None:
        value = self.most[key] = self.most.get(key, 0) + 1
        if UNKNOWN not in await self._ask(client, chance, Op.WRITE, "SET", key, value):
            self.least[key] = value

    async def _increment(self, client: Client, chance: random.Random, key: str) -> None:
        self.most[key] = self.most.get(key, 0) + 1
        answer = await self._ask(client, chance, Op.WRITE, "INCR", key)
        if UNKNOWN not in answer:
            self._see(key, int(answer[1:]), self.least.get(key, 0) + 1)

    async def _read(self, client: Client, chance: random.Random, key: str) -> None:
        answer = await self._ask(client, chance, Op.READ, "GET", key)
        value = int(answer.split(b"\r\n")[1]) if answer != b"$-1\r\n" else 0
        self._see(key, value, self.least.get(key, 0))

    def _see(self, key: str, value: int, least: int) -> None:
        assert least <= value <= self.most.get(key, 0), key
        self.least[key] = value


@contextlib.asynccontextmanager
async def at_work(rack: Rack) -> AsyncIterator[None]:
    """Let some clients work, and check all they know when they have ended."""
    stop = asyncio.Event()
    workers = [Worker(rack, seed, stop) for seed in range(6)]
    tasks = [asyncio.create_task(worker.work()) for worker in workers]
    try:
        yield
        await until(lambda: sum(sum(worker.counted.values()) for worker in workers) > 100)
    finally:
        stop.set()
        await asyncio.gather(*tasks)
    destination = rack.stores[1].client
    for worker in workers:
        for key, least in worker.least.items():
            assert least <= int(destination.get(key) or 0) <= worker.most.get(key, 0), key
    for key in COUNTERS:
        counted = sum(worker.counted.get(key, 0) for worker in workers)
        unknown = sum(worker.unknown.get(key, 0) for worker in workers)
        assert counted <= int(destination.get(key) or 0) <= counted + unknown
    assert all(destination.get(name) == b"x" * 100 for name in NAMES)


@pytest.mark.parametrize("way", WAYS)
async def test_destination_killed(rack: Rack, way: str) -> None:
    """Twice. It goes on by itself: the controller says nothing."""
    protocol, batch = WAYS[way]
    async with at_work(rack):
        rack.move(protocol, batch, 2_000_000)
        for share in (0.1, 0.5):
            await rack.sent(share)
            await rack.restart(1)
        await rack.done()


@pytest.mark.parametrize("way", WAYS)
async def test_source_killed(rack: Rack, way: str) -> None:
    """The controller tells it again what to send, and the rest is as if nothing had happened."""
    protocol, batch = WAYS[way]
    async with at_work(rack):
        rack.move(protocol, batch, 2_000_000)
        await rack.sent(0.4)
        await rack.restart(0)
        rack.move(protocol, batch, 0)
        await rack.done()
