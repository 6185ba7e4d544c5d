"""Queries of groups that are on their way here (docs/protocol.md, IMMIGRATING): which are answered,
which wait for a priority pull, and which clients are told to ask again."""

import asyncio
from collections.abc import Iterable
from typing import Final

from hosts.agent import frames
from hosts.agent._core import Query
from hosts.agent.frames import Kind
from hosts.agent.held import PER_GROUP, PER_MIGRATION
from hosts.agent.immigration.immigration import OUT_OF_MEMORY, Immigration, Waiting, Wanted
from hosts.agent.immigration.immigrations import Immigrations
from hosts.agent.node import Node
from hosts.agent.protocols import HANDED_OVER, Protocol
from hosts.wire import Flags

_PULLED_KEY_BYTES: Final = 256  # what it takes to remember a key, besides its name


def _size(keys: Iterable[bytes]) -> int:
    return sum(len(key) + _PULLED_KEY_BYTES for key in keys)


class Queries:
    """Takes what the core could not answer alone."""

    def __init__(self, node: Node, immigrations: Immigrations) -> None:
        self._node = node
        self._immigrations = immigrations
        self._pulling = False
        node.core.missing(self._missed)

    def close(self) -> None:
        """The agent ends."""
        self._node.core.missing(None)

    def _missed(self, group: int, keys: list[bytes]) -> int:
        """Keys of a query none of which is here: fetch them, or let `take` see the query (0)."""
        migration = self._immigrations.arriving(group)
        if migration is None or migration.protocol not in HANDED_OVER:
            return 0
        wanted = migration.wanted.setdefault(group, Wanted())
        return self._fetch(migration, group, wanted, frozenset(keys))

    def take(self, queries: Iterable[Query]) -> None:
        """Answer, or wait for a priority pull."""
        ready: list[Query] = []
        again: list[tuple[Query, int]] = []
        for query in queries:
            migration = self._immigrations.arriving(query.group)
            if migration is None:
                self._node.core.refuse(
                    query, f"group {query.group} was arriving when this agent was restarted"
                )
            elif isinstance(here := migration.here[query.group], set):
                self._judge(migration, here, query, ready, again)
            else:
                ready.append(query)
        if ready:
            self._node.core.execute(ready, Flags.AUTHORITATIVE)
        self._node.core.retry(again)
        self._pull_all()

    def _judge(
        self,
        migration: Immigration,
        here: set[bytes],
        query: Query,
        ready: list[Query],
        again: list[tuple[Query, int]],
    ) -> None:
        """Some of the keys are not here yet."""
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
        else:
            again.append((query, self._fetch(migration, query.group, wanted, missing)))

    def _fetch(
        self, migration: Immigration, group: int, wanted: Wanted, missing: frozenset[bytes]
    ) -> int:
        """See to it that these come; return after how many microseconds to ask for them again.
        Where there is no room to remember them they come with their group."""
        self._want(migration, group, wanted, missing)
        if not self._pulling:  # with whatever else is missed in this turn of the loop
            self._pulling = True
            asyncio.get_running_loop().call_soon(self._pull_all)
        return migration.pulls.wait(sent=missing.isdisjoint(migration.to_pull.get(group, ())))

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
        them."""
        if new := missing - wanted.pulled:
            if (size := _size(new)) > migration.room:
                self._node.counters.add("dropped_full")
                return False
            migration.room -= size
            wanted.pulled |= new
            self._node.counters.add("priority_pulls", len(new))
            migration.to_pull.setdefault(group, []).extend(new)
        return True

    def _pull_all(self) -> None:
        self._pulling = False
        for migration in self._immigrations.known.values():
            self._pull(migration)

    def _pull(self, migration: Immigration) -> None:
        """Ask for what was wanted of late. Where clients ask again, one pull is under way at a
        time: the more keys it brings, the less a key costs both servers."""
        if not migration.to_pull:
            return
        if migration.protocol in HANDED_OVER and migration.pulls.under_way:
            return
        wanted: dict[int, list[bytes]] = {}
        for group, keys in migration.to_pull.items():
            here = migration.here.get(group)
            if isinstance(here, set) and (missing := [key for key in keys if key not in here]):
                wanted[group] = missing
        migration.to_pull.clear()
        if wanted:
            link = self._node.link(migration.source.index)
            size = link.send(Kind.PULL, frames.pull(migration.number, wanted))
            self._node.counters.add("channel_pull_bytes", size)
            if size:
                migration.pulls.begin()
                link.flush()

    def pulled(self, migration: Immigration) -> None:
        """The answer to a pull has come; its keys are not in the store yet."""
        migration.pulls.end()
        self._pull(migration)

    def ask_again(self, migration: Immigration) -> None:
        """The channel is new: ask for what has not been answered."""
        for number, wanted in migration.wanted.items():
            here = migration.here[number]
            wanted_by_none = not wanted.waiting and migration.protocol is Protocol.NETMIGRATE
            missing = wanted.pulled - here if isinstance(here, set) else set()
            if missing and not wanted_by_none:
                migration.to_pull[number] = list(missing)
        migration.pulls.forget()
        self._pull(migration)

    # --- what they wait for -----------------------------------------------------------------------

    def came(self, migration: Immigration) -> None:
        """Some keys are here: go on with what waited for them."""
        for number in list(migration.waiting):
            self._wake(migration, number)
        self._pull(migration)

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
        self.take(queries)

    def not_come(self, migration: Immigration, error: Exception) -> None:
        """The store did not take some keys: what waited for them is judged anew; without memory it
        is told so, and a later query asks for its keys again."""
        full = OUT_OF_MEMORY in str(error)
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
                self.take(queries)

    def owned(self, migration: Immigration, group: int) -> None:
        """The group is ours: nothing more is wanted of it."""
        if wanted := migration.wanted.pop(group, None):
            migration.room += _size(wanted.pulled)
