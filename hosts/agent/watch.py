"""Notices that the store was started again without what it had acknowledged."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from hosts.agent.node import Node

log = logging.getLogger("netmigrate.agent")

_SECONDS: Final = 0.2


class Watch:
    """The core uses no store that has lost its data before this has said so (core/greet.c)."""

    def __init__(self, node: Node, lost: Callable[[str], None]) -> None:
        self._node = node
        self._lost = lost
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look, now and then."""
        self._timer = asyncio.get_running_loop().call_later(_SECONDS, self.start)
        if not self._node.core.store_lost:
            return
        why = (
            f"the store of {self._node.own.name} was started again without an append-only file: "
            "what it held is lost, but for what it had saved"
        )
        log.error("%s", why)
        self._node.counters.add("store_lost_data")
        self._lost(why)
        self._node.core.accept_store()

    def close(self) -> None:
        """The agent ends."""
        if self._timer is not None:
            self._timer.cancel()
