"""`kill -9` of either agent while big values move, with clients that add to them."""

import asyncio
import random
from dataclasses import dataclass

import pytest

from hosts.wire import Op
from tests.agent.big_values import STAGED, contents
from tests.agent.conftest import WAYS
from tests.agent.harness import Client
from tests.agent.test_crash import UNKNOWN, Rack, Worker, at_work, rack
from tests.agent.test_migration import named

__all__ = ["rack"]  # a fixture

LISTS = named("biglist", 4)
STRINGS = named("bigstring", 2)
LENGTH = 20_000


@dataclass(slots=True)
class Pusher(Worker):
    """The only client that adds to a list, and one of those that ask for its length."""

    async def work(self) -> None:
        """Until told to stop."""
        client, chance = await Client.open(), random.Random(self.seed)
        key = LISTS[self.seed]
        self.least[key] = self.most[key] = LENGTH
        while not self.stop.is_set():
            if chance.randrange(2):
                self.most[key] += 1
                answer = await self._ask(client, chance, Op.WRITE, "RPUSH", key, "x")
                if UNKNOWN not in answer:
                    self._see(key, int(answer[1:]), self.least[key] + 1)
            else:
                answer = await self._ask(client, chance, Op.READ, "LLEN", key)
                self._see(key, int(answer[1:]), self.least[key])
            await asyncio.sleep(0.001)
        client.close()


@pytest.mark.parametrize("killed", [0, 1], ids=["source", "destination"])
@pytest.mark.parametrize("way", ["netmigrate", "rocksteady", "source"])
async def test_killed_while_big_values_move(rack: Rack, way: str, killed: int) -> None:
    """Nothing is lost, nothing comes back, nothing is left over."""
    protocol, batch = WAYS[way]
    one, other = rack.stores
    for name in LISTS:
        one.client.rpush(name, *(b"%0100d" % number for number in range(LENGTH)))
    for name in STRINGS:
        one.client.set(name, random.Random(name).randbytes(2_000_000))
    before = contents(one)
    stop = asyncio.Event()
    pushers = [Pusher(rack, seed, stop) for seed in range(3)]  # the last list stays as it is
    async with at_work(rack):
        tasks = [asyncio.create_task(pusher.work()) for pusher in pushers]
        rack.move(protocol, batch, 20_000_000)
        for _ in range(2):
            await asyncio.sleep(1.0)
            await rack.restart(killed)
            if killed == 0:
                rack.move(protocol, batch, 20_000_000)
        await rack.done()
        stop.set()
        await asyncio.gather(*tasks)
    for key, least, most in ((k, p.least[k], p.most[k]) for p in pushers for k in p.least):
        assert least <= other.client.llen(key) <= most
        assert other.client.lrange(key, 0, LENGTH - 1) == before[key.encode()][0]
    for key in (LISTS[-1], *STRINGS):
        assert contents(other)[key.encode()] == before[key.encode()]
    assert other.command("KEYS", STAGED) == []
