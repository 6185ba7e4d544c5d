"""Digests: batches of messages from the data plane (P4Runtime spec sections 9.9 and 16.3)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from finsy.proto import p4d, p4r

from switch import ir
from switch.p4info.types import width
from switch.p4runtime import codec
from switch.p4runtime.errors import UNIMPLEMENTED, Refused, invalid
from switch.p4runtime.schema import Register
from switch.runtime.pipeline import Pipeline

LIST_LIMIT = 1000
"""Messages in a list when the controller sets no limit."""

Values = tuple[int, ...]


@dataclass(slots=True)
class _Digest:
    """One enabled digest: what waits to be sent, and what was sent but not acknowledged."""

    config: p4r.DigestEntry.Config
    type: ir.Type
    waiting: dict[Values, None] = field(default_factory=dict)  # a set in order of arrival
    since: int = 0
    sent: dict[int, tuple[int, frozenset[Values]]] = field(default_factory=dict)
    """By list id: when it was sent, and what was in it."""

    def known(self, values: Values) -> bool:
        return values in self.waiting or any(values in old for _, old in self.sent.values())

    def expire(self, now: int) -> None:
        for list_id, (when, _) in list(self.sent.items()):
            if now - when >= self.config.ack_timeout_ns:
                del self.sent[list_id]


class Digests:
    """The digests of one pipeline; the caller holds the switch's state."""

    def __init__(self, pipeline: Pipeline, names: dict[int, str]) -> None:
        self._pipeline = pipeline
        self.names = names
        self._ids = {name: number for number, name in names.items()}
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
        type_ = self._pipeline.program.types.get(self.names[number])
        if type_ is None or not _is_plain(type_):
            raise Refused(UNIMPLEMENTED, f"digest {self.names[number]} is not made of numbers")
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
            digest.sent.pop(message.list_id, None)

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
            if len(found.waiting) >= (found.config.max_list_size or LIST_LIMIT):
                lists.append(self._list(number, found, now))
        for number, digest in self._enabled.items():
            if digest.waiting and now - digest.since >= digest.config.max_timeout_ns:
                lists.append(self._list(number, digest, now))
        return lists

    def _list(self, number: int, digest: _Digest, now: int) -> p4r.DigestList:
        data = [_data(digest.type, iter(values)) for values in digest.waiting]
        message = p4r.DigestList(
            digest_id=number, list_id=self._next_list, data=data, timestamp=time.time_ns()
        )
        if digest.config.ack_timeout_ns:
            digest.sent[self._next_list] = (now, frozenset(digest.waiting))
        digest.waiting.clear()
        self._next_list += 1
        return message


def _is_plain(type_: ir.Type) -> bool:
    if isinstance(type_, ir.Struct):
        return all(_is_plain(member.type) for member in type_.fields)
    return isinstance(type_, ir.Bits | ir.Bool | ir.SerializableEnum)


def _data(type_: ir.Type, values: Iterator[int]) -> p4d.P4Data:
    """Numbers as P4Data of their type, which is plain."""
    message = p4d.P4Data()
    if isinstance(type_, ir.Struct):
        message.struct.members.extend(_data(member.type, values) for member in type_.fields)
        return message
    kinds = {ir.Bool: "bool", ir.SerializableEnum: "enum_value"}
    signed = isinstance(type_, ir.Bits) and type_.signed
    shape = Register(0, "", 0, kinds.get(type(type_), "bitstring"), width(type_), signed)
    codec.encode_cell(shape, next(values), message)
    return message
