"""Who may write: controllers, roles and election ids (P4Runtime spec section 5)."""

from __future__ import annotations

import queue
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from finsy.proto import p4r
from google.protobuf.any_pb2 import Any

from switch.p4runtime.errors import (
    ALREADY_EXISTS,
    FAILED_PRECONDITION,
    NOT_FOUND,
    OK,
    PERMISSION_DENIED,
    UNAVAILABLE,
    Refused,
    invalid,
    number,
)
from switch.p4runtime.roles import FULL, Scope

ConfigRequest = p4r.SetForwardingPipelineConfigRequest

MAX_WAITING = 10_000
"""Messages waiting to be sent to one controller before packets for it are dropped."""


class Controller:
    """One open StreamChannel: where its messages go, and what it said about itself."""

    def __init__(self) -> None:
        self.role: str | None = None  # None until its first MasterArbitrationUpdate
        self.election_id: int | None = None
        self.dropped = 0
        self._outgoing: queue.SimpleQueue[p4r.StreamMessageResponse | Refused | None] = (
            queue.SimpleQueue()
        )

    def send(self, message: p4r.StreamMessageResponse) -> None:
        self._outgoing.put(message)

    def send_if_room(self, message: p4r.StreamMessageResponse) -> None:
        """For packets: a controller that does not keep up loses some."""
        if self._outgoing.qsize() < MAX_WAITING:
            self._outgoing.put(message)
        else:
            self.dropped += 1

    def end(self, reason: Refused | None = None) -> None:
        """Close the stream after what waits to be sent; with an error if there is a reason."""
        self._outgoing.put(reason)

    def next(self) -> p4r.StreamMessageResponse | Refused | None:
        """The next message to send; None or a Refused ends the stream."""
        return self._outgoing.get()


@dataclass
class _Role:
    name: str
    live: list[Controller] = field(default_factory=list)
    primary: Controller | None = None
    highest: int | None = None
    """The highest election id ever seen; it outlives its controller."""
    config: Any | None = None
    """What a primary sent last, and what it means."""
    scope: Scope = FULL


class Arbiter:
    """Decides for each role which of its live controllers is primary.

    `writing` is the lock that every Write holds from its check of the primary to its end: taking
    it once makes sure that all writes of a former primary are through.
    """

    def __init__(self, device_id: int, writing: AbstractContextManager[bool]) -> None:
        self._device_id = device_id
        self._writing = writing
        self._roles: dict[str, _Role] = {"": _Role("")}
        self._changing = threading.Lock()  # one change of mastership at a time
        self._lock = threading.Lock()  # guards the roles

    def update(self, controller: Controller, message: p4r.MasterArbitrationUpdate) -> None:
        """Take a MasterArbitrationUpdate (spec 5.3); a Refused ends the controller's stream."""
        election_id = _election_id(message)
        config, scope = _config(message.role)
        with self._changing:
            with self._lock:
                role = self._admit(controller, message, election_id)
                was_primary = role.primary is controller
                wins = election_id is not None and (
                    role.highest is None or election_id >= role.highest
                )
                if wins:
                    role.primary = None  # no Write is accepted until the former ones are through
                    role.highest = election_id
                    role.config, role.scope = config, scope
                    self._notify(role, [c for c in role.live if c is not controller], primary=True)
                elif was_primary:
                    role.primary = None
                    self._notify(role, role.live, primary=False)
                else:
                    self._notify(role, [controller], primary=role.primary is not None)
            if wins:
                with self._writing, self._lock:
                    role.primary = controller
                    self._notify(role, [controller], primary=True)

    def _admit(
        self, controller: Controller, message: p4r.MasterArbitrationUpdate, election_id: int | None
    ) -> _Role:
        name = message.role.name
        newcomer = controller.role is None
        if message.device_id != self._device_id:
            code = NOT_FOUND if newcomer else FAILED_PRECONDITION
            raise Refused(code, f"device {message.device_id} is not here, but {self._device_id}")
        if not newcomer and name != controller.role:
            raise Refused(
                FAILED_PRECONDITION,
                f"this stream has role {controller.role!r}: open another for role {name!r}",
            )
        role = self._roles.setdefault(name, _Role(name))
        if election_id is not None and any(
            other.election_id == election_id for other in role.live if other is not controller
        ):
            raise invalid(f"election id {election_id} is used by another controller")
        if newcomer:
            role.live.append(controller)
            controller.role = name
        controller.election_id = election_id
        return role

    def remove(self, controller: Controller) -> None:
        """The controller's stream is closed."""
        with self._changing, self._lock:
            role = self._roles.get(controller.role) if controller.role is not None else None
            if role is None or controller not in role.live:
                return
            role.live.remove(controller)
            if role.primary is controller:
                role.primary = None
                self._notify(role, role.live, primary=False)

    def _notify(self, role: _Role, controllers: list[Controller], *, primary: bool) -> None:
        """Tell controllers where they stand (spec 5.4)."""
        for controller in controllers:
            response = p4r.StreamMessageResponse()
            arbitration = response.arbitration
            arbitration.device_id = self._device_id
            if role.name:
                arbitration.role.name = role.name
            if role.config is not None:
                arbitration.role.config.CopyFrom(role.config)
            if role.highest is not None:
                arbitration.election_id.high = role.highest >> 64
                arbitration.election_id.low = role.highest & 0xFFFFFFFFFFFFFFFF
            if not primary:
                code, text = NOT_FOUND, "there is no primary"
            elif controller.election_id == role.highest:
                code, text = OK, "you are primary"
            else:
                code, text = ALREADY_EXISTS, "another controller is primary"
            arbitration.status.code = number(code)
            arbitration.status.message = text
            controller.send(response)

    def check_primary(self, request: p4r.WriteRequest | ConfigRequest) -> Scope:
        """Refuse what does not come from its role's primary (spec 12); what the role may do."""
        election_id = _election_id(request)
        with self._lock:
            role = self._known(request.role)
            if role.primary is None:
                raise Refused(PERMISSION_DENIED, "there is no primary controller")
            if election_id is None or role.primary.election_id != election_id:
                shown = (
                    "an unset election id" if election_id is None else f"election id {election_id}"
                )
                raise Refused(PERMISSION_DENIED, f"{shown} is not the primary's")
            return role.scope

    def scope(self, name: str) -> Scope:
        """What a role may do, whether it has a primary or not."""
        with self._lock:
            return self._known(name).scope

    def _known(self, name: str) -> _Role:
        try:
            return self._roles[name]
        except KeyError:
            raise Refused(NOT_FOUND, f"no controller has role {name!r}") from None

    def scope_of_primary(self, controller: Controller) -> Scope | None:
        """None if the controller is not primary."""
        with self._lock:
            role = self._roles.get(controller.role) if controller.role is not None else None
            return role.scope if role and role.primary is controller else None

    def primaries(self) -> list[tuple[Controller, Scope]]:
        """The primary of every role that has one, and what it may do."""
        with self._lock:
            roles = self._roles.values()
            return [(role.primary, role.scope) for role in roles if role.primary is not None]

    def end_all(self) -> None:
        """Close every stream, for a shutdown."""
        with self._lock:
            for role in self._roles.values():
                for controller in role.live:
                    controller.end(Refused(UNAVAILABLE, "the switch stops"))


def _election_id(
    message: p4r.MasterArbitrationUpdate | p4r.WriteRequest | ConfigRequest,
) -> int | None:
    """Unset is lower than any: such a controller is never primary (spec 16.2.1)."""
    if not message.HasField("election_id"):
        return None
    return message.election_id.high << 64 | message.election_id.low


def _config(role: p4r.Role) -> tuple[Any | None, Scope]:
    """Without a config a role has full access (spec 5.2)."""
    if not role.HasField("config"):
        return None, FULL
    if not role.name:
        raise invalid("the default role has full access: give a role with a config a name")
    kept = Any()
    kept.CopyFrom(role.config)
    return kept, Scope.parse(kept)
