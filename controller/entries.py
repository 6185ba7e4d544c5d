"""What the switch's tables must hold, computed from the configuration and the store alone.

Everything the controller ever writes into a table comes from here, so a restarted switch, a
restarted controller and a running migration are all served by one comparison with what is there.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from itertools import permutations
from typing import Final

import finsy as fy

from controller import filters
from controller.config import Config
from controller.model import Migration, Partition

Entity = fy.P4TableEntry | fy.P4MulticastGroupEntry | fy.P4CloneSessionEntry

FLOOD_GROUP: Final = 1


class Stage(IntEnum):
    """Order of installing: a stage may rely on what earlier ones put there.

    Without its `service` entry nothing is taken for ours, so that one comes last, after tables and
    registers, and its absence tells that a switch has to be restored.
    """

    BASE = 0
    STEERING = 1
    SERVICE = 2


_STAGES: Final = {"partition": Stage.STEERING, "service": Stage.SERVICE}


def stage_of(entity: Entity) -> Stage:
    """Return the stage that installs `entity`."""
    if isinstance(entity, fy.P4TableEntry):
        return _STAGES.get(entity.table_id, Stage.BASE)
    return Stage.BASE


def entries(
    config: Config, partitions: Iterable[Partition], migrations: Iterable[Migration]
) -> list[Entity]:
    """Return all that the switch's tables must hold; `migrations` are the active ones."""
    active = {migration.partition: migration for migration in migrations}
    return [
        *_forwarding(config),
        *_service(config),
        *_between_servers(config),
        *(_control_source(config, each) for each in active.values() if each.slice is not None),
        *(_partition(config, each, active.get(each.name)) for each in partitions),
    ]


def flood_by_default() -> fy.P4TableEntry:
    """Return the default entry of the `ethernet` table: to all ports but the one it came from."""
    return fy.P4TableEntry(
        "ethernet", action=fy.P4TableAction("flood", group=FLOOD_GROUP), is_default_action=True
    )


def _entry(
    table: str, match: Mapping[str, object], action: str, **params: object
) -> fy.P4TableEntry:
    return fy.P4TableEntry(
        table, match=fy.P4TableMatch(match), action=fy.P4TableAction(action, **params)
    )


def _forwarding(config: Config) -> Iterator[Entity]:
    """Plain switching and routing between all hosts."""
    hosts = (*config.servers, *config.hosts)
    yield fy.P4MulticastGroupEntry(FLOOD_GROUP, replicas=[(host.port, 1) for host in hosts])
    yield _entry("ethernet", {"hdr.ethernet.dst_addr": config.router_mac}, "to_router")
    for host in hosts:
        yield _entry("ethernet", {"hdr.ethernet.dst_addr": host.mac}, "forward", port=host.port)
        yield _entry(
            "route",
            {"hdr.ipv4.dst_addr": f"{host.ip}/32"},
            "next_hop",
            mac=host.mac,
            port=host.port,
        )


def _service(config: Config) -> Iterator[Entity]:
    """What is addressed to the VIP, where its servers are, and how their replies come back."""
    service = config.service
    yield _entry("arp", {"hdr.arp.target_ip": service.vip}, "answer", mac=service.vip_mac)
    yield _entry(
        "service",
        {"hdr.ipv4.dst_addr": service.vip, "hdr.udp.dst_port": service.port},
        "set_service",
        service=service.id,
    )
    for server in config.servers:
        index = {"meta.server": server.index}
        address = {"mac": server.mac, "ip": server.ip, "udp_port": server.udp_port}
        yield _entry("server", index, "to_server", **address, port=server.port)
        yield _entry("mirror_server", index, "to_mirror", **address)
        yield fy.P4CloneSessionEntry(server.index, replicas=[(server.port, 1)])
        yield _entry(
            "reply",
            {
                "hdr.ipv4.src_addr": server.ip,
                "hdr.udp.src_port": server.udp_port,
                "hdr.netmigrate.service": service.id,
            },
            "from_service",
            mac=service.vip_mac,
            ip=service.vip,
            port=service.port,
        )


def _between_servers(config: Config) -> Iterator[Entity]:
    """Which traffic counts as being between servers."""
    for one, other in permutations(config.servers, 2):
        match = {"hdr.ipv4.src_addr": one.ip, "hdr.ipv4.dst_addr": other.ip}
        yield _entry("server_pair", match, "between_servers")


def _control_source(config: Config, migration: Migration) -> fy.P4TableEntry:
    """Whose GROUP_START and GROUP_COMPLETE count: the source's, on its own port alone."""
    source = config.server_named(migration.source)
    return _entry(
        "control_source",
        {
            "meta.migration": migration.id,
            "standard_metadata.ingress_port": source.port,
            "hdr.ipv4.src_addr": source.ip,
        },
        "honour",
    )


def _partition(
    config: Config, partition: Partition, migration: Migration | None
) -> fy.P4TableEntry:
    match: dict[str, object] = {
        "meta.service": config.service.id,
        "hdr.netmigrate.group": (partition.groups.first, partition.groups.prefix_length),
    }
    if migration is None or migration.slice is None:
        name = partition.server if migration is None else migration.served_from
        return _entry("partition", match, "serve", server=config.server_named(name).index)
    return _entry(
        "partition",
        match,
        "migrate",
        source=config.server_named(migration.source).index,
        destination=config.server_named(migration.destination).index,
        slice=migration.slice,
        migration=migration.id,
        batch_mask=filters.batch_mask(migration.batch),
        pull_reads=int(migration.settings.pull_reads),
    )
