"""One forwarding pipeline as a controller sees it: its config, its data plane, and what only
P4Runtime remembers (P4Runtime spec section 7)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from finsy.proto import p4r

from switch import ir
from switch.p4info.types import width
from switch.p4runtime.cookies import Cookie, EntryKey
from switch.p4runtime.digests import Digests
from switch.p4runtime.errors import INVALID_ARGUMENT, Refused
from switch.p4runtime.idle import IdleTimeouts
from switch.p4runtime.schema import Array, Register, Schema, Table
from switch.runtime.entries import Entry, Group, Match, MeterCounts, PipelineError, Share
from switch.runtime.pipeline import Pipeline


@dataclass(slots=True)
class Forwarding:
    config: p4r.ForwardingPipelineConfig
    pipeline: Pipeline
    schema: Schema
    digests: Digests
    cookies: dict[EntryKey, Cookie]
    idle: IdleTimeouts
    ports: Collection[int]
    """Those that the switch has."""
    default_cookies: dict[int, Cookie] = field(default_factory=dict)
    multicast_groups: dict[int, p4r.MulticastGroupEntry] = field(default_factory=dict)
    clone_sessions: dict[int, p4r.CloneSessionEntry] = field(default_factory=dict)
    action_groups: dict[tuple[int, int], p4r.ActionProfileGroup] = field(default_factory=dict)
    """By the ids of action profile and group."""
    down: set[int] = field(default_factory=set)
    """Ports without a link."""

    def set_link(self, port: int, *, up: bool) -> None:
        """Nothing is sent to a port that is down if there is another one (spec 9.2.2, 9.5.1)."""
        (self.down.discard if up else self.down.add)(port)
        self.pipeline.set_port(port, up=up)
        for number, group in self.multicast_groups.items():
            if any(item.backup_replicas for item in group.replicas):
                self.pipeline.set_multicast_group(number, replicas(group, self.down))

    def keep(self, key: EntryKey, cookie: Cookie) -> None:
        if self.cookies.get(key) != cookie:
            self.cookies[key] = cookie
            self.idle.watch(key, cookie)


def forward(
    config: p4r.ForwardingPipelineConfig, pipeline: Pipeline, ports: Collection[int]
) -> Forwarding:
    """A fresh pipeline, seen through the config's P4Info."""
    names = {digest.preamble.id: digest.preamble.name for digest in config.p4info.digests}
    types = pipeline.program.types.items()
    widths = {name: width(type_) for name, type_ in types if isinstance(type_, ir.NewType)}
    schema = Schema(config.p4info, widths)
    cookies: dict[EntryKey, Cookie] = {}
    idle = IdleTimeouts(pipeline, schema, cookies)
    digests = Digests(pipeline, names, schema.digests)
    return Forwarding(config, pipeline, schema, digests, cookies, idle, ports)


def replicas(
    entry: p4r.MulticastGroupEntry | p4r.CloneSessionEntry, down: Collection[int] = ()
) -> list[tuple[int, int]]:
    """The (port, instance) pairs of a checked entry, of each replica what is preferred and up.

    Where all ports of a replica are down, its own is taken: egress does its work on the packet.
    """
    chosen = []
    for item in entry.replicas:
        pairs = alternatives(item)
        chosen.append(next((pair for pair in pairs if pair[0] not in down), pairs[0]))
    return chosen


def alternatives(replica: p4r.Replica) -> list[tuple[int, int]]:
    """A replica and its backups, as (port, instance), in the order of preference."""
    port = int.from_bytes(replica.port, "big") or replica.egress_port
    backups = [
        (int.from_bytes(each.port, "big"), each.instance) for each in replica.backup_replicas
    ]
    return [(port, replica.instance), *backups]


def watched(part: p4r.ActionProfileGroup.Member | p4r.ActionProfileAction) -> int | None:
    """The port that a member or an action depends on; `watch` is its older form."""
    if part.WhichOneof("watch_kind") == "watch":
        return part.watch or None
    return int.from_bytes(part.watch_port, "big") if part.watch_port else None


def group_of(message: p4r.ActionProfileGroup) -> Group:
    """A checked group; where weights are disallowed all are 0, and alike."""
    shares = (Share(m.member_id, m.weight or 1, watched(m)) for m in message.members)
    return Group(message.group_id, tuple(shares))


def carry_over(old: Forwarding, new: Forwarding) -> None:
    """RECONCILE_AND_COMMIT: put the old forwarding state into the new pipeline (spec 14)."""
    try:
        _carry_profiles(old, new)
        _carry_tables(old, new)
        _carry_arrays(old, new)
        for value_set in old.schema.value_sets.values():
            members = old.pipeline.value_set(value_set.name)
            new.pipeline.set_value_set(value_set.name, members)
        _carry_digests(old, new)
        for number, group in old.multicast_groups.items():
            new.pipeline.set_multicast_group(number, replicas(group))
            new.multicast_groups[number] = group
        for number, session in old.clone_sessions.items():
            new.pipeline.set_clone_session(number, replicas(session), session.packet_length_bytes)
            new.clone_sessions[number] = session
    except PipelineError as error:
        raise Refused(
            INVALID_ARGUMENT, f"the forwarding state cannot be preserved: {error}"
        ) from None


def _carry_digests(old: Forwarding, new: Forwarding) -> None:
    known = {name: number for number, name in new.digests.names.items()}
    for entry in old.digests.configs(0):
        name = old.digests.name(entry.digest_id)
        if name not in known:
            raise PipelineError(f"digest {name} is missing")
        new.digests.configure(known[name], entry.config)


def _carry_profiles(old: Forwarding, new: Forwarding) -> None:
    ids = {profile.name: profile.id for profile in new.schema.profiles.values()}
    for profile in old.schema.profiles.values():
        members = old.pipeline.members(profile.name)
        usage = old.pipeline.profile_usage(profile.name)
        if profile.name not in ids and (usage.members or usage.groups):
            raise PipelineError(f"{profile.what} is missing")
        for member in members:
            new.pipeline.insert_member(profile.name, member)
    for (number, group), message in old.action_groups.items():
        name = old.schema.profiles[number].name
        new.pipeline.insert_group(name, group_of(message))
        kept = p4r.ActionProfileGroup()
        kept.CopyFrom(message)
        kept.action_profile_id = ids[name]
        new.action_groups[ids[name], group] = kept


def _key(table: Table) -> list[tuple[str, int, int]]:
    return [(field.name, field.width, field.kind) for field in table.fields]


def _carry_tables(old: Forwarding, new: Forwarding) -> None:
    ids = {table.name: table.id for table in new.schema.tables.values()}
    keys = {table.name: _key(table) for table in new.schema.tables.values()}
    for table in old.schema.tables.values():
        if table.is_const:
            continue
        kept: set[tuple[tuple[Match, ...], int]] = set()
        for entry in new.pipeline.entries(table.name) if table.name in ids else ():
            if not entry.is_const:
                new.pipeline.delete(table.name, entry)
            else:
                kept.add((entry.match, entry.priority))
        for entry in old.pipeline.entries(table.name):
            if (entry.match, entry.priority) in kept:
                continue
            if keys.get(table.name) != _key(table):
                raise PipelineError(f"table {table.name} is missing or has another key")
            new.pipeline.insert(table.name, replace(entry, is_const=False))
            _carry_direct(old, new, table, entry)
            cookie = old.cookies.get((table.id, entry.match, entry.priority))
            if cookie:
                new.keep((ids[table.name], entry.match, entry.priority), cookie)
        if table.name in ids and not (table.const_default or table.implementation_id):
            _carry_direct(old, new, table, None)
            new.pipeline.set_default(table.name, *old.pipeline.default(table.name))
            if table.id in old.default_cookies:
                new.default_cookies[ids[table.name]] = old.default_cookies[table.id]


def _carry_direct(old: Forwarding, new: Forwarding, table: Table, entry: Entry | None) -> None:
    """Entry None: the default entry."""
    name = table.name
    if table.counter_id:
        new.pipeline.set_direct_counter(name, entry, *old.pipeline.direct_counter(name, entry))
    if table.meter_id:
        new.pipeline.set_direct_meter(name, entry, old.pipeline.direct_meter(name, entry))
        colours = old.pipeline.direct_meter_counts(name, entry)
        new.pipeline.set_direct_meter_counts(name, entry, colours)


def _carry_arrays(old: Forwarding, new: Forwarding) -> None:
    sizes = {
        array.name: array.size
        for arrays in (new.schema.registers, new.schema.counters, new.schema.meters)
        for array in arrays.values()
    }
    arrays: list[Register | Array] = [*old.schema.registers.values()]
    arrays += [*old.schema.counters.values(), *old.schema.meters.values()]
    for array in arrays:
        if sizes.get(array.name) != array.size:
            raise PipelineError(f"{array.name} is missing or has another size")
    for register in old.schema.registers.values():
        new.pipeline.set_registers(register.name, old.pipeline.registers(register.name))
    for counter in old.schema.counters.values():
        new.pipeline.set_counters(counter.name, old.pipeline.counters(counter.name))
    for meter in old.schema.meters.values():
        for index in range(meter.size):
            if config := old.pipeline.meter(meter.name, index):
                new.pipeline.set_meter(meter.name, index, config)
            colours = old.pipeline.meter_counts(meter.name, index)
            if colours != MeterCounts():
                new.pipeline.set_meter_counts(meter.name, index, colours)
