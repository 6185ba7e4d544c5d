"""Table entries with their direct resources, singly or by wildcard (P4Runtime spec section 9.1)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

from finsy.proto import p4r

from switch.p4runtime import codec
from switch.p4runtime.action_profiles import encode_target
from switch.p4runtime.cookies import Cookie
from switch.p4runtime.errors import invalid
from switch.p4runtime.forwarding import Forwarding
from switch.p4runtime.schema import Table
from switch.runtime.entries import Entry, Match, NoSuchEntry

FILTERS = {
    "match",
    "action",
    "priority",
    "controller_metadata",
    "metadata",
    "is_default_action",
}
"""Fields of a TableEntry that filter the entries of one table."""
NO_COOKIE = Cookie(0, b"")

Counts = tuple[int, int]
"""Packets and bytes."""


class TableReader:
    def __init__(self, forwarding: Forwarding) -> None:
        self._forwarding = forwarding
        self._pipeline = forwarding.pipeline
        self._schema = forwarding.schema

    def table_entries(self, request: p4r.Entity) -> Iterator[p4r.Entity]:
        wanted = request.table_entry
        if wanted.table_id == 0:
            _check_no_filter(wanted)
            for table in self._schema.tables.values():
                yield from self._entries_of(table, wanted, ())
            return
        table = self._schema.table(wanted.table_id)
        codec.check_idle_timeout(table, wanted)
        if wanted.is_default_action:
            yield from self._default_entry(table, wanted)
            return
        match = codec.decode_match(table, wanted.match) if wanted.match else ()
        yield from self._entries_of(table, wanted, match)

    def _entries_of(
        self, table: Table, wanted: p4r.TableEntry, match: tuple[Match, ...]
    ) -> Iterator[p4r.Entity]:
        action = self._wanted_action(table, wanted)
        for entry, counts, idle in self._installed(table, match, wanted.priority):
            cookie = self._forwarding.cookies.get(
                (table.id, entry.match, entry.priority), NO_COOKIE
            )
            if wanted.priority and entry.priority != wanted.priority:
                continue
            if not _passes(entry.action, cookie, action, wanted):
                continue
            entity = p4r.Entity()
            message = entity.table_entry
            message.table_id = table.id
            codec.encode_match(table, entry.match, message)
            message.priority = entry.priority
            message.is_const = table.is_const or entry.is_const
            if entry.target is None:
                codec.encode_action(self._schema, entry.action, entry.params, message.action)
            else:
                encode_target(self._forwarding, table, entry.target, cookie, message.action)
            self._fill(table, entry, counts, cookie, wanted, message)
            if table.idle_timeout:
                message.idle_timeout_ns = cookie.idle_timeout_ns
                if wanted.HasField("time_since_last_hit"):
                    message.time_since_last_hit.elapsed_ns = idle
            yield entity

    def _wanted_action(self, table: Table, wanted: p4r.TableEntry) -> str:
        """The action to filter by, if there is one; its parameters are no filter (spec 9.1.6)."""
        if not wanted.HasField("action"):
            return ""
        kind = wanted.action.WhichOneof("type")
        if kind not in ("action", None):
            raise invalid(f"{table.what}: entries can be found by action id, not by {kind}")
        number = wanted.action.action.action_id
        return self._schema.action(number).name if number else ""

    def _installed(
        self, table: Table, match: tuple[Match, ...], priority: int
    ) -> Iterator[tuple[Entry, Counts, int]]:
        """Entries, counters, idle times; all priorities if none is given (spec 9.1.6)."""
        if match and (priority or not table.needs_priority):
            with contextlib.suppress(NoSuchEntry):
                entry = self._pipeline.find(table.name, Entry(match, "", (), priority))
                idle = self._pipeline.idle(table.name, entry)
                yield entry, self._counts(table, entry), idle
            return
        for row in self._pipeline.rows(table.name):
            if not match or row[0].match == match:
                yield row

    def _counts(self, table: Table, entry: Entry | None) -> Counts:
        if not table.counter_id:
            return (0, 0)
        return self._pipeline.direct_counter(table.name, entry)

    def _default_entry(self, table: Table, wanted: p4r.TableEntry) -> Iterator[p4r.Entity]:
        if wanted.match or wanted.priority:
            raise invalid(f"table {table.name}: the default entry has no match and no priority")
        action, params = self._pipeline.default(table.name)
        cookie = self._forwarding.default_cookies.get(table.id, NO_COOKIE)
        if not _passes(action, cookie, self._wanted_action(table, wanted), wanted):
            return
        entity = p4r.Entity()
        message = entity.table_entry
        message.table_id = table.id
        message.is_default_action = True
        message.is_const = table.const_default
        codec.encode_action(self._schema, action, params, message.action)
        self._fill(table, None, self._counts(table, None), cookie, wanted, message)
        yield entity

    def _fill(
        self,
        table: Table,
        entry: Entry | None,
        counts: Counts,
        cookie: Cookie,
        wanted: p4r.TableEntry,
        message: p4r.TableEntry,
    ) -> None:
        """The cookie, and the direct resources that the request asks for (spec 9.1.7)."""
        if cookie.controller_metadata:
            message.controller_metadata = cookie.controller_metadata
        if cookie.metadata:
            message.metadata = cookie.metadata
        if table.counter_id and wanted.HasField("counter_data"):
            codec.encode_counter(counts, message.counter_data)
        if table.meter_id and wanted.HasField("meter_config"):
            config = self._pipeline.direct_meter(table.name, entry)
            if config:
                codec.encode_meter(config, message.meter_config)
        if table.meter_id and wanted.HasField("meter_counter_data"):
            colours = self._pipeline.direct_meter_counts(table.name, entry)
            codec.encode_meter_counts(colours, message.meter_counter_data)

    # --- direct counters and meters -----------------------------------------------------------

    def _direct(
        self, message: p4r.TableEntry, what: str
    ) -> Iterator[tuple[Table, Entry | None, Counts, p4r.TableEntry]]:
        """The entries whose counter or meter is asked for, each with its key as a message."""
        if message.table_id:
            table = self._schema.table(message.table_id)
            if not (table.counter_id if what == "counter" else table.meter_id):
                raise invalid(f"table {table.name} has no direct {what}")
            if message.is_default_action:
                if message.match or message.priority:
                    raise invalid(f"{table.what}: the default entry has no match and no priority")
                key = p4r.TableEntry(table_id=table.id, is_default_action=True)
                yield table, None, self._counts(table, None), key
                return
            tables: Iterable[Table] = (table,)
        else:
            _check_no_filter(message)
            tables = [
                table
                for table in self._schema.tables.values()
                if (table.counter_id if what == "counter" else table.meter_id)
            ]
        for table in tables:
            if message.table_id and message.match:
                entry = self._pipeline.find(table.name, codec.decode_key(table, message))
                found = [(entry, self._counts(table, entry))]
            else:
                found = [(entry, counts) for entry, counts, _ in self._pipeline.rows(table.name)]
            for entry, counts in found:
                if message.priority and entry.priority != message.priority:
                    continue
                key = p4r.TableEntry(table_id=table.id, priority=entry.priority)
                codec.encode_match(table, entry.match, key)
                yield table, entry, counts, key

    def direct_counter_entries(self, request: p4r.Entity) -> Iterator[p4r.Entity]:
        wanted = request.direct_counter_entry
        for _table, _entry, counts, key in self._direct(wanted.table_entry, "counter"):
            found = p4r.DirectCounterEntry(table_entry=key)
            codec.encode_counter(counts, found.data)
            yield p4r.Entity(direct_counter_entry=found)

    def direct_meter_entries(self, request: p4r.Entity) -> Iterator[p4r.Entity]:
        wanted = request.direct_meter_entry
        for table, entry, _counts, key in self._direct(wanted.table_entry, "meter"):
            found = p4r.DirectMeterEntry(table_entry=key)
            if config := self._pipeline.direct_meter(table.name, entry):
                codec.encode_meter(config, found.config)
            if wanted.HasField("counter_data"):
                colours = self._pipeline.direct_meter_counts(table.name, entry)
                codec.encode_meter_counts(colours, found.counter_data)
            yield p4r.Entity(direct_meter_entry=found)


def _check_no_filter(wanted: p4r.TableEntry) -> None:
    """Over all tables there is nothing to filter by (spec 9.1.6)."""
    for field, _ in wanted.ListFields():
        if field.name in FILTERS:
            raise invalid(f"{field.name} takes a table_id: it is no filter over all tables")


def _passes(action: str, cookie: Cookie, wanted_action: str, wanted: p4r.TableEntry) -> bool:
    """What is left at its default filters nothing (spec 9.1.6)."""
    return (
        (not wanted_action or action == wanted_action)
        and (not wanted.metadata or cookie.metadata == wanted.metadata)
        and wanted.controller_metadata in (0, cookie.controller_metadata)
    )
