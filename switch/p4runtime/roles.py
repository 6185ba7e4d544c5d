"""What a role may do: this server's scheme of `Role.config` (P4Runtime spec section 5.2).

The config is a google.protobuf.Struct:

    {"entities": ["Ingress.route", …], "packet_in": true, "packet_out": true, "pipeline": true}

`entities` are names (or aliases) of P4Info objects, and `multicast_groups` and `clone_sessions`.
What is not granted is not allowed. A role without a config may do everything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from finsy.proto import p4r
from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct

from switch.p4runtime.errors import invalid

MULTICAST_GROUPS = "multicast_groups"
CLONE_SESSIONS = "clone_sessions"
RIGHTS = ("packet_in", "packet_out", "pipeline")

Names = Mapping[int, tuple[str, ...]]
"""What P4Info calls its objects, by id: name and alias."""

# The field with the id of the P4Info object that an entity belongs to.
_OBJECTS: dict[str, Callable[[Any], int]] = {
    "extern_entry": lambda entry: entry.extern_id,
    "table_entry": lambda entry: entry.table_id,
    "action_profile_member": lambda entry: entry.action_profile_id,
    "action_profile_group": lambda entry: entry.action_profile_id,
    "meter_entry": lambda entry: entry.meter_id,
    "direct_meter_entry": lambda entry: entry.table_entry.table_id,
    "counter_entry": lambda entry: entry.counter_id,
    "direct_counter_entry": lambda entry: entry.table_entry.table_id,
    "value_set_entry": lambda entry: entry.value_set_id,
    "register_entry": lambda entry: entry.register_id,
    "digest_entry": lambda entry: entry.digest_id,
}


@dataclass(frozen=True, slots=True)
class Scope:
    """The rights of a role."""

    entities: frozenset[str] | None = None
    """Names of objects; None: all."""
    packet_in: bool = True
    packet_out: bool = True
    pipeline: bool = True

    @classmethod
    def parse(cls, config: AnyMessage) -> Scope:
        """Refuses whatever the scheme does not have, rather than grant other than was meant."""
        content = _content(config)
        entities = content.pop("entities", [])
        if not isinstance(entities, list) or not all(isinstance(name, str) for name in entities):
            raise invalid("role.config: entities is a list of names")
        for key, value in content.items():
            if key not in RIGHTS or not isinstance(value, bool):
                raise invalid(f"role.config: {key!r} is none of entities, {', '.join(RIGHTS)}")
        return cls(frozenset(entities), *(content.get(right, False) for right in RIGHTS))

    def covers(self, names: Names, number: int) -> bool:
        """Whether the object with this id is in the scope."""
        return self.entities is None or not self.entities.isdisjoint(names.get(number, ()))

    def allows(self, names: Names, entity: p4r.Entity) -> bool:
        """An entity of no known object is allowed here: it is refused for what it is."""
        if self.entities is None:
            return True
        kind = entity.WhichOneof("entity")
        if kind is None:
            return True
        if kind == "packet_replication_engine_entry":
            type_ = entity.packet_replication_engine_entry.WhichOneof("type")
            groups = type_ == "multicast_group_entry"
            return (MULTICAST_GROUPS if groups else CLONE_SESSIONS) in self.entities
        number = _OBJECTS[kind](getattr(entity, kind))
        return number not in names or self.covers(names, number)


FULL = Scope()


def _content(config: AnyMessage) -> dict[str, Any]:
    struct = Struct()
    try:
        if config.Unpack(struct):
            return json_format.MessageToDict(struct)
    except (DecodeError, json_format.Error, ValueError):
        raise invalid("role.config is not the google.protobuf.Struct it says it is") from None
    raise invalid(f"role.config is a google.protobuf.Struct, not {config.type_url!r}")
