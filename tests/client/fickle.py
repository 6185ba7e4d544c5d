"""A switch that knows nothing and guesses: what docs/consistency.md calls soft state, at its worst.

It stands between clients and two agents on loopback. Each query goes to a server at random, or as a
double read of the migration that runs or of an earlier one; datagrams may get lost, repeated or
delayed. None of that may cost consistency.

At each agent's door, a port of its own, it takes what clients send straight to that agent.
"""

import asyncio
import random
from dataclasses import dataclass, field
from typing import Any, Self

from hosts.wire import Flags, Op

_OP, _FLAGS, _MIGRATION, _CLIENT = 3, slice(4, 6), slice(10, 12), slice(12, 20)


@dataclass
class Fickle(asyncio.DatagramProtocol):
    """`servers`: UDP ports of the agents. `migrations`: number → (source, destination)."""

    servers: list[int]
    seed: int = 0
    lost: float = 0.0
    repeated: float = 0.0
    delayed: float = 0.0
    longest: float = 0.2  # seconds
    migrations: dict[int, tuple[int, int]] = field(default_factory=dict)
    followed: bool = True  # whether it doubles reads itself
    port: int = 0
    doubled: int = 0
    direct: int = 0  # what came to a door

    async def start(self) -> Self:
        """Bind an ephemeral port; it is the service's."""
        self._random = random.Random(self.seed)
        self._clients: dict[bytes, Any] = {}
        self._loop = asyncio.get_running_loop()
        self._transport, _ = await self._loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 0)
        )
        self.port = self._transport.get_extra_info("sockname")[1]
        self._doors = [await self._door(server) for server in self.servers]
        return self

    async def _door(self, server: int) -> Any:
        transport, _ = await self._loop.create_datagram_endpoint(
            lambda: _Door(self, server), local_addr=("127.0.0.1", 0)
        )
        return transport

    @property
    def doors(self) -> list[int]:
        """The ports at which clients find the agents."""
        return [door.get_extra_info("sockname")[1] for door in self._doors]

    def enter(self, data: bytes, addr: tuple[str | Any, int], server: int) -> None:
        """A client's own copy goes where it was sent; the reply comes back from the service."""
        self.direct += 1
        self._clients[data[_CLIENT]] = addr
        self._send(data, ("127.0.0.1", server))

    def close(self) -> None:
        """Close the sockets."""
        for transport in (self._transport, *self._doors):
            transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Nothing to do."""

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Steer a query somewhere, hand a reply to its client."""
        if data[_OP] == Op.REPLY:
            self._send(data, self._clients[data[_CLIENT]])
            return
        self._clients[data[_CLIENT]] = addr
        for server, flags, migration in self._steer(data[_OP] == Op.READ):
            stamped = bytearray(data)
            own = Flags(int.from_bytes(data[_FLAGS])) & ~(Flags.DOUBLE | Flags.ONGOING)
            stamped[_FLAGS] = int(own | flags).to_bytes(2, "big")
            stamped[_MIGRATION] = migration.to_bytes(2, "big")
            self._send(bytes(stamped), ("127.0.0.1", self.servers[server]))

    def _steer(self, read: bool) -> list[tuple[int, Flags, int]]:
        choose = self._random
        if not self.migrations:
            return [(0, Flags.NONE, 0)]
        recent = list(self.migrations)[-3:]
        number = recent[-1] if choose.random() < 0.8 else choose.choice(recent)
        source, destination = self.migrations[number]
        if choose.random() < 0.4:
            return [(choose.choice((source, destination)), Flags.NONE, number)]
        if not self.followed:
            return [(destination, Flags.NONE, 0)]
        if read:
            self.doubled += 1
            return [(source, Flags.DOUBLE, number), (destination, Flags.DOUBLE, number)]
        return [(destination, Flags.ONGOING, number)]

    def _send(self, data: bytes, to: tuple[str, int]) -> None:
        chance = self._random.random
        if chance() < self.lost:
            return
        for _ in range(2 if chance() < self.repeated else 1):
            if chance() < self.delayed:
                wait = chance() ** 2 * self.longest
                self._loop.call_later(wait, self._deliver, data, to)
            else:
                self._deliver(data, to)

    def _deliver(self, data: bytes, to: tuple[str, int]) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(data, to)


@dataclass
class _Door(asyncio.DatagramProtocol):
    switch: Fickle
    server: int

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Let it in."""
        self.switch.enter(data, addr, self.server)
