"""Whatever a controller sends, the switch answers in P4Runtime's terms and stays up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from finsy.proto import p4r
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from switch.p4runtime import DeviceConfig
from switch.p4runtime.errors import Refused
from tests.switch.p4runtime.client import Client, Failure, uint128
from tests.switch.p4runtime.servers import controlling, serving

REFUSALS = {
    "ALREADY_EXISTS",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "OK",
    "OUT_OF_RANGE",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "UNIMPLEMENTED",
}
NUMBERS = st.sampled_from([0, 1, 2, 3, 7, 15, 63, 510]) | st.integers(0, 2**31 - 1)
BYTES = st.sampled_from([b"", b"\0", b"\1", b"\x08\0", b"\xff" * 6]) | st.binary(max_size=20)


@pytest.fixture(scope="module")
def fuzzed(config: DeviceConfig) -> Iterator[Client]:
    with serving(config) as server, controlling(server) as client:
        yield client


def known_ids(client: Client) -> list[int]:
    info = client.info
    kinds: list[Any] = [info.tables, info.actions, info.counters, info.registers]
    return [thing.preamble.id for kind in kinds for thing in kind]


def scalars(field: FieldDescriptor, ids: list[int]) -> st.SearchStrategy[Any]:
    match field.type:
        case FieldDescriptor.TYPE_BYTES:
            return BYTES
        case FieldDescriptor.TYPE_STRING:
            return st.text(max_size=5)
        case FieldDescriptor.TYPE_BOOL:
            return st.booleans()
        case FieldDescriptor.TYPE_ENUM:
            return st.integers(0, 6)
        case FieldDescriptor.TYPE_UINT32:
            return st.sampled_from(ids) | NUMBERS
    signed = field.type in (FieldDescriptor.TYPE_INT32, FieldDescriptor.TYPE_INT64)
    return NUMBERS | st.integers(-5, 5) if signed else NUMBERS


@st.composite
def messages(draw: st.DrawFn, descriptor: Descriptor, ids: list[int], depth: int = 0) -> Any:
    """A message with any of its fields set, as a dict for its constructor."""
    content: dict[str, Any] = {}
    one_of = {
        choice.name: draw(st.sampled_from(tuple(choice.fields))) for choice in descriptor.oneofs
    }
    for field in descriptor.fields:
        if field.containing_oneof and one_of[field.containing_oneof.name] is not field:
            continue
        likely = field.containing_oneof is not None or field.name.endswith("id")
        if not likely and draw(st.integers(0, 2)) == 0:
            continue
        if field.message_type is None:
            value = scalars(field, ids)
        elif depth > 6 or field.message_type.full_name.startswith("google"):
            continue
        else:
            value = messages(field.message_type, ids, depth + 1)
        content[field.name] = draw(st.lists(value, max_size=3) if field.is_repeated else value)
    return content


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_random_writes(fuzzed: Client, data: st.DataObject) -> None:
    update = messages(p4r.Update.DESCRIPTOR, known_ids(fuzzed))
    updates = [p4r.Update(**each) for each in data.draw(st.lists(update, min_size=1, max_size=4))]
    try:
        fuzzed.write(*updates, atomicity=data.draw(st.integers(0, 1)))
    except Failure as failure:
        assert failure.code == "UNKNOWN"
        assert len(failure.details) == len(updates)
        assert set(failure.details) <= REFUSALS | {"ABORTED"}
        assert "Traceback" not in "".join(failure.messages)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_random_reads(fuzzed: Client, data: st.DataObject) -> None:
    entity = messages(p4r.Entity.DESCRIPTOR, known_ids(fuzzed))
    entities = [p4r.Entity(**each) for each in data.draw(st.lists(entity, min_size=1, max_size=4))]
    try:
        fuzzed.read(*entities)
    except Failure as failure:
        assert failure.code == "UNKNOWN"
        assert len(failure.details) == len(entities)
        assert set(failure.details) <= REFUSALS


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=200))
def test_bytes_that_are_no_message(fuzzed: Client, content: bytes) -> None:
    call: Any = fuzzed.channel.unary_unary("/p4.v1.P4Runtime/Write")
    try:
        call(content)
    except grpc.RpcError as error:
        code = error.code().name
        # grpc itself answers INTERNAL for bytes that do not parse.
        assert code in REFUSALS | {"INTERNAL", "UNKNOWN"}
        assert "Traceback" not in str(error.details())
    assert fuzzed.p4info() == fuzzed.info


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_random_stream_messages(fuzzed: Client, data: st.DataObject) -> None:
    request = data.draw(messages(p4r.PacketOut.DESCRIPTOR, [1, 2]))
    message = p4r.PacketOut(**request)
    assert fuzzed.stream
    fuzzed.stream.send(p4r.StreamMessageRequest(packet=message))
    fuzzed.stream.send(p4r.StreamMessageRequest())  # always answered: the stream is alive
    while not fuzzed.stream.receive().error.HasField("other"):
        pass


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)
PATHS = st.sampled_from(["a.p4", "../a.p4", "/etc/a.p4", "a/../../b", "", ".", "a\0b", "x" * 2000])


@given(
    st.one_of(
        st.binary(max_size=100),
        st.text(max_size=100).map(str.encode),
        st.fixed_dictionaries(
            {"program": PATHS | JSON, "files": st.dictionaries(PATHS, st.text() | JSON) | JSON},
            optional={"include": st.lists(PATHS) | JSON, "defines": JSON},
        ).map(lambda content: repr(content).replace("'", '"').encode(errors="replace")),
    )
)
def test_random_device_configs(data: bytes) -> None:
    try:
        config = DeviceConfig.parse(data)
    except Refused as refused:
        assert refused.code == grpc.StatusCode.INVALID_ARGUMENT
    else:
        assert config.program in config.files
        assert not any(".." in name or name.startswith("/") for name in config.files)


def test_the_switch_works_after_all_that(fuzzed: Client) -> None:
    with pytest.raises(Failure, match="PERMISSION_DENIED"):
        fuzzed.write(election_id=uint128(9))
    assert len(fuzzed.read(p4r.Entity(register_entry=p4r.RegisterEntry()))) > 300_000
