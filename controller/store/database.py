"""The tables, in SQLite with a write-ahead log, and transactions over them."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from controller.errors import StorageError

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

_LATER: Final = (
    ("migrations", "group_batch", "INTEGER NOT NULL DEFAULT 1"),
    ("migrations", "stop_bytes", "INTEGER NOT NULL DEFAULT 0"),
    ("migrations", "rounds", "INTEGER NOT NULL DEFAULT 0"),
    ("migrations", "downtime", "REAL NOT NULL DEFAULT 0"),
    ("migrations", "before", "TEXT NOT NULL DEFAULT '[]'"),
    ("migrations", "pull_reads", "INTEGER NOT NULL DEFAULT 0"),
    ("slices", "batch", "INTEGER NOT NULL DEFAULT 1"),
)
"""Columns that a store of an earlier version does not have; it moved groups one by one, and doubled
reads."""


class Database:
    """The file at `path`; StorageError says what is wrong with it, or with the disk."""

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
        """All of what is done within it happens, or nothing."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise StorageError(f"store {self._path}: {error}") from None
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
