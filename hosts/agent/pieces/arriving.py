"""The destination's side of big values: takes PIECE, answers with PIECED."""

from contextlib import suppress
from functools import partial

from hosts.agent import frames
from hosts.agent._core import StoreError
from hosts.agent.frames import Kind
from hosts.agent.immigration import Immigration, Immigrations, Queries
from hosts.agent.node import Node
from hosts.agent.pieces.frame import End, Outcome, Piece, Pieced
from hosts.agent.protocols import Protocol


class Arriving:
    """Takes pieces of the migrations that were accepted.

    A value is here at once, when its last piece is: no query is executed between the moment when it
    is at its key and the moment when its key is known to be here.
    """

    def __init__(self, node: Node, immigrations: Immigrations, queries: Queries) -> None:
        self._node = node
        self._immigrations = immigrations
        self._queries = queries  # what waits for values

    def handle(self, peer: int, body: memoryview) -> None:
        """Take a piece; ValueError if it is malformed."""
        migration, body = self._immigrations.accepted(peer, body)
        if migration is None:
            return
        then = partial(self._handle, migration, Piece.read(body))
        if migration.protocol is Protocol.SOURCE:  # in order with other copies
            self._immigrations.restores.after_copies(then)
        else:
            then()

    def _handle(self, migration: Immigration, piece: Piece) -> None:
        copies = migration.protocol is Protocol.SOURCE
        try:
            outcome = self._copy(migration, piece) if copies else self._take(migration, piece)
        except (StoreError, ConnectionError) as error:
            self._failed(migration, piece, error)
            return
        if outcome is None:
            return  # it is from an earlier connection
        answer = Pieced(piece.attempt, piece.number, outcome).pack()
        link = self._node.link(migration.source.index)
        size = link.send(Kind.PIECED, frames.migration(migration.number), answer)
        self._node.counters.add("channel_other_bytes", size)
        if piece.end is not End.MORE:
            self._queries.came(migration)

    def _failed(self, migration: Immigration, piece: Piece, error: Exception) -> None:
        """The value has to begin again; until then it takes no memory."""
        with suppress(StoreError, ConnectionError):
            self._immigrations.staging.drop(piece.group, piece.key)
        migration.store_failed(error)

    def _take(self, migration: Immigration, piece: Piece) -> Outcome | None:
        """Take a piece of a group that is ours already: what is the truth here stays."""
        staging, here = self._immigrations.staging, migration.here.get(piece.group)
        if here is None and piece.group not in migration.done:
            return None
        coming = self._node.core.restoring(piece.group, piece.key)  # as a whole
        if not isinstance(here, set) or piece.key in here or coming:
            staging.drop(piece.group, piece.key)
            return Outcome.ENOUGH
        if not staging.take(piece):
            return None
        if piece.end in (End.COMPLETE, End.ABSENT):
            here.add(piece.key)
            self._node.counters.add("keys_applied")
        return Outcome.TAKEN

    def _copy(self, migration: Immigration, piece: Piece) -> Outcome | None:
        """Take a piece of pre-copy: what is here is nobody's truth yet."""
        if piece.group not in migration.cleared or piece.attempt < migration.apart:
            return None
        if not self._immigrations.staging.take(piece):
            return None
        self._node.counters.add("keys_applied", piece.end is End.COMPLETE)
        return Outcome.TAKEN
