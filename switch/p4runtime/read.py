"""The Read RPC: entities, singly or by wildcard (P4Runtime spec sections 9 and 13)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TypeVar

import numpy as np
from finsy.proto import p4r

from switch.p4runtime import bulk, codec, p4data
from switch.p4runtime.action_profiles import read_groups, read_members
from switch.p4runtime.chunks import chunks
from switch.p4runtime.errors import (
    Refused,
    from_pipeline,
    invalid,
)
from switch.p4runtime.forwarding import Forwarding
from switch.p4runtime.read_tables import TableReader
from switch.p4runtime.roles import FULL, Scope
from switch.p4runtime.schema import Array, Register
from switch.runtime.entries import PipelineError

Stored = TypeVar("Stored")
Messages = Iterator[bytes]
"""Serialized ReadResponses, made while they are sent."""


def read(
    forwarding: Forwarding, requests: Iterable[p4r.Entity], scope: Scope = FULL
) -> tuple[list[Messages], list[Refused | None]]:
    """What was found at this moment within the scope, and an outcome for each request of the batch.

    The state is copied before this returns; turning large copies into messages happens later.
    """
    reader = _Reader(forwarding, scope)
    results: list[Messages] = []
    outcomes: list[Refused | None] = []
    found: list[p4r.Entity] = []  # of all requests that found few entities, to send together
    for request in requests:
        try:
            result = reader.read(request)
            if isinstance(result, list):
                found += result
            else:
                results.append(result)
            outcomes.append(None)
        except Refused as refused:
            outcomes.append(refused)
        except PipelineError as error:
            outcomes.append(from_pipeline(error))
    return [_messages(found), *results], outcomes


def _messages(entities: list[p4r.Entity]) -> Messages:
    for part in chunks(entities):
        yield p4r.ReadResponse(entities=part).SerializeToString()


class _Reader:
    def __init__(self, forwarding: Forwarding, scope: Scope) -> None:
        self._forwarding = forwarding
        self._scope = scope
        self._pipeline = forwarding.pipeline
        self._schema = forwarding.schema
        tables = TableReader(forwarding)
        self._kinds: dict[str, Callable[[p4r.Entity], Iterable[p4r.Entity]]] = {
            "table_entry": tables.table_entries,
            "counter_entry": self._counter_entries,
            "direct_counter_entry": tables.direct_counter_entries,
            "meter_entry": self._meter_entries,
            "direct_meter_entry": tables.direct_meter_entries,
            "packet_replication_engine_entry": self._replication_entries,
            "digest_entry": self._digest_entries,
            "value_set_entry": self._value_set_entries,
            "action_profile_member": lambda request: read_members(forwarding, request),
            "action_profile_group": lambda request: read_groups(forwarding, request),
        }

    def read(self, request: p4r.Entity) -> list[p4r.Entity] | Messages:
        kind = request.WhichOneof("entity")
        if kind is None:
            raise invalid("the request names no entity")
        if kind == "register_entry":
            return self._register_cells(request.register_entry)
        if find := self._kinds.get(kind):
            names = self._schema.names
            return [entity for entity in find(request) if self._scope.allows(names, entity)]
        assert kind == "extern_entry"
        if request.extern_entry.extern_type_id:
            raise invalid("v1model has no externs of its own")
        return []  # a wildcard over nothing

    # --- counters and meters ------------------------------------------------------------------

    def _counter_entries(self, request: p4r.Entity) -> Iterator[p4r.Entity]:
        wanted = request.counter_entry
        if wanted.counter_id == 0:
            counters: Iterable[Array] = self._schema.counters.values()
        else:
            counters = (self._schema.counter(wanted.counter_id),)
        for counter in counters:
            if wanted.counter_id and wanted.HasField("index"):
                what = f"counter {counter.name}"
                index = codec.decode_index(wanted.index, counter.size, what)
                yield _counter_cell(counter, index, self._pipeline.counter(counter.name, index))
                continue
            for index, (packets, count_bytes) in enumerate(
                self._pipeline.counters(counter.name).tolist()
            ):
                yield _counter_cell(counter, index, (packets, count_bytes))

    def _meter_entries(self, request: p4r.Entity) -> Iterator[p4r.Entity]:
        wanted = request.meter_entry
        if wanted.meter_id == 0:
            meters: Iterable[Array] = self._schema.meters.values()
        else:
            meters = (self._schema.meter(wanted.meter_id),)
        for meter in meters:
            indices: Iterable[int] = range(meter.size)
            if wanted.meter_id and wanted.HasField("index"):
                what = f"meter {meter.name}"
                indices = (codec.decode_index(wanted.index, meter.size, what),)
            for index in indices:
                entity = p4r.Entity()
                entity.meter_entry.meter_id = meter.id
                entity.meter_entry.index.index = index
                if config := self._pipeline.meter(meter.name, index):
                    codec.encode_meter(config, entity.meter_entry.config)
                if wanted.HasField("counter_data"):
                    colours = self._pipeline.meter_counts(meter.name, index)
                    codec.encode_meter_counts(colours, entity.meter_entry.counter_data)
                yield entity

    # --- registers ----------------------------------------------------------------------------

    def _register_cells(self, wanted: p4r.RegisterEntry) -> list[p4r.Entity] | Messages:
        if wanted.register_id == 0:
            parts = [self._whole_register(each) for each in self._schema.registers.values()]
            return chain.from_iterable(parts)
        register = self._schema.register(wanted.register_id)
        if not wanted.HasField("index"):
            return self._whole_register(register)
        index = codec.decode_index(wanted.index, register.size, f"register {register.name}")
        if not self._scope.covers(self._schema.names, register.id):
            return []
        value = self._pipeline.register(register.name, index)
        return [_register_cell(register, index, value)]

    def _whole_register(self, register: Register) -> Messages:
        if not self._scope.covers(self._schema.names, register.id):
            return iter(())
        type_ = codec.exchangeable(register)
        values = self._pipeline.registers(register.name)
        plain = type_.kind == "bitstring" and not type_.signed
        if plain and isinstance(values, np.ndarray):
            return bulk.register_cells(register, values)
        return _messages([_register_cell(register, i, int(v)) for i, v in enumerate(values)])

    # --- digests ------------------------------------------------------------------------------

    def _digest_entries(self, request: p4r.Entity) -> Iterator[p4r.Entity]:
        number = request.digest_entry.digest_id
        if number:
            self._forwarding.digests.name(number)
        for entry in self._forwarding.digests.configs(number):
            yield p4r.Entity(digest_entry=entry)

    # --- value sets ---------------------------------------------------------------------------

    def _value_set_entries(self, request: p4r.Entity) -> Iterator[p4r.Entity]:
        """All members, in any order (spec 9.6)."""
        number = request.value_set_entry.value_set_id
        known = self._schema.value_sets.values()
        for value_set in (self._schema.value_set(number),) if number else known:
            entry = p4r.ValueSetEntry(value_set_id=value_set.id)
            for member in self._pipeline.value_set(value_set.name):
                codec.encode_match(value_set, member, entry.members.add())
            yield p4r.Entity(value_set_entry=entry)

    # --- packet replication -------------------------------------------------------------------

    def _replication_entries(self, request: p4r.Entity) -> Iterator[p4r.Entity]:
        wanted = request.packet_replication_engine_entry
        match wanted.WhichOneof("type"):
            case "multicast_group_entry":
                groups = self._forwarding.multicast_groups
                number = wanted.multicast_group_entry.multicast_group_id
                for group in _chosen(groups, number):
                    entity = p4r.Entity()
                    entity.packet_replication_engine_entry.multicast_group_entry.CopyFrom(group)
                    yield entity
            case "clone_session_entry":
                sessions = self._forwarding.clone_sessions
                number = wanted.clone_session_entry.session_id
                for session in _chosen(sessions, number):
                    entity = p4r.Entity()
                    entity.packet_replication_engine_entry.clone_session_entry.CopyFrom(session)
                    yield entity
            case _:
                raise invalid("the packet replication entry is of no type")


def _chosen(known: dict[int, Stored], number: int) -> list[Stored]:
    """All, or the one asked for if it is there."""
    if number == 0:
        return list(known.values())
    return [known[number]] if number in known else []


def _counter_cell(counter: Array, index: int, counts: tuple[int, int]) -> p4r.Entity:
    entity = p4r.Entity()
    entity.counter_entry.counter_id = counter.id
    entity.counter_entry.index.index = index
    codec.encode_counter(counts, entity.counter_entry.data)
    return entity


def _register_cell(register: Register, index: int, value: int) -> p4r.Entity:
    entity = p4r.Entity()
    entity.register_entry.register_id = register.id
    entity.register_entry.index.index = index
    p4data.encode(codec.exchangeable(register), iter((value,)), entity.register_entry.data)
    return entity
