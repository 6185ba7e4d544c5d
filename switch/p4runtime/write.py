"""The Write RPC: batches of updates (P4Runtime spec sections 9 and 12)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from finsy.proto import p4r

from switch.p4runtime import codec
from switch.p4runtime.action_profiles import ProfileWriter
from switch.p4runtime.errors import (
    ABORTED,
    ALREADY_EXISTS,
    PERMISSION_DENIED,
    RESOURCE_EXHAUSTED,
    UNIMPLEMENTED,
    Refused,
    from_pipeline,
    invalid,
)
from switch.p4runtime.forwarding import Forwarding
from switch.p4runtime.replication import check_presence, write_replication
from switch.p4runtime.roles import FULL, Scope
from switch.p4runtime.schema import Array, Register
from switch.p4runtime.write_tables import DELETE, INSERT, MODIFY, TableWriter, Undo, modify_only
from switch.runtime.entries import MeterCounts, PipelineError


def write(
    forwarding: Forwarding, updates: Sequence[p4r.Update], atomicity: int, scope: Scope = FULL
) -> list[Refused | None]:
    """Carry out a batch; one outcome for each update (None: done; spec 12.2)."""
    if atomicity == p4r.WriteRequest.CONTINUE_ON_ERROR:
        writer = _Writer(forwarding, None, scope)
        outcomes = [writer.attempt(update) for update in updates]
        writer.flush()
        return outcomes
    if atomicity == p4r.WriteRequest.ROLLBACK_ON_ERROR:
        return _write_or_roll_back(forwarding, updates, scope)
    if atomicity == p4r.WriteRequest.DATAPLANE_ATOMIC:
        with forwarding.pipeline.held():  # packets wait
            return _write_or_roll_back(forwarding, updates, scope)
    raise invalid(f"{atomicity} is not an atomicity of batches")


def _write_or_roll_back(
    forwarding: Forwarding, updates: Sequence[p4r.Update], scope: Scope
) -> list[Refused | None]:
    undo: list[Undo] = []
    writer = _Writer(forwarding, undo, scope)
    for position, update in enumerate(updates):
        outcome = writer.attempt(update)
        if outcome is None:
            continue
        for step in reversed(undo):
            step()
        reason = f"update {position} of the batch failed"
        outcomes: list[Refused | None] = [Refused(ABORTED, reason) for _ in updates]
        outcomes[position] = outcome
        return outcomes
    return [None] * len(updates)


class _Writer:
    """Applies updates one by one; with `undo` it also notes how to take each one back."""

    def __init__(self, forwarding: Forwarding, undo: list[Undo] | None, scope: Scope) -> None:
        self._forwarding = forwarding
        self._pipeline = forwarding.pipeline
        self._schema = forwarding.schema
        self._undo = undo
        self._scope = scope
        tables = TableWriter(forwarding, undo)
        profiles = ProfileWriter(forwarding)
        # Register cells side by side are written in one go: (register, first index, values).
        self._run: tuple[Register, int, list[int]] | None = None
        self._kinds: dict[str | None, Callable[[p4r.Update], None]] = {
            "table_entry": tables.table_entry,
            "direct_counter_entry": tables.direct_counter_entry,
            "direct_meter_entry": tables.direct_meter_entry,
            "register_entry": self._register_entry,
            "counter_entry": self._counter_entry,
            "meter_entry": self._meter_entry,
            "packet_replication_engine_entry": self._replication_entry,
            "digest_entry": self._digest_entry,
            "value_set_entry": self._value_set_entry,
            "action_profile_member": lambda update: self._note(profiles.member(update)),
            "action_profile_group": lambda update: self._note(profiles.group(update)),
        }

    def attempt(self, update: p4r.Update) -> Refused | None:
        try:
            self._apply(update)
        except Refused as refused:
            return refused
        except PipelineError as error:
            return from_pipeline(error)
        except MemoryError as error:
            return Refused(RESOURCE_EXHAUSTED, str(error))
        return None

    def _apply(self, update: p4r.Update) -> None:
        if update.type not in (INSERT, MODIFY, DELETE):
            raise invalid(f"the update's type {update.type} is none of INSERT, MODIFY, DELETE")
        kind = update.entity.WhichOneof("entity")
        if kind is None:
            raise invalid("the update names no entity")
        apply = self._kinds.get(kind)
        if apply is None:
            raise Refused(UNIMPLEMENTED, f"writing a {kind} is not supported")
        if not self._scope.allows(self._schema.names, update.entity):
            raise Refused(PERMISSION_DENIED, f"the role may not write this {kind}")
        if kind != "register_entry":
            self.flush()
        apply(update)

    def _note(self, undo: Undo) -> None:
        if self._undo is not None:
            self._undo.append(undo)

    # --- counters and meters ------------------------------------------------------------------

    def _counter_entry(self, update: p4r.Update) -> None:
        modify_only(update, "counter")
        message = update.entity.counter_entry
        counter = self._schema.counter(message.counter_id)
        what = f"counter {counter.name}"
        index = (
            codec.decode_index(message.index, counter.size, what)
            if message.HasField("index")
            else None
        )
        if not message.HasField("data"):
            return
        counts = codec.decode_counter(message.data, what)
        if index is None:
            self._fill_counter(counter, counts)
            return
        old = self._pipeline.counter(counter.name, index)
        self._pipeline.set_counter(counter.name, index, *counts)
        self._note(lambda: self._pipeline.set_counter(counter.name, index, *old))

    def _fill_counter(self, counter: Array, counts: tuple[int, int]) -> None:
        old = self._pipeline.counters(counter.name)
        self._pipeline.set_counters(counter.name, np.full_like(old, counts))
        self._note(lambda: self._pipeline.set_counters(counter.name, old))

    def _meter_entry(self, update: p4r.Update) -> None:
        modify_only(update, "meter")
        message = update.entity.meter_entry
        meter = self._schema.meter(message.meter_id)
        what = f"meter {meter.name}"
        indices: Sequence[int] = range(meter.size)
        if message.HasField("index"):
            indices = (codec.decode_index(message.index, meter.size, what),)
        config = (
            codec.decode_meter(message.config, meter.type, what)
            if message.HasField("config")
            else None
        )
        codec.check_cleared(message.counter_data, what)
        for index in indices:
            self._note(self._meter_undo(meter.name, index))
            self._pipeline.set_meter(meter.name, index, config)
            if message.HasField("counter_data"):
                self._pipeline.set_meter_counts(meter.name, index, MeterCounts())

    def _meter_undo(self, name: str, index: int) -> Undo:
        config = self._pipeline.meter(name, index)
        counts = self._pipeline.meter_counts(name, index)

        def restore() -> None:
            self._pipeline.set_meter(name, index, config)
            self._pipeline.set_meter_counts(name, index, counts)

        return restore

    # --- registers ----------------------------------------------------------------------------

    def _register_entry(self, update: p4r.Update) -> None:
        modify_only(update, "register")
        message = update.entity.register_entry
        register = self._schema.register(message.register_id)
        index = (
            codec.decode_index(message.index, register.size, f"register {register.name}")
            if message.HasField("index")
            else None
        )
        value = codec.decode_cell(register, message.data)
        if index is None:
            self.flush()
            self._note_cells(register)
            self._pipeline.set_registers(register.name, [value] * register.size)
        elif self._undo is not None:
            old = self._pipeline.register(register.name, index)
            self._pipeline.set_register(register.name, index, value)
            self._note(lambda: self._pipeline.set_register(register.name, index, old))
        else:
            self._extend_run(register, index, value)

    def _note_cells(self, register: Register) -> None:
        if self._undo is not None:
            old = self._pipeline.registers(register.name)
            self._note(lambda: self._pipeline.set_registers(register.name, old))

    def _extend_run(self, register: Register, index: int, value: int) -> None:
        run = self._run
        if run and run[0] is register and run[1] + len(run[2]) == index:
            run[2].append(value)
            return
        self.flush()
        self._run = (register, index, [value])

    def flush(self) -> None:
        """Write the pending run of register cells; its values were checked, so it succeeds."""
        if self._run is None:
            return
        register, first, values = self._run
        self._run = None
        if len(values) == 1:
            self._pipeline.set_register(register.name, first, values[0])
        else:
            self._pipeline.set_registers(register.name, values, first)

    # --- digests ------------------------------------------------------------------------------

    def _digest_entry(self, update: p4r.Update) -> None:
        """INSERT enables a digest, DELETE disables it (spec 9.9)."""
        message = update.entity.digest_entry
        digests, number = self._forwarding.digests, message.digest_id
        name = digests.name(number)
        old = next((entry.config for entry in digests.configs(number)), None)
        check_presence(update.type, old is not None, f"config of digest {name}")
        digests.configure(number, None if update.type == DELETE else message.config)
        self._note(lambda: digests.configure(number, old))

    # --- value sets ---------------------------------------------------------------------------

    def _value_set_entry(self, update: p4r.Update) -> None:
        """MODIFY replaces all members; there are none at the start (spec 9.6)."""
        modify_only(update, "value set")
        message = update.entity.value_set_entry
        value_set = self._schema.value_set(message.value_set_id)
        members = [codec.decode_match(value_set, member.match) for member in message.members]
        if len(set(members)) < len(members):
            raise Refused(ALREADY_EXISTS, f"{value_set.what}: a member is given twice")
        old = self._pipeline.value_set(value_set.name)
        self._pipeline.set_value_set(value_set.name, members)
        self._note(lambda: self._pipeline.set_value_set(value_set.name, old))

    # --- packet replication -------------------------------------------------------------------

    def _replication_entry(self, update: p4r.Update) -> None:
        self._note(write_replication(self._forwarding, update))
