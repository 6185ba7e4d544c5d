"""Notices that the store was started again without what it had acknowledged."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hosts.agent.node import Node
from hosts.agent.store import fields_of

log = logging.getLogger("netmigrate.agent")

_SECONDS: Final = 0.2


class Watch:
    """The core uses no store that has lost its data before this has said so (core/greet.c). The
    file at `path` says which process of the store it was, for the agent may have ended with it."""

    def __init__(self, node: Node, path: Path, lost: Callable[[str], None]) -> None:
        self._node = node
        self._path = path
        self._lost = lost
        self._run = ""
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Compare the store with what an earlier process of this agent knew; then go on looking."""
        before = self._path.read_text() if self._path.exists() else ""
        (persistence,) = self._node.core.call([[b"INFO", b"persistence"]])
        same = before in ("", self._node.core.store_run)
        if not same and fields_of(persistence).get("aof_enabled") != "1":
            self._complain()
        self._look()

    def _look(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_SECONDS, self._look)
        if self._node.core.store_lost:
            self._complain()
            self._node.core.accept_store()
        if self._run != self._node.core.store_run:
            self._run = self._node.core.store_run
            self._path.write_text(self._run)

    def _complain(self) -> None:
        why = (
            f"the store of {self._node.own.name} was started again without an append-only file: "
            "what it held is lost, but for what it had saved"
        )
        log.error("%s", why)
        self._node.counters.add("store_lost_data")
        self._lost(why)

    def close(self) -> None:
        """The agent ends."""
        if self._timer is not None:
            self._timer.cancel()
