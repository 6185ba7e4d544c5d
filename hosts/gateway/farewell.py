"""The end of a connection on which more may come than we care to read.

Were it closed at once, what is unread would make the kernel reset it, and the other end might never
see our last words (RFC 1122, 4.2.2.13).
"""

import asyncio
from contextlib import suppress
from typing import Final

_SECONDS: Final = 2.0


class _Deaf(asyncio.Protocol):
    """Hears nothing any more."""


def farewell(transport: asyncio.Transport) -> None:
    """Send what has been written and end the connection. Its protocol is told nothing more."""
    transport.set_protocol(_Deaf())
    with suppress(OSError):  # it is gone already
        transport.write_eof()
    transport.resume_reading()
    asyncio.get_running_loop().call_later(_SECONDS, _cut, transport)


def _cut(transport: asyncio.Transport) -> None:
    if not transport.is_closing():
        transport.abort()
