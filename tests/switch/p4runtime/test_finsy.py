"""finsy, a P4Runtime client that others wrote, against the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import finsy as fy
import pytest

from switch.p4runtime import DeviceConfig, Server
from switch.p4runtime.pipeline_config import realize

FRAME = bytes.fromhex("020000000002020000000001") + b"\x88\xb5" + bytes(50)


def connect(server: Server, **options: Any) -> fy.Switch:
    return fy.Switch("s1", f"127.0.0.1:{server.port}", fy.SwitchOptions(**options))


async def read(switch: fy.Switch, entity: Any) -> list[Any]:
    """All answers; `read` is declared as a coroutine but is an iterator."""
    return [found async for found in cast(AsyncIterator[Any], switch.read(entity))]


def station(port: int) -> fy.P4TableEntry:
    return fy.P4TableEntry(
        "station",
        match=fy.Match({"dst": 2}),
        action=fy.Action("forward", port=port),
    )


async def test_entries(server: Server) -> None:
    async with connect(server) as switch:
        assert switch.is_primary
        await switch.write([+station(7)])
        assert await read(switch, fy.P4TableEntry("station")) == [station(7)]
        await switch.write([~station(8)])
        assert await read(switch, fy.P4TableEntry("station")) == [station(8)]
        with pytest.raises(fy.P4ClientError, match="ALREADY_EXISTS"):
            await switch.write([+station(9)])
        await switch.write([-station(8)])
        assert await read(switch, fy.P4TableEntry("station")) == []


async def test_registers_counters_and_replication(server: Server) -> None:
    async with connect(server) as switch:
        await switch.write([~fy.P4RegisterEntry("sums", index=3, data=99)])
        cells = await read(switch, fy.P4RegisterEntry("sums"))
        assert [cell.data for cell in cells] == [0, 0, 0, 99, *[0] * 12]
        await switch.write([~fy.P4RegisterEntry("levels", index=1, data=-5)])
        assert [cell.data for cell in await read(switch, fy.P4RegisterEntry("levels"))] == [
            *(0, -5, 0, 0)
        ]
        assert len(await read(switch, fy.P4CounterEntry("seen"))) == 4
        groups = [fy.P4MulticastGroupEntry(1, replicas=(1, 2))]
        sessions = [fy.P4CloneSessionEntry(5, replicas=(3,))]
        await switch.write([+groups[0], +sessions[0]])
        assert await read(switch, fy.P4MulticastGroupEntry()) == groups
        assert await read(switch, fy.P4CloneSessionEntry()) == sessions


async def test_it_clears_the_tables(server: Server) -> None:
    async with connect(server) as switch:
        await switch.write([+station(7)])
        default = fy.P4TableEntry("keyless", is_default_action=True, action=fy.Action("NoAction"))
        await switch.write([~default])
        await switch.delete_all()
        assert await read(switch, fy.P4TableEntry("station")) == []
        (entry,) = await read(switch, fy.P4TableEntry("keyless", is_default_action=True))
        assert entry.action == fy.Action("set_mark", mark=9, colour=1)


async def test_it_sets_a_program(
    empty_server: Server, config: DeviceConfig, tmp_path: Path
) -> None:
    own = realize(config, None).config
    (tmp_path / "p4info.txt").write_text(str(own.p4info))
    (tmp_path / "config").write_bytes(own.p4_device_config)
    options = {"p4info": tmp_path / "p4info.txt", "p4blob": tmp_path / "config"}
    async with connect(empty_server, **options) as switch:
        await switch.write([+station(7)])
    # The same program again: finsy sees it by its cookie and leaves it alone.
    async with connect(empty_server, **options) as switch:
        await switch.delete_all()
        await switch.write([+station(7)])


async def test_packets(server: Server) -> None:
    async with connect(server) as switch:
        entry = fy.P4TableEntry(
            "station",
            match=fy.Match({"dst": 0x020000000002}),
            action=fy.Action("to_controller", reason=5),
        )
        await switch.write([+entry])
        packets = switch.read_packets()
        await switch.write([fy.P4PacketOut(FRAME, egress_port=0, unused=0)])
        packet = await anext(aiter(cast(AsyncIterator[Any], packets)))
        assert packet.payload == FRAME
        assert packet["ingress_port"] == 510
        assert packet["reason"] == 5
