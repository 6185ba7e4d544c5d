"""The P4Runtime service of one switch (P4Runtime spec 1.5)."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any, NoReturn, TypeVar

import grpc
from finsy.proto import p4r

from switch.p4runtime import errors, packet_io
from switch.p4runtime.arbitration import Arbiter, Controller
from switch.p4runtime.device_config import DeviceConfig
from switch.p4runtime.errors import Refused
from switch.p4runtime.forwarding import Forwarding
from switch.p4runtime.idle import SCAN_SECONDS, narrowed
from switch.p4runtime.pipeline_config import PipelineConfigs, Request, realize
from switch.p4runtime.read import read
from switch.p4runtime.replication import MAX_PORT
from switch.p4runtime.roles import Scope
from switch.p4runtime.write import write
from switch.packet_log import PacketLog
from switch.ports import Links, PortError, Ports
from switch.runtime.pipeline import Pipeline

API_VERSION = "1.5.0"
MAX_MESSAGE = 128 * 1024 * 1024
MAX_STREAMS = 16
"""Open StreamChannels: each occupies a thread of gRPC's pool and one of its own."""
OTHER_THREADS = 32
"""For all other calls; one that waits for a slow reader keeps its thread."""
DIGEST_SECONDS = 0.005
"""How often digests are looked for, while any are wanted."""

Answer = TypeVar("Answer")
log = logging.getLogger(__name__)


class ServerError(RuntimeError):
    """The server cannot start; the message says why."""


class Server:
    """Serves P4Runtime for one device whose packets come from `ports`."""

    def __init__(
        self,
        address: str,
        ports: Ports,
        *,
        device_id: int = 1,
        cpu_port: int | None = None,
        credentials: grpc.ServerCredentials | None = None,
        packet_log: PacketLog | None = None,
    ) -> None:
        self._device_id = device_id
        self._ports = ports
        self._cpu_port = cpu_port
        self._packet_log = packet_log
        self._state = threading.Lock()  # held by every Read, Write and change of pipeline
        self._streams = threading.Semaphore(MAX_STREAMS)
        self._arbiter = Arbiter(device_id, self._state)
        self._configs = PipelineConfigs(cpu_port, ports.interfaces)
        self._links: Links | None = None  # once started
        self._down: set[int] = set()  # ports without a link
        self._packet_in: packet_io.Layout | None = None
        self._packet_out: packet_io.Layout | None = None
        self._packets = threading.Thread(target=self._send_packets, name="packet-in", daemon=True)
        self._digests = threading.Thread(target=self._send_digests, name="digests", daemon=True)
        self._timeouts = threading.Thread(target=self._send_timeouts, name="idle", daemon=True)
        self._watching = threading.Event()  # there may be other entries to watch
        self._listening = threading.Event()  # there may be digests to take
        self._stopping = threading.Event()
        self._grpc = grpc.server(
            futures.ThreadPoolExecutor(MAX_STREAMS + OTHER_THREADS, "p4runtime"),
            options=(
                ("grpc.max_receive_message_length", MAX_MESSAGE),
                ("grpc.so_reuseport", 0),  # or a second switch on the same port would not fail
                # A primary that vanished without a word is found out, and clients may do likewise.
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.keepalive_timeout_ms", 10_000),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
            ),
        )
        self._grpc.add_generic_rpc_handlers((self._handlers(),))
        _check_address(address)
        self.port = (
            self._grpc.add_secure_port(address, credentials)
            if credentials
            else self._grpc.add_insecure_port(address)
        )

    def start(self) -> None:
        """Start forwarding and serving."""
        self._ports.start()
        # No program of v1model can name other ports.
        known = {n: name for n, name in self._ports.interfaces.items() if n <= MAX_PORT}
        self._links = Links(known, self._link_changed)
        self._links.start()
        self._packets.start()
        self._digests.start()
        self._timeouts.start()
        self._grpc.start()

    def stop(self) -> None:
        """End forwarding, all streams and all calls; the ports can be closed then."""
        self._ports.stop()
        if self._links:
            self._links.stop()
            self._links = None
        self._stopping.set()
        self._listening.set()
        self._watching.set()
        self._arbiter.end_all()
        self._grpc.stop(grace=1).wait()
        for thread in (self._packets, self._digests, self._timeouts):
            if thread.is_alive():
                thread.join()

    def load(self, config: DeviceConfig, *, below: str = "") -> None:
        """Put a program in force without a controller, as at start; raises CompileError."""
        forwarding = realize(config, self._cpu_port, below=below, ports=self._ports.interfaces)
        with self._state:
            self._configs.apply(Request.VERIFY_AND_COMMIT, forwarding)
            self._put_in_force()

    def _link_changed(self, port: int, up: bool) -> None:
        with self._state:
            (self._down.discard if up else self._down.add)(port)
            if committed := self._configs.committed:
                committed.set_link(port, up=up)

    def _put_in_force(self) -> None:
        committed = self._configs.committed
        assert committed is not None
        for port in self._down:
            committed.set_link(port, up=False)
        program, schema = committed.pipeline.program, committed.schema
        self._packet_in = packet_io.layout(program, "packet_in", schema.packet_in)
        self._packet_out = packet_io.layout(program, "packet_out", schema.packet_out)
        self._load_pipeline(committed.pipeline)
        if committed.digests.enabled:
            self._listening.set()
        self._watching.set()

    def _load_pipeline(self, pipeline: Pipeline) -> None:
        if self._packet_log:
            self._packet_log.follow(pipeline)
        self._ports.load(pipeline)

    def toggle_trace(self) -> None:
        """Begin or end logging packets, between two of them."""
        log, current = self._packet_log, self._configs.committed
        if log is None:
            return
        log.tracing = not log.tracing
        if current:
            log.prepare(current.pipeline)
        with self._state:
            if self._configs.committed:
                self._load_pipeline(self._configs.committed.pipeline)
        log.note("packets are logged" if log.tracing else "packets are no longer logged")

    def _handlers(self) -> grpc.GenericRpcHandler:
        def serialize(message: Any) -> bytes:
            return message if isinstance(message, bytes) else message.SerializeToString()

        return grpc.method_handlers_generic_handler(
            "p4.v1.P4Runtime",
            {
                "Write": grpc.unary_unary_rpc_method_handler(
                    _guarded(self._write), p4r.WriteRequest.FromString, serialize
                ),
                "Read": grpc.unary_stream_rpc_method_handler(
                    self._read, p4r.ReadRequest.FromString, serialize
                ),
                "SetForwardingPipelineConfig": grpc.unary_unary_rpc_method_handler(
                    _guarded(self._set_config), Request.FromString, serialize
                ),
                "GetForwardingPipelineConfig": grpc.unary_unary_rpc_method_handler(
                    _guarded(self._get_config),
                    p4r.GetForwardingPipelineConfigRequest.FromString,
                    serialize,
                ),
                "Capabilities": grpc.unary_unary_rpc_method_handler(
                    _guarded(self._capabilities), p4r.CapabilitiesRequest.FromString, serialize
                ),
                "StreamChannel": grpc.stream_stream_rpc_method_handler(
                    self._stream, p4r.StreamMessageRequest.FromString, serialize
                ),
            },
        )

    # --- unary calls --------------------------------------------------------------------------

    def _check_device(self, device_id: int) -> None:
        if device_id != self._device_id:
            raise Refused(
                errors.NOT_FOUND, f"device {device_id} is not here, but {self._device_id}"
            )

    def _forwarding(self) -> Forwarding:
        current = self._configs.current
        if current is None:
            raise Refused(errors.FAILED_PRECONDITION, "no forwarding pipeline config is set")
        return current

    def _write(self, request: p4r.WriteRequest, context: grpc.ServicerContext) -> p4r.WriteResponse:
        self._check_device(request.device_id)
        with self._state:
            scope = self._arbiter.check_primary(request)
            outcomes = write(self._forwarding(), request.updates, request.atomicity, scope)
            if self._digests_enabled():
                self._listening.set()
            if self._forwarding().idle.seconds() is not None:
                self._watching.set()
        if any(outcomes):
            _abort_batch(context, "Write failure.", outcomes)
        return p4r.WriteResponse()

    def _read(self, request: p4r.ReadRequest, context: grpc.ServicerContext) -> Iterator[bytes]:
        try:
            self._check_device(request.device_id)
            with self._state:
                scope = self._arbiter.scope(request.role)
                results, outcomes = read(self._forwarding(), request.entities, scope)
        except Refused as refused:
            context.abort(refused.code, refused.message)
        except Exception:
            _abort_internal(context)
        for messages in results:
            yield from messages
        if any(outcomes):
            _abort_batch(context, "Read failure.", outcomes)

    def _set_config(
        self, request: Request, _context: grpc.ServicerContext
    ) -> p4r.SetForwardingPipelineConfigResponse:
        self._check_device(request.device_id)
        if not self._arbiter.check_primary(request).pipeline:
            raise Refused(errors.PERMISSION_DENIED, "the role may not set the pipeline config")
        prepared = self._configs.prepare(request)
        if self._packet_log and prepared:
            self._packet_log.prepare(prepared.pipeline)
        with self._state:
            # Compiling takes seconds: somebody else may have become primary meanwhile.
            self._arbiter.check_primary(request)
            if self._configs.apply(request.action, prepared):
                self._put_in_force()
        return p4r.SetForwardingPipelineConfigResponse()

    def _get_config(
        self, request: p4r.GetForwardingPipelineConfigRequest, _context: grpc.ServicerContext
    ) -> p4r.GetForwardingPipelineConfigResponse:
        self._check_device(request.device_id)
        with self._state:
            return self._configs.answer(request.response_type)

    def _capabilities(
        self, request: p4r.CapabilitiesRequest, _context: grpc.ServicerContext
    ) -> p4r.CapabilitiesResponse:
        if request.device_id:
            self._check_device(request.device_id)
        return p4r.CapabilitiesResponse(p4runtime_api_version=API_VERSION)

    # --- streams ------------------------------------------------------------------------------

    def _stream(
        self,
        requests: Iterator[p4r.StreamMessageRequest],
        context: grpc.ServicerContext,
    ) -> Iterator[p4r.StreamMessageResponse]:
        if not self._streams.acquire(blocking=False):
            context.abort(errors.RESOURCE_EXHAUSTED, f"{MAX_STREAMS} controllers are connected")
        controller = Controller()
        receiver = threading.Thread(
            target=self._receive, args=(controller, requests), name="stream", daemon=True
        )
        receiver.start()
        try:
            while isinstance(message := controller.next(), p4r.StreamMessageResponse):
                yield message
        finally:
            self._arbiter.remove(controller)
            self._streams.release()
        if message is not None:
            context.abort(message.code, message.message)

    def _receive(
        self, controller: Controller, requests: Iterator[p4r.StreamMessageRequest]
    ) -> None:
        reason: Refused | None = None
        try:
            for request in requests:
                self._take(controller, request)
        except Refused as refused:
            reason = refused
        except grpc.RpcError:
            pass  # the client is gone
        except Exception as error:
            if not isinstance(error, futures.CancelledError):
                log.debug("stream ended", exc_info=True)
        controller.end(reason)

    def _take(self, controller: Controller, request: p4r.StreamMessageRequest) -> None:
        match request.WhichOneof("update"):
            case "arbitration":
                self._arbiter.update(controller, request.arbitration)
            case "packet":
                try:
                    self._packet_from(controller, request.packet)
                except Refused as refused:
                    response = _stream_error(refused)
                    response.error.packet_out.packet_out.CopyFrom(request.packet)
                    controller.send_if_room(response)
            case "digest_ack":
                try:
                    self._acknowledge(controller, request.digest_ack)
                except Refused as refused:
                    response = _stream_error(refused)
                    response.error.digest_list_ack.digest_list_ack.CopyFrom(request.digest_ack)
                    controller.send_if_room(response)
            case "other":
                response = _stream_error(
                    Refused(errors.UNIMPLEMENTED, "v1model has no messages of its own")
                )
                response.error.other.other.CopyFrom(request.other)
                controller.send_if_room(response)
            case _:
                response = _stream_error(errors.invalid("the message is of no known kind"))
                response.error.other.SetInParent()
                controller.send_if_room(response)

    def _packet_from(self, controller: Controller, message: p4r.PacketOut) -> None:
        if not self._scope_of(controller).packet_out:
            raise Refused(errors.PERMISSION_DENIED, "the role may not send packets")
        if self._packet_out is None or self._cpu_port is None:
            missing = "CPU port" if self._cpu_port is None else "forwarding pipeline config"
            raise Refused(errors.FAILED_PRECONDITION, f"the switch has no {missing}")
        try:
            self._ports.inject(self._cpu_port, self._packet_out.pack(message))
        except PortError as error:
            raise errors.invalid(str(error)) from None

    def _acknowledge(self, controller: Controller, message: p4r.DigestListAck) -> None:
        self._scope_of(controller)
        with self._state:
            committed = self._configs.committed
            if committed is None:
                raise Refused(errors.FAILED_PRECONDITION, "no forwarding pipeline config is set")
            committed.digests.acknowledge(message)

    def _scope_of(self, controller: Controller) -> Scope:
        scope = self._arbiter.scope_of_primary(controller)
        if scope is None:
            raise Refused(errors.PERMISSION_DENIED, "only a primary controller may send this")
        return scope

    def _digests_enabled(self) -> bool:
        committed = self._configs.committed
        return committed is not None and committed.digests.enabled

    def _send_digests(self) -> None:
        """Pass digests on while a controller wants any, until the switch stops."""
        while self._listening.wait() and not self._stopping.wait(DIGEST_SECONDS):
            with self._state:
                if not self._digests_enabled():
                    self._listening.clear()
                    continue
                assert self._configs.committed is not None
                lists = self._configs.committed.digests.take()
                names = self._configs.committed.schema.names
            for message in lists:
                for controller, scope in self._arbiter.primaries():
                    if scope.covers(names, message.digest_id):
                        controller.send_if_room(p4r.StreamMessageResponse(digest=message))

    def _send_timeouts(self) -> None:
        """Tell of idle entries when one may have timed out, until the switch stops."""
        wait: float | None = None
        while not self._stopping.is_set():
            self._watching.wait(wait)
            self._stopping.wait(SCAN_SECONDS)
            self._watching.clear()
            with self._state:
                committed = self._configs.committed
                notifications = committed.idle.take() if committed else []
                wait = committed.idle.seconds() if committed else None
            if not committed or not notifications:
                continue
            for controller, scope in self._arbiter.primaries():
                for message in notifications:
                    within = narrowed(message, scope, committed.schema.names)
                    if within.table_entry:
                        response = p4r.StreamMessageResponse(idle_timeout_notification=within)
                        controller.send_if_room(response)

    def _send_packets(self) -> None:
        """Pass what reaches the CPU port on to the primaries, until the ports are stopped."""
        while (packet := self._ports.receive()) is not None:
            layout = self._packet_in
            message = layout.unpack(packet) if layout else None
            if message is None:
                continue
            response = p4r.StreamMessageResponse(packet=message)
            for controller, scope in self._arbiter.primaries():
                if scope.packet_in:
                    controller.send_if_room(response)


def _check_address(address: str) -> None:
    """Say why an address cannot be listened on; gRPC itself only logs it."""
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdecimal():
        raise ServerError(f"cannot listen on {address}: write ADDRESS:PORT, as in 127.0.0.1:9559")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host.strip("[]"), int(port)), family=family).close()
    except OverflowError:
        raise ServerError(f"cannot listen on {address}: ports go up to 65535") from None
    except OSError as error:
        reason = str(error.strerror).partition(" (")[0]  # create_server adds a remark
        raise ServerError(f"cannot listen on {address}: {reason}") from None


def _guarded(call: Callable[[Any, grpc.ServicerContext], Answer]) -> Callable[[Any, Any], Answer]:
    """Turn refusals into gRPC statuses, and bugs into INTERNAL instead of a traceback."""

    def handler(request: Any, context: grpc.ServicerContext) -> Answer:
        try:
            return call(request, context)
        except Refused as refused:
            context.abort(refused.code, refused.message)
        except Exception:
            if context.code() is not None:  # type: ignore[attr-defined]
                raise  # an abort under way
            _abort_internal(context)

    return handler


def _abort_internal(context: grpc.ServicerContext) -> NoReturn:
    log.exception("internal error")
    context.abort(errors.INTERNAL, "internal error of the switch; its log says more")


def _abort_batch(
    context: grpc.ServicerContext, message: str, outcomes: list[Refused | None]
) -> NoReturn:
    details = errors.batch_details(message, outcomes)
    context.set_trailing_metadata(((errors.DETAILS_KEY, details),))
    context.abort(errors.UNKNOWN, message)


def _stream_error(refused: Refused) -> p4r.StreamMessageResponse:
    response = p4r.StreamMessageResponse()
    response.error.canonical_code = errors.number(refused.code)
    response.error.message = refused.message
    return response
