"""Idle timeouts: entries that were not hit for long (P4Runtime spec sections 9.1.8 and 16.4)."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Mapping
from itertools import count

from finsy.proto import p4r

from switch.p4runtime import codec
from switch.p4runtime.chunks import chunks
from switch.p4runtime.cookies import Cookie, EntryKey
from switch.p4runtime.roles import Names, Scope
from switch.p4runtime.schema import Schema
from switch.runtime.entries import Entry
from switch.runtime.pipeline import Pipeline

FEW = 1000
"""Looks that are not worth to be tidied up."""
SCAN_SECONDS = 0.01
"""Between two calls of `take`: shorter timeouts are rounded up to it."""

_Look = tuple[int, int, EntryKey, Cookie, int]
"""When an entry is looked at next, a number against ties, the entry, and its last notification."""


class IdleTimeouts:
    """The timers of one pipeline; the caller holds the switch's state.

    An entry is looked at when it may have timed out, and not before: hits only put that off. A
    look counts only while the cookie that it was planned for is the entry's.
    """

    def __init__(
        self, pipeline: Pipeline, schema: Schema, cookies: Mapping[EntryKey, Cookie]
    ) -> None:
        self._pipeline = pipeline
        self._schema = schema
        self._cookies = cookies
        self._looks: list[_Look] = []
        self._numbers = count()

    def watch(self, key: EntryKey, cookie: Cookie) -> None:
        if cookie.idle_timeout_ns:
            self._plan(time.monotonic_ns(), key, cookie, 0)

    def _plan(self, when: int, key: EntryKey, cookie: Cookie, notified: int) -> None:
        heapq.heappush(self._looks, (when, next(self._numbers), key, cookie, notified))

    def seconds(self) -> float | None:
        """The time until `take` may find something; None if no entry is watched."""
        if not self._looks:
            return None
        left = max(0, self._looks[0][0] - time.monotonic_ns()) / 1e9
        return min(left, threading.TIMEOUT_MAX)  # which is less than the longest timeout

    def take(self) -> list[p4r.IdleTimeoutNotification]:
        """What timed out since the last call; an entry's time starts anew then."""
        if len(self._looks) > 2 * len(self._cookies) + FEW:
            self._looks = [look for look in self._looks if self._cookies.get(look[2]) is look[3]]
            heapq.heapify(self._looks)
        now = time.monotonic_ns()
        expired: list[p4r.TableEntry] = []
        while self._looks and self._looks[0][0] <= now:
            _, _, key, cookie, notified = heapq.heappop(self._looks)
            if self._cookies.get(key) is not cookie:
                continue
            number, match, priority = key
            table = self._schema.table(number)
            idle = self._pipeline.idle(table.name, Entry(match, "", (), priority))
            due = max(now - idle, notified) + cookie.idle_timeout_ns
            if due > now:
                self._plan(due, key, cookie, notified)
                continue
            self._plan(now + cookie.idle_timeout_ns, key, cookie, now)
            message = p4r.TableEntry(table_id=number, priority=priority)
            codec.encode_match(table, match, message)
            message.controller_metadata = cookie.controller_metadata
            message.metadata = cookie.metadata
            message.idle_timeout_ns = cookie.idle_timeout_ns
            expired.append(message)
        return [
            p4r.IdleTimeoutNotification(table_entry=part, timestamp=time.time_ns())
            for part in chunks(expired)
        ]


def narrowed(
    notification: p4r.IdleTimeoutNotification, scope: Scope, names: Names
) -> p4r.IdleTimeoutNotification:
    """The entries of tables that are in a role's scope (spec 5.2)."""
    if scope.entities is None:
        return notification
    entries = notification.table_entry
    return p4r.IdleTimeoutNotification(
        table_entry=[entry for entry in entries if scope.covers(names, entry.table_id)],
        timestamp=notification.timestamp,
    )
