"""Which migrations to this server the controller announced, across restarts too."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from hosts.agent import frames, orders
from hosts.agent.channel import Server
from hosts.agent.frames import Kind
from hosts.agent.immigration import accepted
from hosts.agent.immigration.accepted import Accepted
from hosts.agent.immigration.immigration import Immigration
from hosts.agent.immigration.purge import Purger
from hosts.agent.immigration.restores import Restores
from hosts.agent.immigration.told import Told
from hosts.agent.node import Node, address
from hosts.agent.orders import NotReadyError
from hosts.agent.pieces.staging import Staging
from hosts.agent.protocols import Protocol
from hosts.agent.table import State

_REMEMBERED: Final = 64  # migrations of which no group is arriving


class Immigrations:
    """All migrations to this server; the file at `path` is of what was accepted."""

    def __init__(self, node: Node, path: Path) -> None:
        self._node = node
        self._path = path
        self.restores = Restores(node.bulk)
        self.known: dict[int, Immigration] = {}
        self.purger = Purger(node)
        self.staging = Staging(node.core, node.connect, path.with_name("staged"))

    def accept(
        self,
        number: int,
        source: Server,
        ranges: Sequence[range],
        batch: int = 1,
        protocol: Protocol = Protocol.NETMIGRATE,
    ) -> None:
        """Be the destination of a migration. Idempotent, and again for what is left of it, in
        smaller batches; NotReadyError where it contradicts."""
        orders.check(self._node, source, ranges, batch)
        known = self.known.get(number)
        table = self._node.table
        if known is not None:
            same = (known.source, known.protocol) == (source, protocol)
            same = same and all(map(known.covers_all, ranges))
            if same and all(table.states[group] != State.ABSENT for group in known.done):
                known.batch = batch
                self._save()
                return
            if known.here or known.cleared:
                raise NotReadyError(f"migration {number} is known with other groups or source")
        for groups in ranges:
            states = table.states[groups.start : groups.stop]
            for place in np.flatnonzero(states != State.ABSENT)[:1]:
                name, group = State(states[place]).name, groups.start + int(place)
                raise NotReadyError(f"group {group} is {name} here, it cannot be accepted")
        self._node.core.cleared([group for groups in ranges for group in groups], 0)
        for groups in ranges:
            # a copy that we once gave away is no reason to answer GONE: we are asked anew
            table.former[groups.start : groups.stop] = 0
            table.moving[groups.start : groups.stop] = number
            # until PREPARE, what comes here early is handed to the source
            table.owners[groups.start : groups.stop] = source.index
            self._node.core.tell(groups.start, groups.stop - 1, None)
        self.known.pop(number, None)
        self._add(Accepted(number, protocol, source, list(ranges), batch))
        over = [old for old in self.known.values() if not old.here and not old.cleared]
        for old in over[:-_REMEMBERED]:
            del self.known[old.number]
        self._save()
        self._node.know(source)

    def _add(self, one: Accepted) -> Immigration:
        peer = address(one.source.ip), one.source.udp_port
        added = Immigration(
            self._node, one.number, one.protocol, one.source, one.ranges, one.batch, peer
        )
        if one.protocol is Protocol.FULVA:
            added.told = [
                Told(self._node.core, one.number, one.source, groups) for groups in one.ranges
            ]
        self.known[one.number] = added
        return added

    def _save(self) -> None:
        """Write down what a restart must not lose."""
        accepted.write(
            self._path,
            (
                Accepted(one.number, one.protocol, one.source, one.ranges, one.batch)
                for one in self.known.values()
            ),
        )

    @property
    def cleared(self) -> list[int]:
        """Groups whose copies may be written (hosts/agent/immigration/copies.py)."""
        return [group for one in self.known.values() for group in one.cleared]

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
            for migration in self.known.values()
            for number, here in migration.here.items()
            if isinstance(here, set)
        }
        self.purger.keep_only(arriving)

    def accepted(self, peer: int, body: memoryview) -> tuple[Immigration | None, memoryview]:
        """Return which migration from `peer` a frame is about, and the rest of its body. Of one
        that has not been accepted the peer is told so."""
        number, body = frames.read_migration(body)
        migration = self.known.get(number)
        if migration is not None and migration.source.index == peer:
            return migration, body
        if peer in self._node.servers:
            why = f"{self._node.own.name} has not accepted the migration"
            self._node.link(peer).send(Kind.FAILED, frames.migration(number), why.encode())
        return None, body

    def remember(self, groups: Iterable[int], records: Mapping[int, memoryview]) -> None:
        """Take over what the source remembers of the writes to groups that come (invariant 5)."""
        for group in records.keys() & set(groups):
            self._node.core.add_records(group, records[group])

    def fail_all(self, why: str) -> None:
        """Tell the sources of all migrations, as soon as they can be reached. Of one that is over,
        its source knows that."""
        for migration in self.known.values():
            migration.complaint = why
            migration.complain_late()

    def arriving(self, group: int) -> Immigration | None:
        """Return the migration by which a group is IMMIGRATING."""
        migration = self.known.get(int(self._node.table.moving[group]))
        return migration if migration is not None and group in migration.here else None

    def close(self) -> None:
        """The agent ends."""
        self.purger.close()
        self.staging.close()
