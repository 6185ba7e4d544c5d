"""The controller's store on a disk that is full: nothing is lost, and it says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.config import Config
from controller.errors import StorageError
from controller.model import Migration, Settings, State, Totals
from controller.partitions import Range
from controller.store import Store
from tests.controller.networks import network
from tests.disks import fill, small_disk

pytestmark = pytest.mark.root

WHOLE = Range(0, 16383)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    with small_disk(tmp_path / "disk", 1 << 20) as place:
        yield place


def busy(store: Store, begun: Migration) -> None:
    """Write until the log has no page left to be written again."""
    for groups in range(1000):
        store.set_totals(begun, Totals(groups=groups))


def test_what_it_knew_is_there_and_it_goes_on_when_there_is_room(
    disk: Path, tmp_path: Path
) -> None:
    store = Store(disk / "store.sqlite")
    store.place(Config.parse(network(tmp_path)).service, 1)
    store.set_clean(0)
    begun = store.begin(store.partition("p0"), WHOLE, "server2", Settings(4, 0))
    store.set_state(begun, State.RUNNING)
    ballast = fill(disk)
    with pytest.raises(StorageError, match=r"store /.*/store.sqlite: .*full"):
        busy(store, begun)
    known = store.migration(begun.id)
    assert known.state is State.RUNNING
    with pytest.raises(StorageError):
        store.finish(known)
    assert store.migration(begun.id) == known, "a transaction is done whole or not at all"
    assert store.partition("p0").server == "server1"
    other = Store(disk / "store.sqlite")  # a controller that starts now
    assert other.migration(begun.id) == known
    other.close()
    ballast.unlink()
    store.finish(known)
    store.close()
    again = Store(disk / "store.sqlite")
    assert again.partition("p0").server == "server2"
    assert again.migration(begun.id).state is State.DONE
    again.close()
