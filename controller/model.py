"""What the store keeps and the rest of the controller works with."""

import operator
from dataclasses import astuple, dataclass
from enum import StrEnum
from typing import Final

from controller.partitions import Range, batch_within


class State(StrEnum):
    """Where a migration stands, as the controller knows it."""

    STARTING = "starting"
    """Promised to the user; the source may not have been told yet."""
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    """To be aborted; the source finishes the groups in flight."""
    STALLED = "stalled"
    """The source cannot go on without help; the switch still follows what has moved."""
    DONE = "done"
    ABORTED = "aborted"
    FAILED = "failed"
    """Undone before any group moved."""

    @property
    def is_active(self) -> bool:
        """Whether the migration still holds its partition and its slice."""
        return self not in (State.DONE, State.ABORTED, State.FAILED)


class SliceState(StrEnum):
    """A slice goes free → used → dirty → free; only a free one is known to be all zero."""

    FREE = "free"
    USED = "used"
    DIRTY = "dirty"


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition and the server that it lives on (while it migrates: the source)."""

    name: str
    groups: Range
    server: str


DEFAULT_LANES: Final = 4
"""Of a migration with a throttle: few groups on the move at a time."""
UNTHROTTLED_LANES: Final = 16
"""Enough that the stream does not run dry while batches wait for answers."""
MAX_LANES: Final = 64


class Protocol(StrEnum):
    """How groups move (docs/protocol.md, docs/protocols.md); `Protocol` of agent.proto."""

    NETMIGRATE = "netmigrate"
    SOURCE = "source"
    ROCKSTEADY = "rocksteady"
    FULVA = "fulva"

    @property
    def is_followed(self) -> bool:
        """Whether the switch follows the move group by group, in a slice of its registers."""
        return self is Protocol.NETMIGRATE


@dataclass(frozen=True, slots=True)
class Settings:
    """How a migration is to run. `throttle` in bits per second of group data; 0: none."""

    lanes: int
    throttle: int
    group_batch: int = 1
    """How many groups shall move as one."""
    protocol: Protocol = Protocol.NETMIGRATE
    stop_bytes: int = 0
    """Of SOURCE: it stops serving when no more is left to copy; 0: as it thinks right."""
    pull_reads: bool = False
    """Of NETMIGRATE: a READ of an ONGOING group goes to the destination alone, which pulls what it
    does not have yet ahead; otherwise to both servers."""


@dataclass(frozen=True, slots=True)
class Totals:
    """How far a migration is, or how far it got."""

    groups: int = 0
    keys: int = 0
    bytes: int = 0
    seconds: float = 0.0
    rounds: int = 0
    downtime: float = 0.0

    def __add__(self, more: "Totals") -> "Totals":
        """Return what both have done."""
        return Totals(*map(operator.add, astuple(self), astuple(more)))


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration. The switch follows all of `partition`; the source moves `groups`."""

    id: int
    partition: str
    extent: Range
    groups: tuple[Range, ...]
    source: str
    destination: str
    slice: int | None
    """None if the switch does not follow the move."""
    state: State
    settings: Settings
    totals: Totals
    before: Totals
    """What of `totals` was done when the source began anew, with the `groups` that were left."""
    created: float
    ended: float | None
    error: str
    moves_back: int | None
    """The aborted migration that this one takes back, if it does."""

    @property
    def can_be_undone(self) -> bool:
        """Whether, before it begins, all groups of its partition are still at the source."""
        return self.moves_back is None and self.groups == (self.extent,)

    @property
    def served_from(self) -> str:
        """Where the switch sends all queries of the partition if it does not follow the move."""
        source = self.settings.protocol is Protocol.SOURCE
        return self.source if source else self.destination

    @property
    def batch(self) -> int:
        """How many groups do move as one: no batch reaches beyond the groups that are to move."""
        return batch_within(self.groups, self.settings.group_batch)

    @property
    def group_count(self) -> int:
        """How many groups were to move when it began."""
        return self.before.groups + sum(len(each) for each in self.groups)
