"""A rack to test with: three servers, two clients, two services, one of them on the move.

`deployment` describes it for the model; `install` writes what the model knows into the tables.
"""

from collections.abc import Iterator

import numpy as np

from controller import filters
from switch.runtime.pipeline import Entry, Exact, Lpm

from .bmv2 import DataPlane
from .model import Migrate, NextHop, Serve, Server, Slice, Switch, Vip, ip, mac

SERVICE, OTHER_SERVICE = 1, 2
VIP, OTHER_VIP = "10.0.0.1", "10.0.0.2"
VIP_MAC = "02:00:00:00:00:01"
VIP_PORT = 4700
AGENT_PORT = 4701

SOURCE, DESTINATION, THIRD = 1, 2, 3
CLIENT, OTHER_CLIENT = 11, 12
PORTS = (SOURCE, DESTINATION, THIRD, CLIENT, OTHER_CLIENT)

MIGRATION, SLICE = 7, 2
MOVING_PARTITION = 4096
"""Groups 4096 to 8191 are on the move; 0 to 4095 stay at SOURCE; 8192 to 16383 are nobody's."""

FLOOD_GROUP = 1

REGISTERS = {
    **{f"ongoing_{i}": filters.ONGOING_CELLS for i in range(filters.HASHES)},
    **{f"migrated_{i}": filters.MIGRATED_CELLS for i in range(filters.HASHES)},
    "ctrl_seq": filters.LANES,
}
"""The register arrays, and how many cells of each a slice has."""


def host_ip(port: int) -> str:
    """Return the address of the host behind `port`."""
    return f"10.0.1.{port}" if port < CLIENT else f"10.0.2.{port}"


def host_mac(port: int) -> str:
    """Return the MAC address of the host behind `port`."""
    return f"02:00:00:00:01:{port:02x}"


def server(index: int) -> Server:
    """Return where a server is: server N is behind port N."""
    return Server(mac(host_mac(index)), ip(host_ip(index)), AGENT_PORT, index)


def deployment() -> Switch:
    """Return the rack as the model sees it."""
    servers = (SOURCE, DESTINATION, THIRD)
    vip = {
        SERVICE: Vip(mac(VIP_MAC), ip(VIP), VIP_PORT),
        OTHER_SERVICE: Vip(mac(VIP_MAC), ip(OTHER_VIP), VIP_PORT),
    }
    return Switch(
        services={(ip(VIP), VIP_PORT): SERVICE, (ip(OTHER_VIP), VIP_PORT): OTHER_SERVICE},
        partitions={
            (SERVICE, 0, 4): Serve(SOURCE),
            (SERVICE, MOVING_PARTITION, 4): Migrate(SOURCE, DESTINATION, SLICE, MIGRATION),
            (OTHER_SERVICE, 0, 2): Serve(THIRD),
        },
        control_sources={(MIGRATION, SOURCE, ip(host_ip(SOURCE)))},
        servers={index: server(index) for index in servers},
        mirrors={index: server(index) for index in servers},
        sessions={index: index for index in servers},
        replies={
            (ip(host_ip(index)), AGENT_PORT, service): vip[service]
            for index in servers
            for service in vip
        },
        vips={ip(VIP): mac(VIP_MAC), ip(OTHER_VIP): mac(VIP_MAC)},
        hosts={mac(host_mac(port)): port for port in PORTS},
        router_macs={mac(VIP_MAC)},
        routes={
            (ip(host_ip(CLIENT)), 32): NextHop(mac(host_mac(CLIENT)), CLIENT),
            (ip("10.0.2.0"), 24): NextHop(mac(host_mac(OTHER_CLIENT)), OTHER_CLIENT),
        },
        server_pairs={
            (ip(host_ip(one)), ip(host_ip(other)))
            for one in servers
            for other in servers
            if one != other
        },
        flood=PORTS,
    )


def number(data: bytes) -> int:
    """Return the bytes of an address as P4Runtime sees them."""
    return int.from_bytes(data, "big")


def partition_entry(service: int, first: int, length: int, place: Serve | Migrate) -> Entry:
    """Return the entry of the `partition` table for one partition."""
    match = (Exact(service), Lpm(first, length))
    if isinstance(place, Serve):
        return Entry(match, "Ingress.serve", (place.server,))
    how = filters.batch_mask(place.batch), int(place.pull_reads)
    params = (place.source, place.destination, place.slice, place.migration, *how)
    return Entry(match, "Ingress.migrate", params)


def _entries(switch: Switch) -> Iterator[tuple[str, Entry]]:
    for (address, port), service in switch.services.items():
        match = (Exact(number(address)), Exact(port))
        yield "Ingress.service", Entry(match, "Ingress.set_service", (service,))
    for key, place in switch.partitions.items():
        yield "Ingress.partition", partition_entry(*key, place)
    for migration, port, address in switch.control_sources:
        match3 = (Exact(migration), Exact(port), Exact(number(address)))
        yield "Ingress.control_source", Entry(match3, "Ingress.honour")
    for index, at in switch.servers.items():
        params = (number(at.mac), number(at.ip), at.udp_port, at.port)
        yield "Ingress.server", Entry((Exact(index),), "Ingress.to_server", params)
    for index, at in switch.mirrors.items():
        address3 = (number(at.mac), number(at.ip), at.udp_port)
        yield "Egress.mirror_server", Entry((Exact(index),), "Egress.to_mirror", address3)
    for (address, port, service), vip in switch.replies.items():
        match3 = (Exact(number(address)), Exact(port), Exact(service))
        params3 = (number(vip.mac), number(vip.ip), vip.udp_port)
        yield "Ingress.reply", Entry(match3, "Ingress.from_service", params3)
    for address, own in switch.vips.items():
        yield "Ingress.arp", Entry((Exact(number(address)),), "Ingress.answer", (number(own),))
    for host, port in switch.hosts.items():
        yield "Ingress.ethernet", Entry((Exact(number(host)),), "Ingress.forward", (port,))
    for router in switch.router_macs:
        yield "Ingress.ethernet", Entry((Exact(number(router)),), "Ingress.to_router")
    for (prefix, length), hop in switch.routes.items():
        match1 = (Lpm(number(prefix), length),)
        yield "Ingress.route", Entry(match1, "Ingress.next_hop", (number(hop.mac), hop.port))
    for one, other in switch.server_pairs:
        pair = (Exact(number(one)), Exact(number(other)))
        yield "Ingress.server_pair", Entry(pair, "Ingress.between_servers")


def install(pipeline: DataPlane, switch: Switch) -> None:
    """Write everything the model knows into a pipeline that was just reset."""
    for table, entry in _entries(switch):
        pipeline.insert(table, entry)
    for session, port in switch.sessions.items():
        pipeline.set_clone_session(session, [(port, 1)])
    if switch.flood:
        pipeline.set_multicast_group(FLOOD_GROUP, [(port, 1) for port in switch.flood])
    pipeline.set_default("Ingress.ethernet", "Ingress.flood", (FLOOD_GROUP,))
    for index, part in switch.slices.items():
        if part != Slice():
            for name, values in slice_contents(part).items():
                pipeline.set_registers(f"Ingress.{name}", values, index * len(values))


def slice_cells(part: Slice) -> dict[str, dict[int, int]]:
    """Return the cells of a slice that are not zero, by register array."""
    found: dict[str, dict[int, int]] = {name: {} for name in REGISTERS}
    for (array, cell), count in part.ongoing.items():
        if count:
            found[f"ongoing_{array}"][cell] = count
    for array, cell in part.migrated:
        found[f"migrated_{array}"][cell] = 1
    found["ctrl_seq"] = {lane: sequence for lane, sequence in part.sequences.items() if sequence}
    return found


def slice_contents(part: Slice) -> dict[str, filters.Cells]:
    """Return what each register array must hold in a slice."""
    contents = {name: np.zeros(size, np.int64) for name, size in REGISTERS.items()}
    for name, cells in slice_cells(part).items():
        contents[name][list(cells)] = list(cells.values())
    return contents
