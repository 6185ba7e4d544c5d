"""Action profiles: which actions their members may have, and what a selector hashes."""

from __future__ import annotations

from dataclasses import dataclass

from switch import ir
from switch.backend.keys import data_offsets
from switch.frontend.errors import error, unsupported


@dataclass(frozen=True, slots=True)
class Profile:
    """An action_profile or action_selector and the tables that share it."""

    instance: ir.ExternInstance
    tables: tuple[ir.Table, ...]
    actions: tuple[ir.Action, ...]
    """What members may do: the actions that entries of every table may have."""

    @property
    def selector(self) -> bool:
        return self.instance.type.name == "action_selector"

    @property
    def size(self) -> int:
        size = self.instance.arguments[1 if self.selector else 0]
        if not isinstance(size, ir.IntLiteral):
            raise unsupported(self.instance.loc, f"the size of '{self.instance.name}'")
        return size.value

    @property
    def by_weight(self) -> bool:
        """Whether `size` limits the sum of all weights, not the number of members (P4Info)."""
        semantics = ir.annotation(self.instance.annotations, "selector_size_semantics")
        return semantics is None or "sum_of_members" not in semantics.values

    @property
    def data_words(self) -> int:
        return max((data_offsets(action)[1] for action in self.actions), default=0)

    def positions(self, table: ir.Table) -> list[int]:
        """Where each action of the members stands in a table's list."""
        listed = [ref.action for ref in table.actions]
        return [listed.index(action) for action in self.actions]


def profiles(program: ir.Program) -> list[Profile]:
    """All of the program, in its order; raises CompileError."""
    tables: dict[ir.ExternInstance, list[ir.Table]] = {
        instance: []
        for instance in program.extern_instances()
        if instance.type.name in ("action_profile", "action_selector")
    }
    for table in program.tables():
        if table.implementation is not None:
            tables[table.implementation].append(table)
    return [_profile(instance, tuple(users)) for instance, users in tables.items()]


def _profile(instance: ir.ExternInstance, tables: tuple[ir.Table, ...]) -> Profile:
    allowed = [[ref.action for ref in t.actions if not ref.default_only] for t in tables]
    first = allowed[0] if allowed else []
    actions = tuple(action for action in first if all(action in other for other in allowed))
    profile = Profile(instance, tables, actions)
    if profile.selector:
        # In BMv2 the key belongs to the selector, so p4c wants it to be the same for all.
        inputs = {tuple(key.expression for key in selector_keys(table)): table for table in tables}
        if len(inputs) > 1:
            raise error(
                list(inputs.values())[1].loc,
                f"action selector '{instance.name}' is used by several tables with different "
                "selector keys",
            )
    return profile


def selector_keys(table: ir.Table) -> list[ir.Key]:
    return [key for key in table.keys if key.match_kind == "selector"]
