"""Free page reporting: what a virtual machine feels of memory that was freed before.

Two seconds after much was freed a guest's kernel begins to tell its host which pages it does not
use (Linux, mm/free_page_reporting), some at a time, and again every two seconds. The machine may
stand still while the host takes them back: here both cores did under load, 12 to 22 ms for 128 MiB,
33 ms for 256. A long history that is freed after a run would so be felt in the next.
"""

import time
from pathlib import Path
from typing import Final

_REPORTED: Final = Path("/sys/module/page_reporting/parameters/reported_kib")
"""Not every kernel counts; where it does not, nobody can tell when it is over."""
_QUIET_SECONDS: Final = 3.5
"""The last passes came up to 3 s after those before them."""
_QUIET_KIB: Final = 8 << 10
"""There is always a little, which is not felt."""


def wait(counter: Path = _REPORTED, longest: float = 60.0) -> None:
    """Return once no more than a little was reported for longer than a pass takes to come.

    After `longest` seconds in any case: others on the machine may free memory all the time.
    """
    if not counter.exists():
        return
    begun = since = time.monotonic()
    before = _count(counter)
    while (now := time.monotonic()) < min(since + _QUIET_SECONDS, begun + longest):
        time.sleep(0.1)
        if (reported := _count(counter)) > before + _QUIET_KIB:
            since, before = now, reported


def _count(counter: Path) -> int:
    return int(counter.read_text())
