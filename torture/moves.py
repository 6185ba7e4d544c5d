"""Migrations back and forth, several at once, some of them aborted: what an operator does."""

import contextlib
import random
import threading
import time
from typing import Final

import grpc

from controller.model import Protocol
from hosts.wire import GROUPS, group_of
from torture.rack import Rack
from torture.workload import name

PIECES: Final = 32
"""The key space moves in so many equal pieces."""
_PATIENCE: Final = 60.0


class Moves:
    """Migrates pieces of the key space to other servers while it is entered."""

    def __init__(self, rack: Rack, seed: int, protocol: str, at_once: int) -> None:
        self.begun = 0
        self.aborted = 0
        self.resumed = 0
        self.stuck: list[str] = []
        """What did not end although everything was well again."""
        self._rack = rack
        self._chooser = random.Random(f"{seed} moves")
        self._protocol = protocol
        self._may_pull = Protocol(protocol).is_followed
        self._at_once = at_once
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="moves")

    def __enter__(self) -> "Moves":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Begin no more, and wait until what was begun has ended."""
        self._over.set()
        self._thread.join()

    def completed(self) -> int:
        """Return how many migrations have ended with everything moved, also back."""
        return sum(each.state == "done" for each in self._rack.controller.history())

    def _run(self) -> None:
        while not self._over.wait(self._chooser.uniform(0.02, 0.2)):
            with contextlib.suppress(grpc.RpcError):  # the controller is away, or has to refuse
                self._step()

    def _step(self) -> None:
        """Do one thing: help a migration on, abort one, or begin one."""
        status = self._rack.controller.status()
        self._help(status)
        running = list(status.migrations)
        self._rack.moving = [server for m in running for server in (m.source, m.destination)]
        self._rack.placement = [
            (range(p.first, p.last + 1), p.server) for p in status.partitions if not p.migration
        ]
        chance = self._chooser.random()
        if running and chance < 0.1:
            self._rack.controller.abort(self._chooser.choice(running).id)
            self.aborted += 1
        elif len(running) < self._at_once:
            size = GROUPS // PIECES
            first = self._group() // size * size
            self._rack.controller.migrate(
                f"{first}-{first + size - 1}",
                self._chooser.choice(self._rack.servers),
                throttle=self._chooser.choice([0, 200_000, 1_000_000]),
                lanes=self._chooser.choice([0, 1, 4, 16]),
                group_batch=self._chooser.choice([0, 1, 16, 256]),
                protocol=self._protocol,
                pull_reads=self._may_pull and self._chooser.choice([False, True]),
            )
            self.begun += 1

    def _group(self) -> int:
        """Choose a group, every second time that of a hot key."""
        if self._chooser.random() < 0.5:
            return group_of(name(self._chooser.randrange(self._rack.keys.hot)).encode())
        return self._chooser.randrange(GROUPS)

    def _help(self, status: object) -> None:
        for each in getattr(status, "migrations", ()):
            if each.state == "stalled" or (each.state == "paused" and each.error):
                self._rack.controller.resume(each.id)
                self.resumed += 1

    def settle(self) -> None:
        """Once all faults are over: wait until every migration has ended, helping as before."""
        end = time.monotonic() + _PATIENCE
        left: list[str] = ["the controller does not answer"]
        while time.monotonic() < end:
            with contextlib.suppress(grpc.RpcError):
                status = self._rack.controller.status()
                left = [
                    f"migration {m.id} from {m.source} to {m.destination}: {m.state}, "
                    f"{m.groups_done} of {m.groups_total} groups, {m.error or 'no error'}"
                    for m in status.migrations
                ]
                if not left:
                    return
                self._help(status)
            time.sleep(0.3)
        self.stuck = left
