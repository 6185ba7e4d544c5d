"""What the controller adds to finsy's P4Runtime client."""

from collections.abc import AsyncIterator, Iterable
from typing import TypeVar, cast

import finsy as fy
from finsy.proto import p4r

from hosts.credentials import handshake_trouble

E = TypeVar("E")


def read(connection: fy.Switch, wanted: Iterable[object], kind: type[E]) -> AsyncIterator[E]:
    """Yield the entities that match `wanted`, all of which are of one `kind`.

    finsy declares `Switch.read` as a coroutine that returns a generator; it is a generator.
    """
    return cast(AsyncIterator[E], connection.read(cast(list[p4r.Entity], list(wanted))))


def reason(error: Exception, *, secure: bool = False) -> str:
    """Return what went wrong in one line; `secure`: over a connection with TLS."""
    if not isinstance(error, fy.P4ClientError):
        return str(error)
    if error.code == fy.GRPCStatusCode.UNAVAILABLE:
        return handshake_trouble(error.message, secure=secure) or "nobody answers there"
    details = dict.fromkeys(detail.message for detail in error.details.values())
    return "; ".join(details) or error.message
