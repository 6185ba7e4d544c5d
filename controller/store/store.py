"""Services, partitions, migrations and slices, and what changes them together."""

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import astuple, replace
from typing import Final

from controller import config
from controller.errors import RefusedError, UnknownNameError
from controller.model import Migration, Partition, Settings, SliceState, State, Totals
from controller.partitions import Range, batch_within
from controller.store import rows
from controller.store.database import Database
from controller.store.splits import join, split_off
from hosts.wire import GROUPS

MAX_MIGRATION: Final = (1 << 16) - 1


class Store(Database):
    """Every method is one transaction."""

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
        found = self._db.execute("SELECT * FROM partitions ORDER BY first")
        return [rows.partition(row) for row in found]

    def partition(self, name: str) -> Partition:
        """Return the partition called `name`."""
        row = self._db.execute("SELECT * FROM partitions WHERE name = ?", (name,)).fetchone()
        if row is None:
            known = ", ".join(each.name for each in self.partitions())
            raise UnknownNameError(f"no partition {name!r}: there are {known}")
        return rows.partition(row)

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
        found = self._db.execute(f"SELECT * FROM migrations {where} ORDER BY serial")
        return [rows.migration(row) for row in found]

    def migration(self, number: int) -> Migration:
        """Return migration `number`."""
        row = self._db.execute("SELECT * FROM migrations WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise UnknownNameError(f"no migration {number}: `netmigrate history` lists them")
        return rows.migration(row)

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
                name = split_off(db, number, partition, piece)
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
        followed = settings.protocol.is_followed
        db.execute(
            "INSERT INTO migrations (id, partition, first, last, groups, source, destination,"
            " slice, state, protocol, lanes, throttle, group_batch, stop_bytes,"
            " pull_reads, created, moves_back)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number,
                partition,
                extent.first,
                extent.last,
                json.dumps([[each.first, each.last] for each in groups]),
                source,
                destination,
                self._take_slice(db, extent, batch) if followed else rows.NO_SLICE,
                State.STARTING,
                settings.protocol,
                settings.lanes,
                settings.throttle,
                settings.group_batch,
                settings.stop_bytes,
                settings.pull_reads,
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
            join(db, migration)
            self._end(db, migration, State.FAILED, error)

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
        found = self._db.execute("SELECT number, state FROM slices ORDER BY number")
        return {row["number"]: SliceState(row["state"]) for row in found}

    def dirty_slices(self) -> list[tuple[int, Range, int]]:
        """Return the slices to clear, each with the groups, in batches of so many, whose cells may
        not be zero."""
        found = self._db.execute(
            "SELECT * FROM slices WHERE state = ? ORDER BY number", (SliceState.DIRTY,)
        )
        return [(row["number"], Range(row["first"], row["last"]), row["batch"]) for row in found]

    def set_clean(self, number: int) -> None:
        """Record that slice `number` was read back as all zero."""
        with self._transaction() as db:
            db.execute(
                "UPDATE slices SET state = ? WHERE number = ? AND state = ?",
                (SliceState.FREE, number, SliceState.DIRTY),
            )
