"""The fixed header of every NetMigrate datagram, and what follows it in control packets.

All fields are big-endian. `hosts/wire/wire.h` is the same format for C, and
`p4src/include/headers.p4` for the switch; one test holds the three against each other.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final, Self

from hosts.wire.groups import GROUPS

MAGIC: Final = 0x4E4D
VERSION: Final = 1

_HEADER: Final = struct.Struct("!HBBHHHHQII")
_SESSION: Final = struct.Struct("!12xQI")
_CONTROL: Final = struct.Struct("!HI")
_MOVING: Final = struct.Struct("!HIHHH")
HEADER_LENGTH: Final = _HEADER.size
CONTROL_LENGTH: Final = _CONTROL.size
MOVING_LENGTH: Final = _MOVING.size


class WireError(ValueError):
    """Bytes that are not a NetMigrate datagram; the message says which field is wrong and why."""


class Op(IntEnum):
    """What a datagram is."""

    READ = 1
    WRITE = 2
    REPLY = 3
    GROUP_START = 4
    GROUP_COMPLETE = 5
    GROUP_ACK = 6


CONTROL_OPS: Final = frozenset({Op.GROUP_START, Op.GROUP_COMPLETE, Op.GROUP_ACK})


class Flags(IntFlag):
    """The switch sets the first two; agents set the others in replies, and echo the first two.

    Clients set RETRY, MOVING and LONG in requests, and DOUBLE in copies that they send to a source.
    """

    NONE = 0
    DOUBLE = 1 << 0
    ONGOING = 1 << 1
    AUTHORITATIVE = 1 << 2
    FOUND = 1 << 3
    FROM_SOURCE = 1 << 4
    GONE = 1 << 5
    ERROR = 1 << 6
    FORWARDED = 1 << 7
    RETRY = 1 << 8
    MOVING = 1 << 9
    LONG = 1 << 10


@dataclass(frozen=True, slots=True)
class Header:
    """One header. `acked`: all of this client's requests up to this seq are finished."""

    op: Op
    flags: Flags = Flags.NONE
    service: int = 0
    group: int = 0
    migration: int = 0
    client: int = 0
    seq: int = 0
    acked: int = 0

    def pack(self) -> bytes:
        """Return the 28 bytes of this header."""
        return _HEADER.pack(
            MAGIC,
            VERSION,
            self.op,
            self.flags,
            self.service,
            self.group,
            self.migration,
            self.client,
            self.seq,
            self.acked,
        )

    @classmethod
    def unpack(cls, datagram: bytes) -> Self:
        """Parse the header at the start of `datagram`; raise WireError if it is not one."""
        if len(datagram) < HEADER_LENGTH:
            raise WireError(f"datagram of {len(datagram)} bytes: a header has {HEADER_LENGTH}")
        magic, version, op, flags, *rest = _HEADER.unpack_from(datagram)
        if magic != MAGIC:
            raise WireError(f"magic 0x{magic:04x}: expected 0x{MAGIC:04x}")
        if version != VERSION:
            raise WireError(f"version {version}: this end speaks version {VERSION}")
        try:
            known = Op(op)
        except ValueError:
            raise WireError(f"op {op}: known are 1 (READ) to 6 (GROUP_ACK)") from None
        service, group, migration, client, seq, acked = rest
        if group >= 16384:
            raise WireError(f"group {group}: groups are 0 to 16383")
        return cls(known, Flags(flags), service, group, migration, client, seq, acked)


def session_of(header: bytes) -> tuple[int, int]:
    """Return client and seq of a packed header that is known to be good."""
    client, seq = _SESSION.unpack_from(header)
    return client, seq


@dataclass(frozen=True, slots=True)
class Control:
    """What follows the header of GROUP_START, GROUP_COMPLETE and GROUP_ACK."""

    lane: int
    sequence: int

    def pack(self) -> bytes:
        """Return the 6 bytes of this control part."""
        return _CONTROL.pack(self.lane, self.sequence)

    @classmethod
    def unpack(cls, datagram: bytes) -> Self:
        """Parse the control part that follows the header; raise WireError if it is cut short."""
        if len(datagram) < HEADER_LENGTH + CONTROL_LENGTH:
            raise WireError(
                f"control packet of {len(datagram)} bytes: "
                f"it has {HEADER_LENGTH + CONTROL_LENGTH} (header, lane, control sequence)"
            )
        return cls(*_CONTROL.unpack_from(datagram, HEADER_LENGTH))


@dataclass(frozen=True, slots=True)
class Moving:
    """The end of a reply that is flagged MOVING: which groups around that of the request may still
    be at the source of a migration, `first` to `last`, and where that agent is. All zero: none."""

    migration: int = 0
    address: int = 0
    port: int = 0
    first: int = 0
    last: int = 0

    def pack(self) -> bytes:
        """Return the 12 bytes of this trailer."""
        return _MOVING.pack(self.migration, self.address, self.port, self.first, self.last)

    @classmethod
    def unpack(cls, datagram: bytes) -> Self:
        """Parse the end of a reply; raise WireError if it names no range of groups."""
        if len(datagram) < HEADER_LENGTH + MOVING_LENGTH:
            raise WireError(
                f"reply of {len(datagram)} bytes: flagged MOVING, it has at least "
                f"{HEADER_LENGTH + MOVING_LENGTH}"
            )
        found = cls(*_MOVING.unpack_from(datagram, len(datagram) - MOVING_LENGTH))
        if not found.first <= found.last < GROUPS:
            raise WireError(f"groups {found.first} to {found.last} moving: 0 to 16383 exist")
        return found
