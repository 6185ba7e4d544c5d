"""docs/dataplane.md: START and COMPLETE count once, from the migration's source alone."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller import filters
from controller.counters import Event
from hosts.wire import Op

from .bmv2 import DataPlane
from .deployment import (
    CLIENT,
    DESTINATION,
    MIGRATION,
    MOVING_PARTITION,
    SERVICE,
    SLICE,
    SOURCE,
    THIRD,
    host_ip,
)
from .model import Migrate, Serve, ip
from .net import GROUP, STILL_GROUP, Net, complete, control, leaves_to, query, start

OTHER_SLICE, OTHER_MIGRATION = 5, 8
BATCH = 16
FIRST = GROUP - GROUP % BATCH


@pytest.mark.parametrize("op", [Op.GROUP_START, Op.GROUP_COMPLETE])
def test_control_packets_go_on_to_the_destination_unchanged(net: Net, op: Op) -> None:
    frame = control(op, GROUP, 1)
    (sent,) = net.send(SOURCE, frame)
    assert net.last_event() is Event.CONTROL_APPLIED
    assert leaves_to(DESTINATION, sent, frame)
    assert sent.payload == frame[42:]


def test_a_group_goes_from_not_migrated_over_ongoing_to_migrated(net: Net) -> None:
    seen = []
    net.send(CLIENT, query())
    seen.append(net.last_event())
    net.send(SOURCE, start(GROUP, 1))
    net.send(CLIENT, query())
    seen.append(net.last_event())
    net.send(SOURCE, complete(GROUP, 2))
    net.send(CLIENT, query())
    seen.append(net.last_event())
    assert seen == [Event.STEERED_SOURCE, Event.DOUBLE_READ, Event.STEERED_DESTINATION]


@pytest.mark.parametrize("op", [Op.GROUP_START, Op.GROUP_COMPLETE])
def test_a_repeated_packet_counts_once_and_still_goes_on(net: Net, op: Op) -> None:
    net.send(SOURCE, start(GROUP, 1))
    frame = control(op, GROUP, 2)
    (first,) = net.send(SOURCE, frame)
    after_one = net.model.slices[SLICE].ongoing.copy()
    for _ in range(3):
        (again,) = net.send(SOURCE, frame)
        assert net.last_event() is Event.CONTROL_REPEATED
        assert again == first
    assert net.model.slices[SLICE].ongoing == after_one


def test_a_repeated_start_is_undone_by_one_complete(net: Net) -> None:
    for _ in range(3):
        net.send(SOURCE, start(GROUP, 1))
    net.send(SOURCE, complete(GROUP, 2))
    net.send(CLIENT, query())
    assert net.last_event() is Event.STEERED_DESTINATION


def test_a_start_that_comes_after_its_complete_counts_for_nothing(net: Net) -> None:
    net.send(SOURCE, complete(GROUP, 2))
    net.send(SOURCE, start(GROUP, 1))
    assert net.last_event() is Event.CONTROL_REPEATED
    net.send(CLIENT, query())
    assert net.last_event() is Event.STEERED_DESTINATION


def test_a_lost_start_leaves_no_cell_below_zero(net: Net) -> None:
    net.send(SOURCE, complete(GROUP, 2))
    net.send(SOURCE, start(GROUP + 1, 3))
    net.send(CLIENT, query(group=GROUP + 1))
    assert net.last_event() is Event.DOUBLE_READ
    net.send(CLIENT, query())
    assert net.last_event() is Event.STEERED_DESTINATION


def test_a_lost_complete_leaves_its_group_ongoing(net: Net) -> None:
    net.send(SOURCE, start(GROUP, 1))
    net.send(SOURCE, start(GROUP + 1, 3))
    net.send(SOURCE, complete(GROUP + 1, 4))
    net.send(CLIENT, query())
    assert net.last_event() is Event.DOUBLE_READ


def test_lanes_count_apart(net: Net) -> None:
    for lane in (0, 1, 63):
        net.send(SOURCE, start(GROUP + lane, 1, lane=lane))
        assert net.last_event() is Event.CONTROL_APPLIED
    net.send(SOURCE, complete(GROUP, 2, lane=0))
    assert net.last_event() is Event.CONTROL_APPLIED
    net.send(SOURCE, start(GROUP + 2, 1, lane=0))
    assert net.last_event() is Event.CONTROL_REPEATED
    net.send(CLIENT, query(group=GROUP + 63))
    assert net.last_event() is Event.DOUBLE_READ


def test_sequences_use_all_32_bits_and_start_at_one(net: Net) -> None:
    net.send(SOURCE, start(GROUP, 0))
    assert net.last_event() is Event.CONTROL_REPEATED
    net.send(SOURCE, start(GROUP, 0xFFFFFFFE))
    assert net.last_event() is Event.CONTROL_APPLIED
    net.send(SOURCE, complete(GROUP, 0x7FFFFFFF))
    assert net.last_event() is Event.CONTROL_REPEATED
    net.send(SOURCE, complete(GROUP, 0xFFFFFFFF))
    assert net.last_event() is Event.CONTROL_APPLIED


def test_a_counting_cell_stays_full(net: Net) -> None:
    for sequence in range(1, 261):
        net.send(SOURCE, start(GROUP, sequence))
    for array, cell in enumerate(filters.cells(GROUP)[0]):
        index = SLICE * filters.ONGOING_CELLS + cell
        assert net.pipeline.register(f"Ingress.ongoing_{array}", index) == 255


def test_groups_that_share_a_cell_do_not_end_each_other(net: Net) -> None:
    cell = filters.cells(GROUP)[0][0]
    other = next(
        group
        for group in range(MOVING_PARTITION, MOVING_PARTITION + 4096)
        if group != GROUP and filters.cells(group)[0][0] == cell
    )
    net.send(SOURCE, start(GROUP, 1, lane=0))
    net.send(SOURCE, start(other, 1, lane=1))
    net.send(SOURCE, complete(other, 2, lane=1))
    net.send(CLIENT, query())
    assert net.last_event() is Event.DOUBLE_READ
    net.send(CLIENT, query(group=other))
    assert net.last_event() is Event.STEERED_DESTINATION


@pytest.mark.parametrize(
    "where",
    [
        pytest.param({"source": CLIENT}, id="from a client"),
        pytest.param({"source": DESTINATION}, id="from the destination"),
        pytest.param({"source": CLIENT, "source_ip": host_ip(SOURCE)}, id="forged address"),
        pytest.param({"source_ip": host_ip(CLIENT)}, id="right port, wrong address"),
        pytest.param({"migration": MIGRATION + 1}, id="another migration"),
        pytest.param({"migration": 0}, id="no migration"),
        pytest.param({"lane": 64}, id="lane beyond the last"),
        pytest.param({"lane": 64 + (1 << 8)}, id="lane of more than eight bits"),
    ],
)
def test_a_control_packet_that_is_not_honoured_changes_nothing_and_goes_on(
    net: Net, where: dict[str, int]
) -> None:
    frame = start(GROUP, 1, **where)
    (sent,) = net.send(where.get("source", SOURCE), frame)
    assert net.last_event() is Event.CONTROL_REFUSED
    assert leaves_to(DESTINATION, sent, frame)
    net.send(CLIENT, query())
    assert net.last_event() is Event.STEERED_SOURCE


def test_a_partition_that_stays_has_no_group_to_start(net: Net) -> None:
    frame = start(STILL_GROUP, 1)
    (sent,) = net.send(SOURCE, frame)
    assert net.last_event() is Event.CONTROL_REFUSED
    assert leaves_to(SOURCE, sent, frame)


def test_a_complete_that_comes_after_the_migration_reaches_the_new_owner(net: Net) -> None:
    net.place(SERVICE, MOVING_PARTITION, 4, Serve(DESTINATION))
    (sent,) = net.send(SOURCE, complete(GROUP, 2))
    assert net.last_event() is Event.CONTROL_REFUSED
    assert sent.port == DESTINATION


def _second_migration(net: Net) -> None:
    net.place(SERVICE, 0, 4, Migrate(THIRD, SOURCE, OTHER_SLICE, OTHER_MIGRATION))
    net.honour(OTHER_MIGRATION, THIRD, ip(host_ip(THIRD)))


def test_slices_do_not_touch_each_other(net: Net) -> None:
    """Two migrations at once, with groups of the same hash cells as far as possible."""
    _second_migration(net)
    groups = range(0, 4096, 173)
    for sequence, group in enumerate(groups, 1):
        net.send(SOURCE, start(MOVING_PARTITION + group, sequence))
    for group in groups:
        net.send(CLIENT, query(group=group))
        assert net.last_event() is Event.STEERED_SOURCE
    for sequence, group in enumerate(groups, 1):
        net.send(THIRD, complete(group, sequence, source=THIRD, migration=OTHER_MIGRATION))
        assert net.last_event() is Event.CONTROL_APPLIED
    for group in groups:
        net.send(CLIENT, query(group=group))
        assert net.last_event() is Event.STEERED_DESTINATION
        net.send(CLIENT, query(group=MOVING_PARTITION + group))
        assert net.last_event() is Event.DOUBLE_READ


def test_one_migration_s_source_is_not_another_s(net: Net) -> None:
    _second_migration(net)
    net.send(THIRD, start(GROUP, 1, source=THIRD, migration=OTHER_MIGRATION))
    assert net.last_event() is Event.CONTROL_REFUSED
    net.send(THIRD, start(GROUP, 1, source=THIRD, migration=MIGRATION))
    assert net.last_event() is Event.CONTROL_REFUSED


def test_a_slice_that_was_cleared_begins_anew(net: Net) -> None:
    for lane in range(4):
        net.send(SOURCE, start(GROUP + lane, 1, lane=lane))
        net.send(SOURCE, complete(GROUP + lane, 2, lane=lane))
    net.clear_slice(SLICE)
    net.place(SERVICE, MOVING_PARTITION, 4, Migrate(DESTINATION, SOURCE, SLICE, OTHER_MIGRATION))
    net.honour(OTHER_MIGRATION, DESTINATION, ip(host_ip(DESTINATION)))
    net.send(CLIENT, query())
    assert net.last_event() is Event.STEERED_SOURCE
    net.send(DESTINATION, start(GROUP, 1, source=DESTINATION, migration=OTHER_MIGRATION))
    assert net.last_event() is Event.CONTROL_APPLIED


@pytest.mark.parametrize("number", range(filters.SLICES))
def test_every_slice_is_within_the_arrays(net: Net, number: int) -> None:
    net.place(SERVICE, MOVING_PARTITION, 4, Migrate(SOURCE, DESTINATION, number, MIGRATION))
    for lane, group in enumerate(range(MOVING_PARTITION, MOVING_PARTITION + 4096, 71)):
        net.send(SOURCE, start(group, 1, lane=lane))
        net.send(SOURCE, complete(group, 2, lane=lane))
        assert net.last_event() is Event.CONTROL_APPLIED


def _move_in_batches(net: Net, batch: int = BATCH) -> None:
    move = Migrate(SOURCE, DESTINATION, SLICE, MIGRATION, batch)
    net.place(SERVICE, MOVING_PARTITION, 4, move)


def _seen(net: Net, *groups: int) -> set[Event]:
    seen = set()
    for group in groups:
        net.send(CLIENT, query(group=group))
        seen.add(net.last_event())
    return seen


def test_a_batch_moves_as_one(net: Net) -> None:
    """One START and one COMPLETE, with the batch's first group, for all groups of the batch, and
    for no neighbour."""
    _move_in_batches(net)
    batch = range(FIRST, FIRST + BATCH)
    around = (FIRST - 1, FIRST + BATCH)
    assert _seen(net, *batch, *around) == {Event.STEERED_SOURCE}
    net.send(SOURCE, start(FIRST, 1))
    assert _seen(net, *batch) == {Event.DOUBLE_READ}
    assert _seen(net, *around) == {Event.STEERED_SOURCE}
    net.send(SOURCE, complete(FIRST, 2))
    assert _seen(net, *batch) == {Event.STEERED_DESTINATION}
    assert _seen(net, *around) == {Event.STEERED_SOURCE}
    net.check_registers()


@pytest.mark.parametrize("batch", [1 << bits for bits in range(13)])
def test_batches_of_every_size_fill_a_partition(net: Net, batch: int) -> None:
    _move_in_batches(net, batch)
    firsts = range(MOVING_PARTITION, 2 * MOVING_PARTITION, batch)
    for lane, first in enumerate(firsts[:60]):
        net.send(SOURCE, start(first, 1, lane=lane))
        net.send(SOURCE, complete(first, 2, lane=lane))
    moved = min(60 * batch, MOVING_PARTITION)
    sample = range(MOVING_PARTITION, 2 * MOVING_PARTITION, 37)
    here = [group for group in sample if group < MOVING_PARTITION + moved]
    assert _seen(net, *here) == {Event.STEERED_DESTINATION}
    rest = [group for group in sample if group >= MOVING_PARTITION + moved]
    assert _seen(net, *rest) <= {Event.STEERED_SOURCE}


LANES = 3
GROUPS_PER_LANE = 4


@st.composite
def deliveries(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Draw the arrivals (lane, position) of every lane's packets on a network that loses some,
    repeats some and reorders all."""
    arrivals: list[tuple[float, int, int]] = []
    for lane in range(LANES):
        for position in range(2 * GROUPS_PER_LANE):
            for _ in range(draw(st.integers(0, 3))):
                delay = draw(st.integers(0, 8))
                arrivals.append((position + delay + lane / 10, lane, position))
    return [(lane, position) for _, lane, position in sorted(arrivals)]


def _packet(lane: int, position: int) -> bytes:
    group = MOVING_PARTITION + 1000 * lane + position // 2
    op = Op.GROUP_COMPLETE if position % 2 else Op.GROUP_START
    return control(op, group, position + 1, lane=lane)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(deliveries())
def test_lost_repeated_and_reordered_packets_count_as_the_model_says(
    pipeline: DataPlane, arrivals: list[tuple[int, int]]
) -> None:
    net = Net(pipeline)
    for lane, position in arrivals:
        net.send(SOURCE, _packet(lane, position))
    for lane in range(LANES):
        for group in range(GROUPS_PER_LANE):
            net.send(CLIENT, query(group=MOVING_PARTITION + 1000 * lane + group))
    net.check_counters()
    net.check_registers()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_source_that_resends_until_acknowledged_moves_every_group(
    pipeline: DataPlane, data: st.DataObject
) -> None:
    """However the network loses, repeats and delays: a lane sends its next packet only when the
    last was acknowledged, so in the end every group is MIGRATED and no cell is left ONGOING."""
    net = Net(pipeline)
    late: list[tuple[int, int]] = []
    for position in range(2 * GROUPS_PER_LANE):
        for lane in range(LANES):
            for _ in range(data.draw(st.integers(0, 2))):
                late.append((lane, position))  # a copy that the network holds back
            net.send(SOURCE, _packet(lane, position))
        for _ in range(data.draw(st.integers(0, len(late)))):
            net.send(SOURCE, _packet(*late.pop(data.draw(st.integers(0, len(late) - 1)))))
    for lane in range(LANES):
        for group in range(GROUPS_PER_LANE):
            net.send(CLIENT, query(group=MOVING_PARTITION + 1000 * lane + group))
            assert net.last_event() is Event.STEERED_DESTINATION
    assert not any(net.model.slices[SLICE].ongoing.values())
    net.check_registers()
