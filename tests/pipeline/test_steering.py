"""docs/dataplane.md: where queries go."""

import pytest

from controller import filters
from controller.counters import Event, Traffic
from hosts.wire import Flags, Op

from .deployment import (
    CLIENT,
    DESTINATION,
    MIGRATION,
    MOVING_PARTITION,
    OTHER_SERVICE,
    OTHER_VIP,
    SERVICE,
    SLICE,
    SOURCE,
    THIRD,
)
from .model import Migrate, Serve
from .net import (
    GROUP,
    STILL_GROUP,
    Net,
    complete,
    exact,
    leaves_to,
    partition_key,
    query,
    start,
)


@pytest.mark.parametrize("op", [Op.READ, Op.WRITE])
def test_a_partition_that_stays_is_served_by_its_server(net: Net, op: Op) -> None:
    frame = query(op, STILL_GROUP)
    (sent,) = net.send(CLIENT, frame)
    assert net.last_event() is Event.SERVED
    assert leaves_to(SOURCE, sent, frame)
    assert sent.payload == frame[42:]


def test_services_have_partitions_of_their_own(net: Net) -> None:
    frame = query(group=GROUP, service=OTHER_SERVICE, vip=OTHER_VIP)
    (sent,) = net.send(CLIENT, frame)
    assert leaves_to(THIRD, sent, frame)


@pytest.mark.parametrize("op", [Op.READ, Op.WRITE])
def test_not_migrated_goes_to_the_source(net: Net, op: Op) -> None:
    frame = query(op)
    (sent,) = net.send(CLIENT, frame)
    assert net.last_event() is Event.STEERED_SOURCE
    assert leaves_to(SOURCE, sent, frame)
    assert sent.header.flags == Flags.NONE
    assert sent.header.migration == MIGRATION


@pytest.mark.parametrize("op", [Op.READ, Op.WRITE])
def test_migrated_goes_to_the_destination(net: Net, op: Op) -> None:
    net.send(SOURCE, start(GROUP, 1))
    net.send(SOURCE, complete(GROUP, 2))
    frame = query(op)
    (sent,) = net.send(CLIENT, frame)
    assert net.last_event() is Event.STEERED_DESTINATION
    assert leaves_to(DESTINATION, sent, frame)
    assert sent.header.flags == Flags.NONE
    assert sent.header.migration == MIGRATION


def test_a_read_of_an_ongoing_group_goes_to_both(net: Net) -> None:
    net.send(SOURCE, start(GROUP, 1))
    frame = query()
    first, second = net.send(CLIENT, frame)
    assert net.last_event() is Event.DOUBLE_READ
    assert leaves_to(SOURCE, first, frame)
    assert leaves_to(DESTINATION, second, frame)
    for sent in (first, second):
        assert sent.header.flags == Flags.DOUBLE
        assert sent.header.migration == MIGRATION
        assert sent.payload[28:] == frame[42 + 28 :]
    assert net.model.traffic[Traffic.DOUBLE_QUERY] == 1


def test_a_write_of_an_ongoing_group_goes_to_the_destination(net: Net) -> None:
    net.send(SOURCE, start(GROUP, 1))
    frame = query(Op.WRITE)
    (sent,) = net.send(CLIENT, frame)
    assert net.last_event() is Event.ONGOING_WRITE
    assert leaves_to(DESTINATION, sent, frame)
    assert sent.header.flags == Flags.ONGOING
    assert sent.header.migration == MIGRATION


def test_a_read_of_an_ongoing_group_goes_to_the_destination_alone_that_pulls(net: Net) -> None:
    place = Migrate(SOURCE, DESTINATION, SLICE, MIGRATION, pull_reads=True)
    net.place(SERVICE, MOVING_PARTITION, 4, place)
    frame = query()
    (sent,) = net.send(CLIENT, frame)
    assert leaves_to(SOURCE, sent, frame)
    net.send(SOURCE, start(GROUP, 1))
    (sent,) = net.send(CLIENT, frame)
    assert net.last_event() is Event.ONGOING_READ
    assert leaves_to(DESTINATION, sent, frame)
    assert sent.header.flags == Flags.ONGOING
    assert sent.header.migration == MIGRATION
    net.send(CLIENT, query(Op.WRITE))
    assert net.last_event() is Event.ONGOING_WRITE
    net.send(SOURCE, complete(GROUP, 2))
    net.send(CLIENT, frame)
    assert net.last_event() is Event.STEERED_DESTINATION
    assert net.model.traffic[Traffic.DOUBLE_QUERY] == 0


def test_other_groups_are_not_affected_by_one_on_the_move(net: Net) -> None:
    net.send(SOURCE, start(GROUP, 1))
    for group in range(MOVING_PARTITION, MOVING_PARTITION + 4096, 97):
        if group != GROUP:
            net.send(CLIENT, query(group=group))
            assert net.last_event() is Event.STEERED_SOURCE


def test_ongoing_comes_before_migrated(net: Net) -> None:
    """A group that looks both (one of them falsely) is asked for on both sides."""
    net.send(SOURCE, start(GROUP, 1))
    net.send(SOURCE, complete(GROUP, 2))
    net.send(SOURCE, start(GROUP, 3))
    net.send(CLIENT, query())
    assert net.last_event() is Event.DOUBLE_READ


@pytest.mark.parametrize("missing", range(4))
@pytest.mark.parametrize("kind", ["ongoing", "migrated"])
def test_a_state_needs_all_four_cells(net: Net, kind: str, missing: int) -> None:
    moving, arrived = filters.cells(GROUP)
    cells, size = (
        (moving, filters.ONGOING_CELLS) if kind == "ongoing" else (arrived, filters.MIGRATED_CELLS)
    )
    part = net.model.slices[SLICE]
    for array, cell in enumerate(cells):
        if array == missing:
            continue
        net.pipeline.set_register(f"Ingress.{kind}_{array}", SLICE * size + cell, 1)
        if kind == "ongoing":
            part.ongoing[array, cell] = 1
        else:
            part.migrated.add((array, cell))
    net.send(CLIENT, query())
    assert net.last_event() is Event.STEERED_SOURCE
    array, cell = missing, cells[missing]
    net.pipeline.set_register(f"Ingress.{kind}_{array}", SLICE * size + cell, 1)
    if kind == "ongoing":
        part.ongoing[array, cell] = 1
    else:
        part.migrated.add((array, cell))
    net.send(CLIENT, query())
    assert net.last_event() is (
        Event.DOUBLE_READ if kind == "ongoing" else Event.STEERED_DESTINATION
    )


def test_a_client_cannot_set_the_flags_of_the_switch(net: Net) -> None:
    asked = Flags.DOUBLE | Flags.ONGOING | Flags.FORWARDED
    (sent,) = net.send(CLIENT, query(group=STILL_GROUP, flags=asked))
    assert sent.header.flags == Flags.FORWARDED
    (sent,) = net.send(CLIENT, query(flags=asked))
    assert sent.header.flags == Flags.FORWARDED
    net.send(SOURCE, start(GROUP, 1))
    (sent,) = net.send(CLIENT, query(Op.WRITE, flags=asked))
    assert sent.header.flags == Flags.FORWARDED | Flags.ONGOING
    for sent in net.send(CLIENT, query(flags=asked)):
        assert sent.header.flags == Flags.FORWARDED | Flags.DOUBLE


def test_a_client_cannot_name_a_migration(net: Net) -> None:
    (sent,) = net.send(CLIENT, query(group=STILL_GROUP, migration=99))
    assert sent.header.migration == 0
    (sent,) = net.send(CLIENT, query(migration=99))
    assert sent.header.migration == MIGRATION


def test_the_longest_prefix_wins(net: Net) -> None:
    net.place(SERVICE, GROUP & ~63, 10, Serve(THIRD))
    (sent,) = net.send(CLIENT, query(group=GROUP))
    assert sent.port == THIRD
    (sent,) = net.send(CLIENT, query(group=(GROUP & ~63) + 64))
    assert sent.port == SOURCE


def test_one_group_can_be_a_partition(net: Net) -> None:
    net.place(SERVICE, GROUP, 16, Migrate(THIRD, SOURCE, 5, 8))
    (sent,) = net.send(CLIENT, query(group=GROUP))
    assert (sent.port, sent.header.migration) == (THIRD, 8)
    (sent,) = net.send(CLIENT, query(group=GROUP + 1))
    assert (sent.port, sent.header.migration) == (SOURCE, MIGRATION)


def test_another_service_than_the_addressed_one_is_refused(net: Net) -> None:
    assert net.send(CLIENT, query(service=OTHER_SERVICE)) == []
    assert net.last_event() is Event.WRONG_SERVICE


def test_a_group_that_nobody_has_is_dropped(net: Net) -> None:
    assert net.send(CLIENT, query(group=8192)) == []
    assert net.last_event() is Event.NO_PARTITION


def test_a_server_that_is_unknown_gets_nothing(net: Net) -> None:
    net.place(SERVICE, 0, 4, Serve(9))
    assert net.send(CLIENT, query(group=STILL_GROUP)) == []
    assert net.last_event() is Event.NO_SERVER


def test_without_the_source_no_copy_is_sent_either(net: Net) -> None:
    net.place(SERVICE, MOVING_PARTITION, 4, Migrate(9, DESTINATION, SLICE, MIGRATION))
    net.send(SOURCE, start(GROUP, 1))
    assert net.send(CLIENT, query()) == []
    assert net.last_event() is Event.NO_SERVER


def test_a_copy_without_a_server_is_lost_and_counted(net: Net) -> None:
    net.pipeline.delete("Egress.mirror_server", exact(DESTINATION))
    del net.model.mirrors[DESTINATION]
    net.send(SOURCE, start(GROUP, 1))
    (sent,) = net.send(CLIENT, query())
    assert sent.port == SOURCE
    assert net.model.traffic[Traffic.LOST_COPY] == 1


def test_without_a_clone_session_the_source_alone_is_asked(net: Net) -> None:
    net.pipeline.delete_clone_session(DESTINATION)
    del net.model.sessions[DESTINATION]
    net.send(SOURCE, start(GROUP, 1))
    (sent,) = net.send(CLIENT, query())
    assert sent.port == SOURCE


def test_source_and_destination_may_swap(net: Net) -> None:
    """An abort is a migration in the other direction, with a slice of its own."""
    net.send(SOURCE, start(GROUP, 1))
    net.send(SOURCE, complete(GROUP, 2))
    net.place(SERVICE, MOVING_PARTITION, 4, Migrate(DESTINATION, SOURCE, 4, 8))
    (sent,) = net.send(CLIENT, query())
    assert (sent.port, sent.header.migration) == (DESTINATION, 8)


def test_partition_and_server_count_what_they_decide(net: Net) -> None:
    frame = query(group=STILL_GROUP)
    for _ in range(3):
        net.send(CLIENT, frame)
    moving = query()
    net.send(CLIENT, moving)
    for first, wanted in ((0, (3, 3 * len(frame))), (MOVING_PARTITION, (1, len(moving)))):
        key = partition_key(SERVICE, first, 4)
        assert net.pipeline.direct_counter("Ingress.partition", key) == wanted
    assert net.pipeline.direct_counter("Ingress.server", exact(SOURCE)) == (
        4,
        3 * len(frame) + len(moving),
    )
    assert net.pipeline.direct_counter("Ingress.server", exact(DESTINATION)) == (0, 0)


def test_bytes_are_counted_by_class(net: Net) -> None:
    net.send(SOURCE, start(GROUP, 1))
    frame = query()
    net.send(CLIENT, frame)
    assert net.pipeline.counter("Egress.traffic", Traffic.QUERY) == (1, len(frame))
    assert net.pipeline.counter("Egress.traffic", Traffic.DOUBLE_QUERY) == (1, len(frame))
    net.send(CLIENT, query(flags=Flags.RETRY))
    assert net.pipeline.counter("Egress.traffic", Traffic.RETRY) == (1, len(frame))
