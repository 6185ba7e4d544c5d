"""Which interfaces have a link, as the kernel tells it (rtnetlink)."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Final

_LINK_GROUP: Final = 1  # RTMGRP_LINK
_NEWLINK: Final = 16
_DELLINK: Final = 17
_GETLINK: Final = 18
_REQUEST_DUMP: Final = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_IFNAME: Final = 3
_RUNNING: Final = 0x40  # IFF_RUNNING: up, with a carrier
_MESSAGE: Final = struct.Struct("=IHHII")
_LINK: Final = struct.Struct("=BxHiII")
_ATTRIBUTE: Final = struct.Struct("=HH")


class Links:
    """Calls `changed(port, up)` at the start for each port, and whenever one comes or goes."""

    def __init__(self, interfaces: Mapping[int, str], changed: Callable[[int, bool], None]) -> None:
        self._ports = {name: port for port, name in interfaces.items()}
        self._changed = changed
        self._up: dict[int, bool] = {}
        self._stop = os.eventfd(0)
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, _LINK_GROUP))
        self._thread = threading.Thread(target=self._follow, name="links", daemon=True)

    def start(self) -> None:
        self._ask()
        self._thread.start()

    def stop(self) -> None:
        os.eventfd_write(self._stop, 1)
        if self._thread.is_alive():
            self._thread.join()
        self._socket.close()
        os.close(self._stop)

    def _ask(self) -> None:
        """For the state of all; the answers look like news."""
        request = _LINK.pack(0, 0, 0, 0, 0)
        head = _MESSAGE.pack(_MESSAGE.size + len(request), _GETLINK, _REQUEST_DUMP, 0, 0)
        self._socket.send(head + request)

    def _follow(self) -> None:
        waiting = select.poll()
        waiting.register(self._socket.fileno(), select.POLLIN)
        waiting.register(self._stop, select.POLLIN)
        while True:
            if self._stop in {descriptor for descriptor, _ in waiting.poll()}:
                return
            try:
                data = self._socket.recv(1 << 16)
            except OSError:  # some news were lost
                with contextlib.suppress(OSError):
                    self._ask()
                continue
            for name, up in _news(data):
                port = self._ports.get(name)
                if port is not None and self._up.get(port) != up:
                    self._up[port] = up
                    self._changed(port, up)


def _news(data: bytes) -> Iterator[tuple[str, bool]]:
    """Name and state of each interface that the messages are about."""
    at = 0
    while at + _MESSAGE.size <= len(data):
        length, kind, *_ = _MESSAGE.unpack_from(data, at)
        if kind in (_NEWLINK, _DELLINK):
            flags = _LINK.unpack_from(data, at + _MESSAGE.size)[3]
            name = _name(data[at + _MESSAGE.size + _LINK.size : at + length])
            yield name, kind == _NEWLINK and bool(flags & _RUNNING)
        at += max(_aligned(length), _MESSAGE.size)


def _name(attributes: bytes) -> str:
    at = 0
    while at + _ATTRIBUTE.size <= len(attributes):
        length, kind = _ATTRIBUTE.unpack_from(attributes, at)
        if kind == _IFNAME:
            return attributes[at + _ATTRIBUTE.size : at + length].rstrip(b"\0").decode()
        at += max(_aligned(length), _ATTRIBUTE.size)
    return ""


def _aligned(length: int) -> int:
    return length + 3 & ~3
