"""What a table entry is made of, and what can be wrong with one."""

from __future__ import annotations

from dataclasses import dataclass, field


class PipelineError(ValueError):
    """A request that the pipeline refuses; the message names the object and what to do."""


class UnknownName(PipelineError):
    """No table, action, register, counter, meter or digest of that name."""


class InvalidEntry(PipelineError):
    """An entry whose match, action, parameters or priority do not fit its table."""


class EntryExists(PipelineError):
    """The table already has an entry with this match (and priority)."""


class NoSuchEntry(PipelineError):
    """The table has no entry with this match (and priority)."""


class TableFull(PipelineError):
    """The table holds as many entries as its `size` allows."""


class InUse(PipelineError):
    """Entries or groups refer to it."""


class ConstTable(PipelineError):
    """The entries (or the default action) are `const` in the program."""


@dataclass(frozen=True, slots=True)
class Exact:
    value: int

    def __str__(self) -> str:
        return f"{self.value:#x}"


@dataclass(frozen=True, slots=True)
class Lpm:
    value: int
    prefix_len: int

    def __str__(self) -> str:
        return f"{self.value:#x}/{self.prefix_len}"


@dataclass(frozen=True, slots=True)
class Ternary:
    value: int
    mask: int

    def __str__(self) -> str:
        return f"{self.value:#x}&&&{self.mask:#x}"


@dataclass(frozen=True, slots=True)
class Range:
    low: int
    high: int

    def __str__(self) -> str:
        return f"{self.low:#x}..{self.high:#x}"


@dataclass(frozen=True, slots=True)
class Optional:
    value: int | None

    def __str__(self) -> str:
        return "*" if self.value is None else f"{self.value:#x}"


Match = Exact | Lpm | Ternary | Range | Optional


@dataclass(frozen=True, slots=True)
class ToMember:
    """Do what a member of the table's action profile does."""

    id: int


@dataclass(frozen=True, slots=True)
class ToGroup:
    """Do what the hash chooses of a group of the table's action profile."""

    id: int


@dataclass(frozen=True, slots=True)
class Weighted:
    """An action in a group of the entry's own; not chosen while its watched port is down."""

    action: str
    params: tuple[int, ...] = ()
    weight: int = 1
    watch_port: int | None = None


@dataclass(frozen=True, slots=True)
class OneShot:
    """Do what the hash chooses of these."""

    actions: tuple[Weighted, ...]


Target = ToMember | ToGroup | OneShot


@dataclass(frozen=True, slots=True)
class Member:
    """An action in an action profile, for entries and groups to refer to."""

    id: int
    action: str
    params: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Share:
    """A member's part in a group; it is not chosen while its watched port is down."""

    member: int
    weight: int = 1
    watch_port: int | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Members of an action profile of which a hash chooses one; their order does not matter."""

    id: int
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class ProfileUsage:
    """How many there are; `one_shots` are entries with groups of their own."""

    members: int
    groups: int
    one_shots: int


@dataclass(slots=True)
class Entry:
    """One table entry; `priority` in P4Runtime's sense: the larger wins, 0 without ternary keys.

    `target` stands in the place of action and parameters in tables with an action profile.
    """

    match: tuple[Match, ...]
    action: str = ""
    params: tuple[int, ...] = ()
    priority: int = 0
    is_const: bool = field(default=False, compare=False)
    target: Target | None = None

    def __str__(self) -> str:
        """The key."""
        shown = f"({', '.join(map(str, self.match))})"
        return f"{shown} with priority {self.priority}" if self.priority else shown


@dataclass(frozen=True, slots=True)
class MeterConfig:
    """Two rates and bursts per second, in bytes or packets as the meter counts (RFC 2698)."""

    cir: int
    cburst: int
    pir: int
    pburst: int


@dataclass(frozen=True, slots=True)
class MeterCounts:
    """(packets, bytes) by the colour that a meter gave them."""

    green: tuple[int, int] = (0, 0)
    yellow: tuple[int, int] = (0, 0)
    red: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Digest:
    """One message for the controller: the fields of the struct given to `digest`, in order."""

    name: str
    values: tuple[int, ...]
