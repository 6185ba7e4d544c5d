"""What fill, view and clear do to register contents (docs/dataplane.md)."""

from dataclasses import replace

import numpy as np
import pytest

from controller import filters, slices
from controller.model import Migration, Settings, State, Totals
from controller.partitions import Range
from controller.registers import Cells, P4RuntimeRegisters
from hosts.agent import agent_pb2 as pb

MIGRATION = Migration(
    id=1,
    partition="p0",
    extent=Range(0, 8191),
    groups=(Range(0, 8191),),
    source="server1",
    destination="server2",
    slice=2,
    state=State.RUNNING,
    settings=Settings(2, 0),
    totals=Totals(),
    before=Totals(),
    created=0.0,
    ended=None,
    error="",
    moves_back=None,
)


class Arrays(P4RuntimeRegisters):
    """The register arrays as arrays; `put` is the real one."""

    def __init__(self) -> None:
        self.values = {
            name: np.zeros(filters.SLICES * slices.slice_cells(name), dtype=np.int64)
            for kind in ("ongoing", "migrated")
            for name in [f"{kind}_{i}" for i in range(filters.HASHES)]
        }
        self.values["ctrl_seq"] = np.zeros(filters.SLICES * filters.LANES, dtype=np.int64)

    async def read(self, name: str, indices: Cells) -> Cells:
        return self.values[name][indices]

    async def write(self, name: str, indices: Cells, values: Cells) -> None:
        self.values[name][indices] = values


def _truth(ongoing: list[int], migrated: list[int]) -> pb.MigrationTruth:
    flags = bytearray(16384)
    for group in migrated:
        flags[group] = 1
    return pb.MigrationTruth(ongoing=ongoing, migrated=bytes(flags), lane_sequences=[7, 9])


async def test_the_switch_sees_what_the_source_knows() -> None:
    registers = Arrays()
    # What an earlier state left in cells of this partition is overwritten.
    for name, values in registers.values.items():
        start = 2 * slices.slice_cells(name)
        values[start : start + slices.slice_cells(name)] = 1
    migrated = list(range(900))
    await slices.fill(registers, MIGRATION, _truth([1000, 1001], migrated))
    seen = await slices.view(registers, MIGRATION)
    assert (seen[migrated] == filters.MIGRATED).all()
    assert (seen[[1000, 1001]] == filters.ONGOING).all()
    others = np.delete(seen, [*migrated, 1000, 1001])
    # Bloom filters may err, but rarely with so few groups in them.
    assert (others != filters.NOT_MIGRATED).mean() < 0.001
    assert registers.values["ctrl_seq"][2 * 64 : 2 * 64 + 3].tolist() == [7, 9, 0]


async def test_no_other_slice_is_touched() -> None:
    registers = Arrays()
    await slices.fill(registers, MIGRATION, _truth([5], list(range(5000))))
    for name, values in registers.values.items():
        cells = slices.slice_cells(name)
        assert values[2 * cells : 3 * cells].any()
        assert not values[: 2 * cells].any()
        assert not values[3 * cells :].any()


async def test_on_the_way_back_groups_that_never_left_count_as_migrated() -> None:
    registers = Arrays()
    back = replace(MIGRATION, groups=(Range(0, 99), Range(200, 299)), moves_back=1)
    await slices.fill(registers, back, None)
    seen = await slices.view(registers, back)
    stayed = np.ones(8192, dtype=bool)
    stayed[0:100] = stayed[200:300] = False
    assert (seen[stayed] == filters.MIGRATED).all()
    assert (seen[~stayed] == filters.NOT_MIGRATED).mean() > 0.95


async def test_two_groups_that_share_a_counting_cell_count_twice() -> None:
    registers = Arrays()
    cells = filters.ongoing_hashes(np.arange(8192))[0]
    one = 0
    other = int(np.flatnonzero(cells[1:] == cells[0])[0]) + 1
    await slices.fill(registers, MIGRATION, _truth([one, other], []))
    assert registers.values["ongoing_0"][2 * filters.ONGOING_CELLS + cells[0]] == 2


BATCHES = replace(MIGRATION, settings=Settings(2, 0, 16))


async def test_a_batch_is_one_member_of_the_filters() -> None:
    registers = Arrays()
    migrated = [*range(160), *range(320, 336)]
    ongoing = [*range(160, 176), *range(512, 528)]
    await slices.fill(registers, BATCHES, _truth(ongoing, migrated))
    seen = await slices.view(registers, BATCHES)
    wanted = np.full(8192, filters.NOT_MIGRATED)
    wanted[migrated] = filters.MIGRATED
    wanted[ongoing] = filters.ONGOING
    assert (seen == wanted).all()
    for i in range(filters.HASHES):
        assert registers.values[f"ongoing_{i}"].sum() == 2
        assert registers.values[f"migrated_{i}"].sum() == 11


async def test_smaller_batches_take_the_place_of_larger_ones() -> None:
    """What is left of a migration may be no whole batches; nothing of the larger ones stays."""
    registers = Arrays()
    await slices.fill(registers, BATCHES, _truth([*range(160, 176)], [*range(160)]))
    left = (Range(168, 171), Range(176, 8191))
    smaller = replace(BATCHES, groups=left)
    assert smaller.batch == 4
    await slices.fill(registers, smaller, None)
    seen = await slices.view(registers, smaller)
    assert (
        np.flatnonzero(seen == filters.NOT_MIGRATED) == [*range(168, 172), *range(176, 8192)]
    ).all()
    assert not (seen == filters.ONGOING).any()
    await slices.clear(registers, 2, smaller.extent, smaller.batch, lambda: 0.0)
    assert not any(values.any() for values in registers.values.values())


@pytest.mark.parametrize("batch", [1, 16])
@pytest.mark.parametrize("extent", [Range(0, 16383), Range(64, 127)])
async def test_clearing_leaves_nothing_of_the_partition(extent: Range, batch: int) -> None:
    registers = Arrays()
    migration = replace(MIGRATION, extent=extent, groups=(extent,), settings=Settings(2, 0, batch))
    members = list(range(extent.first, extent.last + 1))
    await slices.fill(registers, migration, _truth(members[::3], members[1::3]))
    assert any(values.any() for values in registers.values.values())
    await slices.clear(registers, 2, extent, batch, lambda: 0.0)
    assert not any(values.any() for values in registers.values.values())
