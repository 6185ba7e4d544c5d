"""The wire format (docs/protocol.md): header codec and the key → group mapping."""

from hosts.wire.groups import GROUPS, MAX_BATCH, group_of, hash_tag, is_batch
from hosts.wire.header import (
    CONTROL_LENGTH,
    HEADER_LENGTH,
    MAGIC,
    MOVING_LENGTH,
    VERSION,
    Control,
    Flags,
    Header,
    Moving,
    Op,
    WireError,
    session_of,
)

__all__ = [
    "CONTROL_LENGTH",
    "GROUPS",
    "HEADER_LENGTH",
    "MAGIC",
    "MAX_BATCH",
    "MOVING_LENGTH",
    "VERSION",
    "Control",
    "Flags",
    "Header",
    "Moving",
    "Op",
    "WireError",
    "group_of",
    "hash_tag",
    "is_batch",
    "session_of",
]
