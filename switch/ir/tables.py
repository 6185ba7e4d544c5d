"""Tables, with their keys and entries."""

from __future__ import annotations

from dataclasses import dataclass

from switch.ir.actions import ActionRef, BoundAction
from switch.ir.expressions import Expression
from switch.ir.externs import ExternInstance
from switch.ir.keysets import Keyset
from switch.ir.source import Annotations, Loc
from switch.ir.types import NewType


@dataclass(eq=False, slots=True)
class Key:
    """One key field: `expression` is Bits, Bool, an enum or Error.

    `match_kind`: exact, lpm, ternary, range, optional or selector. `name` is the control-plane
    name (@name or derived from the expression: "hdr.ipv4.dst_addr", "hdr.ipv4.$valid$").
    """

    expression: Expression
    match_kind: str
    name: str
    annotations: Annotations
    loc: Loc
    declared: NewType | None = None


@dataclass(eq=False, slots=True)
class Entry:
    """One entry of `entries`. `keysets` are parallel with the table's keys and hold literals.

    `priority`: larger wins (as in P4Runtime), whatever the source's convention was; it is distinct
    and positive for entries without an explicit one. `is_const`: cannot be changed at run time.
    """

    keysets: tuple[Keyset, ...]
    action: BoundAction
    priority: int
    is_const: bool
    annotations: Annotations
    loc: Loc


@dataclass(eq=False, slots=True)
class Table:
    """A table of one control instance; `name` is the control-plane name, "Ingress.partition"."""

    name: str
    keys: tuple[Key, ...]
    actions: tuple[ActionRef, ...]
    default_action: BoundAction
    """NoAction when the source names none (`actions` then has it as default_only if missing)."""
    const_default: bool
    entries: tuple[Entry, ...]
    const_entries: bool
    """`const entries`: no run-time insertion at all."""
    size: int | None
    implementation: ExternInstance | None
    """action_profile or action_selector."""
    counter: ExternInstance | None
    """direct_counter; counted on hit and on default."""
    meter: ExternInstance | None
    support_timeout: bool
    annotations: Annotations
    loc: Loc
