"""The control-plane view of a program: P4Info, as p4c makes it (P4Runtime spec section 6)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from finsy.proto import p4i

from switch import ir
from switch.p4info.annotations import add_annotations
from switch.p4info.symbols import Kind, Symbols, member_ids
from switch.p4info.types import Types, flattened, shown_width, width

__all__ = ["digest_names", "p4info"]

DEFAULT_TABLE_SIZE = 1024
PROFILE_ANNOTATIONS = {
    "max_group_size",
    "selector_size_semantics",
    "max_member_weight",
    "weights_disallowed",
}
PACKAGE_FIELDS = ("name", "version", "organization", "contact", "url")
KINDS = {
    "counter": Kind.COUNTER,
    "direct_counter": Kind.DIRECT_COUNTER,
    "meter": Kind.METER,
    "direct_meter": Kind.DIRECT_METER,
    "register": Kind.REGISTER,
    "action_profile": Kind.ACTION_PROFILE,
    "action_selector": Kind.ACTION_PROFILE,
}
MATCH_TYPES = {
    "exact": p4i.MatchField.EXACT,
    "lpm": p4i.MatchField.LPM,
    "ternary": p4i.MatchField.TERNARY,
    "range": p4i.MatchField.RANGE,
    "optional": p4i.MatchField.OPTIONAL,
}
UNITS = {
    "packets": p4i.CounterSpec.PACKETS,
    "bytes": p4i.CounterSpec.BYTES,
    "packets_and_bytes": p4i.CounterSpec.BOTH,
}
METER_UNITS = {"packets": p4i.MeterSpec.PACKETS, "bytes": p4i.MeterSpec.BYTES}


def p4info(program: ir.Program) -> p4i.P4Info:
    """Everything of the program that a controller may read or write."""
    return _Builder(program).build()


def digest_names(program: ir.Program) -> dict[str, str]:
    """What P4Info calls each digest, by the type it carries."""
    return {str(type_): name for name, type_ in _Builder(program).digests.items()}


def _hidden(annotations: ir.Annotations) -> bool:
    return ir.annotation(annotations, "hidden") is not None


def _string(annotations: ir.Annotations, name: str) -> str:
    found = ir.annotation(annotations, name)
    return str(found.values[0]) if found and found.values else ""


def _integer(annotations: ir.Annotations, name: str) -> int:
    found = ir.annotation(annotations, name)
    value = found.values[0] if found and found.values else 0
    return value if isinstance(value, int) else 0


def _nodes(node: object) -> Iterator[ir.Statement | ir.Expression]:
    """All statements and expressions in a body, in source order."""
    if isinstance(node, tuple):
        for element in node:
            yield from _nodes(element)
    elif isinstance(node, ir.Statement | ir.Expression):
        yield node
        for field in dataclasses.fields(node):
            yield from _nodes(getattr(node, field.name))


class _Builder:
    def __init__(self, program: ir.Program) -> None:
        self.program = program
        self.info = p4i.P4Info()
        self.types = Types(self.info, program)
        self.symbols = Symbols()
        bodies = [control.body for control in program.controls()]
        bodies += [action.body for action in program.all_actions()]
        keys = [key.expression for table in program.tables() for key in table.keys]
        self.nodes = [node for part in (*bodies, *keys) for node in _nodes(part)]
        # What is never applied or called is no part of the program, as in p4c.
        applied = [
            node.table for node in self.nodes if isinstance(node, ir.TableApply | ir.SwitchAction)
        ]
        self.tables = [
            table
            for table in program.tables()
            if table in applied and not _hidden(table.annotations)
        ]
        called = [
            node.action
            for control in program.controls()
            for node in _nodes(control.body)
            if isinstance(node, ir.ActionCall)
        ]
        self.listed = [ref.action for table in self.tables for ref in table.actions]
        self.actions = {action.name: action for action in (*self.listed, *called)}
        self.externs = {
            instance.name: instance
            for instance in program.extern_instances()
            if instance.type.name in KINDS
            # a direct one without table has nothing to be read or set by
            and (instance.table is not None or not instance.type.name.startswith("direct_"))
        }
        self.headers = [
            type_
            for type_ in program.types.values()
            if isinstance(type_, ir.Header)
            and ir.annotation(type_.annotations, "controller_header")
        ]
        self.value_sets = [
            value_set for parser in program.parsers() for value_set in parser.value_sets
        ]
        self.digests = self._digests()

    def _digests(self) -> dict[str, ir.Type]:
        """v1model digests are named by the type they carry."""
        carried = [
            node.type_arguments[0]
            for node in self.nodes
            if isinstance(node, ir.ExternCall) and node.name == "digest"
        ]
        named = {type_.name: type_ for type_ in carried if isinstance(type_, ir.Composite)}
        anonymous = [type_ for type_ in carried if not isinstance(type_, ir.Composite)]
        return {**named, **{f"digest_{i}": type_ for i, type_ in enumerate(anonymous)}}

    def build(self) -> p4i.P4Info:
        for table in self.tables:
            self.symbols.add(Kind.TABLE, table.name, table.annotations)
        for action in self.actions.values():
            self.symbols.add(Kind.ACTION, action.name, action.annotations)
        for instance in self.externs.values():
            self.symbols.add(KINDS[instance.type.name], instance.name, instance.annotations)
        for header in self.headers:
            self.symbols.add(Kind.CONTROLLER_HEADER, header.name, header.annotations)
        for value_set in self.value_sets:
            self.symbols.add(Kind.VALUE_SET, value_set.name, value_set.annotations)
        for name in self.digests:
            self.symbols.add(Kind.DIGEST, name)
        self.symbols.assign()

        self._package()
        for table in self.tables:
            self._table(table)
        for action in self.actions.values():
            if not _hidden(action.annotations):
                self._action(action)
        for instance in self.externs.values():
            self._extern(instance)
        for header in self.headers:
            self._controller_header(header)
        for value_set in self.value_sets:
            self._value_set(value_set)
        for name, type_ in self.digests.items():
            digest = self.info.digests.add()
            self._preamble(digest, Kind.DIGEST, name, ())
            digest.type_spec.CopyFrom(self.types.spec(type_))
        return self.info

    # --- common parts -------------------------------------------------------------------------

    @staticmethod
    def _documentation(message: Any, annotations: ir.Annotations) -> None:
        for name in ("brief", "description"):
            if text := _string(annotations, name):
                setattr(message.doc, name, text)

    def _preamble(
        self,
        message: Any,
        kind: Kind,
        name: str,
        annotations: ir.Annotations,
        skip: set[str] | None = None,
    ) -> None:
        message.preamble.id = self.symbols.id(kind, name)
        message.preamble.name = name
        message.preamble.alias = self.symbols.alias(name)
        add_annotations(message.preamble, annotations, skip)
        self._documentation(message.preamble, annotations)

    def _package(self) -> None:
        package = self.info.pkg_info
        package.arch = "v1model"
        annotations = self.program.main_annotations
        if found := ir.annotation(annotations, "pkginfo"):
            for key, value in found.pairs:
                if key in PACKAGE_FIELDS:
                    setattr(package, key, str(value))
        if found := ir.annotation(annotations, "platform_property"):
            for key, value in found.pairs:
                if key in package.platform_properties.DESCRIPTOR.fields_by_name:
                    setattr(package.platform_properties, key, value)
        add_annotations(package, annotations, {"pkginfo", "platform_property"})
        self._documentation(package, annotations)

    # --- tables and actions -------------------------------------------------------------------

    def _table(self, table: ir.Table) -> None:
        message = self.info.tables.add(size=table.size or DEFAULT_TABLE_SIZE)
        self._preamble(message, Kind.TABLE, table.name, table.annotations)
        self._default_action(message, table)
        for ref in table.actions:
            scope = (
                p4i.ActionRef.TABLE_ONLY
                if ref.table_only
                else p4i.ActionRef.DEFAULT_ONLY
                if ref.default_only
                else p4i.ActionRef.TABLE_AND_DEFAULT
            )
            action = message.action_refs.add(
                id=self.symbols.id(Kind.ACTION, ref.action.name), scope=scope
            )
            add_annotations(action, ref.annotations)
        ids = member_ids([key.annotations for key in table.keys])
        for key, number in zip(table.keys, ids, strict=True):
            if key.match_kind != "selector":
                self._match_field(message.match_fields.add(id=number), key)
        message.is_const_table = table.const_entries
        message.has_initial_entries = bool(table.entries)
        if table.implementation:
            message.implementation_id = self.symbols.id(
                Kind.ACTION_PROFILE, table.implementation.name
            )
        for direct in (table.counter, table.meter):
            if direct:
                message.direct_resource_ids.append(
                    self.symbols.id(KINDS[direct.type.name], direct.name)
                )
        if table.support_timeout:
            message.idle_timeout_behavior = p4i.Table.NOTIFY_CONTROL

    def _default_action(self, message: p4i.Table, table: ir.Table) -> None:
        action = table.default_action.ref.action
        number = self.symbols.id(Kind.ACTION, action.name)
        if table.const_default:
            message.const_default_action_id = number
        message.initial_default_action.action_id = number
        ids = member_ids([param.annotations for param in action.data])
        for identifier, literal in zip(ids, table.default_action.data, strict=True):
            message.initial_default_action.arguments.add(
                param_id=identifier,
                value=_value(literal).to_bytes((width(literal.type) + 7) // 8, "big"),
            )

    def _match_field(self, message: p4i.MatchField, key: ir.Key) -> None:
        message.name = key.name
        message.bitwidth = shown_width(key.expression.type, key.declared)
        add_annotations(message, key.annotations)
        self._documentation(message, key.annotations)
        if key.match_kind in MATCH_TYPES:
            message.match_type = MATCH_TYPES[key.match_kind]
        else:
            message.other_match_type = key.match_kind
        self.types.mention(message, key.expression.type, key.declared)

    def _action(self, action: ir.Action) -> None:
        message = self.info.actions.add()
        self._preamble(message, Kind.ACTION, action.name, action.annotations)
        if action not in self.listed:
            return  # it is only called, so the control plane gives it nothing
        ids = member_ids([param.annotations for param in action.data])
        for param, number in zip(action.data, ids, strict=True):
            name = _string(param.annotations, "name") or param.source_name or param.name
            shown = message.params.add(id=number, name=name)
            add_annotations(shown, param.annotations)
            self._documentation(shown, param.annotations)
            if isinstance(param.type, ir.Enum):
                shown.type_name.name = param.type.name
            else:
                shown.bitwidth = shown_width(param.type, param.declared)
            self.types.mention(shown, param.type, param.declared)

    # --- externs and headers ------------------------------------------------------------------

    def _extern(self, instance: ir.ExternInstance) -> None:
        kind = KINDS[instance.type.name]
        skip = PROFILE_ANNOTATIONS if kind is Kind.ACTION_PROFILE else None
        message: Any
        match kind:
            case Kind.COUNTER:
                message = self.info.counters.add(size=_value(instance.arguments[0]))
                message.spec.unit = UNITS[_member(instance.arguments[1]).lower()]
            case Kind.DIRECT_COUNTER:
                message = self.info.direct_counters.add()
                message.spec.unit = UNITS[_member(instance.arguments[0]).lower()]
            case Kind.METER:
                message = self.info.meters.add(size=_value(instance.arguments[0]))
                message.spec.unit = METER_UNITS[_member(instance.arguments[1]).lower()]
            case Kind.DIRECT_METER:
                message = self.info.direct_meters.add()
                message.spec.unit = METER_UNITS[_member(instance.arguments[0]).lower()]
            case Kind.REGISTER:
                message = self.info.registers.add(size=_value(instance.arguments[0]))
                message.type_spec.CopyFrom(self.types.spec(instance.type.arguments[0]))
            case _:
                message = self._action_profile(instance)
        if kind in (Kind.DIRECT_COUNTER, Kind.DIRECT_METER) and instance.table:
            message.direct_table_id = self.symbols.id(Kind.TABLE, instance.table.name)
        self._preamble(message, kind, instance.name, instance.annotations, skip)

    def _action_profile(self, instance: ir.ExternInstance) -> p4i.ActionProfile:
        selector = instance.type.name == "action_selector"
        message = self.info.action_profiles.add(with_selector=selector)
        message.size = _value(instance.arguments[1 if selector else 0])
        if selector:
            message.max_group_size = _integer(instance.annotations, "max_group_size")
            semantics = _string(instance.annotations, "selector_size_semantics")
            if semantics == "sum_of_members":
                message.sum_of_members.max_member_weight = _integer(
                    instance.annotations, "max_member_weight"
                )
            elif semantics == "sum_of_weights":
                message.sum_of_weights.SetInParent()
            disallowed = ir.annotation(instance.annotations, "weights_disallowed")
            message.weights_disallowed = disallowed is not None
        message.table_ids.extend(
            self.symbols.id(Kind.TABLE, table.name)
            for table in sorted(self.tables, key=lambda table: table.name)
            if table.implementation is instance
        )
        return message

    def _controller_header(self, header: ir.Header) -> None:
        message = self.info.controller_packet_metadata.add()
        self._preamble(message, Kind.CONTROLLER_HEADER, header.name, header.annotations)
        name = _string(header.annotations, "controller_header")
        message.preamble.name = message.preamble.alias = name
        fields = flattened(header)
        ids = member_ids([field.annotations for _, field in fields])
        for (path, field), number in zip(fields, ids, strict=True):
            if _hidden(field.annotations):
                continue
            bits = shown_width(field.type, field.declared)
            metadata = message.metadata.add(id=number, name=path, bitwidth=bits)
            add_annotations(metadata, field.annotations)
            self.types.mention(metadata, field.type, field.declared)

    def _value_set(self, value_set: ir.ValueSet) -> None:
        message = self.info.value_sets.add(size=value_set.size)
        self._preamble(message, Kind.VALUE_SET, value_set.name, value_set.annotations)
        type_ = value_set.type
        if isinstance(type_, ir.Struct):
            ids = member_ids([field.annotations for field in type_.fields])
            for field, number, kind in zip(type_.fields, ids, value_set.matches, strict=True):
                match = message.match.add(
                    id=number,
                    name=field.name,
                    bitwidth=width(field.type),
                    match_type=MATCH_TYPES[kind],
                )
                add_annotations(match, field.annotations, {"match"})
                self._documentation(match, field.annotations)
        else:
            message.match.add(id=1, bitwidth=width(type_), match_type=p4i.MatchField.EXACT)


def _value(literal: ir.Expression) -> int:
    """The number a literal stands for, as the data plane stores it."""
    match literal:
        case ir.IntLiteral(value=value):
            return value % (1 << width(literal.type)) if value < 0 else value
        case ir.BoolLiteral(value=value):
            return int(value)
        case ir.EnumLiteral(type=ir.Enum(members=members), member=member):
            return members.index(member)
        case ir.Cast(operand=operand):
            return _value(operand)
    raise TypeError(f"{literal.loc}: not a literal")


def _member(literal: ir.Expression) -> str:
    assert isinstance(literal, ir.EnumLiteral)
    return literal.member
