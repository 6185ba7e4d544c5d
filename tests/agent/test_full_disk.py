"""The agent's files on a disk that is full: they have their place, and what has none is refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hosts.agent.table import State, Table
from hosts.wire import GROUPS
from tests.agent.harness import Store
from tests.agent.test_journal import LEAST, Run
from tests.disks import fill, small_disk

pytestmark = pytest.mark.root

REFUSED = b"No space left on device); nothing was executed\r\n"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system in which a journal has room, and a longer one."""
    with small_disk(tmp_path / "disk", LEAST * 6, busy=True) as place:
        yield place


def test_the_table_has_its_place(disk: Path) -> None:
    """A page that is written for the first time would end the process otherwise."""
    table = Table.open(disk / "ownership")
    fill(disk)
    table.set(list(range(GROUPS)), State.OWNED, 1)
    assert Table.open(disk / "ownership").counts()["OWNED"] == GROUPS
    with pytest.raises(OSError, match="No space left"):
        Table.open(disk / "another")


def test_what_cannot_be_written_down_is_not_executed(disk: Path, store: Store) -> None:
    """Everything that the journal was begun with has its place; to grow, it needs more."""
    run = Run.begin(store, disk / "journal")
    ballast = fill(disk)
    store.client.set("k", "v" * 1000)
    seq, answer = 0, b""
    while REFUSED not in answer:
        seq += 1
        assert seq < 5000
        answer = run.ask(seq, "GETSET", "k", "v" * 1000)
    assert seq > LEAST // 2 // 4 // 1500, "records of a quarter of a half, at least"
    executed = store.client.info("commandstats")["cmdstat_getset"]["calls"]
    assert run.ask(seq, "GETSET", "k", "v" * 1000).endswith(REFUSED)
    assert run.ask(1, "GETSET", "k", "v" * 1000).startswith(b"$1000"), "it is still remembered"
    assert store.client.info("commandstats")["cmdstat_getset"]["calls"] == executed
    ballast.unlink()
    assert run.ask(seq, "GETSET", "k", "v" * 1000).startswith(b"$1000"), "it was not executed"
    run = run.again(store)
    assert run.ask(1, "GETSET", "k", "v" * 1000).startswith(b"$1000")
