"""The destination's side of migrations (docs/protocol.md).

Per IMMIGRATING group it keeps `here`: the keys whose truth is here, because their migrated copy
arrived or was pulled, because a client wrote them, or because they are known not to exist. A
migrated copy of such a key is dropped, so the newer value wins (invariant 4).
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from hosts.agent import accepted, frames
from hosts.agent._core import Query, StoreError
from hosts.agent.accepted import Accepted
from hosts.agent.channel import Server
from hosts.agent.frames import Kind
from hosts.agent.held import PER_GROUP, PER_MIGRATION
from hosts.agent.mover import HANDED_OVER, Protocol
from hosts.agent.node import Node, address
from hosts.agent.pieces.staging import Staging
from hosts.agent.pulls import Pulls
from hosts.agent.purge import Purger
from hosts.agent.restores import Restores
from hosts.agent.table import State
from hosts.agent.told import Told
from hosts.wire import Control, Flags, Header, Op

# op, service, group, migration, lane, sequence, ip, port
Packet: TypeAlias = tuple[int, int, int, int, int, int, int, int]

log = logging.getLogger("netmigrate.agent")

_LOST: Final = "the connection to the store was lost"  # what the core says of a store that is away
_OUT_OF_MEMORY: Final = "OOM "  # how Redis and Valkey begin to say so
_REMEMBERED: Final = 64  # migrations of which no group is arriving
_PULLED_BYTES: Final = 1 << 28
_PULLED_KEY_BYTES: Final = 256  # what it takes to remember a key, besides its name


@dataclass(slots=True)
class Waiting:
    """A query that waits until all of `missing` is here; None: until its whole group is."""

    query: Query
    missing: frozenset[bytes] | None


def _size(keys: Iterable[bytes]) -> int:
    return sum(len(key) + _PULLED_KEY_BYTES for key in keys)


@dataclass(slots=True)
class Wanted:
    """What queries of one IMMIGRATING group want that was not here when they came."""

    pulled: set[bytes] = field(default_factory=set)  # asked for
    waiting: dict[tuple[int, int], Waiting] = field(default_factory=dict)


@dataclass(slots=True)
class Immigration:
    """A migration that the controller told us to accept."""

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
    # of pre-copy alone (hosts/agent/copies.py)
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


class Immigrations:
    """All migrations to this server; the file at `path` is of what was accepted."""

    def __init__(self, node: Node, path: Path, drained: Callable[[], None]) -> None:
        self._node = node
        self._path = path
        self.restores = Restores(node.bulk, drained)
        self._migrations: dict[int, Immigration] = {}
        self.purger = Purger(node)
        self.staging = Staging(node.core, node.connect, path.with_name("staged"))

    def accept(
        self,
        number: int,
        source: Server,
        ranges: Sequence[range],
        batch: int,
        protocol: Protocol,
    ) -> None:
        """Be ready for a migration. Idempotent, and again for what is left of it, in smaller
        batches; ValueError where it contradicts."""
        known = self._migrations.get(number)
        table = self._node.table
        if known is not None:
            same = (known.source, known.protocol) == (source, protocol)
            same = same and all(map(known.covers_all, ranges))
            if same and all(table.states[group] != State.ABSENT for group in known.done):
                known.batch = batch
                self._save()
                return
            if known.here or known.cleared:
                raise ValueError(f"migration {number} is known with other groups or source")
        for groups in ranges:
            states = table.states[groups.start : groups.stop]
            for place in np.flatnonzero(states != State.ABSENT)[:1]:
                name, group = State(states[place]).name, groups.start + int(place)
                raise ValueError(f"group {group} is {name} here, it cannot be accepted")
        self._node.core.cleared([group for groups in ranges for group in groups], 0)
        for groups in ranges:
            # a copy that we once gave away is no reason to answer GONE: we are asked anew
            table.former[groups.start : groups.stop] = 0
            table.moving[groups.start : groups.stop] = number
            # until PREPARE, what comes here early is handed to the source
            table.owners[groups.start : groups.stop] = source.index
            self._node.core.tell(groups.start, groups.stop - 1, None)
        self._migrations.pop(number, None)
        self._add(Accepted(number, protocol, source, list(ranges), batch))
        over = [old for old in self._migrations.values() if not old.here and not old.cleared]
        for old in over[:-_REMEMBERED]:
            del self._migrations[old.number]
        self._save()
        self._node.know(source)

    def _add(self, one: Accepted) -> Immigration:
        peer = address(one.source.ip), one.source.udp_port
        added = Immigration(one.number, one.protocol, one.source, one.ranges, one.batch, peer)
        if one.protocol is Protocol.FULVA:
            added.told = [
                Told(self._node.core, one.number, one.source, groups) for groups in one.ranges
            ]
        self._migrations[one.number] = added
        return added

    def _save(self) -> None:
        """Write down what a restart must not lose."""
        accepted.write(
            self._path,
            (
                Accepted(one.number, one.protocol, one.source, one.ranges, one.batch)
                for one in self._migrations.values()
            ),
        )

    @property
    def cleared(self) -> list[int]:
        """Groups whose copies may be written (hosts/agent/copies.py)."""
        return [group for one in self._migrations.values() for group in one.cleared]

    def restore(self, newer: Mapping[int, set[bytes] | bool], cleared: Mapping[int, int]) -> None:
        """Go on where an earlier process of this agent ended (docs/consistency.md).

        `newer`: the keys that count of each IMMIGRATING group, True: all. The others come again,
        so what is here of them goes first, with what writes without an answer may have left.
        """
        self.staging.restore()
        table = self._node.table
        for one in accepted.read(self._path):
            migration = self._add(one)
            self._node.know(one.source)
            for number in (group for groups in one.ranges for group in groups):
                # by another one it has come or gone since
                if table.states[number] == State.OWNED or table.moving[number] != one.number:
                    migration.done.add(number)
                elif table.states[number] == State.IMMIGRATING:
                    migration.here[number] = newer[number]
                    self._node.core.arriving(number, newer[number])
                elif cleared.get(number) == one.number:
                    migration.cleared[number] = None
            migration.told = [told for told in migration.told if told.arrived(migration.done)]
        arriving = {
            number: here
            for migration in self._migrations.values()
            for number, here in migration.here.items()
            if isinstance(here, set)
        }
        self.purger.keep_only(arriving)

    # --- frames from a source ---------------------------------------------------------------------

    def handle(self, peer: int, kind: Kind, body: memoryview) -> None:
        """Take PREPARE, KEYS or PULLED; ValueError if it is malformed."""
        migration, body = self.accepted(peer, body)
        if migration is None:
            return
        if kind is Kind.PREPARE:
            then = partial(self._prepare, migration, *frames.read_groups_with_records(body))
            self.restores.after_copies(then)
        else:
            done = partial(self._applied, migration)
            failed = partial(self._not_applied, migration)
            ahead = kind is Kind.PULLED
            self.restores.add(body, migration.here, done, failed, ahead=ahead)

    def accepted(self, peer: int, body: memoryview) -> tuple[Immigration | None, memoryview]:
        """Return which migration from `peer` a frame is about, and the rest of its body. Of one
        that has not been accepted the peer is told so."""
        number, body = frames.read_migration(body)
        migration = self._migrations.get(number)
        if migration is not None and migration.source.index == peer:
            return migration, body
        if peer in self._node.servers:
            why = f"{self._node.own.name} has not accepted the migration"
            self._node.link(peer).send(Kind.FAILED, frames.migration(number), why.encode())
        return None, body

    def complain(self, migration: Immigration, why: str) -> None:
        """Tell the source why its migration cannot go on."""
        link = self._node.link(migration.source.index)
        link.send(Kind.FAILED, frames.migration(migration.number), why.encode())

    def cannot_come(self, migration: Immigration, group: int) -> None:
        """Tell the source of a group that it must not send here."""
        state = State(self._node.table.states[group]).name
        why = f"group {group} is {state} at {self._node.own.name}, or not in the migration"
        self.complain(migration, why)

    def remember(self, groups: Iterable[int], records: Mapping[int, memoryview]) -> None:
        """Take over what the source remembers of the writes to groups that come (invariant 5)."""
        for group in records.keys() & set(groups):
            self._node.core.add_records(group, records[group])

    def fail_all(self, why: str) -> None:
        """Tell the sources of all migrations, as soon as they can be reached. Of one that is over,
        its source knows that."""
        for migration in self._migrations.values():
            migration.complaint = why
            self._complain_late(migration)

    def _complain_late(self, migration: Immigration) -> None:
        if migration.complaint and self._node.link(migration.source.index).connected:
            self.complain(migration, migration.complaint)
            migration.complaint = ""

    def acknowledge(self, migration: Immigration, kind: Kind, groups: Sequence[int]) -> None:
        """Answer the source for some groups."""
        if groups:
            link = self._node.link(migration.source.index)
            size = link.send(kind, frames.groups(migration.number, groups))
            self._node.counters.add("channel_other_bytes", size)

    def store_failed(self, migration: Immigration, error: object) -> None:
        """Tell the source of a complaint of our store. One that is away comes back; one that has no
        memory left needs help."""
        why = f"the store of {self._node.own.name}: {error}"
        passes = isinstance(error, ConnectionError) or _LOST in why
        if passes or _OUT_OF_MEMORY in why:
            link = self._node.link(migration.source.index)
            link.send(Kind.HINDERED, frames.hindrance(migration.number, why, passes=passes))
        else:
            self.complain(migration, why)

    def _prepare(
        self, migration: Immigration, groups: list[int], records: Mapping[int, memoryview]
    ) -> None:
        """Step 2: become the owner. Left-over copies of the group must be gone first."""
        again: list[int] = []
        new: list[int] = []
        arrived: list[int] = []
        absent = self._node.table.are(groups, State.ABSENT)
        for group, free, own in zip(groups, absent, migration.covers(groups), strict=True):
            owned = group in migration.done and not free
            if owned and migration.protocol is not Protocol.NETMIGRATE:
                arrived.append(group)
            elif owned or group in migration.here:
                again.append(group)
            elif group in migration.done or not own or not free:
                # come and gone, for one: this is late, from an earlier connection
                self.cannot_come(migration, group)
            elif not self.purger.busy(group):
                new.append(group)
        self.remember(new, records)
        self.acknowledge(migration, Kind.PREPARED, again)
        self.acknowledge(migration, Kind.ARRIVED, arrived)
        become_owner = partial(self._own, migration)
        failed = partial(self.store_failed, migration)
        try:
            become_owner(self.purger.purge(new, become_owner, failed))
        except (StoreError, ConnectionError) as error:
            failed(error)

    def _own(self, migration: Immigration, groups: Sequence[int]) -> None:
        for number in groups:
            here: set[bytes] = set()
            migration.here[number] = here
            self._node.core.arriving(number, here)
        self._node.table.set(list(groups), State.IMMIGRATING, self._node.own.index)
        self.acknowledge(migration, Kind.PREPARED, groups)

    def _applied(self, migration: Immigration, result: tuple[int, int, list[int]]) -> None:
        """Step 4, and the answers to priority pulls: a body is in the store."""
        applied, dropped, ended = result
        self._node.counters.add("keys_applied", applied)
        self._node.counters.add("keys_dropped", dropped)
        try:
            for number in ended:
                self.staging.drop_group(number)  # of a key that is not at the source any more
        except ConnectionError as lost:
            self._not_applied(migration, lost)
            return
        arrived = [number for number in ended if number in migration.here]
        for number in arrived:
            migration.here[number] = True
            self._node.core.arriving(number, True)
        # a source that was restarted may send again what is complete here
        known = [each for each in ended if each in migration.here or each in migration.done]
        self.acknowledge(migration, Kind.ARRIVED, known)
        self.came(migration)
        if migration.protocol is not Protocol.NETMIGRATE:
            self._complete(migration, arrived)  # nobody else has to know

    def came(self, migration: Immigration) -> None:
        """Some keys are here: go on with what waited for them."""
        migration.pulls.arrived(migration.here)
        for number in list(migration.waiting):
            self._wake(migration, number)

    def _not_applied(self, migration: Immigration, error: Exception) -> None:
        """None of its keys counts as here. What waited for them is judged anew; without memory it
        is told so, and a later query asks for its keys again."""
        self.store_failed(migration, error)
        full = _OUT_OF_MEMORY in str(error)
        for wanted in migration.wanted.values() if full else ():
            migration.room += _size(wanted.pulled)
            wanted.pulled.clear()
        for number in list(migration.waiting):
            those = migration.wanted[number].waiting
            queries = [waiting.query for waiting in those.values()]
            migration.waiters -= len(those)
            those.clear()
            migration.waiting.discard(number)
            if full:
                for query in queries:
                    self._node.core.refuse(query, f"its keys have no room here: {error}")
            else:
                self.query(queries)

    # --- queries of IMMIGRATING groups ------------------------------------------------------------

    def query(self, queries: Iterable[Query]) -> None:
        """Answer, or wait for a priority pull (docs/protocol.md, IMMIGRATING)."""
        ready: list[Query] = []
        again: list[tuple[Query, int]] = []
        for query in queries:
            migration = self._arriving(query.group)
            if migration is None:
                self._node.core.refuse(
                    query, f"group {query.group} was arriving when this agent was restarted"
                )
            elif isinstance(here := migration.here[query.group], set):
                self._judge(migration, here, query, ready, again)
            else:
                ready.append(query)
        self._execute(ready)
        self._node.core.retry(again)
        for migration in self._migrations.values():
            self._pull(migration)

    def _arriving(self, group: int) -> Immigration | None:
        """Return the migration by which a group is IMMIGRATING."""
        migration = self._migrations.get(int(self._node.table.moving[group]))
        return migration if migration is not None and group in migration.here else None

    def _judge(
        self,
        migration: Immigration,
        here: set[bytes],
        query: Query,
        ready: list[Query],
        again: list[tuple[Query, int]],
    ) -> None:
        """What the core could not answer alone: some of the keys are not here yet."""
        missing = frozenset(query.keys) - here
        restoring = self._node.core.restoring
        coming = frozenset(key for key in missing if restoring(query.group, key))
        if query.blind and not query.whole:
            missing = coming  # it needs no key, but must not be overwritten by what is just coming
        if not missing and not query.whole:
            ready.append(query)
            return
        wanted = migration.wanted.setdefault(query.group, Wanted())
        if query.whole or coming or migration.protocol not in HANDED_OVER:
            self._wait(migration, wanted, query, None if query.whole else missing, coming)
        elif self._want(migration, query.group, wanted, missing):
            again.append((query, migration.pulls.wait))

    def _wait(
        self,
        migration: Immigration,
        wanted: Wanted,
        query: Query,
        missing: frozenset[bytes] | None,
        coming: frozenset[bytes],
    ) -> None:
        if len(wanted.waiting) >= PER_GROUP or migration.waiters >= PER_MIGRATION:
            self._node.counters.add("dropped_full")
        elif self._want(migration, query.group, wanted, (missing or frozenset()) - coming):
            migration.waiters += (query.client, query.seq) not in wanted.waiting
            wanted.waiting.setdefault((query.client, query.seq), Waiting(query, missing))
            migration.waiting.add(query.group)

    def _want(
        self, migration: Immigration, group: int, wanted: Wanted, missing: frozenset[bytes]
    ) -> bool:
        """A priority pull of what has not been asked for yet. False: there is no room to remember
        it, so the query is dropped; the client resends."""
        if new := missing - wanted.pulled:
            if (size := _size(new)) > migration.room:
                self._node.counters.add("dropped_full")
                return False
            migration.room -= size
            migration.pulls.asked(group, new)
            wanted.pulled |= new
            self._node.counters.add("priority_pulls", len(new))
            migration.to_pull.setdefault(group, []).extend(new)
        return True

    def _pull(self, migration: Immigration) -> None:
        """Ask for what was wanted of late, at once."""
        if migration.to_pull:
            link = self._node.link(migration.source.index)
            size = link.send(Kind.PULL, frames.pull(migration.number, migration.to_pull))
            self._node.counters.add("channel_pull_bytes", size)
            migration.to_pull.clear()

    def _wake(self, migration: Immigration, number: int) -> None:
        here, those = migration.here[number], migration.wanted[number].waiting
        ready = [
            key
            for key, waiting in those.items()
            if not isinstance(here, set)
            or (waiting.missing is not None and waiting.missing <= here)
        ]
        migration.waiters -= len(ready)
        # a blind write may have to wait for others of its keys, which have begun to come since
        queries = [those.pop(key).query for key in ready]
        if not those:
            migration.waiting.discard(number)
        self.query(queries)

    def _execute(self, queries: list[Query]) -> None:
        if not queries:
            return
        self._node.core.execute(queries, Flags.AUTHORITATIVE)

    # --- control packets --------------------------------------------------------------------------

    def control(self, packets: Iterable[Packet]) -> None:
        """GROUP_START and GROUP_COMPLETE: acknowledge what that migration's source sent."""
        acks: dict[tuple[int, int], list[bytes]] = {}
        for op, service, group, number, lane, sequence, ip, port in packets:
            migration = self._migrations.get(number)
            if (
                migration is None
                or service != self._node.core.service
                or (ip, port) != migration.peer
                or not self._control(migration, Op(op), group)
            ):
                self._node.counters.add("control_ignored")
                continue
            header = Header(Op.GROUP_ACK, service=service, group=group, migration=number)
            ack = header.pack() + Control(lane, sequence).pack()
            acks.setdefault((ip, port), []).append(ack)
        for peer, datagrams in acks.items():
            self._node.core.send(datagrams, *peer)
            self._node.counters.add("control_sent", len(datagrams))

    def _control(self, migration: Immigration, op: Op, first: int) -> bool:
        """Take word of the batch that begins at `first`; return whether to acknowledge."""
        if first % migration.batch:
            return False
        batch = range(first, first + migration.batch)
        left = [number for number in batch if number not in migration.done]
        if not all(number in migration.here for number in left):
            return False
        if left and op is Op.GROUP_COMPLETE:
            if not all(migration.here[number] is True for number in left):
                return False  # only the channel can say that every key is here
            self._complete(migration, left)
        return True

    def _complete(self, migration: Immigration, groups: list[int]) -> None:
        """Step 5."""
        self._node.table.set(groups, State.OWNED, self._node.own.index)
        migration.done.update(groups)
        for number in groups:
            del migration.here[number]
            if wanted := migration.wanted.pop(number, None):
                migration.room += _size(wanted.pulled)
            self._node.core.arriving(number, None)
        migration.told = [told for told in migration.told if told.arrived(migration.done)]
        self._node.counters.add("groups_received", len(groups))

    def resend(self, peer: int) -> None:
        """The channel is new: ask again for what has not been answered."""
        for migration in self._migrations.values():
            if migration.source.index != peer:
                continue
            self._complain_late(migration)
            for number, wanted in migration.wanted.items():
                here = migration.here[number]
                wanted_by_none = not wanted.waiting and migration.protocol is Protocol.NETMIGRATE
                missing = wanted.pulled - here if isinstance(here, set) else set()
                if missing and not wanted_by_none:
                    migration.to_pull[number] = list(missing)
            self._pull(migration)

    def close(self) -> None:
        """The agent ends."""
        self.purger.close()
        self.staging.close()
