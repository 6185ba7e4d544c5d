"""A plain gRPC client of P4Runtime: what the tests say is what goes over the wire."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from finsy.proto import p4i, p4r, p4r_grpc, rpc_code, rpc_status

DEVICE = 1


def code_name(number: Any) -> str:
    return rpc_code.Code.Name(number)


@dataclass
class Failure(Exception):
    """A call that failed: its gRPC code, and the code of each update of the batch."""

    code: str
    details: list[str]
    messages: list[str]

    @classmethod
    def of(cls, error: grpc.RpcError) -> Failure:
        status = rpc_status.Status()
        trailing: Any = error.trailing_metadata() or ()
        status.ParseFromString(dict(trailing).get("grpc-status-details-bin", b""))
        errors = []
        for detail in status.details:
            errors.append(p4r.Error())
            assert detail.Unpack(errors[-1])
        return cls(
            error.code().name,
            [code_name(each.canonical_code) for each in errors],
            [error.details() or "", *(each.message for each in errors)],
        )


class Stream:
    """One StreamChannel."""

    def __init__(self, stub: p4r_grpc.P4RuntimeStub) -> None:
        self._requests: queue.SimpleQueue[p4r.StreamMessageRequest | None] = queue.SimpleQueue()
        self._call = stub.StreamChannel(iter(self._requests.get, None))
        self._responses: queue.SimpleQueue[p4r.StreamMessageResponse | grpc.RpcError] = (
            queue.SimpleQueue()
        )
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        try:
            for response in self._call:
                self._responses.put(response)
        except grpc.RpcError as error:
            self._responses.put(error)

    def send(self, request: p4r.StreamMessageRequest) -> None:
        self._requests.put(request)

    def arbitrate(self, election_id: int | None, *, device: int = DEVICE, role: str = "") -> None:
        request = p4r.StreamMessageRequest()
        request.arbitration.device_id = device
        if role:
            request.arbitration.role.name = role
        if election_id is not None:
            request.arbitration.election_id.CopyFrom(uint128(election_id))
        self.send(request)

    def receive(self) -> p4r.StreamMessageResponse:
        """The next message; a Failure if the stream has ended."""
        found = self._responses.get(timeout=10)
        if isinstance(found, grpc.RpcError):
            raise Failure.of(found)
        return found

    def standing(self) -> tuple[str, int | None]:
        """The next arbitration message: its status and the election id in it."""
        message = self.receive().arbitration
        known = message.HasField("election_id")
        election_id = message.election_id.high << 64 | message.election_id.low
        return code_name(message.status.code), election_id if known else None

    def quiet(self) -> bool:
        try:
            self._responses.get(timeout=0.2)
        except queue.Empty:
            return True
        return False

    def close(self) -> None:
        self._requests.put(None)
        self._call.cancel()


def channel_to(port: int) -> grpc.Channel:
    """A channel of its own to a local server."""
    return grpc.insecure_channel(
        f"127.0.0.1:{port}",
        options=[
            ("grpc.max_metadata_size", 1 << 20),
            ("grpc.use_local_subchannel_pool", 1),
        ],
    )


class Client:
    """A controller, primary from the start unless told otherwise."""

    def __init__(
        self, port: int, election_id: int | None = 1, info: p4i.P4Info | None = None
    ) -> None:
        """`info` is what names mean; without it the switch is asked, which must have a program."""
        self.channel = channel_to(port)
        self.stub = p4r_grpc.P4RuntimeStub(self.channel)
        self.election_id = election_id
        self.stream: Stream | None = None
        if election_id is not None:
            self.stream = Stream(self.stub)
            self.stream.arbitrate(election_id)
            assert self.stream.standing() == ("OK", election_id)
        self.info = self.p4info() if info is None else info

    def close(self) -> None:
        if self.stream:
            self.stream.close()
        self.channel.close()

    def p4info(self) -> p4i.P4Info:
        return self.get_config().p4info

    def get_config(self, response_type: Any = 0) -> p4r.ForwardingPipelineConfig:
        response = self.stub.GetForwardingPipelineConfig(
            p4r.GetForwardingPipelineConfigRequest(device_id=DEVICE, response_type=response_type)
        )
        return response.config

    def set_config(
        self, action: Any, config: p4r.ForwardingPipelineConfig | None = None, **options: Any
    ) -> None:
        request = p4r.SetForwardingPipelineConfigRequest(
            device_id=DEVICE,
            election_id=uint128(self.election_id or 0),
            action=action,
            config=config,
            **options,
        )
        try:
            self.stub.SetForwardingPipelineConfig(request)
        except grpc.RpcError as error:
            raise Failure.of(error) from None

    def write(self, *updates: p4r.Update, **options: Any) -> None:
        options = {"device_id": DEVICE, "election_id": uint128(self.election_id or 0), **options}
        request = p4r.WriteRequest(updates=updates, **options)
        try:
            self.stub.Write(request)
        except grpc.RpcError as error:
            raise Failure.of(error) from None

    def read(self, *entities: p4r.Entity, device: int = DEVICE) -> list[p4r.Entity]:
        return list(self.read_until_failure([], *entities, device=device))

    def read_until_failure(
        self, found: list[p4r.Entity], *entities: p4r.Entity, device: int = DEVICE
    ) -> list[p4r.Entity]:
        """As `read`; what came before a failure is in `found`."""
        request = p4r.ReadRequest(device_id=device, entities=entities)
        try:
            for response in self.stub.Read(request):
                found += response.entities
        except grpc.RpcError as error:
            raise Failure.of(error) from None
        return found

    def id(self, name: str) -> int:
        """The id of a table, action or extern, by its alias."""
        kinds: Sequence[str] = (
            "tables",
            "actions",
            "counters",
            "direct_counters",
            "meters",
            "registers",
            "digests",
            "value_sets",
            "action_profiles",
        )
        for kind in kinds:
            for thing in getattr(self.info, kind):
                if name in (thing.preamble.alias, thing.preamble.name):
                    return int(thing.preamble.id)
        raise KeyError(name)


def uint128(number: int) -> p4r.Uint128:
    return p4r.Uint128(high=number >> 64, low=number & (1 << 64) - 1)


def insert(entity: p4r.Entity) -> p4r.Update:
    return p4r.Update(type=p4r.Update.INSERT, entity=entity)


def modify(entity: p4r.Entity) -> p4r.Update:
    return p4r.Update(type=p4r.Update.MODIFY, entity=entity)


def delete(entity: p4r.Entity) -> p4r.Update:
    return p4r.Update(type=p4r.Update.DELETE, entity=entity)


def entries(found: Sequence[p4r.Entity]) -> Iterator[p4r.TableEntry]:
    return (entity.table_entry for entity in found)
