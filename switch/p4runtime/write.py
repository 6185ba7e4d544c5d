"""The Write RPC: batches of updates (P4Runtime spec sections 9 and 12)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from finsy.proto import p4r

from switch.p4runtime import codec
from switch.p4runtime.cookies import Cookie, EntryKey
from switch.p4runtime.errors import (
    ABORTED,
    ALREADY_EXISTS,
    PERMISSION_DENIED,
    UNIMPLEMENTED,
    Refused,
    from_pipeline,
    invalid,
)
from switch.p4runtime.forwarding import Forwarding
from switch.p4runtime.replication import check_presence, write_replication
from switch.p4runtime.schema import Register, Table
from switch.runtime.entries import Entry, MeterConfig, MeterCounts, PipelineError

INSERT, MODIFY, DELETE = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE

Undo = Callable[[], None]


def write(
    forwarding: Forwarding, updates: Sequence[p4r.Update], atomicity: int
) -> list[Refused | None]:
    """Carry out a batch; one outcome for each update (None: done)."""
    if atomicity == p4r.WriteRequest.CONTINUE_ON_ERROR:
        writer = _Writer(forwarding, None)
        outcomes = [writer.attempt(update) for update in updates]
        writer.flush()
        return outcomes
    if atomicity == p4r.WriteRequest.ROLLBACK_ON_ERROR:
        return _write_or_roll_back(forwarding, updates)
    raise Refused(UNIMPLEMENTED, "batches are not atomic towards the data plane")


def _write_or_roll_back(
    forwarding: Forwarding, updates: Sequence[p4r.Update]
) -> list[Refused | None]:
    undo: list[Undo] = []
    writer = _Writer(forwarding, undo)
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

    def __init__(self, forwarding: Forwarding, undo: list[Undo] | None) -> None:
        self._forwarding = forwarding
        self._pipeline = forwarding.pipeline
        self._schema = forwarding.schema
        self._undo = undo
        # Register cells side by side are written in one go: (register, first index, values).
        self._run: tuple[Register, int, list[int]] | None = None
        self._kinds: dict[str | None, Callable[[p4r.Update], None]] = {
            "table_entry": lambda update: self._table_entry(update.type, update.entity.table_entry),
            "register_entry": self._register_entry,
            "counter_entry": self._counter_entry,
            "direct_counter_entry": self._direct_counter_entry,
            "meter_entry": self._meter_entry,
            "direct_meter_entry": self._direct_meter_entry,
            "packet_replication_engine_entry": self._replication_entry,
            "digest_entry": self._digest_entry,
            "value_set_entry": self._value_set_entry,
        }

    def attempt(self, update: p4r.Update) -> Refused | None:
        try:
            self._apply(update)
        except Refused as refused:
            return refused
        except PipelineError as error:
            return from_pipeline(error)
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
        if kind != "register_entry":
            self.flush()
        apply(update)

    def _note(self, undo: Undo) -> None:
        if self._undo is not None:
            self._undo.append(undo)

    # --- tables -------------------------------------------------------------------------------

    def _table_entry(self, update: int, message: p4r.TableEntry) -> None:
        table = self._schema.table(message.table_id)
        if table.implementation_id:
            raise Refused(UNIMPLEMENTED, f"table {table.name}: action profiles are not supported")
        if message.is_default_action:
            self._default_entry(update, table, message)
            return
        if update == DELETE:
            self._delete(table, message)
            return
        self._check_options(table, message)
        if update == INSERT:
            self._insert(table, message)
        else:
            self._modify(table, message)

    @staticmethod
    def _check_options(table: Table, message: p4r.TableEntry) -> None:
        if message.is_const:
            raise invalid(f"table {table.name}: is_const is not the controller's to set")
        if message.HasField("counter_data") and not table.counter_id:
            raise invalid(f"table {table.name} has no direct counter")
        if message.HasField("meter_config") and not table.meter_id:
            raise invalid(f"table {table.name} has no direct meter")
        if message.HasField("meter_counter_data"):
            if not table.meter_id:
                raise invalid(f"table {table.name} has no direct meter")
            codec.check_cleared(message.meter_counter_data, f"table {table.name}")
        codec.check_idle_timeout(table, message)
        if message.HasField("time_since_last_hit"):
            raise invalid(f"table {table.name}: the time since the last hit can only be read")
        if message.idle_timeout_ns < 0:
            raise invalid(f"table {table.name}: an idle timeout cannot be negative")

    def _insert(self, table: Table, message: p4r.TableEntry) -> None:
        if table.is_const:
            raise Refused(PERMISSION_DENIED, f"table {table.name} has const entries")
        if not table.fields:
            raise invalid(f"table {table.name} has no key: it has a default entry only")
        entry = codec.decode_key(table, message)
        if not message.HasField("action"):
            raise invalid(f"table {table.name}: a new entry needs an action")
        entry.action, entry.params = codec.decode_action(self._schema, table, message.action)
        counts = self._counts(table, message)
        meter = self._meter(table, message)
        self._pipeline.insert(table.name, entry)
        if counts:
            self._pipeline.set_direct_counter(table.name, entry, *counts)
        if meter:
            self._pipeline.set_direct_meter(table.name, entry, meter)
        self._keep_cookie((table.id, entry.match, entry.priority), message)
        self._note(lambda: self._remove(table, entry))

    def _modify(self, table: Table, message: p4r.TableEntry) -> None:
        entry = codec.decode_key(table, message)
        old = self._pipeline.find(table.name, entry)
        if message.HasField("action"):
            if table.is_const or old.is_const:
                raise Refused(PERMISSION_DENIED, f"table {table.name}: the entry is const")
            entry.action, entry.params = codec.decode_action(self._schema, table, message.action)
        counts = self._counts(table, message)
        meter = self._meter(table, message)
        if message.idle_timeout_ns and (table.is_const or old.is_const):
            raise invalid(f"table {table.name}: const entries have no idle timeout")
        self._note(self._restoring(table, old))
        if entry.action:
            self._pipeline.modify(table.name, entry)
        if counts:
            self._pipeline.set_direct_counter(table.name, entry, *counts)
        if table.meter_id:
            self._pipeline.set_direct_meter(table.name, entry, meter)
        if message.HasField("meter_counter_data"):
            self._pipeline.set_direct_meter_counts(table.name, entry, MeterCounts())
        if not (table.is_const or old.is_const):
            self._keep_cookie((table.id, entry.match, entry.priority), message)

    def _delete(self, table: Table, message: p4r.TableEntry) -> None:
        if table.is_const:
            raise Refused(PERMISSION_DENIED, f"table {table.name} has const entries")
        entry = codec.decode_key(table, message)
        if self._undo is not None:
            old = self._pipeline.find(table.name, entry)
            restore = self._restoring(table, old)

            def put_back() -> None:
                self._pipeline.insert(table.name, old)
                restore()

            self._note(put_back)
        self._remove(table, entry)

    def _remove(self, table: Table, entry: Entry) -> None:
        self._pipeline.delete(table.name, entry)
        self._forwarding.cookies.pop((table.id, entry.match, entry.priority), None)

    def _restoring(self, table: Table, old: Entry) -> Undo:
        """How to give an existing entry its present action, counter, meter and cookie again."""
        if self._undo is None:
            return lambda: None
        key = (table.id, old.match, old.priority)
        cookie = self._forwarding.cookies.get(key)
        pipeline = self._pipeline
        counts = pipeline.direct_counter(table.name, old) if table.counter_id else None
        meter = pipeline.direct_meter(table.name, old) if table.meter_id else None
        colours = pipeline.direct_meter_counts(table.name, old) if table.meter_id else None

        def restore() -> None:
            if not old.is_const:
                pipeline.modify(table.name, old)
            if counts:
                pipeline.set_direct_counter(table.name, old, *counts)
            if table.meter_id:
                pipeline.set_direct_meter(table.name, old, meter)
            if colours:
                pipeline.set_direct_meter_counts(table.name, old, colours)
            if cookie:
                self._forwarding.cookies[key] = cookie
            else:
                self._forwarding.cookies.pop(key, None)

        return restore

    def _keep_cookie(self, key: EntryKey, message: p4r.TableEntry) -> None:
        if message.metadata or message.controller_metadata or message.idle_timeout_ns:
            timeout = message.idle_timeout_ns
            cookie = Cookie(message.controller_metadata, message.metadata, timeout)
            self._forwarding.keep(key, cookie)
        elif key in self._forwarding.cookies:
            del self._forwarding.cookies[key]

    @staticmethod
    def _counts(table: Table, message: p4r.TableEntry) -> tuple[int, int] | None:
        if not message.HasField("counter_data"):
            return None
        return codec.decode_counter(message.counter_data, f"table {table.name}")

    @staticmethod
    def _meter(table: Table, message: p4r.TableEntry) -> MeterConfig | None:
        if not message.HasField("meter_config"):
            return None
        return codec.decode_meter(message.meter_config, f"table {table.name}")

    def _default_entry(self, update: int, table: Table, message: p4r.TableEntry) -> None:
        """The default entry is always there: it can be modified, or reset (spec 9.1.3)."""
        if update != MODIFY:
            raise invalid(f"table {table.name}: the default entry can only be modified")
        if message.match or message.priority:
            raise invalid(f"table {table.name}: the default entry has no match and no priority")
        self._check_options(table, message)
        if table.const_default:
            raise Refused(PERMISSION_DENIED, f"table {table.name}: its default action is const")
        cookies = self._forwarding.default_cookies
        counts = self._counts(table, message)
        if message.HasField("meter_config"):
            raise Refused(UNIMPLEMENTED, "the default entry's meter cannot be set")
        old_action, old_cookie = self._pipeline.default(table.name), cookies.get(table.id)
        old_counts = (
            self._pipeline.direct_counter(table.name, None)
            if self._undo is not None and table.counter_id
            else None
        )
        if message.HasField("action"):
            action, params = codec.decode_action(self._schema, table, message.action, default=True)
            self._pipeline.set_default(table.name, action, params)
            if counts:
                self._pipeline.set_direct_counter(table.name, None, *counts)
        else:
            self._pipeline.reset_default(table.name)
            if table.counter_id:
                self._pipeline.set_direct_counter(table.name, None, *(counts or (0, 0)))
        cookies.pop(table.id, None)
        if message.HasField("action") and (message.metadata or message.controller_metadata):
            cookies[table.id] = Cookie(message.controller_metadata, message.metadata)

        def restore() -> None:
            self._pipeline.set_default(table.name, *old_action)
            if old_counts:
                self._pipeline.set_direct_counter(table.name, None, *old_counts)
            cookies.pop(table.id, None)
            if old_cookie:
                cookies[table.id] = old_cookie

        self._note(restore)

    def _existing_entry(self, message: p4r.TableEntry, what: str) -> tuple[Table, Entry | None]:
        """The entry a direct resource belongs to; None for the default entry."""
        table = self._schema.table(message.table_id)
        if (what == "counter" and not table.counter_id) or (what == "meter" and not table.meter_id):
            raise invalid(f"table {table.name} has no direct {what}")
        if message.is_default_action:
            return table, None
        return table, self._pipeline.find(table.name, codec.decode_key(table, message))

    # --- counters and meters ------------------------------------------------------------------

    @staticmethod
    def _modify_only(update: p4r.Update, kind: str) -> None:
        if update.type != MODIFY:
            raise invalid(f"a {kind} can only be modified, not inserted or deleted")

    def _direct_counter_entry(self, update: p4r.Update) -> None:
        self._modify_only(update, "direct counter")
        message = update.entity.direct_counter_entry
        table, entry = self._existing_entry(message.table_entry, "counter")
        if not message.HasField("data"):
            return
        counts = codec.decode_counter(message.data, f"table {table.name}")
        old = self._pipeline.direct_counter(table.name, entry)
        self._pipeline.set_direct_counter(table.name, entry, *counts)
        self._note(lambda: self._pipeline.set_direct_counter(table.name, entry, *old))

    def _direct_meter_entry(self, update: p4r.Update) -> None:
        self._modify_only(update, "direct meter")
        message = update.entity.direct_meter_entry
        table, entry = self._existing_entry(message.table_entry, "meter")
        if entry is None:
            raise Refused(UNIMPLEMENTED, "the default entry's meter cannot be set")
        config = (
            codec.decode_meter(message.config, f"table {table.name}")
            if message.HasField("config")
            else None
        )
        codec.check_cleared(message.counter_data, f"table {table.name}")
        self._note(self._restoring(table, entry))
        self._pipeline.set_direct_meter(table.name, entry, config)
        if message.HasField("counter_data"):
            self._pipeline.set_direct_meter_counts(table.name, entry, MeterCounts())

    def _counter_entry(self, update: p4r.Update) -> None:
        self._modify_only(update, "counter")
        message = update.entity.counter_entry
        counter = self._schema.counter(message.counter_id)
        what = f"counter {counter.name}"
        indices: Sequence[int] = range(counter.size)
        if message.HasField("index"):
            indices = (codec.decode_index(message.index, counter.size, what),)
        if not message.HasField("data"):
            return
        counts = codec.decode_counter(message.data, what)
        for index in indices:
            old = self._pipeline.counter(counter.name, index)
            self._pipeline.set_counter(counter.name, index, *counts)
            self._note(self._counter_undo(counter.name, index, old))

    def _counter_undo(self, name: str, index: int, old: tuple[int, int]) -> Undo:
        return lambda: self._pipeline.set_counter(name, index, *old)

    def _meter_entry(self, update: p4r.Update) -> None:
        self._modify_only(update, "meter")
        message = update.entity.meter_entry
        meter = self._schema.meter(message.meter_id)
        what = f"meter {meter.name}"
        indices: Sequence[int] = range(meter.size)
        if message.HasField("index"):
            indices = (codec.decode_index(message.index, meter.size, what),)
        config = codec.decode_meter(message.config, what) if message.HasField("config") else None
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
        self._modify_only(update, "register")
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
        self._modify_only(update, "value set")
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
