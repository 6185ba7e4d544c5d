"""The second connection to the store, in the event loop. The keys of groups on the move go over it,
so that queries, which go over the first one, do not wait for them."""

import asyncio
import logging
import select
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any, Final, TypeAlias

from hosts.agent._core import Core, Pipeline, StoreError
from hosts.agent.store import BULK, end_connections, is_gone

log = logging.getLogger("netmigrate.agent")

Section: TypeAlias = tuple[int, bytes, bool, bool]
"""A group, some of its keys (u32 length, key each), whether they are its first, and its last."""

Big: TypeAlias = list[tuple[int, bytes]]
"""Groups and keys that are too big for a KEYS body."""

Dumped: TypeAlias = tuple[bytes, Big, list[tuple[int, int]]]
"""The body of a KEYS frame, what is too big for it, and of each section how many bytes and keys."""

Failed: TypeAlias = Callable[[Exception], None]

_AGAIN: Final = 0.05
_SILENCE: Final = 10.0  # seconds without a word of the store
_HURRY: Final = 0.002  # seconds


class Bulk:
    """Jobs for the store. Each tells its result to `done`, or why there is none to `failed`: a
    StoreError, or ConnectionError when nothing of it is executed any more. They are told in the
    order in which they were begun; to begin one raises ConnectionError without a connection."""

    def __init__(self, core: Core, path: str) -> None:
        self._core = core
        self._path = path
        self._pipeline = Pipeline(core)
        self._told: deque[tuple[Callable[[Any], None], Failed]] = deque()
        self.fd = -1  # of the connection, if there is one
        self._lost = False  # and what it left at the store may still be executed
        self._writes = False
        self._scheduled = False
        self._words = 0  # how often the store has said something
        self._timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._told

    def open(self) -> None:
        """Connect; it need not wait for the first job, which would keep queries waiting."""
        if self.fd < 0 and not self._lost:
            self.fd = self._pipeline.connect()
            asyncio.get_running_loop().add_reader(self.fd, self._readable)

    def run(
        self, commands: list[list[bytes]], done: Callable[[list[object]], None], failed: Failed
    ) -> None:
        """Run commands; errors are StoreErrors among the replies."""
        self._begin(partial(self._pipeline.call, commands), done, failed)

    async def call(self, commands: list[list[bytes]]) -> list[object]:
        """Run commands and wait for the replies, errors among them as StoreErrors."""
        future: asyncio.Future[list[object]] = asyncio.get_running_loop().create_future()

        def done(replies: list[object]) -> None:
            if not future.done():
                future.set_result(replies)

        def failed(error: Exception) -> None:
            if not future.done():
                future.set_exception(error)

        self.run(commands, done, failed)
        return await future

    def list_keys(
        self,
        groups: Sequence[int],
        done: Callable[[list[tuple[int, bytes, int]]], None],
        failed: Failed,
    ) -> None:
        """List the keys of groups: group, keys (as in a section), how many."""
        self._begin(partial(self._pipeline.list_keys, list(groups)), done, failed)

    def dump(
        self,
        sections: list[Section],
        done: Callable[[Dumped], None],
        failed: Failed,
        *,
        piecewise: bool,
    ) -> None:
        """Make the body of a KEYS frame. Big keys (`piecewise`: all but strings) are named beside
        it, and end no group."""
        self._begin(partial(self._pipeline.dump, sections, piecewise), done, failed)

    def restore(
        self,
        body: memoryview,
        here: Mapping[int, set[bytes] | bool | None],
        done: Callable[[tuple[int, int, list[int]]], None],
        failed: Failed,
    ) -> None:
        """Apply such a body (core/restore.c): keys applied, dropped, groups that are complete."""
        try:
            self._begin(partial(self._pipeline.restore, body, here), done, failed)
        except ConnectionError:
            self._pipeline.missed(body)
            raise

    def _begin(
        self, begin: Callable[[], None], done: Callable[[Any], None], failed: Failed
    ) -> None:
        if self._lost:
            raise ConnectionError("the connection to the store was lost")
        self.open()
        begin()
        if not self._told:
            self._words += 1  # it was not asked before
        self._told.append((done, failed))
        if self._timer is None:
            self._watch(-1)
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._soon)

    def hurry(self) -> None:
        """Wait here for what was begun: somebody waits for it who is worth more than the others.
        What is not answered at once after all, the event loop goes on with."""
        end = monotonic() + _HURRY
        self._go_on()
        while self._told and self.fd >= 0 and (left := end - monotonic()) > 0:
            poll = select.poll()
            poll.register(self.fd, select.POLLIN | (select.POLLOUT if self._writes else 0))
            if poll.poll(1000 * left):
                self._readable()

    def _soon(self) -> None:
        self._scheduled = False
        if self.fd >= 0:
            self._go_on()

    def _readable(self) -> None:
        self._words += 1
        self._go_on()

    def _go_on(self) -> None:
        try:
            self._pipeline.go_on()
            while (result := self._pipeline.next()) is not None:
                self._tell(*result)
        except (ConnectionError, MemoryError) as error:
            log.error("the bulk connection to the store: %s", error)
            self._lose()
            return
        if self._pipeline.writing != self._writes:
            loop = asyncio.get_running_loop()
            if self._writes:
                loop.remove_writer(self.fd)
            else:
                loop.add_writer(self.fd, self._go_on)
            self._writes = not self._writes

    def _tell(self, result: object) -> None:
        done, failed = self._told.popleft()
        try:
            if isinstance(result, StoreError):
                failed(result)
            else:
                done(result)
        except Exception:  # others are still to be told theirs
            log.exception("what the store answered could not be taken")

    # --- a connection that is lost ----------------------------------------------------------------

    def _watch(self, before: int) -> None:
        """Give up a store that has said nothing for so long."""
        self._timer = None
        if not self._told or self._lost:
            return
        if self._words == before:
            log.error("the store has not answered for %g seconds", _SILENCE)
            self._lose()
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_SILENCE, self._watch, self._words)

    def _lose(self) -> None:
        """What was written is not executed any more before anybody is told that it failed."""
        self._disconnect()
        self._lost = True
        self._end()

    def _disconnect(self) -> None:
        if self.fd >= 0:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self.fd)
            if self._writes:
                loop.remove_writer(self.fd)
        self.fd, self._writes = -1, False

    def _end(self) -> None:
        self._timer = None
        try:
            end_connections(self._core, BULK)
        except (StoreError, ConnectionError) as error:
            if not is_gone(self._path):
                log.error("the bulk connection to the store cannot be ended: %s", error)
                self._timer = asyncio.get_running_loop().call_later(_AGAIN, self._end)
                return
        self._lost = False
        self._pipeline.close()
        told, self._told = self._told, deque()
        for _, failed in told:
            failed(ConnectionError("the connection to the store was lost"))

    def close(self) -> None:
        """The agent ends; nobody is told."""
        self._disconnect()
        if self._timer is not None:
            self._timer.cancel()
        self._told.clear()
        self._pipeline.close()
