"""The life of a group that comes (docs/protocol.md): what its source sends by the channel, and the
control packets that come through the switch."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from hosts.agent import frames
from hosts.agent._core import StoreError
from hosts.agent.frames import Kind
from hosts.agent.immigration.immigration import Immigration
from hosts.agent.immigration.immigrations import Immigrations
from hosts.agent.immigration.queries import Queries
from hosts.agent.node import Node
from hosts.agent.protocols import Protocol
from hosts.agent.table import State
from hosts.wire import Control, Header, Op

# op, service, group, migration, lane, sequence, ip, port
Packet: TypeAlias = tuple[int, int, int, int, int, int, int, int]


class Arrival:
    """Lets groups become IMMIGRATING, takes their keys, and lets them become OWNED."""

    def __init__(self, node: Node, immigrations: Immigrations, queries: Queries) -> None:
        self._node = node
        self._immigrations = immigrations
        self._queries = queries

    # --- frames from a source ---------------------------------------------------------------------

    def handle(self, peer: int, kind: Kind, body: memoryview) -> None:
        """Take PREPARE, KEYS or PULLED; ValueError if it is malformed."""
        migration, body = self._immigrations.accepted(peer, body)
        if migration is None:
            return
        restores = self._immigrations.restores
        if kind is Kind.PULLED:
            self._pulled(migration, body)
        elif kind is Kind.PREPARE:
            then = partial(self._prepare, migration, *frames.read_groups_with_records(body))
            restores.after_copies(then)
        else:
            done = partial(self._applied, migration)
            failed = partial(self._not_applied, migration)
            restores.add(body, migration.here, done, failed)

    def _prepare(
        self, migration: Immigration, groups: list[int], records: Mapping[int, memoryview]
    ) -> None:
        """Step 2: become the owner. Left-over copies of the group must be gone first."""
        again: list[int] = []
        new: list[int] = []
        arrived: list[int] = []
        purger = self._immigrations.purger
        absent = self._node.table.are(groups, State.ABSENT)
        for group, free, own in zip(groups, absent, migration.covers(groups), strict=True):
            owned = group in migration.done and not free
            if owned and migration.protocol is not Protocol.NETMIGRATE:
                arrived.append(group)
            elif owned or group in migration.here:
                again.append(group)
            elif group in migration.done or not own or not free:
                # come and gone, for one: this is late, from an earlier connection
                migration.cannot_come(group)
            elif not purger.busy(group):
                new.append(group)
        self._immigrations.remember(new, records)
        migration.acknowledge(Kind.PREPARED, again)
        migration.acknowledge(Kind.ARRIVED, arrived)
        become_owner = partial(self._own, migration)
        failed = migration.store_failed
        try:
            become_owner(purger.purge(new, become_owner, failed))
        except (StoreError, ConnectionError) as error:
            failed(error)

    def _own(self, migration: Immigration, groups: Sequence[int]) -> None:
        for number in groups:
            here: set[bytes] = set()
            migration.here[number] = here
            self._node.core.arriving(number, here)
        self._node.table.set(list(groups), State.IMMIGRATING, self._node.own.index)
        migration.acknowledge(Kind.PREPARED, groups)

    def _pulled(self, migration: Immigration, body: memoryview) -> None:
        """The answer to a priority pull, which clients wait for: it overtakes all other keys."""
        self._queries.pulled(migration)
        try:
            result = self._node.core.restore(body, migration.here)
        except (StoreError, ConnectionError) as error:
            self._not_applied(migration, error)
        else:
            self._applied(migration, result)

    def _applied(self, migration: Immigration, result: tuple[int, int, list[int]]) -> None:
        """Step 4, and the answers to priority pulls: a body is in the store."""
        applied, dropped, ended = result
        self._node.counters.add("keys_applied", applied)
        self._node.counters.add("keys_dropped", dropped)
        staging = self._immigrations.staging
        try:
            for number in ended:
                staging.drop_group(number)  # of a key that is not at the source any more
        except ConnectionError as lost:
            self._not_applied(migration, lost)
            return
        arrived = [number for number in ended if number in migration.here]
        for number in arrived:
            migration.here[number] = True
            self._node.core.arriving(number, True)
        # a source that was restarted may send again what is complete here
        known = [each for each in ended if each in migration.here or each in migration.done]
        migration.acknowledge(Kind.ARRIVED, known)
        self._queries.came(migration)
        if migration.protocol is not Protocol.NETMIGRATE:
            self._complete(migration, arrived)  # nobody else has to know

    def _not_applied(self, migration: Immigration, error: Exception) -> None:
        """None of its keys counts as here."""
        migration.store_failed(error)
        self._queries.not_come(migration, error)

    def resend(self, peer: int) -> None:
        """The channel is new: what has not been told or answered is said again."""
        for migration in self._immigrations.known.values():
            if migration.source.index == peer:
                migration.complain_late()
                self._queries.ask_again(migration)

    # --- control packets --------------------------------------------------------------------------

    def control(self, packets: Iterable[Packet]) -> None:
        """GROUP_START and GROUP_COMPLETE: acknowledge what that migration's source sent."""
        acks: dict[tuple[int, int], list[bytes]] = {}
        for op, service, group, number, lane, sequence, ip, port in packets:
            migration = self._immigrations.known.get(number)
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
            self._queries.owned(migration, number)
            self._node.core.arriving(number, None)
        migration.told = [told for told in migration.told if told.arrived(migration.done)]
        self._node.counters.add("groups_received", len(groups))
