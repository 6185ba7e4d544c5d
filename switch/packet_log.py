"""The log of `p4switch run`: messages of the program and, when asked for, traces of packets."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Final, TextIO

from switch.runtime.pipeline import Pipeline

POLL_SECONDS: Final = 0.05
"""How often a pipeline is asked for what it has kept."""
STOP_SECONDS: Final = 1.0
"""How long the end of the switch waits for a reader of the log."""


class PacketLog:
    """Writes the log from a thread of its own, so that its reader never holds a packet up.

    A pipeline keeps a bounded amount for the thread; of how many packets there was no room for more
    is said in the log. `ports` and `most` are as in `Pipeline.start_trace`.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        tracing: bool = False,
        ports: Sequence[int] = (),
        most: int | None = None,
    ) -> None:
        self.tracing = tracing
        self._stream = stream
        self._ports = ports
        self._most = most
        self._pipelines: deque[Pipeline] = deque()  # the last one is in force
        self._notes: deque[str] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="packet-log", daemon=True)

    def prepare(self, pipeline: Pipeline) -> None:
        """The slow part of `follow`: compile for tracing."""
        if self.tracing:
            pipeline.prepare_trace()

    def follow(self, pipeline: Pipeline) -> None:
        """Log this pipeline, which is about to be put in force, from now on."""
        if self.tracing:
            pipeline.start_trace(self._ports, self._most)
        else:
            pipeline.stop_trace()
        if pipeline not in self._pipelines:
            self._pipelines.append(pipeline)
        self._wake.set()

    def note(self, text: str) -> None:
        """Write a line of our own."""
        self._notes.append(text)
        self._wake.set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, unless the log's reader takes too long for that."""
        self._stopping = True
        self._wake.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping:
            # A program without messages has nothing to say unless packets are traced.
            busy = self.tracing or any(pipeline.has_messages for pipeline in self._pipelines)
            self._wake.wait(POLL_SECONDS if busy else None)
            self._wake.clear()
            try:
                self._write()
            except (OSError, ValueError):
                return  # nobody reads it any more: a closed pipe, a full disk

    def _write(self) -> None:
        pipelines = list(self._pipelines)
        for pipeline in pipelines:
            traces, lost = pipeline.take_traces()
            for trace in traces:
                self._line(str(trace))
            if lost:
                self._line(f"{lost} packets were not logged: the log is read too slowly")
        for _ in pipelines[:-1]:
            self._pipelines.popleft()
        while self._notes:
            self._line(self._notes.popleft())

    def _line(self, text: str) -> None:
        self._stream.write(f"{text}\n")
        self._stream.flush()
