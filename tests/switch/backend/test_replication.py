"""simple_switch's order of clone, resubmit, multicast, recirculate, and what metadata they keep."""

from __future__ import annotations

import pytest

from switch.runtime.pipeline import InvalidEntry, NoSuchEntry
from tests.switch.backend.programs import fresh, one, program

# The command byte says what ingress does; egress appends a report of what it saw.
SOURCE = program(
    headers="""
        header command_t { bit<8> ingress; bit<8> egress; bit<8> passes; bit<8> keep; }
        header report_t { bit<32> instance_type; bit<16> rid; bit<16> port; bit<16> ingress_port;
                          bit<8> kept; bit<8> lost; bit<32> length; }
    """,
    members="command_t command; report_t report;",
    metadata="@field_list(1) bit<8> kept; bit<8> lost;",
    parser="state start { packet.extract(hdr.command); transition accept; }",
    ingress="""
        apply {
            meta.lost = 9;
            std.egress_spec = 1;
            if (std.instance_type == 0) { meta.kept = hdr.command.keep; }
            hdr.command.passes = hdr.command.passes + 1;
            if (hdr.command.ingress & 1 != 0) { clone(CloneType.I2E, 5); }
            if (hdr.command.ingress & 2 != 0) {
                clone_preserving_field_list(CloneType.I2E, 6, 1);
            }
            if (hdr.command.ingress & 4 != 0 && std.instance_type == 0) {
                resubmit_preserving_field_list(1);
            }
            if (hdr.command.ingress & 8 != 0) { std.mcast_grp = 3; }
            if (hdr.command.ingress & 16 != 0) { mark_to_drop(std); }
            if (hdr.command.ingress & 32 != 0) { truncate(10); }
        }
    """,
    egress="""
        apply {
            hdr.report.setValid();
            hdr.report.instance_type = std.instance_type;
            hdr.report.rid = std.egress_rid;
            hdr.report.port = (bit<16>)std.egress_port;
            hdr.report.ingress_port = (bit<16>)std.ingress_port;
            hdr.report.kept = meta.kept;
            hdr.report.lost = meta.lost;
            hdr.report.length = std.packet_length;
            if (hdr.command.egress & 1 != 0 && std.instance_type != 2) {
                clone_preserving_field_list(CloneType.E2E, 5, 1);
            }
            if (hdr.command.egress & 2 != 0 && std.instance_type == 0 && hdr.command.passes < 3) {
                recirculate_preserving_field_list(1);
            }
            if (hdr.command.egress & 4 != 0) { mark_to_drop(std); }
            if (hdr.command.egress & 8 != 0) { recirculate_preserving_field_list(1); }
            if (hdr.command.egress & 16 != 0) { clone(CloneType.E2E, 5); }
        }
    """,
    deparser="apply { packet.emit(hdr.command); packet.emit(hdr.report); }",
)

NORMAL, INGRESS_CLONE, EGRESS_CLONE, RECIRCULATED, REPLICATED, RESUBMITTED = 0, 1, 2, 4, 5, 6
KEEP = 0x42


class Seen:
    """One packet that came out, with egress's report."""

    def __init__(self, port: int, data: bytes) -> None:
        self.port = port
        self.data = data
        self.passes = data[2]
        fields = data[4:20]
        self.instance_type = int.from_bytes(fields[0:4], "big")
        self.rid = int.from_bytes(fields[4:6], "big")
        self.egress_port = int.from_bytes(fields[6:8], "big")
        self.ingress_port = int.from_bytes(fields[8:10], "big")
        self.kept, self.lost = fields[10], fields[11]
        self.length = int.from_bytes(fields[12:16], "big")
        self.payload = data[20:]


def _send(ingress: int = 0, egress: int = 0, payload: bytes = b"payload") -> list[Seen]:
    pipeline = fresh(SOURCE)
    pipeline.set_clone_session(5, [(20, 7)])
    pipeline.set_clone_session(6, [(21, 1), (22, 2)])
    pipeline.set_multicast_group(3, [(30, 300), (31, 301), (1, 302)])
    packet = bytes([ingress, egress, 0, KEEP]) + payload
    return [Seen(port, data) for port, data in pipeline.process(4, packet)]


def test_unicast() -> None:
    (out,) = _send()
    assert (out.port, out.egress_port, out.instance_type) == (1, 1, NORMAL)
    assert (out.ingress_port, out.kept, out.lost, out.payload) == (4, KEEP, 9, b"payload")


def test_packet_length_follows_headers_made_valid_in_ingress_only() -> None:
    (out,) = _send()
    assert out.length == 4 + len(b"payload")


def test_ingress_clone_is_the_packet_as_it_came() -> None:
    clone, original = _send(ingress=1)
    assert (clone.port, clone.instance_type, clone.rid, clone.passes) == (20, INGRESS_CLONE, 7, 0)
    assert (clone.kept, clone.lost, clone.payload) == (0, 0, b"payload")
    assert (original.port, original.instance_type, original.passes) == (1, NORMAL, 1)


def test_ingress_clone_keeps_its_field_list_and_goes_to_every_replica() -> None:
    first, second, original = _send(ingress=2)
    assert [(s.port, s.rid, s.kept, s.lost) for s in (first, second)] == [
        (21, 1, KEEP, 0),
        (22, 2, KEEP, 0),
    ]
    assert original.port == 1


def test_the_last_clone_call_counts() -> None:
    assert [s.port for s in _send(ingress=3)] == [21, 22, 1]


def test_a_clone_to_an_unknown_session_is_none() -> None:
    pipeline = fresh(SOURCE)
    assert [port for port, _ in pipeline.process(4, bytes([1, 0, 0, 0]))] == [1]


def test_a_dropped_packet_is_still_cloned() -> None:
    (clone,) = _send(ingress=1 | 16)
    assert (clone.port, clone.instance_type) == (20, INGRESS_CLONE)


def test_multicast_copies_everything() -> None:
    copies = _send(ingress=8)
    assert [(s.port, s.rid) for s in copies] == [(30, 300), (31, 301), (1, 302)]
    assert all(s.instance_type == REPLICATED and s.lost == 9 and s.passes == 1 for s in copies)


def test_mark_to_drop_wins_over_an_earlier_multicast() -> None:
    assert _send(ingress=8 | 16) == []


def test_resubmit_starts_over_with_the_original_packet() -> None:
    (out,) = _send(ingress=4)
    assert (out.port, out.passes, out.kept, out.payload) == (1, 1, KEEP, b"payload")
    # The second ingress sees RESUBMITTED; unicast makes it NORMAL again. Standard metadata is lost.
    assert (out.instance_type, out.ingress_port) == (NORMAL, 0)


def test_egress_clone_is_the_packet_as_egress_left_it() -> None:
    original, clone = _send(egress=1)
    assert (original.port, original.instance_type) == (1, NORMAL)
    assert (clone.port, clone.instance_type, clone.rid) == (20, EGRESS_CLONE, 7)
    assert (clone.passes, clone.kept, clone.lost) == (1, KEEP, 0)


def test_egress_clones_come_after_all_that_ingress_made() -> None:
    ports = [(s.port, s.instance_type) for s in _send(ingress=1, egress=1)]
    assert ports == [
        (20, INGRESS_CLONE),
        (1, NORMAL),
        (20, EGRESS_CLONE),
        (20, EGRESS_CLONE),
    ]


def test_recirculation_takes_the_deparsed_packet() -> None:
    (out,) = _send(egress=2)
    assert (out.port, out.passes, out.kept) == (1, 3, KEEP)
    # Each round's report became payload of the next.
    assert len(out.payload) == 2 * 16 + len(b"payload")
    assert out.payload.endswith(b"payload")


def test_a_drop_in_egress() -> None:
    assert _send(egress=4) == []


def test_truncate_cuts_what_is_sent() -> None:
    pipeline = fresh(SOURCE)
    assert one(pipeline, bytes([32, 0, 0, KEEP]) + b"payload")[:4] == bytes([32, 0, 1, KEEP])
    assert len(one(pipeline, bytes([32, 0, 0, KEEP]) + b"payload")) == 10


def test_a_truncating_clone_session() -> None:
    pipeline = fresh(SOURCE)
    pipeline.set_clone_session(5, [(20, 7)], truncate=6)
    clone, original = pipeline.process(4, bytes([1, 0, 0, KEEP]) + b"payload")
    assert (clone[0], len(clone[1]), len(original[1])) == (20, 6, 27)


@pytest.mark.parametrize("egress", [8, 16])
def test_endless_rounds_end(egress: int) -> None:
    pipeline = fresh(SOURCE)
    pipeline.set_clone_session(5, [(20, 0)])
    before = pipeline.statistics()["endless_packets"]
    pipeline.process(4, bytes([0, egress, 0, 0]))
    assert pipeline.statistics()["endless_packets"] == before + 1
    assert one(pipeline, bytes(4))[:4] == bytes([0, 0, 1, 0])


def test_sessions_and_groups_can_be_replaced_and_deleted() -> None:
    pipeline = fresh(SOURCE)
    pipeline.set_multicast_group(3, [(30, 0)])
    pipeline.set_multicast_group(3, [(31, 0)])
    assert [port for port, _ in pipeline.process(4, bytes([8, 0, 0, 0]))] == [31]
    pipeline.delete_multicast_group(3)
    assert pipeline.process(4, bytes([8, 0, 0, 0])) == []
    with pytest.raises(NoSuchEntry):
        pipeline.delete_multicast_group(3)
    with pytest.raises(NoSuchEntry):
        pipeline.delete_clone_session(5)
    with pytest.raises(InvalidEntry):
        pipeline.set_multicast_group(0, [])
    with pytest.raises(InvalidEntry):
        pipeline.set_clone_session(1 << 15, [])
    with pytest.raises(InvalidEntry):
        pipeline.set_clone_session(1, [(512, 0)])
