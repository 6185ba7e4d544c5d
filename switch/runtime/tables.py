"""The tables of a running program: entries, default actions, direct counters, value sets."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, Final

from switch import ir
from switch.runtime import native
from switch.runtime.entries import (
    ConstTable,
    Entry,
    EntryExists,
    Match,
    NoSuchEntry,
    PipelineError,
    TableFull,
    Target,
)
from switch.runtime.objects import Table, look_up
from switch.runtime.running import Running

_COUNTER: Final = 1 << 64


class Tables(Running):
    """Entries may refer to members and groups of action profiles: see profiles.py."""

    def _table(self, name: str) -> Table:
        return look_up(self._objects.tables, name, "table")

    @staticmethod
    def _check(status: int, table: Table, entry: Entry | None) -> None:
        if status == native.EXISTS:
            raise EntryExists(f"table '{table.name}' already has an entry for {entry}")
        if status == native.NO_ENTRY:
            raise NoSuchEntry(f"table '{table.name}' has no entry for {entry}")
        if status == native.FULL:
            raise TableFull(f"table '{table.name}' is full")
        if status == native.CONST:
            raise ConstTable(f"table '{table.name}': this entry is const")
        if status == native.NO_TARGET:
            what = "the default action" if entry is None else f"the entry for {entry}"
            raise NoSuchEntry(
                f"table '{table.name}': what {what} refers to is not in its action profile"
            )
        if status == native.NO_ROOM:
            raise TableFull(
                f"table '{table.name}': the groups of its action profile have no room for another"
            )
        if status == native.NO_MEMORY:
            raise MemoryError(f"no memory for an entry of table '{table.name}'")

    def _changeable(self, name: str) -> Table:
        table = self._table(name)
        if table.ir.const_entries:
            raise ConstTable(f"table '{name}' has const entries: they cannot be changed")
        return table

    def insert(self, table: str, entry: Entry) -> None:
        """Raises EntryExists, TableFull, ConstTable, InvalidEntry, UnknownName.

        NoSuchEntry, too, when it refers to a member or group that is not there.
        """
        t = self._changeable(table)
        match, _memory = t.match(entry)
        action, data = t.does(entry)
        status = self._library.p4s_table_insert(
            self.handle, t.number, ctypes.byref(match), action, data
        )
        self._check(status, t, entry)

    def modify(self, table: str, entry: Entry) -> None:
        """Another action for an entry; its counters and meter stay. Raises NoSuchEntry, …"""
        t = self._changeable(table)
        match, _memory = t.match(entry)
        action, data = t.does(entry)
        status = self._library.p4s_table_modify(
            self.handle, t.number, ctypes.byref(match), action, data
        )
        self._check(status, t, entry)

    def delete(self, table: str, entry: Entry) -> None:
        """Only match and priority count. Raises NoSuchEntry, …"""
        t = self._changeable(table)
        match, _memory = t.match(entry)
        status = self._library.p4s_table_delete(self.handle, t.number, ctypes.byref(match))
        self._check(status, t, entry)

    def _row(self, t: Table, entry: Entry | None) -> Sequence[int]:
        match, _memory = self._key(t, entry)

        def get(data: native.Words, room: int) -> int:
            words: int = self._library.p4s_table_get(self.handle, t.number, match, data, room)
            return words

        row = native.read(get, t.row_words)
        if not row:
            self._check(native.NO_ENTRY, t, entry)
        return row

    def find(self, table: str, entry: Entry) -> Entry:
        """The installed entry with this match and priority. Raises NoSuchEntry."""
        t = self._table(table)
        return t.entry(self._row(t, entry))

    def idle(self, table: str, entry: Entry) -> int:
        """Nanoseconds since an entry was hit, as in `rows`. Raises NoSuchEntry."""
        return self._row(self._table(table), entry)[5]

    def _read(self, number: int) -> list[int]:
        """All rows of a table as of one moment."""

        def read(data: native.Words, room: int) -> int:
            words: int = self._library.p4s_table_read(self.handle, number, data, room)
            return words

        return native.read(read, 1024)

    def rows(self, table: str) -> list[tuple[Entry, tuple[int, int], int]]:
        """All entries with (packets, bytes) and idle nanoseconds, as of one moment.

        Idle time is kept for tables that support timeouts; others count from the insertion.
        """
        t = self._table(table)
        rows = t.split(self._read(t.number))
        return [(t.entry(row), (row[3], row[4]), row[5]) for row in rows]

    def entries(self, table: str) -> list[Entry]:
        return [entry for entry, _, _ in self.rows(table)]

    def set_value_set(self, name: str, members: Sequence[tuple[Match, ...]]) -> None:
        """Make these the members of a parser's value_set: one match per field of its type."""
        v = look_up(self._objects.value_sets, name, "value_set")
        packed = [v.match(member, i + 1) for i, member in enumerate(members)]
        status = self._library.p4s_value_set_write(
            self.handle, v.number, native.array([match for match, _ in packed]), len(packed)
        )
        if status == native.FULL:
            raise TableFull(f"value_set '{name}' has room for {v.size} members, not {len(members)}")
        if status == native.NO_MEMORY:
            raise MemoryError(f"no memory for value_set '{name}'")

    def value_set(self, name: str) -> list[tuple[Match, ...]]:
        v = look_up(self._objects.value_sets, name, "value_set")
        words, size = self._read(v.number), v.row_words
        return [v.member(words[at : at + size]) for at in range(0, len(words), size)]

    def set_default(self, table: str, action: str, params: Sequence[int]) -> None:
        t = self._table(table)
        if t.ir.const_default:
            raise ConstTable(f"the default action of table '{table}' is const")
        number, data = t.action(action, params, default=True)
        self._check(self._library.p4s_default_set(self.handle, t.number, number, data), t, None)

    def set_default_target(self, table: str, target: Target) -> None:
        """What a packet that nothing matches does: something of the table's action profile."""
        t = self._table(table)
        if t.ir.const_default:
            raise ConstTable(f"the default action of table '{table}' is const")
        number, data = t.refers(target)
        self._check(self._library.p4s_default_set(self.handle, t.number, number, data), t, None)

    def default_target(self, table: str) -> Target | None:
        """None: the default is a plain action."""
        t = self._table(table)
        return t.target(self._row(t, None))

    def reset_default(self, table: str) -> None:
        """The program's own default action again."""
        self._library.p4s_default_reset(self.handle, self._table(table).number)

    def default(self, table: str) -> tuple[str, tuple[int, ...]]:
        """The default action; of one that is a target, no name."""
        t = self._table(table)
        return t.bound_action(self._row(t, None))

    def _check_direct(self, table: str, direct: ir.ExternInstance | None, kind: str) -> None:
        if direct is None:
            raise PipelineError(f"table '{table}' has no direct {kind}")

    @staticmethod
    def _key(t: Table, entry: Entry | None) -> tuple[Any, native.Words | None]:
        """A pointer to a struct p4_match (NULL: the default entry), and what it points into."""
        if entry is None:
            return None, None
        match, memory = t.match(entry)
        return ctypes.byref(match), memory

    def direct_counter(self, table: str, entry: Entry | None) -> tuple[int, int]:
        """(packets, bytes) of an entry; None is the default entry."""
        t = self._table(table)
        self._check_direct(table, t.ir.counter, "counter")
        row = self._row(t, entry)
        return row[3], row[4]

    def set_direct_counter(
        self, table: str, entry: Entry | None, packets: int, count_bytes: int
    ) -> None:
        t = self._table(table)
        self._check_direct(table, t.ir.counter, "counter")
        value = native.words((packets % _COUNTER, count_bytes % _COUNTER))
        match, _memory = self._key(t, entry)
        status = self._library.p4s_direct_counter_set(self.handle, t.number, match, value)
        self._check(status, t, entry)
