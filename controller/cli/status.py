"""`netmigrate status` and `netmigrate history`."""

import time
from collections.abc import Iterable

import typer

from controller import controller_pb2 as pb
from controller.cli.connection import DEFAULT_NET, Net, controller
from controller.cli.output import AsJson, duration, plain, print_json, print_table, size
from controller.rates import format_rate


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(status)
    app.command()(history)


def status(net: Net = DEFAULT_NET, json: AsJson = False) -> None:
    """Show services, partitions, servers, and running migrations with progress and time left."""
    with controller(net) as stub:
        found: pb.Status = stub.GetStatus(pb.StatusRequest())
    if json:
        print_json(plain(found))
        return
    device = found.device
    print(
        f"switch {device.name} ({device.target}, {device.address}): "
        + ("connected" if device.connected else f"not connected: {device.error}")
    )
    for service in found.services:
        print(f"service {service.name} (id {service.id}): {service.vip}:{service.port}")
    print()
    print_table(
        ["partition", "groups", "server", "migration", "packets>"],
        [
            (
                each.name,
                f"{each.first}-{each.last}",
                each.server,
                each.migration or "",
                each.packets,
            )
            for each in found.partitions
        ],
    )
    print()
    print_table(
        ["server", "address", "groups>", "keys>", "store memory>", "agent memory>", "store"],
        [_server(each) for each in found.servers],
    )
    if found.migrations:
        print()
        print_migrations(found.migrations)


def _server(server: pb.Server) -> tuple[object, ...]:
    if not server.reachable:
        return server.name, server.ip, "", "", "", "", server.error
    return (
        server.name,
        server.ip,
        server.groups_owned,
        server.keys,
        size(server.store_memory),
        size(server.agent_memory),
        server.store,
    )


def history(net: Net = DEFAULT_NET, json: AsJson = False) -> None:
    """Show all migrations, oldest first."""
    with controller(net) as stub:
        found: pb.History = stub.GetHistory(pb.HistoryRequest())
    if json:
        print_json(plain(found)["migrations"])
        return
    print_migrations(found.migrations)


def print_migrations(migrations: Iterable[pb.Migration]) -> None:
    """Print migrations as a table."""
    print_table(
        [
            *("id>", "partition", "groups", "from", "to", "protocol", "state"),
            *("moved>", "keys>", "bytes>", "throttle>", "lanes>", "batch>", "reads"),
            *("took>", "left>", "begun", ""),
        ],
        [_row(each) for each in migrations],
    )


def _reads(migration: pb.Migration) -> str:
    """Return what becomes of reads of groups on the move, if the switch knows which those are."""
    if not migration.HasField("slice"):
        return ""
    return "pulled" if migration.pull_reads else "doubled"


def _row(migration: pb.Migration) -> tuple[object, ...]:
    return (
        migration.id,
        migration.partition,
        f"{migration.first}-{migration.last}",
        migration.source,
        migration.destination,
        migration.protocol,
        migration.state,
        f"{migration.groups_done}/{migration.groups_total}",
        migration.keys,
        size(migration.bytes),
        format_rate(migration.throttle),
        migration.lanes,
        migration.group_batch,
        _reads(migration),
        duration(migration.seconds),
        "" if migration.ended else duration(migration.seconds_left),
        time.strftime("%F %T", time.localtime(migration.created)),
        migration.error
        or (f"moves back migration {migration.moves_back}" if migration.moves_back else ""),
    )
