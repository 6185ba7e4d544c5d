"""finsy, a P4Runtime client that others wrote, against the server."""

from __future__ import annotations

import time

import finsy as fy
import numpy as np
from finsy.proto import p4r

from switch.p4runtime import DeviceConfig, Server


async def test_tables_registers_and_counters(server: Server) -> None:
    async with fy.Switch("s1", f"127.0.0.1:{server.port}") as switch:
        assert switch.is_primary
        entry = fy.P4TableEntry(
            "station", match=fy.Match({"hdr.ethernet.dst": 2}), action=fy.Action("forward", port=7)
        )
        await switch.write([+entry])
        assert await switch.read_one(fy.P4TableEntry("station", match=entry.match)) == entry
        await switch.write([~fy.P4RegisterEntry("sums", index=3, data=99)])
        cells = [cell async for cell in switch.read(fy.P4RegisterEntry("sums"))]
        assert [cell.data for cell in cells] == [0, 0, 0, 99, *[0] * 12]
        counters = [cell async for cell in switch.read(fy.P4CounterEntry("seen"))]
        assert len(counters) == 4
        await switch.write([+fy.P4MulticastGroupEntry(1, replicas=[1, 2])])
        await switch.delete_all()
        assert [entry async for entry in switch.read(fy.P4TableEntry("station"))] == []


async def test_its_own_config(server: Server, config: DeviceConfig, empty_server: Server) -> None:
    async with fy.Switch("s1", f"127.0.0.1:{server.port}") as switch:
        info = switch.p4info.pbuf
    options = fy.SwitchOptions(p4info=None, p4blob=None)
    async with fy.Switch("s1", f"127.0.0.1:{empty_server.port}", options) as switch:
        assert switch.p4info.pbuf == info
        request = p4r.GetForwardingPipelineConfigRequest(device_id=1)
        found = await switch._client.request(request)
        assert found.config.p4_device_config == config.serialize()


async def test_packets(server: Server) -> None:
    frame = bytes.fromhex("020000000002020000000001") + b"\x88\xb5" + bytes(50)
    async with fy.Switch("s1", f"127.0.0.1:{server.port}") as switch:
        await switch.write(
            [
                +fy.P4TableEntry(
                    "station",
                    match=fy.Match({"hdr.ethernet.dst": 0x020000000002}),
                    action=fy.Action("to_controller", reason=5),
                )
            ]
        )
        with switch.packet_filter_queue() if hasattr(switch, "packet_filter_queue") else _Null():
            packets = switch.read_packets(queue_size=10)
            await switch.write([fy.P4PacketOut(frame, egress_port=0, unused=0)])
            packet = await anext(packets)
        assert packet.payload == frame
        assert packet["ingress_port"] == 510
        assert packet["reason"] == 5


class _Null:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


async def test_half_a_million_cells_in_seconds(server: Server) -> None:
    """Not a measurement: only that the bulk path is the one taken for big arrays."""
    started = time.monotonic()
    async with fy.Switch("s1", f"127.0.0.1:{server.port}") as switch:
        register = switch.p4info.registers["big"].id
        request = p4r.ReadRequest(device_id=1)
        request.entities.add().register_entry.register_id = register
        values = np.zeros(300_000, np.uint8)
        async for response in switch._client.request_iter(request):
            for entity in response.entities:
                cell = entity.register_entry
                values[cell.index.index] = cell.data.bitstring[0] + 1
        assert np.all(values == 1)
    assert time.monotonic() - started < 60
