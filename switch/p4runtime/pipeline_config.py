"""Set- and GetForwardingPipelineConfig (P4Runtime spec sections 14 and 15)."""

from __future__ import annotations

import threading
from collections.abc import Collection

from finsy.proto import p4r

from switch.cc import BuildError
from switch.frontend.errors import CompileError
from switch.p4info import p4info
from switch.p4runtime.agreement import disagreement
from switch.p4runtime.device_config import DeviceConfig
from switch.p4runtime.errors import NOT_FOUND, RESOURCE_EXHAUSTED, Refused, invalid
from switch.p4runtime.forwarding import Forwarding, carry_over, forward

Request = p4r.SetForwardingPipelineConfigRequest
Query = p4r.GetForwardingPipelineConfigRequest
"""The two messages, under shorter names."""


def realize(
    own: DeviceConfig, cpu_port: int | None, *, below: str = "", ports: Collection[int] = ()
) -> Forwarding:
    """A program under its own P4Info."""
    pipeline = own.compile(cpu_port, below=below)
    config = p4r.ForwardingPipelineConfig(
        p4info=p4info(pipeline.program), p4_device_config=own.serialize()
    )
    return forward(config, pipeline, ports)


def realize_config(
    config: p4r.ForwardingPipelineConfig, cpu_port: int | None, ports: Collection[int]
) -> Forwarding:
    """A controller's program under the controller's P4Info, which must fit (spec 14)."""
    pipeline = DeviceConfig.parse(config.p4_device_config).compile(cpu_port)
    difference = disagreement(config.p4info, p4info(pipeline.program))
    if difference:
        pipeline.close()
        raise invalid(f"p4info and p4_device_config do not belong together: {difference}")
    kept = p4r.ForwardingPipelineConfig()
    kept.CopyFrom(config)
    return forward(kept, pipeline, ports)


class PipelineConfigs:
    """The config in force and the one saved for a later COMMIT.

    A saved config has a data plane of its own that no packets reach: what is read and written
    between VERIFY_AND_SAVE and COMMIT is read and written there.
    """

    def __init__(self, cpu_port: int | None, ports: Collection[int]) -> None:
        self._cpu_port = cpu_port
        self._ports = ports
        self.committed: Forwarding | None = None
        self.saved: Forwarding | None = None
        self._compiling = threading.Lock()

    @property
    def current(self) -> Forwarding | None:
        """What Read and Write refer to."""
        return self.saved or self.committed

    def prepare(self, request: Request) -> Forwarding | None:
        """The slow part of an action, outside all locks: compile the program that it brings."""
        if request.action == Request.COMMIT:
            if request.HasField("config"):
                raise invalid("COMMIT takes no config: it commits the saved one")
            return None
        if request.action not in (
            Request.VERIFY,
            Request.VERIFY_AND_SAVE,
            Request.VERIFY_AND_COMMIT,
            Request.RECONCILE_AND_COMMIT,
        ):
            raise invalid(f"{request.action} is not an action of SetForwardingPipelineConfig")
        if not request.HasField("config"):
            raise invalid("the request has no config")
        try:
            with self._compiling:
                return realize_config(request.config, self._cpu_port, self._ports)
        except (CompileError, BuildError) as error:
            raise invalid(f"the program does not compile: {error}") from None
        except MemoryError:
            raise Refused(RESOURCE_EXHAUSTED, "no memory for the state of the program") from None

    def apply(self, action: int, prepared: Forwarding | None) -> bool:
        """Carry the action out; True if another pipeline is in force now."""
        if action == Request.VERIFY:
            return False
        if action == Request.VERIFY_AND_SAVE:
            self.saved = prepared
            return False
        if action == Request.COMMIT:
            if self.saved is None:
                raise Refused(NOT_FOUND, "no config is saved: VERIFY_AND_SAVE comes first")
            prepared = self.saved
        if action == Request.RECONCILE_AND_COMMIT and prepared and self.committed:
            carry_over(self.committed, prepared)
        self.committed, self.saved = prepared, None
        return True

    def answer(self, response_type: int) -> p4r.GetForwardingPipelineConfigResponse:
        """The parts of the config asked for; nothing at all before the first one is set."""
        response = p4r.GetForwardingPipelineConfigResponse()
        if response_type not in Query.ResponseType.values():
            raise invalid(f"{response_type} is not a response type")
        if self.current is None:
            return response
        config = self.current.config
        response.config.SetInParent()
        if config.HasField("cookie"):
            response.config.cookie.CopyFrom(config.cookie)
        if response_type in (Query.ALL, Query.P4INFO_AND_COOKIE):
            response.config.p4info.CopyFrom(config.p4info)
        if response_type in (Query.ALL, Query.DEVICE_CONFIG_AND_COOKIE):
            response.config.p4_device_config = config.p4_device_config
        return response
