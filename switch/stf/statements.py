"""What an STF file says, line by line; names are as written, resolved when it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["packets", "bytes"]


@dataclass(frozen=True, slots=True)
class Number:
    """`wild` are the bits written `*`; `digits` the bits written at all, None for decimals."""

    value: int
    wild: int = 0
    digits: int | None = None


@dataclass(frozen=True, slots=True)
class Prefix:
    """`value/length`."""

    value: int
    length: int


@dataclass(frozen=True, slots=True)
class Masked:
    """`value&&&mask`."""

    value: int
    mask: int


@dataclass(frozen=True, slots=True)
class Span:
    """`low->high`, both included."""

    low: int
    high: int


KeyValue = Number | Prefix | Masked | Span


@dataclass(frozen=True, slots=True)
class Call:
    """`action(param:value, …)`."""

    action: str
    arguments: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """Hex digits and `*` for any digit; longer packets match too unless `exact`."""

    digits: str
    exact: bool

    def matches(self, packet: bytes) -> bool:
        seen = packet.hex()
        if len(seen) < len(self.digits) or (self.exact and len(seen) > len(self.digits)):
            return False
        return all(want in ("*", got) for want, got in zip(self.digits, seen, strict=False))


@dataclass(frozen=True, slots=True)
class Statement:
    line: int


@dataclass(frozen=True, slots=True)
class Packet(Statement):
    port: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Expect(Statement):
    port: int
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class NoPacket(Statement):
    """Nothing comes out for the packet before."""


@dataclass(frozen=True, slots=True)
class Wait(Statement):
    """Until all packets are through, which they are: each is processed where it stands."""


@dataclass(frozen=True, slots=True)
class Add(Statement):
    table: str
    priority: int | None
    keys: tuple[tuple[str, KeyValue], ...]
    call: Call
    label: str | None


@dataclass(frozen=True, slots=True)
class AddIndirect(Statement):
    """An entry that does what a member, or a group, of its table's action profile does."""

    table: str
    priority: int | None
    keys: tuple[tuple[str, KeyValue], ...]
    target: int
    is_group: bool


@dataclass(frozen=True, slots=True)
class MemberCreate(Statement):
    """The first member created in a profile is member 0, the next one 1, …"""

    profile: str
    call: Call


@dataclass(frozen=True, slots=True)
class ActionGroupCreate(Statement):
    """Groups are counted like members, apart from them."""

    profile: str


@dataclass(frozen=True, slots=True)
class GroupMember(Statement):
    """A member comes into a group, or goes."""

    profile: str
    member: int
    group: int
    comes: bool


@dataclass(frozen=True, slots=True)
class RemoveAll(Statement):
    pass


@dataclass(frozen=True, slots=True)
class SetDefault(Statement):
    table: str
    call: Call


@dataclass(frozen=True, slots=True)
class Condition:
    unit: Unit
    operator: str
    number: int


@dataclass(frozen=True, slots=True)
class CheckCounter(Statement):
    """`index` is a number, or `$LABEL` of an entry for a direct counter.

    Without a condition it is only a reading.
    """

    counter: str
    index: int | str
    condition: Condition | None


@dataclass(frozen=True, slots=True)
class Read(Statement):
    """`counter_read`, `register_read`, `meter_get_rates`: they only ask that it exists."""

    kind: Literal["counter", "register", "meter"]
    name: str
    index: int


@dataclass(frozen=True, slots=True)
class CounterWrite(Statement):
    counter: str
    index: int
    packets: int
    bytes: int


@dataclass(frozen=True, slots=True)
class RegisterWrite(Statement):
    register: str
    index: int
    value: int


@dataclass(frozen=True, slots=True)
class RegisterReset(Statement):
    register: str


@dataclass(frozen=True, slots=True)
class MeterRates(Statement):
    """(units per microsecond, burst) twice, committed and peak; `index` None: the whole array."""

    meter: str
    index: int | None
    rates: tuple[tuple[float, int], tuple[float, int]]


@dataclass(frozen=True, slots=True)
class Mirror(Statement):
    """A clone session to a port or to a multicast group."""

    session: int
    port: int | None
    group: int | None


@dataclass(frozen=True, slots=True)
class MirrorGet(Statement):
    session: int


@dataclass(frozen=True, slots=True)
class MirrorDelete(Statement):
    session: int


@dataclass(frozen=True, slots=True)
class GroupCreate(Statement):
    group: int


@dataclass(frozen=True, slots=True)
class NodeCreate(Statement):
    """The first node created is node 0, the next node 1, …"""

    instance: int
    ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NodeUpdate(Statement):
    node: int
    ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NodeAssociate(Statement):
    group: int
    node: int
