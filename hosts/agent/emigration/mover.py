"""The source's side of a migration, whatever its protocol: its state, and what the controller asks.

A protocol (hosts/agent/emigration/netmigrate.py is ours) derives from `Mover` and moves the groups.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from time import monotonic
from typing import Final, TypeAlias

from hosts.agent._core import Query
from hosts.agent.channel import Link, Server
from hosts.agent.emigration.stream import Stream
from hosts.agent.emigration.throttle import Throttle
from hosts.agent.frames import Hindrance, Kind
from hosts.agent.node import Node
from hosts.agent.pieces.outgoing import Outgoing
from hosts.agent.protocols import Protocol
from hosts.agent.table import State

log = logging.getLogger("netmigrate.agent")


class Status(IntEnum):
    """`MigrationState` of agent.proto."""

    RUNNING = 1
    PAUSED = 2
    STOPPING = 3
    STOPPED = 4
    DONE = 5
    FAILED = 6


_AGAIN_SECONDS: Final = 1.0

FINAL: Final = frozenset({Status.STOPPED, Status.DONE})


Emigrated: TypeAlias = Callable[[Sequence[int]], None]
"""Told of groups that have gone: what is here of them may be deleted after a while."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a migration is to move, where, and how fast (bits a second, 0: as fast as it can)."""

    number: int
    destination: Server
    ranges: Sequence[range]
    throttle: int


class Mover(ABC):
    """Sends groups to a destination."""

    protocol: Protocol
    _values: Outgoing  # the big ones
    rounds = 0  # of pre-copy
    downtime = 0.0  # seconds in which nobody served the groups

    def __init__(
        self,
        node: Node,
        order: Order,
        emigrated: Emigrated,
    ) -> None:
        self.number = order.number
        self.destination = order.destination
        self.ranges = list(order.ranges)
        self.total = sum(map(len, self.ranges))
        self.status = Status.RUNNING
        self.error = ""
        self.throttle = Throttle(order.throttle)
        self.keys_sent = 0
        self.bytes_sent = 0
        self.done: set[int] = set()
        self.changed = asyncio.Event()  # replaced at every change of status
        self._node = node
        self._emigrated = emigrated
        self._pausing = False
        self._stopping = False
        self._frozen = False
        self._resumed = 0.0
        self.hindered = False  # nothing is sent until `hinder` has passed
        self._scheduled = False
        self._later: asyncio.TimerHandle | None = None
        self._seconds = 0.0
        self._since = monotonic()

    # --- what the controller asks -----------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """Time spent running."""
        return self._seconds + (monotonic() - self._since if self._since else 0.0)

    @property
    def share(self) -> float:
        """How much of what is to be sent has been, 0 to 1."""
        return len(self.done) / max(1, self.total)

    @property
    def obstacle(self) -> str:
        """What a migration that is not over waits for, if it cannot talk to its destination."""
        link = self._node.links.get(self.destination.index)
        if link is None or link.connected or self.status in FINAL:
            return ""
        return link.complaint and f"no channel to {self.destination.name}: {link.complaint}"

    def pause(self, drain: bool) -> None:
        """Stand still: at once, or when the groups in flight have arrived."""
        if self.status not in (Status.RUNNING, Status.STOPPING, Status.PAUSED):
            raise ValueError(f"migration {self.number} is {self.status.name}, it cannot be paused")
        self._pausing = True
        if drain:
            self._check_end()
        else:
            self._frozen = True
            self._set(Status.PAUSED)

    def resume(self) -> None:
        """Go on after a pause or a failure."""
        if self.status in FINAL:
            raise ValueError(f"migration {self.number} is {self.status.name}, it cannot go on")
        self._resumed = monotonic()
        self._go_on()

    def stop(self) -> None:
        """Finish the groups in flight and start no more."""
        if self.status not in FINAL:
            self._stopping = True
            self._go_on()

    def _go_on(self) -> None:
        failed = self.status is Status.FAILED or self.hindered
        self._pausing = self._frozen = self.hindered = False
        self.error = ""
        self._set(Status.STOPPING if self._stopping else Status.RUNNING)
        if failed:  # the frames that the destination could not apply are lost
            self.resend()
        self._kick()

    def set_throttle(self, rate: int) -> None:
        """Change the rate while running."""
        self.throttle.change(rate)
        self._kick()

    def fail(self, why: str) -> None:
        """Stand still until someone helps and resumes."""
        if self.status in FINAL or self.status is Status.FAILED:
            return
        log.error("migration %d: %s", self.number, why)
        self.error = why
        self._frozen = True
        self._set(Status.FAILED)
        self._interrupted()

    def store_failed(self, error: Exception) -> None:
        """Our own store complains, or is away for a while."""
        why = f"the store of {self._node.own.name}: {error}"
        if isinstance(error, ConnectionError):
            self.hinder(Hindrance.TIME, why)
        else:
            self.fail(why)

    def hinder(self, what: Hindrance, why: str) -> None:
        """A store takes nothing, or gives nothing, for now. What passes by itself, or with
        commands instead of dumps, is tried again after a while; otherwise pause until someone helps
        and resumes. Ownership moves on."""
        if self.status in FINAL or self.status is Status.FAILED or self.hindered:
            return
        if what is Hindrance.COMMANDS and self._values.sent_whole:
            self.fail(
                f"{why} (no command builds this value, and the stores are of different versions)"
            )
            return
        log.warning("migration %d: %s", self.number, why)
        self.error = why
        self.hindered = True
        late = (
            monotonic() - self._resumed < _AGAIN_SECONDS
        )  # it was on its way when we were resumed
        if what is Hindrance.COMMANDS:
            self._values.piecewise = True
        if what is not Hindrance.HELP or late or self._stopping:
            asyncio.get_running_loop().call_later(_AGAIN_SECONDS, self._try_again)
            self._set(self.status)
        else:
            self._set(Status.PAUSED)
        self._interrupted()

    def _try_again(self) -> None:
        if self.hindered and self.status in (Status.RUNNING, Status.STOPPING):
            self._go_on()

    def _interrupted(self) -> None:  # noqa: B027, most protocols have nothing to do
        """Nothing is sent from now on, until `_go_on`."""

    def _set(self, status: Status) -> None:
        runs, ran = status in (Status.RUNNING, Status.STOPPING), bool(self._since)
        if ran and not runs:
            self._seconds, self._since = self.seconds, 0.0
        elif runs and not ran:
            self._since = monotonic()
        self.status = status
        self.changed.set()
        self.changed = asyncio.Event()

    # --- passes -----------------------------------------------------------------------------------

    def _kick(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._run)

    def _kick_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._later is not None:
            if loop.time() < self._later.when() <= loop.time() + seconds:
                return
            self._later.cancel()
        self._later = loop.call_later(seconds, self._kick)

    def _run(self) -> None:
        self._scheduled = False
        if self._frozen or self.hindered or self.status not in (Status.RUNNING, Status.STOPPING):
            return
        try:
            self._step()
        except Exception as error:  # nobody would know that it stands still
            log.exception("migration %d", self.number)
            self.fail(f"a fault in the agent of {self._node.own.name} (see its log): {error!r}")

    @property
    def lane_sequences(self) -> list[int]:
        """The last acknowledged control sequence of each lane."""
        return []

    def acknowledged(self, acks: Sequence[tuple[int, int, int, int, int]]) -> None:
        """Take GROUP_ACKs: (group, lane, sequence, ip, port)."""
        self._node.counters.add("control_ignored", len(acks))

    def _sent(self, keys: int, size: int) -> None:
        """Account for a chunk of so many keys and bytes."""
        self.keys_sent += keys
        self.bytes_sent += size
        self.throttle.spend(size)
        self._node.counters.add("keys_sent", keys)
        self._node.counters.add("channel_group_bytes", size)

    def _finish(self, groups: list[int]) -> None:
        """The groups are the destination's."""
        self._node.table.set(groups, State.ABSENT, self.destination.index, former=True)
        self.done.update(groups)
        self._node.counters.add("groups_sent", len(groups))
        self._node.core.drop_records(groups)
        self._emigrated(groups)

    def _send_piece(self, link: Link, values: Outgoing, early: float = 0.0) -> None:
        """One piece of a big value, at most `early` seconds ahead of the throttle."""
        if not values.ready:
            return  # an answer wakes us
        if not self._throttled(early):
            self._sent(*values.send(link))
            self._kick()

    def _begin_chunk(self, stream: Stream, early: float = 0.0) -> bool:
        """Begin to dump a chunk, at most `early` seconds ahead of the throttle; False: not now."""
        return bool(stream) and not self._throttled(early) and bool(stream.begin())

    def _throttled(self, early: float) -> bool:
        """Whether it is too soon to send; then this wakes up in time."""
        wait = self.throttle.wait() - early
        if wait > 0:
            self._kick_in(wait)
        return wait > 0

    def writable(self) -> None:
        """The channel takes bulk data again."""
        self._kick()

    def close(self) -> None:
        """The agent ends."""
        self._frozen = True
        if self._later is not None:
            self._later.cancel()

    # --- what a protocol does ---------------------------------------------------------------------

    @property
    @abstractmethod
    def ongoing(self) -> list[int]:
        """The groups that are ONGOING for the switch."""

    @abstractmethod
    def moves(self, group: int) -> bool:
        """Whether the group is in flight."""

    @abstractmethod
    def pending(self) -> Iterable[int]:
        """The groups that this migration may still touch."""

    @abstractmethod
    def query(self, query: Query) -> None:
        """Take a query for an EMIGRATING group that is not a double read."""

    @abstractmethod
    def frame(self, kind: Kind, body: memoryview) -> None:
        """Take an answer of the destination; ValueError if it is malformed."""

    @abstractmethod
    def resend(self) -> None:
        """The channel is new: what was not answered is sent again, idempotently."""

    @abstractmethod
    def _step(self) -> None:
        """Do whatever is due."""

    @abstractmethod
    def _check_end(self) -> None:
        """Set the final state, or PAUSED, if nothing is in flight."""
