"""The client: any single-group command through the switch, sync or asyncio (docs/protocol.md)."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Self

from hosts.client import _core
from hosts.client.api import Commands
from hosts.client.commands import Argument, CommandTable, encode
from hosts.client.errors import NetMigrateError, ReplyError, RequestTimeout, TooLarge
from hosts.client.loop import Finished, LoopSession
from hosts.wire import Op

# What a burst may have in the air: a socket buffer of Linux' default size takes it without loss.
_MOST_IN_FLIGHT: Final = 128


def _address(host: str) -> int:
    try:
        return int.from_bytes(socket.inet_aton(socket.gethostbyname(host)), "big")
    except OSError as error:
        raise NetMigrateError(f"service address {host!r}: {error}") from None


class _Base:
    """What both clients share: the session, and how a finished request becomes a value."""

    def __init__(
        self,
        host: str,
        port: int = 4700,
        *,
        service: int = 1,
        timeout: float = 5.0,
        resend_after: float = 0.05,
        commands: CommandTable | None = None,
    ) -> None:
        self._where = f"service {service} at {host}:{port}"
        self._timeout = timeout
        self._table = commands or CommandTable.load()
        self._session = _core.Session(_address(host), port, service, timeout, resend_after)

    @property
    def counts(self) -> dict[str, int]:
        """Datagrams sent, resent, received, ignored, doubled, … in this session."""
        return self._session.counts()

    def _start(self, command: tuple[bytes, ...], token: int) -> int:
        route = self._table.route(command)
        return self._session.start(route.op, route.group, command, token)

    def _result(self, command: tuple[bytes, ...], finished: Finished) -> Any:
        """Return the reply, an error being returned too, not raised."""
        _, status, value, _, tries = finished
        if status == _core.DONE:
            return value
        if status == _core.REFUSED:
            return value if isinstance(value, ReplyError) else ReplyError(f"refused: {value!r}")
        shown = b" ".join(command[:2])[:80].decode(errors="backslashreplace")
        if status == _core.TOO_LARGE:
            return TooLarge(f"{shown}: the path to {self._where} has an MTU below 1500 bytes")
        route = self._table.route(command)
        outcome = "; it may have taken effect" if route.op == Op.WRITE else ""
        return RequestTimeout(
            f"{shown}: no usable reply from {self._where} (group {route.group}) "
            f"in {self._timeout:g} s and {tries} tries{outcome}"
        )


class Client(_Base, Commands):
    """Calls that wait for their reply. Threads may share one; each call holds a lock."""

    def __init__(self, host: str, port: int = 4700, **options: Any) -> None:
        super().__init__(host, port, **options)
        self._lock = threading.Lock()

    def close(self) -> None:
        with self._lock:
            self._session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def execute_many(self, commands: Iterable[Sequence[Argument]]) -> list[Any]:
        """Send many commands at once; return replies in order, errors among them unraised."""
        encoded = [tuple(map(encode, command)) for command in commands]
        replies: list[Any] = [None] * len(encoded)
        with self._lock:
            started: list[int] = []
            try:
                token = 0
                while token < len(encoded) or self._session.outstanding:
                    while token < len(encoded) and self._has_room():
                        try:
                            started.append(self._start(encoded[token], token))
                        except NetMigrateError as error:
                            replies[token] = error
                        token += 1
                    for finished in self._session.poll(self._timeout):
                        replies[finished[0]] = self._result(encoded[finished[0]], finished)
                return replies
            except BaseException:
                # Interrupted: late replies must not be taken for those of the next call.
                for seq in started:
                    self._session.abandon(seq)
                raise

    def _has_room(self) -> bool:
        return self._session.room > 0 and self._session.outstanding < _MOST_IN_FLIGHT

    def pipeline(self) -> "Pipeline":
        """Collect commands; Pipeline.execute() sends them together."""
        return Pipeline(self)

    def _call(self, convert: Callable[[Any], Any], *command: Argument) -> Any:
        (reply,) = self.execute_many([command])
        if isinstance(reply, Exception):
            raise reply
        return convert(reply)


class Pipeline(Commands):
    """Commands sent together, each on its own: not a transaction."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._commands: list[tuple[Argument, ...]] = []
        self._converters: list[Callable[[Any], Any]] = []

    def _call(self, convert: Callable[[Any], Any], *command: Argument) -> Self:
        self._commands.append(command)
        self._converters.append(convert)
        return self

    def execute(self, *, raise_on_error: bool = True) -> list[Any]:
        """Return all replies in order; the first error is raised, or all stand in their places."""
        replies = self._client.execute_many(self._commands)
        converters = self._converters
        self._commands, self._converters = [], []
        for reply in replies:
            if raise_on_error and isinstance(reply, Exception):
                raise reply
        return [
            reply if isinstance(reply, Exception) else convert(reply)
            for reply, convert in zip(replies, converters, strict=True)
        ]


class AsyncClient(_Base, Commands):
    """Calls that return awaitables; any number may be in flight. Create it in a running loop."""

    def __init__(self, host: str, port: int = 4700, **options: Any) -> None:
        super().__init__(host, port, **options)
        self._turns = LoopSession(self._session)
        self._calls: set[asyncio.Future[Finished]] = set()
        self._room = asyncio.Semaphore(_MOST_IN_FLIGHT)
        self._finished = asyncio.Event()

    async def aclose(self) -> None:
        """Close the socket; calls that still wait are cancelled."""
        self._turns.close()
        for call in self._calls:
            call.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def _call(self, convert: Callable[[Any], Any], *command: Argument) -> Any:
        encoded = tuple(map(encode, command))
        route = self._table.route(encoded)
        async with self._room:
            while not self._turns.room:  # the oldest is stuck, its resends go on
                self._finished.clear()
                await self._finished.wait()
            call: asyncio.Future[Finished] = asyncio.get_running_loop().create_future()

            def done(finished: Finished) -> None:
                if not call.done():  # cancelled in this very turn
                    call.set_result(finished)

            request = self._turns.start(route.op, route.group, encoded, done)
            self._calls.add(call)
            try:
                reply = self._result(encoded, await call)
            finally:
                self._calls.discard(call)
                self._turns.abandon(request)  # if it was cancelled
                self._finished.set()
        if isinstance(reply, Exception):
            raise reply
        return convert(reply)
