"""The service as Redis clients of an agent see it: their commands become queries."""

from collections.abc import Callable
from functools import partial

from hosts.agent.node import Node
from hosts.agent.streams.numbers import Numbers
from hosts.agent.streams.queries import Queries
from hosts.gateway.service import Service
from hosts.wire import Flags, Header, Op
from hosts.wire.stream import resp_command


class Commands(Service):
    """Executes commands here, or at the owner of their group."""

    def __init__(self, node: Node, queries: Queries) -> None:
        super().__init__("Agent", node.core)
        self._node = node
        self._queries = queries
        self._requests = Numbers()

    def _about(self) -> list[str]:
        return [f"server:{self._node.own.name}", f"service:{self._node.core.service}"]

    def send(
        self, op: Op, group: int, command: tuple[bytes, ...], reply: Callable[[bytes], None]
    ) -> None:
        """Let a command be executed; `reply` gets its reply."""
        client, seq, acked = self._requests.next()
        service = self._node.core.service
        header = Header(op, Flags.RETRY, service, group, 0, client, seq, acked)
        self._queries.ask(header, resp_command(command), partial(self._done, client, seq, reply))

    def _done(
        self,
        client: int,
        seq: int,
        reply: Callable[[bytes], None],
        flags: Flags,
        header: bytes,
        payload: bytes,
    ) -> None:
        self._requests.finished(client, seq)
        reply(payload)
