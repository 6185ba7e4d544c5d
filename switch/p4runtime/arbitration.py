"""Who may write: controllers, roles and election ids (P4Runtime spec section 5)."""

from __future__ import annotations

import queue
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from finsy.proto import p4r

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
        if message.role.HasField("config"):
            raise invalid("no scheme of role configs is agreed upon: leave role.config unset")
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

    def check_primary(self, role: str, election_id: p4r.Uint128) -> None:
        """Refuse a Write that does not come from the role's primary (spec 12)."""
        with self._lock:
            known = self._roles.get(role)
            if known is None:
                raise Refused(NOT_FOUND, f"no controller has role {role!r}")
            if known.primary is None:
                raise Refused(PERMISSION_DENIED, "there is no primary controller")
            if known.primary.election_id != _number(election_id):
                raise Refused(
                    PERMISSION_DENIED,
                    f"election id {_number(election_id)} is not the primary's",
                )

    def is_primary(self, controller: Controller) -> bool:
        with self._lock:
            role = self._roles.get(controller.role) if controller.role is not None else None
            return role is not None and role.primary is controller

    def primaries(self) -> list[Controller]:
        """The primary of every role that has one: each has full access to the pipeline."""
        with self._lock:
            return [role.primary for role in self._roles.values() if role.primary is not None]

    def end_all(self) -> None:
        """Close every stream, for a shutdown."""
        with self._lock:
            for role in self._roles.values():
                for controller in role.live:
                    controller.end(Refused(UNAVAILABLE, "the switch stops"))


def _number(election_id: p4r.Uint128) -> int:
    return election_id.high << 64 | election_id.low


def _election_id(message: p4r.MasterArbitrationUpdate) -> int | None:
    """Unset is lower than any: such a controller never becomes primary (spec 16.2.1)."""
    return _number(message.election_id) if message.HasField("election_id") else None
