"""Counters: keys that are incremented by one and read, from 0.

The reply of an INCR says which increment it was, so the order of all operations on a key is known
but for reads of the same number: they go between its INCR and the next. A history is linearizable
iff that order does not contradict time, no two INCRs got the same reply, and every number that no
acknowledged INCR accounts for can be had from an INCR of unknown outcome that had begun by then.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hosts.check.result import Result
from hosts.load.history import Operation, Status


def check(records: NDArray[Any]) -> Result:
    """Check all counters of a history (dtype `hosts.load.history.RECORD`)."""
    operation, status = records["operation"], records["status"]
    known = status == Status.OK
    increment = operation == Operation.INCREMENT
    maybe = increment & ((status == Status.TIMEOUT) | (status == Status.REFUSED))
    counted = known & (increment | (operation == Operation.READ_COUNTER))
    rows = np.flatnonzero(counted | maybe)
    rows = rows[np.argsort(records["key"][rows], kind="stable")]
    keys, heads = np.unique(records["key"][rows], return_index=True)
    result = Result(int(rows.size), int(keys.size), int(np.count_nonzero(maybe)))
    parts = np.split(rows, heads[1:]) if rows.size else []
    for key, mine in zip(keys.tolist(), parts, strict=True):
        _check_key(records, key, mine[counted[mine]], mine[maybe[mine]], result)
    return result


def _check_key(
    records: NDArray[Any],
    key: int,
    rows: NDArray[np.int64],
    unknown: NDArray[np.int64],
    result: Result,
) -> None:
    reads = records["operation"][rows] == Operation.READ_COUNTER
    place = np.lexsort((records["invoked"][rows], reads, records["value"][rows]))
    rows, reads = rows[place], reads[place]
    value = records["value"][rows].astype(np.int64)
    begin, end = records["invoked"][rows], records["responded"][rows]

    def tell(row: Any) -> str:
        record = records[row]
        what = "INCR" if record["operation"] == Operation.INCREMENT else "read"
        return f"{what} → {record['value']} (row {row})"

    made, first = np.unique(value[~reads], return_index=True)
    acknowledged = rows[~reads]
    if made.size < acknowledged.size:
        again = int(np.setdiff1d(np.arange(acknowledged.size), first)[0])
        pair = (int(acknowledged[again - 1]), int(acknowledged[again]))
        result.add(
            key,
            pair,
            lambda: (
                f"counter {key}: two increments got one number: {tell(pair[0])}, {tell(pair[1])}"
            ),
        )
        return
    # Whatever has a larger number must not have ended before what has a smaller one began.
    latest = np.maximum.accumulate(begin)
    wrong = np.flatnonzero(end[1:] < latest[:-1])
    if wrong.size:
        later = int(wrong[0]) + 1
        earlier = int(np.argmax(begin[:later]))
        pair = (int(rows[earlier]), int(rows[later]))
        result.add(
            key,
            pair,
            lambda: f"counter {key}: {tell(pair[1])} ended before {tell(pair[0])} began",
        )
        return
    if made.size and made[0] < 1:
        below = int(acknowledged[0])
        result.add(key, (below,), lambda: f"counter {key}: {tell(below)}: counters start from 0")
        return

    def unaccounted(number: int) -> None:
        seen = int(rows[int(np.searchsorted(value, number))])
        result.add(
            key,
            (seen,),
            lambda: (
                f"counter {key}: {tell(seen)}, but nothing made it {number}: {acknowledged.size} "
                f"increments were acknowledged, {available.size} are of unknown outcome"
            ),
        )

    highest = int(value.max(initial=0))
    available = np.sort(records["invoked"][unknown])
    if highest > made.size + available.size:
        unaccounted(highest)
        return
    missing = np.setdiff1d(np.arange(1, highest + 1), made)
    # Number n was there by the time the first operation with a number of n or more ended. The
    # needs grow with n, so the earliest increment goes to the smallest number.
    soonest = np.minimum.accumulate(end[::-1])[::-1]
    needed_by = soonest[np.searchsorted(value, missing)]
    late = np.flatnonzero(available[: missing.size] > needed_by)
    if late.size:
        unaccounted(int(missing[late[0]]))
