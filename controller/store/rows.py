"""What a row of a table says, in the controller's words."""

import json
import sqlite3
from typing import Final

from controller.model import Migration, Partition, Protocol, Settings, State, Totals
from controller.partitions import Range

NO_SLICE: Final = -1
"""In the table, of a migration that the switch does not follow."""


def partition(row: sqlite3.Row) -> Partition:
    """A row of `partitions`."""
    return Partition(row["name"], Range(row["first"], row["last"]), row["server"])


def migration(row: sqlite3.Row) -> Migration:
    """A row of `migrations`."""
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
            bool(row["pull_reads"]),
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
