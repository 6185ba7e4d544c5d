"""Updates of table entries and of their direct counters and meters (P4Runtime spec section 9.1)."""

from __future__ import annotations

from collections.abc import Callable

from finsy.proto import p4r

from switch.p4runtime import codec
from switch.p4runtime.action_profiles import decode_target
from switch.p4runtime.cookies import Cookie, EntryKey
from switch.p4runtime.errors import PERMISSION_DENIED, Refused, invalid
from switch.p4runtime.forwarding import Forwarding
from switch.p4runtime.schema import Table
from switch.runtime.entries import Entry, MeterConfig, MeterCounts

INSERT, MODIFY, DELETE = p4r.Update.INSERT, p4r.Update.MODIFY, p4r.Update.DELETE

Undo = Callable[[], None]


def modify_only(update: p4r.Update, kind: str) -> None:
    if update.type != MODIFY:
        raise invalid(f"a {kind} can only be modified, not inserted or deleted")


class TableWriter:
    """Applies updates one by one; with `undo` it also notes how to take each one back.

    What takes several calls of the pipeline is one step to packets (spec 11).
    """

    def __init__(self, forwarding: Forwarding, undo: list[Undo] | None) -> None:
        self._forwarding = forwarding
        self._pipeline = forwarding.pipeline
        self._schema = forwarding.schema
        self._undo = undo

    def _note(self, undo: Undo) -> None:
        if self._undo is not None:
            self._undo.append(undo)

    def table_entry(self, update: p4r.Update) -> None:
        message = update.entity.table_entry
        table = self._schema.table(message.table_id)
        if message.is_const:
            raise invalid(f"table {table.name}: is_const is not the controller's to set")
        if message.is_default_action:
            self._default_entry(update.type, table, message)
        elif update.type == DELETE:
            self._delete(table, message)
        else:
            self._check_options(table, message)
            if update.type == INSERT:
                self._insert(table, message)
            else:
                self._modify(table, message)

    @staticmethod
    def _check_options(table: Table, message: p4r.TableEntry) -> None:
        if message.HasField("counter_data") and not table.counter_id:
            raise invalid(f"table {table.name} has no direct counter")
        if message.HasField("meter_config") and not table.meter_id:
            raise invalid(f"table {table.name} has no direct meter")
        if message.HasField("meter_counter_data"):
            if not table.meter_id:
                raise invalid(f"table {table.name} has no direct meter")
            codec.check_cleared(message.meter_counter_data, table.what)
        codec.check_idle_timeout(table, message)
        if message.HasField("time_since_last_hit"):
            raise invalid(f"table {table.name}: the time since the last hit can only be read")
        if message.idle_timeout_ns < 0:
            raise invalid(f"table {table.name}: an idle timeout cannot be negative")

    # --- entries ------------------------------------------------------------------------------

    def _insert(self, table: Table, message: p4r.TableEntry) -> None:
        if table.is_const:
            raise Refused(PERMISSION_DENIED, f"table {table.name} has const entries")
        if not table.fields:
            raise invalid(f"table {table.name} has no key: it has a default entry only")
        entry = codec.decode_key(table, message)
        if not message.HasField("action"):
            raise invalid(f"table {table.name}: a new entry needs an action")
        self._decode_action(table, entry, message.action)
        counts = self._counts(table, message)
        meter = self._meter(table, message)
        if counts or meter:
            with self._pipeline.held():
                self._pipeline.insert(table.name, entry)
                self._set_direct(table, entry, counts, meter, None)
        else:
            self._pipeline.insert(table.name, entry)
        self._keep_cookie((table.id, entry.match, entry.priority), message)
        self._note(lambda: self._remove(table, entry))

    def _modify(self, table: Table, message: p4r.TableEntry) -> None:
        entry = codec.decode_key(table, message)
        old = self._pipeline.find(table.name, entry)
        is_const = table.is_const or old.is_const
        if message.HasField("action"):
            if is_const:
                raise Refused(PERMISSION_DENIED, f"table {table.name}: the entry is const")
            self._decode_action(table, entry, message.action)
        if is_const and (message.metadata or message.controller_metadata):
            raise Refused(PERMISSION_DENIED, f"table {table.name}: const entries have no metadata")
        if is_const and message.idle_timeout_ns:
            raise invalid(f"table {table.name}: const entries have no idle timeout")
        counts = self._counts(table, message)
        meter = self._meter(table, message)
        colours = MeterCounts() if message.HasField("meter_counter_data") else None
        self._note(self._restoring(table, old))
        with self._pipeline.held():
            if message.HasField("action"):
                self._pipeline.modify(table.name, entry)
            if table.meter_id and not meter:
                self._pipeline.set_direct_meter(table.name, entry, None)
            self._set_direct(table, entry, counts, meter, colours)
        if not is_const:
            self._keep_cookie((table.id, entry.match, entry.priority), message)

    def _decode_action(self, table: Table, entry: Entry, message: p4r.TableAction) -> None:
        if table.implementation_id:
            entry.target = decode_target(self._forwarding, table, message)
        else:
            entry.action, entry.params = codec.decode_action(self._schema, table, message)

    def _delete(self, table: Table, message: p4r.TableEntry) -> None:
        """Only the key is looked at (spec 9.1)."""
        if table.is_const:
            raise Refused(PERMISSION_DENIED, f"table {table.name} has const entries")
        entry = codec.decode_key(table, message)
        if self._undo is None:
            self._remove(table, entry)
            return
        old = self._pipeline.find(table.name, entry)
        restore = self._restoring(table, old)

        def put_back() -> None:
            self._pipeline.insert(table.name, old)
            restore()

        self._remove(table, entry)
        self._note(put_back)

    def _remove(self, table: Table, entry: Entry) -> None:
        self._pipeline.delete(table.name, entry)
        self._forwarding.cookies.pop((table.id, entry.match, entry.priority), None)

    def _restoring(self, table: Table, old: Entry) -> Undo:
        """How to give an existing entry its present action, counter, meter and cookie again."""
        if self._undo is None:
            return lambda: None
        key = (table.id, old.match, old.priority)
        cookie = self._forwarding.cookies.get(key)
        restore_direct = self._restoring_direct(table, old)

        def restore() -> None:
            if not old.is_const:
                self._pipeline.modify(table.name, old)
            restore_direct()
            if cookie:
                self._forwarding.cookies[key] = cookie
            else:
                self._forwarding.cookies.pop(key, None)

        return restore

    def _keep_cookie(self, key: EntryKey, message: p4r.TableEntry) -> None:
        action_set = message.action.action_profile_action_set
        one_shot: tuple[int, int] = (action_set.action_selection_mode, action_set.size_semantics)
        if not message.HasField("action") and key in self._forwarding.cookies:
            one_shot = self._forwarding.cookies[key].one_shot  # it stays as it is
        timeout = message.idle_timeout_ns
        if message.metadata or message.controller_metadata or timeout or any(one_shot):
            cookie = Cookie(message.controller_metadata, message.metadata, timeout, one_shot)
            self._forwarding.keep(key, cookie)
        elif key in self._forwarding.cookies:
            del self._forwarding.cookies[key]

    # --- default entries ----------------------------------------------------------------------

    def _default_entry(self, update: int, table: Table, message: p4r.TableEntry) -> None:
        """The default entry is always there: it can be modified, or reset (spec 9.1.3)."""
        if update != MODIFY:
            raise invalid(f"table {table.name}: the default entry can only be modified")
        if message.match or message.priority:
            raise invalid(f"table {table.name}: the default entry has no match and no priority")
        self._check_options(table, message)
        if table.implementation_id:
            raise Refused(
                PERMISSION_DENIED,
                f"table {table.name}: with an action profile the default is const",
            )
        if table.const_default:
            raise Refused(PERMISSION_DENIED, f"table {table.name}: its default action is const")
        cookies = self._forwarding.default_cookies
        counts = self._counts(table, message)
        meter = self._meter(table, message)
        colours = MeterCounts() if message.HasField("meter_counter_data") else None
        old_action, old_cookie = self._pipeline.default(table.name), cookies.get(table.id)
        restore_direct = self._restoring_direct(table, None)
        if message.HasField("action"):
            action = codec.decode_action(self._schema, table, message.action, default=True)
        else:
            action = None
            counts = counts or ((0, 0) if table.counter_id else None)
        with self._pipeline.held():
            if action:
                self._pipeline.set_default(table.name, *action)
            else:
                self._pipeline.reset_default(table.name)
            if table.meter_id and not meter:
                self._pipeline.set_direct_meter(table.name, None, None)
            self._set_direct(table, None, counts, meter, colours)
        cookies.pop(table.id, None)
        if action and (message.metadata or message.controller_metadata):
            cookies[table.id] = Cookie(message.controller_metadata, message.metadata)

        def restore() -> None:
            self._pipeline.set_default(table.name, *old_action)
            restore_direct()
            cookies.pop(table.id, None)
            if old_cookie:
                cookies[table.id] = old_cookie

        self._note(restore)

    # --- direct resources; entry None is the default entry ------------------------------------

    @staticmethod
    def _counts(table: Table, message: p4r.TableEntry) -> tuple[int, int] | None:
        if not message.HasField("counter_data"):
            return None
        return codec.decode_counter(message.counter_data, table.what)

    @staticmethod
    def _meter(table: Table, message: p4r.TableEntry) -> MeterConfig | None:
        if not message.HasField("meter_config"):
            return None
        return codec.decode_meter(message.meter_config, table.meter_type, table.what)

    def _set_direct(
        self,
        table: Table,
        entry: Entry | None,
        counts: tuple[int, int] | None,
        meter: MeterConfig | None,
        colours: MeterCounts | None,
    ) -> None:
        """What is None stays as it is."""
        if counts:
            self._pipeline.set_direct_counter(table.name, entry, *counts)
        if meter:
            self._pipeline.set_direct_meter(table.name, entry, meter)
        if colours:
            self._pipeline.set_direct_meter_counts(table.name, entry, colours)

    def _restoring_direct(self, table: Table, entry: Entry | None) -> Undo:
        if self._undo is None:
            return lambda: None
        pipeline = self._pipeline
        counts = pipeline.direct_counter(table.name, entry) if table.counter_id else None
        meter = pipeline.direct_meter(table.name, entry) if table.meter_id else None
        colours = pipeline.direct_meter_counts(table.name, entry) if table.meter_id else None

        def restore() -> None:
            if table.meter_id and not meter:
                pipeline.set_direct_meter(table.name, entry, None)
            self._set_direct(table, entry, counts, meter, colours)

        return restore

    def _existing_entry(self, message: p4r.TableEntry, what: str) -> tuple[Table, Entry | None]:
        """The entry a direct resource belongs to."""
        table = self._schema.table(message.table_id)
        if (what == "counter" and not table.counter_id) or (what == "meter" and not table.meter_id):
            raise invalid(f"table {table.name} has no direct {what}")
        if not message.is_default_action:
            return table, self._pipeline.find(table.name, codec.decode_key(table, message))
        if message.match or message.priority:
            raise invalid(f"table {table.name}: the default entry has no match and no priority")
        return table, None

    def direct_counter_entry(self, update: p4r.Update) -> None:
        """Without data the counter stays as it is (spec 9.3.1)."""
        modify_only(update, "direct counter")
        message = update.entity.direct_counter_entry
        table, entry = self._existing_entry(message.table_entry, "counter")
        if not message.HasField("data"):
            return
        counts = codec.decode_counter(message.data, table.what)
        self._note(self._restoring_direct(table, entry))
        self._set_direct(table, entry, counts, None, None)

    def direct_meter_entry(self, update: p4r.Update) -> None:
        """Without a config the meter is green for every packet (spec 9.4.1)."""
        modify_only(update, "direct meter")
        message = update.entity.direct_meter_entry
        table, entry = self._existing_entry(message.table_entry, "meter")
        config = (
            codec.decode_meter(message.config, table.meter_type, table.what)
            if message.HasField("config")
            else None
        )
        codec.check_cleared(message.counter_data, table.what)
        colours = MeterCounts() if message.HasField("counter_data") else None
        self._note(self._restoring_direct(table, entry))
        with self._pipeline.held():
            self._pipeline.set_direct_meter(table.name, entry, config)
            self._set_direct(table, entry, None, None, colours)
