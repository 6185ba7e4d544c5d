"""The flow control of a connection with a client: nothing more is read while it has many questions
without an answer, or does not read its replies."""

import asyncio
from abc import ABC, abstractmethod
from typing import Final, cast

from hosts.gateway.room import Room, Share

_MOST: Final = 1024
"""Requests of a connection that may wait for their replies; then nothing more is read."""


class Flow(asyncio.Protocol, ABC):
    """A connection that reads as fast as its client does, and says what it holds in memory."""

    def __init__(self, room: Room) -> None:
        self.share = Share(room)
        self._transport: asyncio.Transport | None = None
        self._full = False
        self._paused = False
        self._ended = False

    @property
    @abstractmethod
    def _waiting(self) -> int:
        """How many requests wait for their replies."""

    @property
    @abstractmethod
    def _holds(self) -> int:
        """Bytes of requests and replies, beside those that the transport has."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)

    def pause_writing(self) -> None:
        """The client does not read its replies."""
        self._full = True
        self._throttle()

    def resume_writing(self) -> None:
        """It does again."""
        self._full = False
        self._account()
        self._throttle()

    def _account(self) -> bool:
        """Say what is held; False: there is no room for that."""
        if self._transport is None:
            return True
        return self.share.hold(self._holds + self._transport.get_write_buffer_size())

    def _crowded(self) -> bool:
        return self._waiting >= _MOST

    def _throttle(self) -> None:
        paused = self._full or self._crowded()
        if self._transport is None or self._transport.is_closing() or paused == self._paused:
            return
        self._paused = paused
        (self._transport.pause_reading if paused else self._transport.resume_reading)()
