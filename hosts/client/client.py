"""The client: any single-group command through the switch, sync or asyncio (docs/protocol.md)."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Final, Self

from hosts.client import _core
from hosts.client.api import Commands
from hosts.client.commands import Argument, CommandTable, encode
from hosts.client.errors import NetMigrateError, ReplyError, RequestTimeout, TooLarge
from hosts.client.longer import address_of
from hosts.client.loop import SPARE, Finished, LoopSession
from hosts.client.stream import SLOWEST, Address, Streams, payload_of
from hosts.wire import Flags, Header, Op

# What a burst may have in the air: a socket buffer of Linux' default size takes it without loss.
_MOST_IN_FLIGHT: Final = 128
_AGAIN_SECONDS: Final = 0.05


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
        self._service = service
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
        self._streams = Streams(self._timeout)

    def close(self) -> None:
        with self._lock:
            self._streams.close()
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
            started: dict[int, int] = {}  # seq by token
            longer: dict[int, Address | None] = {}  # what goes by TCP, by token
            try:
                token = 0
                while token < len(encoded) or self._session.outstanding or longer:
                    while token < len(encoded) and self._has_room(SPARE if longer else 0):
                        try:
                            started[token] = self._start(encoded[token], token)
                        except TooLarge:
                            started[token], longer[token] = self._session.park(), None
                        except NetMigrateError as error:
                            replies[token] = error
                        token += 1
                    for finished in self._session.poll(self._timeout):
                        which, status, value, _, _ = finished
                        if status in (_core.BY_STREAM, _core.TOO_LARGE):
                            longer[which] = address_of(value)
                        else:
                            replies[which] = self._result(encoded[which], finished)
                    if not self._session.outstanding:
                        for which, to in longer.items():
                            replies[which] = self._by_stream(encoded[which], started[which], to)
                        longer.clear()
                return replies
            except BaseException:
                # Interrupted: late replies must not be taken for those of the next call.
                for seq in started.values():
                    self._session.abandon(seq)
                raise

    def _by_stream(self, command: tuple[bytes, ...], seq: int, to: Address | None) -> Any:
        """Return the reply to a request that no datagram takes, or whose reply none takes."""
        try:
            payload = payload_of(command)
        except TooLarge as error:
            self._session.abandon(seq)
            return error
        route = self._table.route(command)
        session = self._session
        header = Header(
            route.op,
            service=self._service,
            group=route.group,
            client=session.client,
            seq=seq,
            acked=session.acked,
        )
        end = time.monotonic() + self._timeout + len(payload) / SLOWEST
        tries = 0
        try:
            while True:
                tries += 1
                try:
                    found = to or self._ask(route.group)
                    answer, reply = self._streams.exchange(found, header, payload)
                    value = _core.decode(reply)
                except (OSError, ValueError):
                    if time.monotonic() >= end:
                        return self._result(command, (0, _core.TIMED_OUT, None, 0, tries))
                    to = None
                    time.sleep(_AGAIN_SECONDS)
                    continue
                good = Flags.AUTHORITATIVE in answer.flags
                status = _core.DONE if good else _core.REFUSED
                return self._result(command, (0, status, value, answer.flags, tries))
        finally:
            session.abandon(seq)

    def _ask(self, group: int) -> Address:
        """Return an agent that takes requests of a group by TCP."""
        seq = self._session.ask(group, 0)
        try:
            for _, status, value, _, _ in self._session.poll(self._timeout):
                if status == _core.BY_STREAM and (to := address_of(value)) is not None:
                    return to
        finally:
            self._session.abandon(seq)
        raise ConnectionError(f"{self._where} does not say where requests go by TCP")

    def _has_room(self, spare: int) -> bool:
        return self._session.room > spare and self._session.outstanding < _MOST_IN_FLIGHT

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
        self._turns = LoopSession(self._session, self._service, self._timeout)
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
