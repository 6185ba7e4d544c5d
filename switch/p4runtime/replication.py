"""Multicast groups and clone sessions (P4Runtime spec section 9.5)."""

from __future__ import annotations

from collections.abc import Callable

from finsy.proto import p4r

from switch.p4runtime.errors import (
    ALREADY_EXISTS,
    NOT_FOUND,
    OUT_OF_RANGE,
    UNIMPLEMENTED,
    Refused,
    invalid,
)
from switch.p4runtime.forwarding import Forwarding, alternatives, replicas

INSERT, DELETE = p4r.Update.INSERT, p4r.Update.DELETE
MAX_MULTICAST_GROUP = 0xFFFF  # standard_metadata.mcast_grp is bit<16>
MAX_INSTANCE = 0xFFFF  # standard_metadata.egress_rid is bit<16>
MAX_CLONE_SESSION = 0x7FFF  # as in BMv2
MAX_CLASS_OF_SERVICE = 0xFF  # PSA's ClassOfService_t
MAX_PORT = 0x1FF  # standard_metadata.egress_port is bit<9>


def write_replication(forwarding: Forwarding, update: p4r.Update) -> Callable[[], None]:
    """Carry out an update of a group or session; returns how to take it back."""
    message = update.entity.packet_replication_engine_entry
    match message.WhichOneof("type"):
        case "multicast_group_entry":
            return _multicast_group(forwarding, update.type, message.multicast_group_entry)
        case "clone_session_entry":
            return _clone_session(forwarding, update.type, message.clone_session_entry)
    raise invalid("the packet replication entry is of no type")


def _multicast_group(
    forwarding: Forwarding, update: int, message: p4r.MulticastGroupEntry
) -> Callable[[], None]:
    number = message.multicast_group_id
    if number == 0:
        raise invalid("0 is not a multicast group")
    if number > MAX_MULTICAST_GROUP:
        raise Refused(OUT_OF_RANGE, f"multicast group {number} is over {MAX_MULTICAST_GROUP}")
    old = forwarding.multicast_groups.get(number)
    check_presence(update, old is not None, f"multicast group {number}")
    if update != DELETE:
        _check_replicas(message, f"multicast group {number}")
    _set_multicast_group(forwarding, number, None if update == DELETE else message)
    return lambda: _set_multicast_group(forwarding, number, old)


def _set_multicast_group(
    forwarding: Forwarding, number: int, message: p4r.MulticastGroupEntry | None
) -> None:
    if message is None:
        forwarding.pipeline.delete_multicast_group(number)
        del forwarding.multicast_groups[number]
        return
    forwarding.pipeline.set_multicast_group(number, replicas(message, forwarding.down))
    kept = p4r.MulticastGroupEntry()
    kept.CopyFrom(message)
    forwarding.multicast_groups[number] = kept


def _clone_session(
    forwarding: Forwarding, update: int, message: p4r.CloneSessionEntry
) -> Callable[[], None]:
    number = message.session_id
    if number == 0:
        raise invalid("0 is not a clone session")
    if number > MAX_CLONE_SESSION:
        raise Refused(OUT_OF_RANGE, f"clone session {number} is over {MAX_CLONE_SESSION}")
    old = forwarding.clone_sessions.get(number)
    check_presence(update, old is not None, f"clone session {number}")
    if update != DELETE:
        if any(item.backup_replicas for item in message.replicas):
            raise Refused(UNIMPLEMENTED, "only multicast groups have backup replicas")
        _check_replicas(message, f"clone session {number}")
        if message.class_of_service > MAX_CLASS_OF_SERVICE:
            raise invalid(
                f"clone session {number}: class_of_service {message.class_of_service} is over "
                f"{MAX_CLASS_OF_SERVICE}"
            )
        if message.packet_length_bytes < 0:
            raise invalid(f"clone session {number}: packet_length_bytes is negative")
    _set_clone_session(forwarding, number, None if update == DELETE else message)
    return lambda: _set_clone_session(forwarding, number, old)


def _set_clone_session(
    forwarding: Forwarding, number: int, message: p4r.CloneSessionEntry | None
) -> None:
    if message is None:
        forwarding.pipeline.delete_clone_session(number)
        del forwarding.clone_sessions[number]
        return
    forwarding.pipeline.set_clone_session(number, replicas(message), message.packet_length_bytes)
    kept = p4r.CloneSessionEntry()
    kept.CopyFrom(message)
    forwarding.clone_sessions[number] = kept


def check_presence(update: int, present: bool, what: str) -> None:
    """INSERT needs it not to be there, MODIFY and DELETE need it (spec 12)."""
    if update == INSERT and present:
        raise Refused(ALREADY_EXISTS, f"{what} exists already")
    if update != INSERT and not present:
        raise Refused(NOT_FOUND, f"there is no {what}")


def _check_replicas(message: p4r.MulticastGroupEntry | p4r.CloneSessionEntry, what: str) -> None:
    for item in message.replicas:
        kind = item.WhichOneof("port_kind")
        if kind is None:
            raise invalid(f"{what}: a replica names no port")
        if kind == "egress_port" and item.egress_port > MAX_PORT:
            raise invalid(f"{what}: replica port {item.egress_port} is not within 0..{MAX_PORT}")
        if kind == "port":
            _check_port(item.port, what)
        for each in item.backup_replicas:
            _check_port(each.port, what)
        (port, _), *backups = alternatives(item)
        if port in {backup for backup, _ in backups}:
            raise invalid(f"{what}: a replica and its backup have the same port {port}")
    pairs = [pair for item in message.replicas for pair in alternatives(item)]
    if len(set(pairs)) != len(pairs):
        raise invalid(f"{what}: two replicas have the same port and instance")
    for _, instance in pairs:
        if instance > MAX_INSTANCE:
            raise invalid(f"{what}: replica instance {instance} is over {MAX_INSTANCE}")


def _check_port(port: bytes, what: str) -> None:
    if not port:
        raise Refused(OUT_OF_RANGE, f"{what}: a replica's port has no bytes")
    if int.from_bytes(port, "big") > MAX_PORT:
        raise Refused(OUT_OF_RANGE, f"{what}: replica port 0x{port.hex()} is over {MAX_PORT}")
