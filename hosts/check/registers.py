"""Registers: keys that are written with values that no other write writes, and read.

Gibbons and Korach, "Testing Shared Memories" (SIAM J. Comput. 1997): an operation belongs to the
cluster of the value that it writes or reads. All of a cluster must take effect together, with no
other cluster's in between: so of two clusters one goes wholly first. Let `ends` be the earliest end
and `begins` the latest beginning in a cluster. Something of A ends before something of B begins iff
A.ends < B.begins, and then A must go first. If for two clusters both must go first, there is no
order; if for no two, there is one. A cluster with ends < begins is a forward zone [ends, begins],
another one a backward zone [begins, ends]: the bad pairs are two forward zones that overlap, and a
backward zone inside a forward one. One sort finds them.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hosts.check import search
from hosts.check.result import Result
from hosts.load.history import FOREIGN, Operation, Status

NIL: Final = 0
_BEFORE: Final = np.int64(-1)  # the times of an initial value; all others are from 0
_ROW_OF_INITIAL: Final = -1

Times = NDArray[np.int64]


@dataclass
class _Rows:
    """The operations that count, as columns; `row` leads back to the history."""

    row: NDArray[np.int64]
    key: NDArray[np.int64]
    value: NDArray[np.uint64]
    write: NDArray[np.bool_]
    begin: Times
    end: Times

    def __getitem__(self, which: Any) -> "_Rows":
        return _Rows(*(getattr(self, name)[which] for name in self.__dataclass_fields__))

    def __len__(self) -> int:
        return int(self.row.size)


def _columns(records: NDArray[Any]) -> tuple[_Rows, np.int64]:
    """Return registers' operations with times from 0, and `forever`, later than all."""
    operation, status = records["operation"], records["status"]
    known = status == Status.OK
    maybe = (status == Status.TIMEOUT) | (status == Status.REFUSED)
    write = operation == Operation.WRITE
    rows = np.flatnonzero(((operation == Operation.READ) & known) | (write & (known | maybe)))
    start = records["invoked"][rows].min() if rows.size else np.int64(0)
    begin = records["invoked"][rows] - start
    end = records["responded"][rows] - start
    forever = np.int64(max(int(end.max(initial=0)), int(begin.max(initial=0))) + 1)
    end = np.where(maybe[rows], forever, end)
    return (
        _Rows(
            rows.astype(np.int64),
            records["key"][rows].astype(np.int64),
            records["value"][rows],
            write[rows],
            begin,
            end,
        ),
        forever,
    )


def _initial_values(rows: _Rows, initial: NDArray[np.uint64] | None, keys: Times) -> _Rows:
    """One write before everything for each key in `keys`, with its initial value.

    Where that is not known it is what the first read of a value that nobody wrote returned.
    """
    if initial is not None:
        values = np.zeros(keys.size, np.uint64)
        given = keys < initial.size
        values[given] = initial[keys[given]]
    else:
        values = np.zeros(keys.size, np.uint64)
        foreign = ~rows.write & ((rows.value == NIL) | (rows.value >= np.uint64(FOREIGN)))
        found = rows[foreign]
        found = found[np.argsort(found.end, kind="stable")[::-1]]
        values[np.searchsorted(keys, found.key)] = found.value  # the first read comes last
    before = np.full(keys.size, _BEFORE)
    row = np.full(keys.size, _ROW_OF_INITIAL, dtype=np.int64)
    return _Rows(row, keys, values, np.ones(keys.size, dtype=bool), before, before)


def check(records: NDArray[Any], initial: NDArray[np.uint64] | None = None) -> Result:
    """Check all keys of a history (dtype `hosts.load.history.RECORD`).

    `initial[key]` is what the key holds before it (NIL beyond its end; an empty array: nothing
    exists yet). None: not known, as for a user's own data. Writes of unknown outcome may have taken
    effect at any time after their invocation, or never.
    """
    rows, forever = _columns(records)
    keys: NDArray[np.int64] = np.unique(rows.key)
    result = Result(len(rows), int(keys.size), int(np.count_nonzero(rows.end == forever)))
    if not len(rows):
        return result
    begun = _initial_values(rows, initial, keys)
    rows = _Rows(
        *(np.concatenate([getattr(begun, n), getattr(rows, n)]) for n in rows.__dataclass_fields__)
    )
    # Writes first in each cluster, so that a cluster's first row is its write.
    rows = rows[np.lexsort((rows.begin, ~rows.write, rows.value, rows.key))]
    _Check(records, rows, keys, forever, result).run()
    return result


@dataclass
class _Check:
    records: NDArray[Any]
    rows: _Rows
    keys: NDArray[np.int64]
    forever: np.int64
    result: Result

    def run(self) -> None:
        """Find clusters, then every pair of them that cannot be ordered."""
        rows = self.rows
        first = np.ones(len(rows), dtype=bool)
        first[1:] = (rows.key[1:] != rows.key[:-1]) | (rows.value[1:] != rows.value[:-1])
        heads = np.flatnonzero(first)
        cluster = np.cumsum(first) - 1
        writes = np.add.reduceat(rows.write.astype(np.int64), heads)
        # Unknown writes that nobody read explain nothing: the same as never having happened.
        sizes = np.diff(np.append(heads, len(rows)))
        unread = (sizes == writes) & (rows.end[heads] == self.forever)

        # A value written twice (NIL by two deletes): reads do not say which write they saw.
        twice = np.flatnonzero((writes > 1) & ~unread)
        ambiguous = np.unique(rows.key[heads[twice]])
        for key in ambiguous:
            self._search(int(key))
        judged = ~unread & ~np.isin(rows.key[heads], ambiguous)

        for c in np.flatnonzero(judged & (writes == 0)):
            self._read_from_nowhere(int(heads[c]))
        judged &= writes > 0
        early = np.flatnonzero(
            judged[cluster] & ~rows.write & (rows.end < rows.begin[heads[cluster]])
        )
        for place in early:
            self._read_from_the_future(int(place), int(heads[cluster[place]]))

        ends = np.minimum.reduceat(rows.end, heads)
        begins = np.maximum.reduceat(rows.begin, heads)
        self._order(np.flatnonzero(judged), cluster, heads, ends, begins)

    def _order(
        self, clusters: Times, cluster: Times, heads: Times, ends: Times, begins: Times
    ) -> None:
        """Report each bad pair of neighbours; there is one iff there is any bad pair."""
        # One axis for all keys: key k lives in [k·span, (k+1)·span).
        span = self.forever + 2
        if self.keys.size * int(span) >= 1 << 62:
            raise ValueError("a history this long with this many keys: check it in parts")
        base = np.searchsorted(self.keys, self.rows.key[heads[clusters]]) * span + 1
        ends, begins = base + ends[clusters], base + begins[clusters]
        forward = np.flatnonzero(ends < begins)
        forward = forward[np.argsort(ends[forward], kind="stable")]
        bad: list[tuple[int, int]] = []
        overlap = np.flatnonzero(ends[forward[1:]] < begins[forward[:-1]])
        bad += zip(forward[overlap].tolist(), forward[overlap + 1].tolist(), strict=True)
        backward = np.flatnonzero(ends >= begins)
        if forward.size:
            # The last forward zone that starts before the backward one does.
            place = np.searchsorted(ends[forward], begins[backward], side="left") - 1
            around = forward[np.maximum(place, 0)]
            inside = (place >= 0) & (ends[backward] < begins[around])
            bad += zip(around[inside].tolist(), backward[inside].tolist(), strict=True)
        for a, b in bad:
            self._no_order(int(clusters[a]), int(clusters[b]), heads)

    def _members(self, c: int, heads: Times) -> slice:
        return slice(int(heads[c]), int(heads[c + 1]) if c + 1 < heads.size else len(self.rows))

    def _no_order(self, a: int, b: int, heads: Times) -> None:
        rows = self.rows
        first, second = self._members(a, heads), self._members(b, heads)
        places: list[int] = []
        sentences: list[str] = []
        for x, y in ((first, second), (second, first)):
            # The writes themselves where they will do: the shorter story.
            ended = x.start + int(np.argmin(rows.end[x]))
            begun = y.start + int(np.argmax(rows.begin[y]))
            if rows.end[ended] < rows.begin[y.start]:
                begun = y.start
            if rows.end[x.start] < rows.begin[begun]:
                ended = x.start
            places += [x.start, ended, y.start, begun]
            sentences.append(f"{self._tell(ended)} ended before {self._tell(begun)} began")
        shown = sorted(set(places), key=lambda place: int(rows.begin[place]))
        self.result.add(
            int(rows.key[first.start]),
            self._history_rows(shown),
            lambda: (
                f"key {rows.key[first.start]}: {sentences[0]}, so value "
                f"{rows.value[first.start]:#x} came first; but {sentences[1]}, so "
                f"{rows.value[second.start]:#x} came first. "
                + "; ".join(self._tell(place, times=True) for place in shown)
            ),
        )

    def _history_rows(self, places: list[int]) -> tuple[int, ...]:
        return tuple(int(r) for r in self.rows.row[places] if r != _ROW_OF_INITIAL)

    def _tell(self, place: int, *, times: bool = False) -> str:
        rows = self.rows
        if rows.row[place] == _ROW_OF_INITIAL:
            return f"initial value {rows.value[place]:#x}"
        what = "write" if rows.write[place] else "read"
        text = f"{what} of {rows.value[place]:#x} (row {rows.row[place]})"
        if times:
            end = "unknown" if rows.end[place] == self.forever else f"{rows.end[place] / 1e6:.6f}"
            text += f" [{rows.begin[place] / 1e6:.6f}, {end}] ms"
        return text

    def _read_from_nowhere(self, place: int) -> None:
        rows = self.rows
        value = rows.value[place]

        def explain() -> str:
            made = self.records
            writer = np.flatnonzero(
                (made["operation"] == Operation.WRITE)
                & (made["key"] == rows.key[place])
                & (made["value"] == value)
            )
            if value == NIL:
                why = "found nothing, though the key existed and nobody deleted it"
            elif writer.size:
                status = Status(int(made["status"][writer[0]])).name
                why = (
                    f"returned what a write that failed ({status}, row {writer[0]}) meant to write"
                )
            elif value >= np.uint64(FOREIGN):
                why = "returned a value that nobody wrote, or a damaged one"
            else:
                why = "returned a value that nobody wrote"
            return f"key {rows.key[place]}: {self._tell(place, times=True)} {why}"

        self.result.add(int(rows.key[place]), self._history_rows([place]), explain)

    def _read_from_the_future(self, read: int, write: int) -> None:
        self.result.add(
            int(self.rows.key[read]),
            self._history_rows([read, write]),
            lambda: (
                f"key {self.rows.key[read]}: {self._tell(read, times=True)} ended before "
                f"{self._tell(write, times=True)} began"
            ),
        )

    def _search(self, key: int) -> None:
        """Decide a key that this method cannot, by search."""
        mine = self.rows[self.rows.key == key]
        nil = int(mine.value[mine.row == _ROW_OF_INITIAL][0])
        operations = [
            search.Call(
                ("SET", int(value)) if write else ("GET",),
                int(begin),
                None if end == self.forever else int(end),
                "OK" if write else int(value),
            )
            for row, value, write, begin, end in zip(
                mine.row, mine.value, mine.write, mine.begin, mine.end, strict=True
            )
            if row != _ROW_OF_INITIAL
        ]
        if not search.linearizable(operations, search.register, nil):
            rows = tuple(int(row) for row in mine.row if row != _ROW_OF_INITIAL)
            self.result.add(
                key, rows, lambda: f"key {key}: no order explains its {len(rows)} operations"
            )
