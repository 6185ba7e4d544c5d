"""Backup replicas of multicast groups (P4Runtime spec section 9.5.1), over links that go down."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator

import pytest
from finsy.proto import p4r

from switch.p4runtime import DeviceConfig
from tests.switch.p4runtime.client import Client, insert, modify
from tests.switch.p4runtime.entities import backed_up, group
from tests.switch.p4runtime.servers import CPU_PORT, looped

# Sends every packet to group 1; egress writes down of which replica it is.
PROGRAM = """
#include <core.p4>
#include <v1model.p4>
header byte_t { bit<8> instance; }
struct headers_t { byte_t byte; }
struct metadata_t { }
parser P(packet_in packet, out headers_t hdr, inout metadata_t meta,
         inout standard_metadata_t std) {
    state start { packet.extract(hdr.byte); transition accept; }
}
control V(inout headers_t hdr, inout metadata_t meta) { apply { } }
control I(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply { std.mcast_grp = 1; }
}
control E(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t std) {
    apply { hdr.byte.instance = (bit<8>) std.egress_rid; }
}
control C(inout headers_t hdr, inout metadata_t meta) { apply { } }
control D(packet_out packet, in headers_t hdr) { apply { packet.emit(hdr.byte); } }
V1Switch(P(), V(), I(), E(), C(), D()) main;
"""


@pytest.fixture
def link() -> str:
    return f"b{os.getpid()}a"


@pytest.fixture
def wired(link: str) -> Iterator[Client]:
    config = DeviceConfig("group.p4", {"group.p4": PROGRAM})
    with looped(config, link, f"b{os.getpid()}b") as client:
        yield client


def instances(client: Client, count: int) -> list[int]:
    """Of the copies of one packet that come to the controller."""
    assert client.stream
    client.stream.send(p4r.StreamMessageRequest(packet=p4r.PacketOut(payload=b"\0")))
    return [client.stream.receive().packet.payload[0] for _ in range(count)]


def until_chosen(client: Client, wanted: list[int]) -> None:
    """News of a link take a moment. The last copy always comes."""
    for _ in range(500):
        assert client.stream
        found = instances(client, 1)
        while found[-1] != 9:
            found.append(client.stream.receive().packet.payload[0])
        if found == wanted:
            return
        time.sleep(0.01)
    assert found == wanted


@pytest.mark.root
def test_a_backup_takes_over_and_gives_back(wired: Client, link: str) -> None:
    replica = backed_up((1, 1), (2, 2), (CPU_PORT, 3), (CPU_PORT, 4))
    always = p4r.Replica(port=CPU_PORT.to_bytes(2, "big"), instance=9)
    entry = group(1, replicas=[replica, always])
    wired.write(insert(entry))
    assert wired.read(group(1)) == [entry], "in their order (8.3)"
    until_chosen(wired, [9])
    subprocess.run(["ip", "link", "set", link, "down"], check=True)  # and the other end's carrier
    until_chosen(wired, [3, 9])
    wired.set_config("RECONCILE_AND_COMMIT", wired.get_config())
    until_chosen(wired, [3, 9])
    other = backed_up((2, 5), (1, 6), (CPU_PORT, 7))
    wired.write(modify(group(1, replicas=[other, always])))
    until_chosen(wired, [7, 9])
    subprocess.run(["ip", "link", "set", link, "up"], check=True)
    until_chosen(wired, [9])
