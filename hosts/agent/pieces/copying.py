"""Big values of pre-copy: they may be written while they are read."""

from collections.abc import Callable, Iterable, Mapping

from hosts.agent.channel import Link
from hosts.agent.emigration.stream import Stream
from hosts.agent.frames import Kind
from hosts.agent.node import Node
from hosts.agent.pieces.frame import End, Piece
from hosts.agent.pieces.outgoing import Outgoing, Value


class Copying(Outgoing):
    """Drops a value that was written since this round began: the next one has it again."""

    def __init__(
        self,
        node: Node,
        migration: int,
        stream: Stream,
        written: Mapping[int, set[bytes] | None],
        number: Callable[[], int],
        send_whole: Callable[[int, bytes, bytes], int],
    ) -> None:
        super().__init__(node, migration, stream)
        self._written = written
        self._count = number  # of the frames of this migration: attempts are among them
        self._send_copy = send_whole
        self._copied: set[tuple[int, bytes]] = set()  # of these the destination has a big copy

    def _number(self) -> int:
        return self._count()

    def _next(self, value: Value) -> Piece:
        piece = super()._next(value)
        written = self._written.get(value.group, set())
        if written is not None and value.key not in written:
            if piece.end is End.COMPLETE:
                self._copied.add((value.group, value.key))
            return piece
        return Piece(value.group, value.key, value.attempt, piece.number, End.DROPPED)

    def withdraw(self, link: Link, group: int, keys: Iterable[bytes]) -> None:
        """Have big copies of these deleted, for what replaces them may be small: a value that is
        simply overwritten is freed at once, which blocks the store."""
        for key in keys:
            if (group, key) in self._copied:
                self._copied.discard((group, key))
                gone = Piece(group, key, self._number(), 0, End.ABSENT)
                link.send(Kind.PIECE, self._migration, gone.pack())

    def _send_whole(self, link: Link, group: int, key: bytes) -> int:
        return self._send_copy(group, key, self._dump(group, key))

    @property
    def left(self) -> list[tuple[int, bytes]]:
        """Groups and keys of which the destination has not taken every piece."""
        return [
            (group, key)
            for group, values in self._values.items()
            for key, value in values.items()
            if not value.done
        ]
