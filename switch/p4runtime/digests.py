"""Digests: batches of messages from the data plane (P4Runtime spec sections 9.9 and 16.3)."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from finsy.proto import p4r

from switch.p4info import digest_names
from switch.p4runtime import p4data
from switch.p4runtime.errors import UNIMPLEMENTED, Refused, invalid
from switch.runtime.pipeline import Pipeline

LIST_LIMIT = 1000
"""Messages in a list when the controller sets no limit."""

Values = tuple[int, ...]


@dataclass(slots=True)
class _Digest:
    """One enabled digest: what waits to be sent, and what was sent but not acknowledged."""

    config: p4r.DigestEntry.Config
    type: p4data.Type
    waiting: dict[Values, None] = field(default_factory=dict)  # a set in order of arrival
    since: int = 0
    sent: dict[int, tuple[int, tuple[Values, ...]]] = field(default_factory=dict)
    """By list id, the oldest first: when it was sent, and what was in it."""
    cache: set[Values] = field(default_factory=set)
    """All that is in `sent`, where nothing is twice."""

    @property
    def limit(self) -> int:
        """Messages in a list; without a delay each message is sent alone (spec 9.9)."""
        if self.config.max_timeout_ns == 0:
            return 1
        return self.config.max_list_size or LIST_LIMIT

    def known(self, values: Values) -> bool:
        return values in self.waiting or values in self.cache

    def remember(self, list_id: int, now: int) -> None:
        """What waits goes out with a list."""
        if self.config.ack_timeout_ns:
            self.sent[list_id] = (now, tuple(self.waiting))
            self.cache.update(self.waiting)
        self.waiting.clear()

    def forget(self, list_id: int) -> None:
        _, values = self.sent.pop(list_id, (0, ()))
        self.cache.difference_update(values)

    def expire(self, now: int) -> None:
        while self.sent:
            list_id, (when, _) = next(iter(self.sent.items()))
            if now - when < self.config.ack_timeout_ns:
                return
            self.forget(list_id)


class Digests:
    """The digests of one pipeline; the caller holds the switch's state."""

    def __init__(
        self, pipeline: Pipeline, names: dict[int, str], types: Mapping[str, p4data.Type | None]
    ) -> None:
        self._pipeline = pipeline
        self.names = names
        self._types = types
        ids = {name: number for number, name in names.items()}
        shown = digest_names(pipeline.program)
        self._ids = {carried: ids[name] for carried, name in shown.items() if name in ids}
        """By the type that a message carries."""
        self._enabled: dict[int, _Digest] = {}
        self._next_list = 1

    @property
    def enabled(self) -> bool:
        return bool(self._enabled)

    def name(self, number: int) -> str:
        if number not in self.names:
            raise invalid(f"P4Info has no digest with id {number:#010x}")
        return self.names[number]

    def configs(self, number: int) -> Iterator[p4r.DigestEntry]:
        """All, or the one asked for if it is enabled."""
        for each, digest in self._enabled.items():
            if number in (0, each):
                yield p4r.DigestEntry(digest_id=each, config=digest.config)

    def configure(self, number: int, config: p4r.DigestEntry.Config | None) -> None:
        """Enable a digest or change its config; None disables it."""
        if config is None:
            del self._enabled[number]
            return
        if min(config.max_timeout_ns, config.max_list_size, config.ack_timeout_ns) < 0:
            raise invalid(f"digest {self.names[number]}: times and sizes cannot be negative")
        type_ = self._types[self.names[number]]
        if type_ is None:
            raise Refused(UNIMPLEMENTED, f"digest {self.names[number]} is not made of plain values")
        if not self._enabled:
            self._pipeline.digests()  # what came before anybody listened
        kept = p4r.DigestEntry.Config()
        kept.CopyFrom(config)
        if number in self._enabled:
            self._enabled[number].config = kept
        else:
            self._enabled[number] = _Digest(kept, type_)

    def acknowledge(self, message: p4r.DigestListAck) -> None:
        self.name(message.digest_id)
        digest = self._enabled.get(message.digest_id)
        if digest:
            digest.forget(message.list_id)

    def take(self) -> list[p4r.DigestList]:
        """What the data plane sent since the last call, as far as it is due."""
        now = time.monotonic_ns()
        lists: list[p4r.DigestList] = []
        for digest in self._enabled.values():
            digest.expire(now)
        for message in self._pipeline.digests():
            number = self._ids.get(message.name, 0)
            found = self._enabled.get(number)
            if found is None or found.known(message.values):
                continue
            if not found.waiting:
                found.since = now
            found.waiting[message.values] = None
            if len(found.waiting) >= found.limit:
                lists.append(self._list(number, found, now))
        for number, digest in self._enabled.items():
            if digest.waiting and now - digest.since >= digest.config.max_timeout_ns:
                lists.append(self._list(number, digest, now))
        return lists

    def _list(self, number: int, digest: _Digest, now: int) -> p4r.DigestList:
        message = p4r.DigestList(
            digest_id=number, list_id=self._next_list, timestamp=time.time_ns()
        )
        for values in digest.waiting:
            p4data.encode(digest.type, iter(values), message.data.add())
        digest.remember(self._next_list, now)
        self._next_list += 1
        return message
