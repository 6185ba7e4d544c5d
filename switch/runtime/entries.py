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


class ConstTable(PipelineError):
    """The entries (or the default action) are `const` in the program."""


@dataclass(frozen=True, slots=True)
class Exact:
    value: int


@dataclass(frozen=True, slots=True)
class Lpm:
    value: int
    prefix_len: int


@dataclass(frozen=True, slots=True)
class Ternary:
    value: int
    mask: int


@dataclass(frozen=True, slots=True)
class Range:
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Optional:
    value: int | None


Match = Exact | Lpm | Ternary | Range | Optional


@dataclass(slots=True)
class Entry:
    """One table entry; `priority` in P4Runtime's sense: the larger wins, 0 without ternary keys."""

    match: tuple[Match, ...]
    action: str
    params: tuple[int, ...] = ()
    priority: int = 0
    is_const: bool = field(default=False, compare=False)


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
