"""The durable store: placement, the life of migrations in it, slices."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from controller.config import Config
from controller.errors import ControllerError, RefusedError, UnknownNameError
from controller.model import Settings, SliceState, State, Totals
from controller.partitions import Range
from controller.store import MAX_MIGRATION, Store
from tests.controller.networks import network

SLICES = 3
SETTINGS = Settings(lanes=4, throttle=1000, group_batch=16, stop_bytes=4096, pull_reads=True)
WHOLE = Range(0, 16383)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "controller.sqlite"


@pytest.fixture
def store(path: Path, tmp_path: Path) -> Iterator[Store]:
    store = Store(path)
    store.place(Config.parse(network(tmp_path)).service, SLICES)
    for number, *_ in store.dirty_slices():
        store.set_clean(number)
    yield store
    store.close()


def _placement(store: Store) -> dict[str, tuple[str, str]]:
    return {each.name: (str(each.groups), each.server) for each in store.partitions()}


def test_first_placement_counts_once(path: Path, tmp_path: Path) -> None:
    net = network(tmp_path)
    store = Store(path)
    store.place(Config.parse(net).service, SLICES)
    assert store.dirty_slices() == [(number, WHOLE, 1) for number in range(SLICES)]
    store.set_clean(1)
    net["services"][0]["partitions"][0]["server"] = "server2"
    store.place(Config.parse(net).service, SLICES)
    assert store.partition("p0").server == "server1"
    assert store.slices()[1] is SliceState.FREE
    store.close()


def test_a_migration_from_begin_to_finish_survives_restarts(store: Store, path: Path) -> None:
    begun = store.begin(store.partition("p0"), WHOLE, "server2", SETTINGS)
    assert (begun.id, begun.slice, begun.state, begun.settings) == (1, 0, State.STARTING, SETTINGS)
    assert begun.groups == (WHOLE,)
    assert store.slices()[0] is SliceState.USED
    store.set_state(begun, State.RUNNING)
    store.set_totals(begun, Totals(7, 70, 7000, 1.5))
    store.set_throttle(begun, 5)
    store.close()

    again = Store(path)
    (running,) = again.migrations(active=True)
    assert running.state is State.RUNNING
    assert running.totals == Totals(7, 70, 7000, 1.5)
    assert running.settings.throttle == 5
    assert again.partition("p0").server == "server1"
    again.finish(running)
    assert again.partition("p0").server == "server2"
    assert again.migrations(active=True) == []
    (ended,) = again.migrations()
    assert ended.state is State.DONE
    assert ended.ended is not None
    assert again.dirty_slices() == [(0, WHOLE, 16)]
    again.close()


def test_slices_run_out_and_only_clean_ones_come_back(store: Store) -> None:
    p0 = store.partition("p0")
    running = []
    for first in range(SLICES):
        piece = Range(first, first)
        around = store.partition_around(piece)
        running.append(store.begin(around, piece, "server2", SETTINGS))
    assert [each.slice for each in running] == [0, 1, 2]
    before = _placement(store)
    with pytest.raises(RefusedError, match="all slices"):
        store.begin(store.partition_around(Range(9, 9)), Range(9, 9), "server2", SETTINGS)
    assert _placement(store) == before, "a refused beginning leaves nothing behind"
    assert len(store.migrations()) == SLICES
    store.finish(running[1])
    with pytest.raises(RefusedError):
        store.begin(p0, WHOLE, "server2", SETTINGS)
    assert store.dirty_slices() == [(1, Range(1, 1), 1)]
    store.set_clean(1)
    store.set_clean(0)  # in use: stays so
    assert store.slices()[0] is SliceState.USED
    assert store.begin(store.partition_around(Range(9, 9)), Range(9, 9), "s", SETTINGS).slice == 1


def test_a_range_splits_its_partition_and_undo_joins_it(store: Store) -> None:
    begun = store.begin(store.partition("p0"), Range(4096, 8191), "server2", SETTINGS)
    assert begun.partition == "p0.01"
    assert _placement(store) == {
        "p0.00": ("0-4095", "server1"),
        "p0.01": ("4096-8191", "server1"),
        "p0.1": ("8192-16383", "server1"),
    }
    store.undo(begun, "no")
    assert _placement(store) == {"p0": ("0-16383", "server1")}
    assert store.migration(begun.id).error == "no"
    assert store.migration(begun.id).state is State.FAILED


def test_pieces_split_further(store: Store) -> None:
    first = store.begin(store.partition("p0"), Range(0, 8191), "server2", SETTINGS)
    store.finish(first)
    assert _placement(store) == {"p0.0": ("0-8191", "server2"), "p0.1": ("8192-16383", "server1")}
    second = store.begin(store.partition("p0.0"), Range(0, 4095), "server1", SETTINGS)
    assert second.source == "server2"
    assert second.partition == "p0.00"


def test_undo_leaves_pieces_alone_that_went_their_own_ways(store: Store) -> None:
    first = store.begin(store.partition("p0"), Range(0, 8191), "server2", SETTINGS)
    second = store.begin(store.partition("p0.1"), Range(8192, 16383), "server2", SETTINGS)
    store.undo(first, "no")
    assert set(_placement(store)) == {"p0.0", "p0.1"}
    store.finish(second)
    assert store.partition("p0.1").server == "server2"


def test_an_abort_begins_the_way_back(store: Store) -> None:
    begun = store.begin(store.partition("p0"), WHOLE, "server2", SETTINGS)
    moved = [Range(3, 5), Range(9, 9)]
    back = store.begin_moving_back(begun, moved)
    assert store.migration(begun.id).state is State.ABORTED
    assert (back.source, back.destination, back.groups) == ("server2", "server1", tuple(moved))
    assert (back.extent, back.moves_back, back.slice) == (WHOLE, begun.id, 1)
    assert store.dirty_slices() == [(0, WHOLE, 16)]
    store.finish(back)
    assert store.partition("p0").server == "server1"


def test_a_migration_may_have_less_left_to_move(store: Store) -> None:
    begun = store.begin(store.partition("p0"), WHOLE, "server2", SETTINGS)
    assert begun.can_be_undone
    store.set_totals(begun, Totals(groups=90, keys=7, bytes=8, seconds=2.0))
    store.set_groups(store.migration(begun.id), [Range(5, 5), Range(100, 16383)], 99)
    left = store.migration(begun.id)
    assert (left.extent, left.groups) == (WHOLE, (Range(5, 5), Range(100, 16383)))
    assert not left.can_be_undone
    assert left.group_count == 16384
    assert left.before == Totals(groups=99, keys=7, bytes=8, seconds=2.0)
    store.set_totals(left, left.before + Totals(groups=1, keys=2, bytes=3, seconds=0.5))
    assert store.migration(begun.id).totals == Totals(groups=100, keys=9, bytes=11, seconds=2.5)
    store.finish(store.migration(begun.id))
    assert store.migration(begun.id).totals.groups == 16384


def test_a_batch_never_reaches_beyond_what_is_to_move(store: Store) -> None:
    begun = store.begin(store.partition("p0"), WHOLE, "server2", SETTINGS)
    assert begun.batch == 16
    left = [Range(64, 67), Range(128, 8191)]
    store.set_groups(begun, left, 0)
    assert store.migration(begun.id).batch == 4
    # Once smaller, it stays so: the slice has had cells of such batches.
    store.set_groups(store.migration(begun.id), [Range(4096, 8191)], 4100)
    smaller = store.migration(begun.id)
    assert smaller.batch == 4
    back = store.begin_moving_back(smaller, [Range(0, 63), Range(66, 67)])
    assert (back.settings, back.batch) == (replace(SETTINGS, group_batch=4), 2)
    assert store.dirty_slices() == [(0, WHOLE, 4)]


def test_a_store_of_an_earlier_version(path: Path, tmp_path: Path) -> None:
    store = Store(path)
    store.place(Config.parse(network(tmp_path)).service, SLICES)
    store.set_clean(0)
    running = store.begin(store.partition("p0"), WHOLE, "server2", Settings(4, 0))
    store.close()
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE migrations DROP COLUMN group_batch")
        db.execute("ALTER TABLE migrations DROP COLUMN pull_reads")
        db.execute("ALTER TABLE slices DROP COLUMN batch")
    for _ in range(2):
        again = Store(path)
        assert again.migration(running.id) == running
        assert again.migration(running.id).batch == 1
        assert again.dirty_slices() == [(number, WHOLE, 1) for number in range(1, SLICES)]
        again.close()


def test_an_abort_waits_for_a_slice(store: Store) -> None:
    running = [
        store.begin(store.partition_around(Range(g, g)), Range(g, g), "server2", SETTINGS)
        for g in range(SLICES)
    ]
    with pytest.raises(RefusedError):
        store.begin_moving_back(running[0], [Range(0, 0)])
    assert store.migration(running[0].id).state is State.STARTING


def test_numbers_fit_the_wire_and_come_round(store: Store, path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute(
            "INSERT INTO migrations (id, partition, first, last, groups, source, destination,"
            " slice, state, protocol, lanes, throttle, created, ended)"
            " VALUES (?, 'p0', 0, 0, '[]', 'a', 'b', 0, 'done', 'netmigrate', 1, 0, 0, 1)",
            (MAX_MIGRATION,),
        )
    begun = store.begin(store.partition("p0"), WHOLE, "server2", SETTINGS)
    assert begun.id == 1


def test_unknown_names(store: Store) -> None:
    with pytest.raises(UnknownNameError, match="no partition 'p7': there are p0"):
        store.partition("p7")
    with pytest.raises(UnknownNameError, match="no migration 7"):
        store.migration(7)


def test_a_store_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("this is not a database, whatever its name says")
    with pytest.raises(ControllerError, match=r"store .*file: file is not a database"):
        Store(tmp_path / "file")
    with pytest.raises(ControllerError, match="store "):
        Store(tmp_path / "file" / "below")
