"""How a partition is split for a migration that moves a piece of it, and joined again."""

import sqlite3

from controller.model import Migration, Partition
from controller.partitions import Range, split


def split_off(db: sqlite3.Connection, migration: int, partition: Partition, piece: Range) -> str:
    """Split a partition so that `piece` is one of its own; return that one's name."""
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


def join(db: sqlite3.Connection, migration: Migration) -> None:
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
