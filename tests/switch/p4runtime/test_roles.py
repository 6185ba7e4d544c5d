"""Roles with a config, and without one (P4Runtime spec sections 5.1, 5.2 and 12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from finsy.proto import p4r, rpc_code
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.struct_pb2 import Struct

from tests.switch.p4runtime.client import Client, Failure, Stream, delete, insert, modify, uint128
from tests.switch.p4runtime.entities import Entities, exact, group, learning, session

FRAME = (2).to_bytes(6, "big") + bytes(6) + b"\x99\x99" + bytes(50)
Join = Callable[..., Stream]


def packed(**content: Any) -> AnyMessage:
    struct = Struct()
    struct.update(content)
    config = AnyMessage()
    config.Pack(struct)
    return config


def announcement(
    name: str, election_id: int, config: AnyMessage | None
) -> p4r.StreamMessageRequest:
    request = p4r.StreamMessageRequest()
    request.arbitration.device_id = 1
    request.arbitration.election_id.CopyFrom(uint128(election_id))
    request.arbitration.role.name = name
    if config is not None:
        request.arbitration.role.config.CopyFrom(config)
    return request


@pytest.fixture
def join(client: Client) -> Iterator[Join]:
    """Become primary of a role."""
    streams: list[Stream] = []

    def as_primary(name: str, config: AnyMessage | None = None, *, election_id: int = 1) -> Stream:
        stream = Stream(client.stub)
        streams.append(stream)
        stream.send(announcement(name, election_id, config))
        answer = stream.receive().arbitration
        assert answer.status.code == rpc_code.OK, answer
        assert answer.role.name == name
        assert answer.role.HasField("config") == (config is not None)
        if config is not None:
            assert answer.role.config == config
        return stream

    yield as_primary
    for stream in streams:
        stream.close()


def read(client: Client, role: str, *entities: p4r.Entity) -> list[p4r.Entity]:
    request = p4r.ReadRequest(device_id=1, role=role, entities=entities)
    return [entity for answer in client.stub.Read(request) for entity in answer.entities]


def test_a_role_without_a_config_has_full_access(
    client: Client, entities: Entities, join: Join
) -> None:
    join("another")
    client.write(insert(entities.station(2, 7)), role="another")
    client.write(delete(entities.station(2)))
    client.set_config("VERIFY", client.get_config(), role="another")


def test_a_config_grants_entities(client: Client, entities: Entities, join: Join) -> None:
    join("learner", packed(entities=["station", "MyIngress.sums", "clone_sessions"]))
    granted = [
        insert(entities.station(2, 7)),
        modify(entities.station_counter(2, 5)),
        modify(entities.cell("sums", 1, 1)),
        insert(session(1, (1, 1))),
    ]
    denied = [
        insert(entities.entry("prefix", [], entities.action("NoAction"))),
        modify(entities.cell("flags", 1, 1)),
        modify(entities.counter(0, 1)),
        insert(group(1, (1, 1))),
        insert(learning(entities.id("learned_t"))),
    ]
    client.write(*granted, role="learner")
    with pytest.raises(Failure) as failure:
        client.write(*denied, role="learner")
    assert failure.value.details == ["PERMISSION_DENIED"] * len(denied)
    with pytest.raises(Failure) as failure:
        client.write(p4r.Update(type=p4r.Update.MODIFY), role="learner")
    assert failure.value.details == ["INVALID_ARGUMENT"]


def test_reads_are_filtered_by_role(client: Client, entities: Entities, join: Join) -> None:
    """13: the role restricts what is reported."""
    join("learner", packed(entities=["station", "sums"]))
    client.write(insert(entities.station(2, 7)), insert(group(1, (1, 1))))
    found = read(
        client,
        "learner",
        p4r.Entity(table_entry=p4r.TableEntry()),
        p4r.Entity(register_entry=p4r.RegisterEntry()),
        entities.cell("flags", 1),
        entities.cell("flags"),
        entities.counter(),
        group(0),
    )
    assert found == [entities.station(2, 7), *client.read(entities.cell("sums"))]
    everything = p4r.Entity(table_entry=p4r.TableEntry())
    assert len(read(client, "", everything)) == len(client.read(everything)) == 2
    with pytest.raises(grpc.RpcError) as error:
        read(client, "nobody's", everything)
    assert error.value.code() == grpc.StatusCode.NOT_FOUND


def packet_out() -> p4r.StreamMessageRequest:
    packet = p4r.PacketOut(payload=FRAME)
    packet.metadata.add(metadata_id=1, value=b"\0")
    packet.metadata.add(metadata_id=2, value=b"\0")
    return p4r.StreamMessageRequest(packet=packet)


def test_a_config_grants_packets_digests_and_the_pipeline(
    client: Client, entities: Entities, join: Join
) -> None:
    listener = join("listener", packed(packet_in=True, entities=["learned_t"]))
    sender = join("sender", packed(packet_out=True, pipeline=True))
    client.write(
        insert(
            entities.entry("station", [exact(1, 2)], entities.action("to_controller", (1, b"\x01")))
        ),
        insert(learning(entities.id("learned_t"))),
    )
    listener.send(packet_out())
    assert listener.receive().error.canonical_code == rpc_code.PERMISSION_DENIED
    sender.send(packet_out())
    found = {listener.receive().WhichOneof("update") for _ in range(2)}
    assert found == {"packet", "digest"}
    assert sender.quiet()
    with pytest.raises(Failure, match="PERMISSION_DENIED"):
        client.set_config("VERIFY", client.get_config(), role="listener")
    client.set_config("VERIFY", client.get_config(), role="sender")


def test_the_primary_can_change_its_config(client: Client, entities: Entities, join: Join) -> None:
    """5.3, 5.4: all controllers of the role are told."""
    primary = join("learner", packed(entities=["station"]), election_id=2)
    backup = Stream(client.stub)
    backup.send(announcement("learner", 1, packed(entities=["filter"])))
    told = backup.receive().arbitration
    assert told.role.config == packed(entities=["station"]), "a backup's config does not count"
    client.write(insert(entities.station(1, 1)), role="learner", election_id=uint128(2))
    primary.send(announcement("learner", 3, packed(entities=["filter"])))
    for stream in (backup, primary):
        assert stream.receive().arbitration.role.config == packed(entities=["filter"])
    with pytest.raises(Failure, match="PERMISSION_DENIED"):
        client.write(insert(entities.station(2, 1)), role="learner", election_id=uint128(3))
    backup.close()


@pytest.mark.parametrize(
    ("name", "role_config"),
    [
        ("", packed(entities=[])),
        ("r", AnyMessage(type_url="example.org/role")),
        ("r", AnyMessage(type_url="type.googleapis.com/google.protobuf.Struct", value=b"\xff")),
        ("r", packed(entities="station")),
        ("r", packed(entities=[1])),
        ("r", packed(packet_in=1)),
        ("r", packed(everything=True)),
        ("r", packed(packet_in=float("nan"))),
    ],
)
def test_other_configs_end_the_stream(client: Client, name: str, role_config: AnyMessage) -> None:
    """5.3: what does not match the scheme agreed upon."""
    stream = Stream(client.stub)
    stream.send(announcement(name, 7, role_config))
    with pytest.raises(Failure) as failure:
        stream.receive()
    assert failure.value.code == "INVALID_ARGUMENT"
    assert "role" in failure.value.messages[0]
