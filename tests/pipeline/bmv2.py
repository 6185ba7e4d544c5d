"""BMv2 in the place of our own data plane, so that the same tests judge both.

Tables, counters and replication go over P4Runtime, registers over BMv2's Thrift port, and packets
over simple_switch_grpc's own service for them (services/p4/bm/dataplane_interface.proto): it needs
no interfaces, and a stream of it ends only when BMv2 has no packet left.
"""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from finsy.proto import p4r
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from numpy.typing import NDArray

from controller.thrift import ThriftClient, read_all_call, read_call, write_call
from switch.runtime.pipeline import Entry, Exact, Lpm, Match, Pipeline
from tests.controller.rack import free_port
from tests.switch.p4runtime import entities
from tests.switch.p4runtime.client import DEVICE, Client, channel_to, delete, insert, modify
from topology.processes import Children
from topology.switches import compile_for_bmv2, compiler

Config = p4r.SetForwardingPipelineConfigRequest


def available() -> bool:
    """Whether p4c and simple_switch_grpc are on PATH."""
    return compiler() is not None and shutil.which("simple_switch_grpc") is not None


def _packet_message() -> Any:
    """Return the class of BMv2's messages for packets: one layout, both ways."""
    file = descriptor_pb2.FileDescriptorProto(name="packets.proto", package="p4.bm")
    file.syntax = "proto3"
    message = file.message_type.add(name="PacketStream")
    kinds = descriptor_pb2.FieldDescriptorProto
    fields = {
        "id": kinds.TYPE_UINT64,
        "device_id": kinds.TYPE_UINT64,
        "port": kinds.TYPE_UINT32,
        "packet": kinds.TYPE_BYTES,
    }
    for number, (name, kind) in enumerate(fields.items(), 1):
        message.field.add(name=name, number=number, type=kind, label=kinds.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("p4.bm.PacketStream"))


Packet: Final = _packet_message()


class Bmv2:
    """simple_switch_grpc with a program; the calls are those of our Pipeline."""

    def __init__(self, program: Path, directory: Path) -> None:
        target, p4info = compile_for_bmv2(program, directory)
        self._config = p4r.ForwardingPipelineConfig(p4_device_config=target.read_bytes())
        text_format.Parse(p4info.read_text(), self._config.p4info)
        self._replication: dict[tuple[str, int], p4r.Entity] = {}

        grpc, thrift, packets = (free_port() for _ in range(3))
        self._children = Children(directory)
        argv = ["simple_switch_grpc", "--no-p4", "--device-id", str(DEVICE)]
        argv += ["--thrift-port", str(thrift), "--", "--grpc-server-addr", f"127.0.0.1:{grpc}"]
        argv += ["--dp-grpc-server-addr", f"127.0.0.1:{packets}"]
        child = self._children.start("bmv2", argv, ready=None)
        for port in (grpc, thrift, packets):
            self._children.await_listening(child, port)
        self._client = Client(grpc, info=self._config.p4info)
        self._packets = channel_to(packets)
        self._stream: Any = self._packets.stream_stream(
            "/p4.bm.DataplaneInterface/PacketStream",
            request_serializer=Packet.SerializeToString,
            response_deserializer=Packet.FromString,
        )
        self._runner = asyncio.Runner()
        self._thrift = ThriftClient(f"127.0.0.1:{thrift}", "BMv2")
        self._runner.run(self._thrift.open())
        self.reset()

    def close(self) -> None:
        """Stop it."""
        self._runner.run(self._thrift.close())
        self._runner.close()
        self._packets.close()
        self._client.close()
        self._children.stop("bmv2")

    def reset(self) -> None:
        """Load the program anew, which leaves nothing but sessions and groups, and delete those."""
        for entity in self._replication.values():
            self._client.write(delete(entity))
        self._replication.clear()
        self._client.set_config(Config.VERIFY_AND_COMMIT, self._config)

    def process(self, port: int, packet: bytes) -> list[tuple[int, bytes]]:
        """One packet in; what comes out. BMv2's service passes over a packet of no bytes."""
        assert packet
        arrival = Packet(device_id=DEVICE, port=port, packet=packet)
        return [(out.port, out.packet) for out in self._stream(iter([arrival]), timeout=10)]

    # --- tables -----------------------------------------------------------------------------------

    def insert(self, table: str, entry: Entry) -> None:
        self._client.write(insert(self._entry(table, entry, self._action(entry))))

    def delete(self, table: str, entry: Entry) -> None:
        self._client.write(delete(self._entry(table, entry)))

    def set_default(self, table: str, action: str, params: Sequence[int]) -> None:
        default = self._default(table)
        default.table_entry.action.CopyFrom(self._action(Entry((), action, tuple(params))))
        self._client.write(modify(default))

    def reset_default(self, table: str) -> None:
        self._client.write(modify(self._default(table)))

    def _default(self, table: str) -> p4r.Entity:
        number = self._client.id(table)
        return p4r.Entity(table_entry=p4r.TableEntry(table_id=number, is_default_action=True))

    def _entry(self, table: str, entry: Entry, action: p4r.TableAction | None = None) -> p4r.Entity:
        number = self._client.id(table)
        match = [
            _field(field, each)
            for field, each in enumerate(entry.match, 1)
            if each != Lpm(0, 0)  # in P4Runtime, what matches everything is left out
        ]
        return p4r.Entity(table_entry=p4r.TableEntry(table_id=number, match=match, action=action))

    def _action(self, entry: Entry) -> p4r.TableAction:
        action = p4r.TableAction()
        action.action.action_id = self._client.id(entry.action)
        for number, value in enumerate(entry.params, 1):
            action.action.params.add(param_id=number, value=entities.shortest(value))
        return action

    # --- replication ------------------------------------------------------------------------------

    def set_clone_session(self, session: int, replicas: Sequence[tuple[int, int]]) -> None:
        self._replicate("session", session, entities.session(session, *replicas))

    def delete_clone_session(self, session: int) -> None:
        self._client.write(delete(self._replication.pop(("session", session))))

    def set_multicast_group(self, group: int, replicas: Sequence[tuple[int, int]]) -> None:
        self._replicate("group", group, entities.group(group, *replicas))

    def _replicate(self, kind: str, number: int, entity: p4r.Entity) -> None:
        self._client.write(insert(entity))
        self._replication[kind, number] = entity

    # --- counters, registers ----------------------------------------------------------------------

    def counter(self, name: str, index: int) -> tuple[int, int]:
        packets, count_bytes = self.counters(name)[index].tolist()
        return packets, count_bytes

    def counters(self, name: str) -> NDArray[np.int64]:
        """All cells: shape (size, 2), columns packets and bytes."""
        entry = p4r.CounterEntry(counter_id=self._client.id(name))
        found = self._client.read(p4r.Entity(counter_entry=entry))
        data = (entity.counter_entry.data for entity in found)
        return np.array([(each.packet_count, each.byte_count) for each in data], np.int64)

    def direct_counter(self, table: str, entry: Entry) -> tuple[int, int]:
        of = p4r.DirectCounterEntry(table_entry=self._entry(table, entry).table_entry)
        (found,) = self._client.read(p4r.Entity(direct_counter_entry=of))
        data = found.direct_counter_entry.data
        return data.packet_count, data.byte_count

    def register(self, name: str, index: int) -> int:
        (value,) = self._call(read_call(name, index))
        return int(value)

    def registers(self, name: str) -> NDArray[np.int64]:
        """All cells."""
        (cells,) = self._call(read_all_call(name))
        found: NDArray[np.int64] = cells
        return found

    def set_register(self, name: str, index: int, value: int) -> None:
        self._call(write_call(name, index, value))

    def set_registers(self, name: str, values: NDArray[np.generic], first: int = 0) -> None:
        """Consecutive cells from `first` on: those that are not so yet."""
        different = np.flatnonzero(self.registers(name)[first : first + len(values)] != values)
        for cell in different.tolist():
            self.set_register(name, first + cell, int(values[cell].item()))

    def _call(self, call: tuple[str, bytes]) -> list[Any]:
        return self._runner.run(self._thrift.call([call]))


DataPlane = Pipeline | Bmv2


def _field(number: int, match: Match) -> p4r.FieldMatch:
    match match:
        case Exact(value):
            return entities.exact(number, value)
        case Lpm(value, length):
            return entities.lpm(number, value, length)
    raise TypeError(f"{match}: the program has no such key")
