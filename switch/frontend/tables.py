"""Checking of tables (P4_16 section 14.2; properties as in v1model)."""

from __future__ import annotations

from switch import ir
from switch.frontend import syntax as s
from switch.frontend.arguments import applies
from switch.frontend.context import Label, literal_int
from switch.frontend.errors import CompileError, error
from switch.frontend.keysets import KeysetChecker
from switch.frontend.scopes import (
    ActionEntry,
    ExternInstanceEntry,
    TableEntry,
)
from switch.frontend.type_rules import article, erase, is_scalar

_PRIORITY_KINDS = ("ternary", "range", "optional")
_MATCH_KINDS = ("exact", "lpm", "ternary", "range", "optional", "selector")


class TableChecker(KeysetChecker):
    """Tables of one control instance."""

    def table(self, decl: s.TableDecl) -> None:
        """Checks the table, adds it to the current owner and declares its name."""
        try:
            table = self._table(decl)
            self.declare(decl.name, TableEntry(decl.loc, table))
        except CompileError:
            self.declare_broken(decl.name, decl.loc)
            raise
        self.unit.owner.tables.append(table)

    def _table(self, decl: s.TableDecl) -> ir.Table:
        notes = self.annotations(decl.annotations)
        name = self.plane_name(notes, decl.name)
        if decl.actions is None:
            raise error(decl.loc, f"table '{decl.name}' has no 'actions' property")
        keys: list[ir.Key] = []
        types: list[ir.Type] = []
        for node in decl.keys or []:
            key, type_ = self._key(node)
            keys.append(key)
            types.append(type_)
        self._check_keys(decl, keys)
        refs = [self._reference(node) for node in decl.actions]
        for index, ref in enumerate(refs):
            if any(ref.action is r.action for r in refs[:index]):
                raise error(ref.loc, f"action '{ref.action.name}' is listed twice")
        properties = self._properties(decl)
        default, const_default = self._default(decl, refs, properties.get("default_action"))
        table = ir.Table(
            name=name,
            keys=tuple(keys),
            actions=tuple(refs),
            default_action=default,
            const_default=const_default,
            entries=(),
            const_entries=decl.const_entries,
            size=self._size(properties.get("size")),
            implementation=None,
            counter=None,
            meter=None,
            support_timeout=self._flag(properties.get("support_timeout"), False),
            annotations=notes,
            loc=decl.loc,
        )
        table.implementation = self._attached(
            properties.get("implementation"), table, ("action_profile", "action_selector")
        )
        table.counter = self._attached(properties.get("counters"), table, ("direct_counter",))
        table.meter = self._attached(properties.get("meters"), table, ("direct_meter",))
        if decl.entries is not None:
            if not keys and decl.entries:
                raise error(decl.loc, f"table '{decl.name}' has entries but no key")
            table.entries = self._entries(decl, table, types, properties)
        return table

    # keys

    def _key(self, node: s.KeyNode) -> tuple[ir.Key, ir.Type]:
        if node.match_kind not in self.match_kinds:
            raise error(node.match_loc, f"match_kind '{node.match_kind}' is not declared")
        if node.match_kind not in _MATCH_KINDS:
            known = ", ".join(_MATCH_KINDS)
            raise error(node.match_loc, f"match_kind '{node.match_kind}' is none of {known}")
        value = self.sized(node.expression, "the key")
        plain = erase(value.type)
        if not is_scalar(plain):
            raise error(node.expression.loc, f"a key cannot be of type {article(plain)}")
        if node.match_kind in ("lpm", "range") and not isinstance(plain, ir.Bits):
            raise error(
                node.match_loc, f"match_kind '{node.match_kind}' is not defined on {article(plain)}"
            )
        notes = self.annotations(node.annotations)
        found = ir.annotation(notes, "name")
        if found is not None and found.values and isinstance(found.values[0], str):
            name = found.values[0]
        else:
            name = self._key_name(node.expression)
        name = name.removeprefix(".")
        declared = value.type if isinstance(value.type, ir.NewType) else None
        key = ir.Key(
            value.node,
            node.match_kind,
            name,
            notes,
            node.expression.loc,
            declared,
        )
        return key, value.type

    def _key_name(self, node: s.Expr) -> str:
        """The control-plane name of a key, as p4c derives it from the expression."""
        match node:
            case s.Name(name=name):
                return name
            case s.Member():
                field = self._field_name(node)
                return (
                    field[1:] if field.startswith(".") else f"{self._key_name(node.base)}.{field}"
                )
            case s.Index():
                return f"{self._key_name(node.base)}[{self._key_name(node.index)}]"
            case s.Slice():
                high, low = self._key_name(node.high), self._key_name(node.low)
                return f"{self._key_name(node.base)}[{high}:{low}]"
            case s.Int(value=value, base=base):
                return {16: f"{value:#x}", 8: f"0o{value:o}", 2: f"{value:#b}"}.get(
                    base, str(value)
                )
            case s.Binary(op="&"):
                return f"{self._key_name(node.left)} & {self._key_name(node.right)}"
            case s.Call(callee=s.Member(name="isValid", base=base), arguments=[]):
                return f"{self._key_name(base)}.$valid$"
        raise error(node.loc, "this key needs a @name annotation: its name cannot be derived")

    def _field_name(self, node: s.Member) -> str:
        base = erase(self.expression(node.base).type)
        if isinstance(base, ir.Composite):
            for field in base.fields:
                found = ir.annotation(field.annotations, "name")
                if field.name == node.name and found is not None and found.values:
                    return str(found.values[0])
        return node.name

    def _check_keys(self, decl: s.TableDecl, keys: list[ir.Key]) -> None:
        prefixes = [key for key in keys if key.match_kind == "lpm"]
        if len(prefixes) > 1:
            raise error(prefixes[1].loc, f"table '{decl.name}' has more than one lpm key")
        # The control plane has no names for what a selector hashes.
        named = [key for key in keys if key.match_kind != "selector"]
        for index, key in enumerate(named):
            if any(key.name == k.name for k in named[:index]):
                raise error(key.loc, f"table '{decl.name}' has two keys named '{key.name}'")

    # actions

    def _action(self, name: str, loc: ir.Loc, from_global: bool) -> ActionEntry:
        entry = self.lookup(name, loc, from_global)
        if not isinstance(entry, ActionEntry):
            raise error(loc, f"'{name}' is not an action")
        return entry

    def _reference(self, node: s.ActionRefNode) -> ir.ActionRef:
        entry = self._action(node.name, node.loc, node.from_global)
        directed = [(p, t) for p, _, t in entry.params if p.direction]
        given = node.arguments or []
        if len(given) > len(directed):
            raise error(
                given[len(directed)].loc,
                f"action '{node.name}' has {len(directed)} parameters with a direction, the others "
                "are set by the control plane",
            )
        call = s.Call(node.loc, s.Name(node.loc, node.name), [], given)
        bound = self.bind([p for p, _ in directed], call, f"action '{node.name}'")
        arguments = tuple(
            self.argument(param, type_, argument, node.name)
            for (param, type_), argument in zip(directed, bound, strict=True)
        )
        for argument in arguments:
            if applies(argument):
                raise error(argument.loc, "a table cannot be applied in an argument of an action")
        notes = self.annotations(node.annotations)
        default_only = ir.annotation(notes, "defaultonly") is not None
        table_only = ir.annotation(notes, "tableonly") is not None
        if default_only and table_only:
            raise error(node.loc, f"action '{node.name}' cannot be default-only and table-only")
        return ir.ActionRef(entry.action, arguments, default_only, table_only, notes, node.loc)

    def _bound_action(
        self,
        refs: list[ir.ActionRef],
        name: str,
        from_global: bool,
        arguments: list[s.Argument],
        loc: ir.Loc,
    ) -> ir.BoundAction:
        """An action of the table's list with its data, for an entry or the default."""
        entry = self._action(name, loc, from_global)
        ref = next((r for r in refs if r.action is entry.action), None)
        if ref is None:
            raise error(loc, f"action '{name}' is not in the table's list of actions")
        params = [p for p, _, _ in entry.params]
        call = s.Call(loc, s.Name(loc, name), [], arguments)
        bound = self.bind(params, call, f"action '{name}'")
        data: list[ir.Expression] = []
        directed = iter(ref.bound)
        for (param, _, type_), given in zip(entry.params, bound, strict=True):
            value = self.argument(param, type_, given, name)
            if param.direction:
                if value != next(directed):
                    raise error(
                        value.loc,
                        f"parameter '{param.name}' of action '{name}' has another argument in the "
                        "table's list of actions",
                    )
            elif given is not None:
                data.append(
                    self.constant(given.value, type_, f"parameter '{param.name}' of '{name}'")
                )
            else:
                data.append(value)
        return ir.BoundAction(ref, tuple(data), loc)

    def _default(
        self, decl: s.TableDecl, refs: list[ir.ActionRef], node: s.PropertyNode | None
    ) -> tuple[ir.BoundAction, bool]:
        if node is None:
            entry = self._action("NoAction", decl.loc, True)
            ref = next((r for r in refs if r.action is entry.action), None)
            if ref is None:
                note = ir.Annotation("defaultonly", loc=decl.loc)
                ref = ir.ActionRef(entry.action, (), True, False, (note,), decl.loc)
                refs.append(ref)
            return ir.BoundAction(ref, (), decl.loc), False
        value = node.value
        arguments: list[s.Argument] = []
        if isinstance(value, s.Call):
            arguments, value = value.arguments, value.callee
        if not isinstance(value, s.Name):
            raise error(node.loc, "'default_action' must be an action")
        action = self._bound_action(refs, value.name, value.from_global, arguments, value.loc)
        if action.ref.table_only:
            raise error(value.loc, f"action '{value.name}' is @tableonly: it cannot be the default")
        return action, node.const

    # properties

    def _properties(self, decl: s.TableDecl) -> dict[str, s.PropertyNode]:
        found: dict[str, s.PropertyNode] = {}
        for node in decl.properties:
            if node.name in found:
                raise error(node.loc, f"table '{decl.name}' has property '{node.name}' twice")
            found[node.name] = node
        return found

    def _size(self, node: s.PropertyNode | None) -> int | None:
        if node is None:
            return None
        size = literal_int(self.expression(node.value), "the size of a table")
        if size < 0:
            raise error(node.loc, f"size {size} of a table is negative")
        return size

    def _flag(self, node: s.PropertyNode | None, default: bool) -> bool:
        if node is None:
            return default
        value = self.expression(node.value).node
        if not isinstance(value, ir.BoolLiteral):
            raise error(node.loc, f"property '{node.name}' must be true or false")
        return value.value

    def _attached(
        self, node: s.PropertyNode | None, table: ir.Table, kinds: tuple[str, ...]
    ) -> ir.ExternInstance | None:
        """An extern object named by a property, or constructed in it."""
        if node is None:
            return None
        value = node.value
        instance: ir.ExternInstance | None = None
        if isinstance(value, s.Name):
            entry = self.lookup(value.name, value.loc, value.from_global)
            if isinstance(entry, ExternInstanceEntry):
                instance = entry.instance
        elif isinstance(value, s.Call) and isinstance(value.callee, s.TypeName):
            instance = self._inline(node, value, table)
        if instance is None or instance.type.name not in kinds:
            raise error(node.loc, f"property '{node.name}' must be a {' or '.join(kinds)}")
        if instance.type.name.startswith("direct_"):
            if instance.table is not None:
                raise error(
                    node.loc, f"'{instance.name}' already belongs to table '{instance.table.name}'"
                )
            instance.table = table
        return instance

    def _inline(
        self, node: s.PropertyNode, call: s.Call, table: ir.Table
    ) -> ir.ExternInstance | None:
        assert isinstance(call.callee, s.TypeName)
        notes = self.annotations(node.annotations)
        # the name of a property is global: what it makes belongs to no block
        named = ir.annotation(notes, "name")
        name = str(named.values[0]).removeprefix(".") if named and named.values else table.name
        label = Label(name, notes, call.loc)
        found = self.extern_object(call.callee.type, call.arguments, label)
        if found is None:
            return None
        self.unit.owner.externs.append(found.instance)
        return found.instance

    def extern_object(
        self, node: s.TypeNode, arguments: list[s.Argument], label: Label
    ) -> ExternInstanceEntry | None:
        raise NotImplementedError

    # entries (section 14.2.1.4)

    def _entries(
        self,
        decl: s.TableDecl,
        table: ir.Table,
        types: list[ir.Type],
        properties: dict[str, s.PropertyNode],
    ) -> tuple[ir.Entry, ...]:
        nodes = decl.entries or []
        priorities = self._priorities(decl, nodes, properties)
        entries: list[ir.Entry] = []
        for node, priority in zip(nodes, priorities, strict=True):
            with self.reporting():
                entries.append(self._entry(node, table, types, priority))
        return tuple(entries)

    def _entry(
        self, node: s.EntryNode, table: ir.Table, types: list[ir.Type], priority: int
    ) -> ir.Entry:
        keysets = node.keysets
        if len(keysets) != len(types):
            raise error(
                node.loc, f"table has {len(types)} keys, the entry has {len(keysets)} keysets"
            )
        checked = tuple(
            self.entry_keyset(keyset, key, type_)
            for keyset, key, type_ in zip(keysets, table.keys, types, strict=True)
        )
        action = node.action
        bound = self._bound_action(
            list(table.actions), action.name, action.from_global, action.arguments or [], action.loc
        )
        if bound.ref.default_only:
            raise error(action.loc, f"action '{action.name}' is @defaultonly: not for entries")
        notes = self.annotations(node.annotations)
        const = node.const or table.const_entries
        return ir.Entry(checked, bound, priority, const, notes, node.loc)

    def _priorities(
        self,
        decl: s.TableDecl,
        nodes: list[s.EntryNode],
        properties: dict[str, s.PropertyNode],
    ) -> list[int]:
        """Larger wins in the result, whichever way the table counts."""
        given = [node for node in nodes if node.priority is not None]
        if given:
            if decl.const_entries:
                raise error(given[0].loc, "'const entries' have no priorities: their order counts")
            if all(key.match_kind not in _PRIORITY_KINDS for key in decl.keys or []):
                raise error(given[0].loc, "the keys of this table take no priority")
            if nodes[0].priority is None:
                raise error(nodes[0].loc, "the first entry needs a priority, as others have one")
        notes = [ir.annotation(self.annotations(node.annotations), "priority") for node in nodes]
        if any(notes):
            return self._annotated_priorities(nodes, notes)
        largest_wins = self._flag(properties.get("largest_priority_wins"), True)
        delta = 1
        if "priority_delta" in properties:
            node = properties["priority_delta"]
            delta = literal_int(self.expression(node.value), "priority_delta")
            if delta < 1:
                raise error(node.loc, "priority_delta must be positive")
        step = -delta if largest_wins else delta
        current = (len(nodes) - 1) * delta + 1 if largest_wins else 1
        found: list[int] = []
        for index, entry in enumerate(nodes):
            if entry.priority is not None:
                current = literal_int(self.expression(entry.priority), "the priority")
            elif index:
                current += step
            if current < 1:
                raise error(entry.loc, f"priority {current} of this entry is not positive")
            found.append(current)
        if largest_wins or not found:
            return found
        top = max(found) + 1
        return [top - priority for priority in found]

    @staticmethod
    def _annotated_priorities(
        nodes: list[s.EntryNode], notes: list[ir.Annotation | None]
    ) -> list[int]:
        """From before `priority =`, as p4c has it for BMv2: the smallest @priority wins.

        An entry without one counts as its place in the list.
        """
        numbers: list[int] = []
        for place, (node, note) in enumerate(zip(nodes, notes, strict=True), 1):
            if node.priority is not None and note:
                raise error(node.loc, "'priority =' and @priority exclude each other")
            number = note.values[0] if note and len(note.values) == 1 else place
            if (note and len(note.values) != 1) or not isinstance(number, int) or number < 1:
                raise error(node.loc, "@priority needs one positive number")
            numbers.append(number)
        order = sorted(range(len(nodes)), key=lambda i: numbers[i])
        priorities = [0] * len(nodes)
        for rank, index in enumerate(order):
            priorities[index] = len(nodes) - rank
        return priorities
