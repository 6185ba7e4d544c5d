"""The destination's side of pre-copy (docs/protocols.md): copies that are nobody's truth yet.

The source owns every group until TAKE; until then what is here may be replaced or deleted freely.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from hosts.agent import frames
from hosts.agent._core import StoreError
from hosts.agent.frames import Kind
from hosts.agent.immigration.immigration import Immigration
from hosts.agent.immigration.immigrations import Immigrations
from hosts.agent.node import Node
from hosts.agent.table import State


class Copies:
    """Takes CLEAR, COPY and TAKE of the migrations that were accepted; `keep` is told of groups
    whose copies are not for a sweep to delete any more."""

    def __init__(
        self, node: Node, immigrations: Immigrations, keep: Callable[[Sequence[int]], None]
    ) -> None:
        self._node = node
        self._immigrations = immigrations
        self._keep = keep

    def handle(self, peer: int, kind: Kind, body: memoryview) -> None:
        """Take a frame of a source; ValueError if it is malformed."""
        migration, body = self._immigrations.accepted(peer, body)
        if migration is None:
            return
        number, body = frames.read_number(body)
        if number <= migration.copied:
            return  # from an earlier connection: its sender has begun anew
        migration.copied = number
        if kind is Kind.COPY:
            self._copy(migration, number, body)
            return
        if kind is Kind.CLEAR and not body:
            migration.apart = number
            return
        # no copy of what is cleared, or is the truth from here on, may be written after that
        if kind is Kind.CLEAR:
            then = partial(self._clear, migration, frames.read_groups(body))
        else:
            then = partial(self._take, migration, *frames.read_groups_with_records(body))
        self._immigrations.restores.after_copies(then)

    def _to_come(self, migration: Immigration, groups: list[int]) -> list[int]:
        """Return the groups that are to come, and tell the source of those that cannot."""
        mine: list[int] = []
        coming: list[int] = []
        absent = self._node.table.are(groups, State.ABSENT)
        for group, free, own in zip(groups, absent, migration.covers(groups), strict=True):
            if group in migration.done and not free:
                mine.append(group)
            elif group not in migration.done and own and free:
                coming.append(group)
            else:  # come and gone, for one: whoever has it now is its owner
                migration.cannot_come(group)
        migration.acknowledge(Kind.TAKEN, mine)
        return coming

    def _clear(self, migration: Immigration, groups: list[int]) -> None:
        """Delete what an earlier migration left here of groups that will be copied."""
        purger = self._immigrations.purger
        those = [group for group in self._to_come(migration, groups) if not purger.busy(group)]
        for group in those:
            migration.cleared.pop(group, None)
        self._node.core.cleared(those, 0)
        clean = partial(self._cleared, migration)
        failed = migration.store_failed
        try:
            self._drop_staged(those)
            clean(purger.purge(those, clean, failed))
        except (StoreError, ConnectionError) as error:
            failed(error)

    def _drop_staged(self, groups: Sequence[int]) -> None:
        for group in groups:
            self._immigrations.staging.drop_group(group)

    def _cleared(self, migration: Immigration, groups: Sequence[int]) -> None:
        self._keep(groups)
        migration.cleared.update(dict.fromkeys(groups))
        self._node.core.cleared(list(groups), migration.number)
        migration.acknowledge(Kind.CLEARED, groups)

    def _copy(self, migration: Immigration, number: int, body: memoryview) -> None:
        """Replace what the copy holds of some keys."""
        done = partial(self._copied, migration, number)
        failed = migration.store_failed
        self._immigrations.restores.add(body, migration.cleared, done, failed, copies=True)

    def _copied(
        self, migration: Immigration, number: int, result: tuple[int, int, list[int]]
    ) -> None:
        applied, dropped, _ = result
        self._node.counters.add("keys_applied", applied)
        self._node.counters.add("keys_dropped", dropped)
        if dropped:
            migration.complain("copies came of groups that were not cleared")
        else:
            answer = frames.migration(migration.number) + frames.number(number)
            self._node.link(migration.source.index).send(Kind.COPIED, answer)

    def _take(
        self, migration: Immigration, groups: list[int], records: Mapping[int, memoryview]
    ) -> None:
        """Become the owner. The source has stopped, and every copy has been answered for."""
        taken: list[int] = []
        for group in self._to_come(migration, groups):
            if group in migration.cleared:
                taken.append(group)
            else:
                migration.complain(f"group {group} was not cleared")
        try:
            self._drop_staged(taken)
        except (StoreError, ConnectionError) as error:
            migration.store_failed(error)
            return
        self._immigrations.remember(taken, records)
        self._node.table.set(taken, State.OWNED, self._node.own.index)
        migration.done.update(taken)
        for group in taken:
            migration.cleared.pop(group, None)
        self._node.core.cleared(taken, 0)
        self._node.counters.add("groups_received", len(taken))
        migration.acknowledge(Kind.TAKEN, taken)
