"""One migration to this server: which keys of its groups are here, what is wanted of the others,
and what its source is told.

Per IMMIGRATING group it keeps `here`: the keys whose truth is here, because their migrated copy
arrived or was pulled, because a client wrote them, or because they are known not to exist. A
migrated copy of such a key is dropped, so the newer value wins (invariant 4).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from hosts.agent import frames
from hosts.agent._core import Query
from hosts.agent.channel import Server
from hosts.agent.frames import Hindrance, Kind
from hosts.agent.immigration.pulls import Pulls
from hosts.agent.immigration.told import Told
from hosts.agent.node import Node
from hosts.agent.protocols import Protocol
from hosts.agent.table import State

OUT_OF_MEMORY: Final = "OOM "  # how Redis and Valkey begin to say so
# and what they say to RESTORE of a version or a type that they do not know
_NOT_READ: Final = ("DUMP payload version", "Bad data format")
_LOST: Final = "the connection to the store was lost"  # what the core says of a store that is away
_PULLED_BYTES: Final = 1 << 28


@dataclass(slots=True)
class Waiting:
    """A query that waits until all of `missing` is here; None: until its whole group is."""

    query: Query
    missing: frozenset[bytes] | None


@dataclass(slots=True)
class Wanted:
    """What queries of one IMMIGRATING group want that was not here when they came."""

    pulled: set[bytes] = field(default_factory=set)  # asked for
    waiting: dict[tuple[int, int], Waiting] = field(default_factory=dict)


@dataclass(slots=True)
class Immigration:
    """A migration that the controller told us to accept."""

    node: Node
    number: int
    protocol: Protocol
    source: Server
    ranges: list[range]
    batch: int  # groups that START and COMPLETE speak of at once
    peer: tuple[int, int]  # where its control packets come from
    # of its IMMIGRATING groups; True: every key has arrived, any other does not exist
    here: dict[int, set[bytes] | bool] = field(default_factory=dict)
    wanted: dict[int, Wanted] = field(default_factory=dict)  # of those with something wanted
    waiting: set[int] = field(default_factory=set)  # those of them with queries that wait
    waiters: int = 0  # those queries
    room: int = _PULLED_BYTES  # for keys that clients made us pull: they may name what they like
    to_pull: dict[int, list[bytes]] = field(default_factory=dict)  # what the next PULL asks for
    done: set[int] = field(default_factory=set)
    told: list[Told] = field(default_factory=list)  # of fulva alone: by range, while groups come
    pulls: Pulls = field(default_factory=Pulls)
    complaint: str = ""  # that the source has not been told yet
    # of pre-copy alone (hosts/agent/immigration/copies.py)
    cleared: dict[int, None] = field(default_factory=dict)  # groups whose copies may be written
    copied: int = 0  # the number of the last CLEAR, COPY or TAKE
    apart: int = 0  # pieces with lower numbers are from an earlier connection

    def covers(self, groups: Sequence[int]) -> list[bool]:
        """Return for each group whether it is one of its own."""
        numbers = np.asarray(groups)
        inside = [(numbers >= own.start) & (numbers < own.stop) for own in self.ranges]
        found: list[bool] = np.any(inside, axis=0).tolist()
        return found

    def covers_all(self, groups: range) -> bool:
        """Whether all of `groups` are in one of its ranges."""
        return any(groups.start in own and groups[-1] in own for own in self.ranges)

    # --- what its source is told ------------------------------------------------------------------

    def acknowledge(self, kind: Kind, groups: Sequence[int]) -> None:
        """Answer for some groups."""
        if groups:
            link = self.node.link(self.source.index)
            size = link.send(kind, frames.groups(self.number, groups))
            self.node.counters.add("channel_other_bytes", size)

    def complain(self, why: str) -> None:
        """Tell why the migration cannot go on."""
        link = self.node.link(self.source.index)
        link.send(Kind.FAILED, frames.migration(self.number), why.encode())

    def complain_late(self) -> None:
        """Tell the complaint that it has not been told yet, if it can be reached."""
        if self.complaint and self.node.link(self.source.index).connected:
            self.complain(self.complaint)
            self.complaint = ""

    def cannot_come(self, group: int) -> None:
        """Tell of a group that must not be sent here."""
        state = State(self.node.table.states[group]).name
        self.complain(f"group {group} is {state} at {self.node.own.name}, or not in the migration")

    def store_failed(self, error: object) -> None:
        """Tell of a complaint of our store. One that is away comes back; one that has no memory
        left needs help; one of another version may still take commands."""
        why = f"the store of {self.node.own.name}: {error}"
        if isinstance(error, ConnectionError) or _LOST in why:
            hindrance = Hindrance.TIME
        elif OUT_OF_MEMORY in why:
            hindrance = Hindrance.HELP
        elif any(words in why for words in _NOT_READ):
            hindrance = Hindrance.COMMANDS
        else:
            self.complain(why)
            return
        link = self.node.link(self.source.index)
        link.send(Kind.HINDERED, frames.hindrance(self.number, hindrance, why))
