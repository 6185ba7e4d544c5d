"""Big values of pre-copy: they may be written while they are read."""

from collections.abc import Callable, Mapping

from hosts.agent.channel import Link
from hosts.agent.node import Node
from hosts.agent.pieces.frame import End, Piece
from hosts.agent.pieces.outgoing import Outgoing, Value
from hosts.agent.stream import Stream


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

    def _number(self) -> int:
        return self._count()

    def _next(self, value: Value) -> Piece:
        piece = super()._next(value)
        written = self._written.get(value.group, set())
        if written is not None and value.key not in written:
            return piece
        return Piece(value.group, value.key, value.attempt, piece.number, End.DROPPED)

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
