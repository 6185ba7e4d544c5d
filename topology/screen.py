"""The live screen of a run: what is going on, how far it is, and how the service does meanwhile."""

import sys
import time
from collections import deque
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from controller import controller_pb2 as pb
from topology.load import Sample

_BARS: Final = " ▁▂▃▄▅▆▇█"
_PLAIN_SECONDS: Final = 2.0


def spark(values: "deque[float]") -> str:
    """Draw values as a line of bars."""
    top = max(values, default=0.0) or 1.0
    return "".join(_BARS[round(v / top * (len(_BARS) - 1))] for v in values)


class Screen:
    """Shows a run while it goes on. Where the output is no terminal: a line every two seconds."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._console = Console()
        self._phase = "starting"
        self._done = 0.0
        self._steps: list[str] = []
        self._sample: Sample | None = None
        self._migration: pb.Migration | None = None
        self._rates: deque[float] = deque(maxlen=48)
        self._tails: deque[float] = deque(maxlen=48)
        self._live = Live(console=self._console, refresh_per_second=4, get_renderable=self._draw)
        self._plain = not sys.stdout.isatty()
        self._said = 0.0

    def __enter__(self) -> Self:
        if not self._plain:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._plain:
            self._live.stop()

    def phase(self, text: str) -> None:
        """Go on to the next phase."""
        self._steps.append(f"{self._phase}: done")
        self._phase, self._done, self._said = text, 0.0, 0.0
        self._say()

    def progress(self, done: float) -> None:
        """Show how much of the phase is done, 0…1."""
        self._done = done
        self._say()

    def sample(self, sample: Sample | None) -> None:
        """Show how the service does."""
        if sample is None or (self._sample is not None and sample.t == self._sample.t):
            return
        self._sample = sample
        self._rates.append(sample.rate)
        self._tails.append(sample.p99 or 0.0)
        self._say()

    def migration(self, migration: pb.Migration) -> None:
        """Show how far the migration is."""
        self._migration = migration

    def _say(self) -> None:
        if not self._plain or time.monotonic() - self._said < _PLAIN_SECONDS:
            return
        self._said = time.monotonic()
        text = f"{self._phase:<34} {self._done:4.0%}"
        if self._sample is not None:
            text += f"  {self._sample.rate:8.0f} op/s  p99 {self._sample.p99 or 0.0:7.0f} µs"
            text += f"  errors {self._sample.errors}"
        if self._migration is not None:
            text += f"  groups {self._migration.groups_done}/{self._migration.groups_total}"
        print(text, flush=True)

    def _draw(self) -> Panel:
        rows = Table.grid(padding=(0, 2))
        rows.add_column(justify="right", style="bold")
        rows.add_column()
        rows.add_row(self._phase, ProgressBar(total=1.0, completed=self._done, width=48))
        if self._migration is not None:
            m = self._migration
            rows.add_row(
                f"{m.partition}: {m.source} → {m.destination}",
                ProgressBar(total=1.0, completed=m.share, width=48),
            )
            left = f"{m.seconds_left:.1f} s left" if m.seconds_left >= 0 else ""
            rows.add_row(
                "groups",
                f"{m.groups_done} of {m.groups_total}, {m.groups_ongoing} ongoing, "
                f"{m.keys} keys, {m.state} {left}",
            )
        if self._sample is not None:
            s = self._sample
            rows.add_row("throughput", f"{s.rate:9.0f} op/s   [cyan]{spark(self._rates)}[/]")
            if s.p50 is not None and s.p99 is not None:
                rows.add_row("p50, p99", f"{s.p50:6.0f} µs, {s.p99:6.0f} µs")
            rows.add_row("p99", Text(spark(self._tails), style="magenta"))
            colour = "red" if s.errors else "green"
            rows.add_row("operations", f"{s.done}, [{colour}]{s.errors} errors[/]")
        return Panel(Group(rows), title=self._title, border_style="blue", padding=(1, 2))
