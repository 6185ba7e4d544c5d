"""What the switch's trace says of our own program, held against what is known beforehand."""

import re

import pytest

from controller import filters
from controller.counters import Event, Traffic
from hosts.wire import GROUPS
from switch.runtime.pipeline import Pipeline
from switch.runtime.trace import Trace

from .deployment import CLIENT, DESTINATION, MIGRATION, SLICE, SOURCE, host_ip, host_mac
from .net import GROUP, Net, query, start

BOILERPLATE = ("if (", "select(", "emit", "extract", "meta.", "hdr.", "standard_metadata.")


@pytest.fixture(scope="module")
def pipeline(compiled: Pipeline) -> Pipeline:
    """Only our own data plane has this trace."""
    return compiled


def traced(net: Net, port: int, frame: bytes) -> Trace:
    assert isinstance(net.pipeline, Pipeline)
    return net.pipeline.trace(port, frame)


def said(net: Net, copy: int, port: int, frame: bytes) -> list[str]:
    """The lines of one copy, without line numbers, conditions, assignments and headers."""
    trace = traced(net, port, frame)
    texts = [step.text for step in trace.steps if step.copy == copy]
    return [text for text in texts if not text.startswith(BOILERPLATE)]


def hexadecimal(address: str) -> str:
    return "0x" + bytes(map(int, address.split("."))).hex()


def test_a_read_of_a_group_on_the_move(net: Net) -> None:
    net.send(SOURCE, start(GROUP, 1))
    net.model.process(CLIENT, query())
    moving, arrived = filters.cells(GROUP)
    lines = said(net, 0, CLIENT, query())
    states = ["start", "parse_ipv4", "parse_udp", "parse_netmigrate"]
    assert [f"state {state}" for state in states] == lines[:4]
    assert lines[4] == "parser done, 70 bytes of headers"
    for line in (
        "table Ingress.service(hdr.ipv4.dst_addr=0x0a000001, hdr.udp.dst_port=0x125c) hit",
        "action Ingress.set_service(service=0x0001)",
        f"table Ingress.partition(meta.service=0x0001, hdr.netmigrate.group={GROUP:#06x}) "
        "hit meta.service=0x0001, hdr.netmigrate.group=0x1000/4",
        "table Ingress.server(meta.server=0x0001) hit",
        f"action Ingress.to_server(mac={host_mac(SOURCE)}, ip={hexadecimal(host_ip(SOURCE))}, "
        "udp_port=0x125d, port=0x001)",
        f"clone_preserving_field_list(session={DESTINATION:#010x})",
        f"clone session {DESTINATION}: copy 1 to port {DESTINATION}, instance 1",
        f"counter Ingress.events[{Event.DOUBLE_READ}]",
        "egress, port 1",
        f"counter Egress.traffic[{Traffic.QUERY}]",
    ):
        assert lines.count(line) == 1, (line, lines)
    migrate = f"source=0x0001, destination=0x0002, slice={SLICE:#04x}, migration={MIGRATION:#06x}"
    assert any(line.startswith(f"action Ingress.migrate({migrate}") for line in lines)
    reads = [line for line in lines if re.match(r"register .* is ", line)]
    assert reads == [
        *(
            f"register Ingress.ongoing_{i}[{SLICE * filters.ONGOING_CELLS + cell}] is 0x01"
            for i, cell in enumerate(moving)
        ),
        *(
            f"register Ingress.migrated_{i}[{SLICE * filters.MIGRATED_CELLS + cell}] is 0x0"
            for i, cell in enumerate(arrived)
        ),
    ]
    assert lines[-1] == f"out of port {SOURCE}, {len(query())} bytes"


def test_the_copy_of_a_double_read(net: Net) -> None:
    net.send(SOURCE, start(GROUP, 1))
    net.model.process(CLIENT, query())
    lines = said(net, 1, CLIENT, query())
    after_parser = lines[lines.index("parser done, 70 bytes of headers") + 1 :]
    assert after_parser[:3] == [
        f"egress, port {DESTINATION}, instance 1",
        "table Egress.mirror_server(meta.server=0x0002) hit",
        f"action Egress.to_mirror(mac={host_mac(DESTINATION)}, "
        f"ip={hexadecimal(host_ip(DESTINATION))}, udp_port=0x125d)",
    ]
    assert after_parser[-1] == f"out of port {DESTINATION}, {len(query())} bytes"


def test_a_query_that_nobody_may_answer(net: Net) -> None:
    """The trace says which line dropped it, and why: nobody has the group."""
    frame = query(group=GROUPS - 1)
    net.model.process(CLIENT, frame)
    trace = traced(net, CLIENT, frame)
    missed = next(step for step in trace.steps if step.name == "Ingress.partition")
    assert missed.values == {"meta.service": 1, "hdr.netmigrate.group": GROUPS - 1}
    assert (missed.kind, missed.hit, missed.entry) == ("table", False, None)
    events = [step.values[""] for step in trace.steps if step.name == "meta.event"]
    assert events == [Event.NO_PARTITION]
    (drop,) = (step for step in trace.steps if step.name == "mark_to_drop")
    assert drop.loc is not None
    dropped = f"dropped at the end of ingress: mark_to_drop in netmigrate.p4({drop.loc.line})"
    assert trace.steps[-1].text == dropped
    assert trace.out == ()
