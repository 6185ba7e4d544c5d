"""The durable store: what a restarted controller must know (SQLite, write-ahead log)."""

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, replace
from pathlib import Path
from typing import Final

from controller import config
from controller.errors import RefusedError, StorageError, UnknownNameError
from controller.model import Migration, Partition, Protocol, Settings, SliceState, State, Totals
from controller.partitions import Range, batch_within, split
from hosts.wire import GROUPS

MAX_MIGRATION: Final = (1 << 16) - 1

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS services (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, vip TEXT NOT NULL, port INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS partitions (
    name TEXT PRIMARY KEY, service INTEGER NOT NULL REFERENCES services (id),
    first INTEGER NOT NULL, last INTEGER NOT NULL, server TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS slices (
    number INTEGER PRIMARY KEY, state TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS migrations (
    serial INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL UNIQUE,
    partition TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    groups TEXT NOT NULL, source TEXT NOT NULL, destination TEXT NOT NULL, slice INTEGER NOT NULL,
    state TEXT NOT NULL, protocol TEXT NOT NULL, lanes INTEGER NOT NULL, throttle INTEGER NOT NULL,
    done_groups INTEGER NOT NULL DEFAULT 0, keys INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0, seconds REAL NOT NULL DEFAULT 0,
    created REAL NOT NULL, ended REAL, error TEXT NOT NULL DEFAULT '', moves_back INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS splits (
    migration INTEGER NOT NULL, name TEXT NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, server TEXT NOT NULL
) STRICT;
"""

NO_SLICE: Final = -1
"""In the table, of a migration that the switch does not follow."""

_LATER: Final = (
    ("migrations", "group_batch", "INTEGER NOT NULL DEFAULT 1"),
    ("migrations", "stop_bytes", "INTEGER NOT NULL DEFAULT 0"),
    ("migrations", "rounds", "INTEGER NOT NULL DEFAULT 0"),
    ("migrations", "downtime", "REAL NOT NULL DEFAULT 0"),
    ("migrations", "before", "TEXT NOT NULL DEFAULT '[]'"),
    ("slices", "batch", "INTEGER NOT NULL DEFAULT 1"),
)
"""Columns that a store of an earlier version does not have; it moved groups one by one."""


class Store:
    """Services, partitions, migrations and slices; every method is one transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, isolation_level=None)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            self._db.executescript(_SCHEMA)
            self._add_later_columns()
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"store {path}: {error}") from None

    def _add_later_columns(self) -> None:
        for table, column, kind in _LATER:
            known = self._db.execute(f"PRAGMA table_info({table})")
            if column not in {row["name"] for row in known}:
                self._db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise StorageError(f"store {self._path}: {error}") from None
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    # First placement

    def place(self, service: config.Service, slices: int) -> None:
        """Take over the first placement of a new service, and slices that are not known yet.

        What the switch's registers hold before this store's first migration is unknown: a new
        slice counts as dirty everywhere.
        """
        with self._transaction() as db:
            if not db.execute("SELECT 1 FROM services WHERE id = ?", (service.id,)).fetchone():
                db.execute(
                    "INSERT INTO services VALUES (?, ?, ?, ?)",
                    (service.id, service.name, service.vip, service.port),
                )
                db.executemany(
                    "INSERT INTO partitions VALUES (?, ?, ?, ?, ?)",
                    [
                        (each.name, service.id, each.groups.first, each.groups.last, each.server)
                        for each in service.partitions
                    ],
                )
            db.executemany(
                "INSERT OR IGNORE INTO slices (number, state, first, last) VALUES (?, ?, 0, ?)",
                [(number, SliceState.DIRTY, GROUPS - 1) for number in range(slices)],
            )

    # Partitions

    def partitions(self) -> list[Partition]:
        """Return all partitions in the order of their groups."""
        rows = self._db.execute("SELECT * FROM partitions ORDER BY first")
        return [_partition(row) for row in rows]

    def partition(self, name: str) -> Partition:
        """Return the partition called `name`."""
        row = self._db.execute("SELECT * FROM partitions WHERE name = ?", (name,)).fetchone()
        if row is None:
            known = ", ".join(each.name for each in self.partitions())
            raise UnknownNameError(f"no partition {name!r}: there are {known}")
        return _partition(row)

    def partition_around(self, groups: Range) -> Partition:
        """Return the partition that holds all of `groups`."""
        for each in self.partitions():
            if groups in each.groups:
                return each
        raise UnknownNameError(f"no partition holds all of the groups {groups}")

    # Migrations

    def migrations(self, *, active: bool = False) -> list[Migration]:
        """Return all migrations, or just those that have not ended, oldest first."""
        where = "WHERE ended IS NULL" if active else ""
        rows = self._db.execute(f"SELECT * FROM migrations {where} ORDER BY serial")
        return [_migration(row) for row in rows]

    def migration(self, number: int) -> Migration:
        """Return migration `number`."""
        row = self._db.execute("SELECT * FROM migrations WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise UnknownNameError(f"no migration {number}: `netmigrate history` lists them")
        return _migration(row)

    def begin(
        self, partition: Partition, piece: Range, destination: str, settings: Settings
    ) -> Migration:
        """Record a new migration of `piece` of `partition`, with a free slice.

        Where `piece` is not all of it, the partition is split: `undo` joins it again.
        """
        with self._transaction() as db:
            number = self._next_number(db)
            name = partition.name
            if piece != partition.groups:
                name = self._split(db, number, partition, piece)
            self._insert(
                db,
                number,
                partition=name,
                extent=piece,
                groups=(piece,),
                source=partition.server,
                destination=destination,
                settings=settings,
            )
        return self.migration(number)

    def begin_moving_back(self, aborted: Migration, moved: Sequence[Range]) -> Migration:
        """End `aborted`, and record the migration that takes back the groups it `moved`."""
        with self._transaction() as db:
            number = self._next_number(db)
            self._insert(
                db,
                number,
                partition=aborted.partition,
                extent=aborted.extent,
                groups=moved,
                source=aborted.destination,
                destination=aborted.source,
                settings=aborted.settings,
                moves_back=aborted.id,
            )
            self._end(db, aborted, State.ABORTED)
        return self.migration(number)

    def _insert(
        self,
        db: sqlite3.Connection,
        number: int,
        *,
        partition: str,
        extent: Range,
        groups: Sequence[Range],
        source: str,
        destination: str,
        settings: Settings,
        moves_back: int | None = None,
    ) -> None:
        batch = batch_within(groups, settings.group_batch)
        db.execute(
            "INSERT INTO migrations (id, partition, first, last, groups, source, destination,"
            " slice, state, protocol, lanes, throttle, group_batch, stop_bytes,"
            " created, moves_back) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                partition,
                extent.first,
                extent.last,
                json.dumps([[each.first, each.last] for each in groups]),
                source,
                destination,
                self._take_slice(db, extent, batch) if settings.protocol.is_followed else NO_SLICE,
                State.STARTING,
                settings.protocol,
                settings.lanes,
                settings.throttle,
                settings.group_batch,
                settings.stop_bytes,
                time.time(),
                moves_back,
            ),
        )

    def _next_number(self, db: sqlite3.Connection) -> int:
        """Return the next migration number; the wire has 16 bits for it, 0 means none."""
        row = db.execute("SELECT id FROM migrations ORDER BY serial DESC LIMIT 1").fetchone()
        number = (row["id"] if row else 0) % MAX_MIGRATION + 1
        # After the numbers have come round, the oldest of the history makes room.
        db.execute("DELETE FROM migrations WHERE id = ? AND ended IS NOT NULL", (number,))
        return number

    def _take_slice(self, db: sqlite3.Connection, extent: Range, batch: int) -> int:
        row = db.execute(
            "SELECT number FROM slices WHERE state = ? ORDER BY number LIMIT 1", (SliceState.FREE,)
        ).fetchone()
        if row is None:
            raise RefusedError(
                "all slices of the switch's registers are in use or being cleared: "
                "wait for a running migration to end"
            )
        number: int = row["number"]
        db.execute(
            "UPDATE slices SET state = ?, first = ?, last = ?, batch = ? WHERE number = ?",
            (SliceState.USED, extent.first, extent.last, batch, number),
        )
        return number

    def _split(
        self, db: sqlite3.Connection, migration: int, partition: Partition, piece: Range
    ) -> str:
        row = db.execute("SELECT * FROM partitions WHERE name = ?", (partition.name,)).fetchone()
        db.execute("DELETE FROM partitions WHERE name = ?", (partition.name,))
        db.execute(
            "INSERT INTO splits VALUES (?, ?, ?, ?, ?)",
            (migration, row["name"], row["first"], row["last"], row["server"]),
        )
        base = partition.name if "." in partition.name else f"{partition.name}."
        name = ""
        for bits, groups in split(partition.groups, piece):
            db.execute(
                "INSERT INTO partitions VALUES (?, ?, ?, ?, ?)",
                (base + bits, row["service"], groups.first, groups.last, row["server"]),
            )
            if groups == piece:
                name = base + bits
        return name

    def set_state(self, migration: Migration, state: State, error: str = "") -> None:
        """Record that `migration` is now in (active) `state`."""
        with self._transaction() as db:
            db.execute(
                "UPDATE migrations SET state = ?, error = ? WHERE id = ?",
                (state, error, migration.id),
            )

    def set_throttle(self, migration: Migration, throttle: int) -> None:
        """Record a new throttle."""
        with self._transaction() as db:
            db.execute("UPDATE migrations SET throttle = ? WHERE id = ?", (throttle, migration.id))

    def set_groups(self, migration: Migration, remaining: Sequence[Range], arrived: int) -> None:
        """Record that only `remaining` is still to move, after `arrived` groups.

        It may fit smaller batches only: theirs are all the cells that the slice has had so far.
        """
        before = json.dumps(astuple(replace(migration.totals, groups=arrived)))
        groups = json.dumps([[each.first, each.last] for each in remaining])
        batch = batch_within(remaining, migration.batch)
        with self._transaction() as db:
            db.execute(
                "UPDATE migrations SET groups = ?, group_batch = ?, before = ? WHERE id = ?",
                (groups, batch, before, migration.id),
            )
            db.execute("UPDATE slices SET batch = ? WHERE number = ?", (batch, migration.slice))

    def set_totals(self, migration: Migration, totals: Totals) -> None:
        """Record how far `migration` is."""
        with self._transaction() as db:
            db.execute(
                "UPDATE migrations SET done_groups = ?, keys = ?, bytes = ?, seconds = ?,"
                " rounds = ?, downtime = ? WHERE id = ?",
                (
                    totals.groups,
                    totals.keys,
                    totals.bytes,
                    totals.seconds,
                    totals.rounds,
                    totals.downtime,
                    migration.id,
                ),
            )

    def finish(self, migration: Migration) -> None:
        """Record that `migration` is done: its partition lives on the destination now."""
        with self._transaction() as db:
            db.execute(
                "UPDATE partitions SET server = ? WHERE name = ?",
                (migration.destination, migration.partition),
            )
            db.execute(
                "UPDATE migrations SET done_groups = ? WHERE id = ?",
                (migration.group_count, migration.id),
            )
            self._end(db, migration, State.DONE)

    def abort(self, migration: Migration) -> None:
        """Record that `migration` was stopped before it had moved anything."""
        with self._transaction() as db:
            self._end(db, migration, State.ABORTED)

    def undo(self, migration: Migration, error: str) -> None:
        """Record that `migration` could not be started, and join what it had split."""
        with self._transaction() as db:
            self._join(db, migration)
            self._end(db, migration, State.FAILED, error)

    def _join(self, db: sqlite3.Connection, migration: Migration) -> None:
        """Join what `migration` had split, unless its pieces have gone their own ways since."""
        old = db.execute("SELECT * FROM splits WHERE migration = ?", (migration.id,)).fetchone()
        if old is None:
            return
        within = (old["first"], old["last"])
        pieces = db.execute(
            "SELECT service, server FROM partitions WHERE first >= ? AND last <= ?", within
        ).fetchall()
        others = db.execute(
            "SELECT 1 FROM migrations WHERE first >= ? AND last <= ? AND ended IS NULL AND id <> ?",
            (*within, migration.id),
        ).fetchone()
        if others or any(piece["server"] != old["server"] for piece in pieces):
            return
        db.execute("DELETE FROM partitions WHERE first >= ? AND last <= ?", within)
        db.execute(
            "INSERT INTO partitions VALUES (?, ?, ?, ?, ?)",
            (old["name"], pieces[0]["service"], *within, old["server"]),
        )

    def _end(
        self, db: sqlite3.Connection, migration: Migration, state: State, error: str = ""
    ) -> None:
        db.execute(
            "UPDATE migrations SET state = ?, error = ?, ended = ? WHERE id = ?",
            (state, error, time.time(), migration.id),
        )
        db.execute("DELETE FROM splits WHERE migration = ?", (migration.id,))
        db.execute(
            "UPDATE slices SET state = ? WHERE number = ?", (SliceState.DIRTY, migration.slice)
        )

    # Slices

    def slices(self) -> dict[int, SliceState]:
        """Return the state of every slice."""
        rows = self._db.execute("SELECT number, state FROM slices ORDER BY number")
        return {row["number"]: SliceState(row["state"]) for row in rows}

    def dirty_slices(self) -> list[tuple[int, Range, int]]:
        """Return the slices to clear, each with the groups, in batches of so many, whose cells may
        not be zero."""
        rows = self._db.execute(
            "SELECT * FROM slices WHERE state = ? ORDER BY number", (SliceState.DIRTY,)
        )
        return [(row["number"], Range(row["first"], row["last"]), row["batch"]) for row in rows]

    def set_clean(self, number: int) -> None:
        """Record that slice `number` was read back as all zero."""
        with self._transaction() as db:
            db.execute(
                "UPDATE slices SET state = ? WHERE number = ? AND state = ?",
                (SliceState.FREE, number, SliceState.DIRTY),
            )


def _partition(row: sqlite3.Row) -> Partition:
    return Partition(row["name"], Range(row["first"], row["last"]), row["server"])


def _migration(row: sqlite3.Row) -> Migration:
    return Migration(
        id=row["id"],
        partition=row["partition"],
        extent=Range(row["first"], row["last"]),
        groups=tuple(Range(first, last) for first, last in json.loads(row["groups"])),
        source=row["source"],
        destination=row["destination"],
        slice=None if row["slice"] == NO_SLICE else row["slice"],
        state=State(row["state"]),
        settings=Settings(
            row["lanes"],
            row["throttle"],
            row["group_batch"],
            Protocol(row["protocol"]),
            row["stop_bytes"],
        ),
        totals=Totals(
            groups=row["done_groups"],
            keys=row["keys"],
            bytes=row["bytes"],
            seconds=row["seconds"],
            rounds=row["rounds"],
            downtime=row["downtime"],
        ),
        before=Totals(*json.loads(row["before"])),
        created=row["created"],
        ended=row["ended"],
        error=row["error"],
        moves_back=row["moves_back"],
    )
