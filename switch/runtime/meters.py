"""The meters of a running program, of its tables' entries and in arrays."""

from __future__ import annotations

from switch.runtime import native
from switch.runtime.entries import Entry, InvalidEntry, MeterConfig, MeterCounts
from switch.runtime.objects import Array, look_up
from switch.runtime.tables import Tables


class Meters(Tables):
    # --- of table entries -------------------------------------------------------------------------

    def direct_meter(self, table: str, entry: Entry | None) -> MeterConfig | None:
        """Of an entry; None is the default entry."""
        t = self._table(table)
        self._check_direct(table, t.ir.meter, "meter")
        config = native.words([0] * 5)
        match, _memory = self._key(t, entry)
        status = self._library.p4s_direct_meter_get(self.handle, t.number, match, config)
        self._check(status, t, entry)
        return _meter_config(config)

    def set_direct_meter(self, table: str, entry: Entry | None, config: MeterConfig | None) -> None:
        """Entry None: the default entry. Config None: always green."""
        t = self._table(table)
        self._check_direct(table, t.ir.meter, "meter")
        match, _memory = self._key(t, entry)
        status = self._library.p4s_direct_meter_set(
            self.handle, t.number, match, _meter_words(config)
        )
        self._check(status, t, entry)

    def direct_meter_counts(self, table: str, entry: Entry | None) -> MeterCounts:
        t = self._table(table)
        self._check_direct(table, t.ir.meter, "meter")
        counts = native.words([0] * 6)
        match, _memory = self._key(t, entry)
        status = self._library.p4s_direct_meter_counts_get(self.handle, t.number, match, counts)
        self._check(status, t, entry)
        return _meter_counts(counts)

    def set_direct_meter_counts(self, table: str, entry: Entry | None, counts: MeterCounts) -> None:
        t = self._table(table)
        self._check_direct(table, t.ir.meter, "meter")
        match, _memory = self._key(t, entry)
        status = self._library.p4s_direct_meter_counts_set(
            self.handle, t.number, match, _count_words(counts)
        )
        self._check(status, t, entry)

    # --- arrays -----------------------------------------------------------------------------------

    def _meter(self, name: str) -> Array:
        return look_up(self._objects.meters, name, "meter")

    def meter(self, name: str, index: int) -> MeterConfig | None:
        m = self._meter(name)
        config = native.words([0] * 5)
        at = self._check_index("meter", name, m.size, index)
        self._library.p4s_meter_get(self.handle, m.number, at, config)
        return _meter_config(config)

    def set_meter(self, name: str, index: int, config: MeterConfig | None) -> None:
        """None: always green."""
        m = self._meter(name)
        at = self._check_index("meter", name, m.size, index)
        self._library.p4s_meter_set(self.handle, m.number, at, _meter_words(config))

    def meter_counts(self, name: str, index: int) -> MeterCounts:
        m = self._meter(name)
        counts = native.words([0] * 6)
        at = self._check_index("meter", name, m.size, index)
        self._library.p4s_meter_counts_get(self.handle, m.number, at, counts)
        return _meter_counts(counts)

    def set_meter_counts(self, name: str, index: int, counts: MeterCounts) -> None:
        m = self._meter(name)
        at = self._check_index("meter", name, m.size, index)
        self._library.p4s_meter_counts_set(self.handle, m.number, at, _count_words(counts))


def _meter_config(words: native.Words) -> MeterConfig | None:
    return MeterConfig(*words[1:]) if words[0] else None


def _meter_words(config: MeterConfig | None) -> native.Words:
    if config is None:
        return native.words([0] * 5)
    if not 0 <= config.cir <= config.pir or config.cburst < 0 or config.pburst < 0:
        raise InvalidEntry(f"a meter needs 0 ≤ cir ≤ pir and bursts ≥ 0, not {config}")
    return native.words((1, config.cir, config.cburst, config.pir, config.pburst))


def _meter_counts(words: native.Words) -> MeterCounts:
    return MeterCounts((words[0], words[1]), (words[2], words[3]), (words[4], words[5]))


def _count_words(counts: MeterCounts) -> native.Words:
    return native.words((*counts.green, *counts.yellow, *counts.red))
