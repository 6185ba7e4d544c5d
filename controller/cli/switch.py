"""`netmigrate registers`, `tables`, `counters`, `groups`: what the switch holds."""

from typing import Annotated

import typer

from controller import controller_pb2 as pb
from controller.cli.connection import DEFAULT_NET, Net, controller
from controller.cli.output import AsJson, plain, print_json, print_table

registers = typer.Typer(help="Look into the switch's register arrays.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.add_typer(registers, name="registers")
    for command in (tables, counters, groups):
        app.command()(command)


@registers.command("list")
def list_registers(net: Net = DEFAULT_NET, json: AsJson = False) -> None:
    """List the register arrays and their sizes."""
    with controller(net) as stub:
        found: pb.Registers = stub.ListRegisters(pb.RegistersRequest())
    if json:
        print_json(plain(found)["registers"])
        return
    print_table(
        ["register", "bits>", "cells>", "slices>", "cells of a slice>"],
        [
            (each.name, each.bits, each.size, each.size // each.slice_size, each.slice_size)
            for each in found.registers
        ],
    )


@registers.command("read")
def read(
    name: Annotated[str, typer.Argument(help="The register, as `registers list` names it.")],
    slice_: Annotated[int | None, typer.Option("--slice", min=0, help="Only this slice.")] = None,
    nonzero: Annotated[
        bool, typer.Option("--nonzero", help="Only cells that are not zero.")
    ] = False,
    net: Net = DEFAULT_NET,
    json: AsJson = False,
) -> None:
    """Read a register array: one line a cell, its index and its value."""
    request = pb.ReadRegisterRequest(name=name, slice=slice_)
    cells: list[tuple[int, int]] = []
    with controller(net) as stub:
        for batch in stub.ReadRegister(request):
            cells += enumerate(batch.values, batch.first)
    cells = [cell for cell in cells if cell[1] or not nonzero]
    if json:
        print_json([{"index": index, "value": value} for index, value in cells])
        return
    for index, value in cells:
        print(f"{name}[{index}] {value}")


def tables(
    name: Annotated[str, typer.Argument(help="Only this table.")] = "",
    net: Net = DEFAULT_NET,
    json: AsJson = False,
) -> None:
    """Show the entries of the switch's tables, with their counters."""
    with controller(net) as stub:
        found: pb.Tables = stub.ReadTables(pb.TablesRequest(name=name))
    if json:
        print_json(plain(found)["tables"])
        return
    for table in found.tables:
        counts = any(entry.HasField("packets") for entry in table.entries)
        print_table(
            ["match", "action", *(["packets>", "bytes>"] if counts else [])],
            [
                (
                    "default"
                    if entry.is_default
                    else " ".join(f"{key}={value}" for key, value in entry.match.items()),
                    entry.action,
                    *((entry.packets, entry.bytes) if counts else ()),
                )
                for entry in table.entries
            ],
            title=table.name,
        )
        print()


def counters(net: Net = DEFAULT_NET, json: AsJson = False) -> None:
    """Show what the switch counted: events by reason, traffic by class."""
    with controller(net) as stub:
        found: pb.Counters = stub.ReadCounters(pb.CountersRequest())
    if json:
        print_json(plain(found)["counters"])
        return
    print_table(
        ["counter", "cell", "packets>", "bytes>"],
        [(each.name, each.cell, each.packets, each.bytes or "") for each in found.counters],
    )


def groups(
    migration: Annotated[
        int, typer.Option(min=0, help="Only the groups of this running migration.")
    ] = 0,
    net: Net = DEFAULT_NET,
    json: AsJson = False,
) -> None:
    """Show the switch's view of the groups beside the agents' truth; differences are marked."""
    with controller(net) as stub:
        found: pb.Comparison = stub.CompareGroups(pb.CompareRequest(migration=migration))
    if json:
        print_json(plain(found))
        return
    print_table(
        ["groups", "migration", "switch", "agents", ""],
        [
            (
                f"{each.first}-{each.last}",
                each.migration or "",
                each.switch_view,
                each.truth,
                "" if each.match else "DIFFERENT",
            )
            for each in found.views
        ],
    )
    differing = sum(each.last - each.first + 1 for each in found.views if not each.match)
    print(f"{differing} groups differ" if differing else "switch and agents agree")
