"""Packets and control calls from several threads at once."""

from __future__ import annotations

import threading

from switch.runtime.pipeline import Entry, Exact
from tests.switch.backend import test_tables
from tests.switch.backend.programs import fresh

ROUNDS = 2_000


def test_a_lookup_sees_a_table_before_or_after_a_change() -> None:
    """The entry of key 0 stays, entries of other keys come and go around it."""
    pipeline = fresh(test_tables.SOURCE)
    table, packet = test_tables.TABLES[0], bytes(8)
    pipeline.insert(table, Entry((Exact(0), Exact(0)), test_tables.FOUND, (0xABCD,)))
    problems: list[object] = []
    done = threading.Event()

    def change() -> None:
        try:
            for i in range(ROUNDS):
                entry = Entry((Exact(1 + i % 20), Exact(0)), test_tables.FOUND, (i,))
                pipeline.insert(table, entry)
                pipeline.delete(table, entry)
        finally:
            done.set()

    def send() -> None:
        while not done.is_set():
            ((_, out),) = pipeline.process(1, packet)
            if out[4:] != (0xABCD).to_bytes(4, "big"):
                problems.append(out)
            if not 1 <= len(pipeline.entries(table)) <= 2:
                problems.append("entries")

    threads = [threading.Thread(target=f) for f in (change, send, send)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert len(pipeline.entries(table)) == 1
    packets, _ = pipeline.direct_counter(table, pipeline.entries(table)[0])
    assert packets > 0


def test_packets_see_all_or_nothing_of_what_is_done_while_held() -> None:
    pipeline = fresh(test_tables.SOURCE)
    table, packet = test_tables.TABLES[0], bytes(8)
    entry = Entry((Exact(0), Exact(0)), test_tables.FOUND, (0xABCD,))
    pipeline.insert(table, entry)
    problems: list[bytes] = []
    done = threading.Event()

    def send() -> None:
        while not done.is_set():
            ((_, out),) = pipeline.process(1, packet)
            if out[4:] != (0xABCD).to_bytes(4, "big"):
                problems.append(out)

    sender = threading.Thread(target=send)
    sender.start()
    for _ in range(ROUNDS):
        with pipeline.held():
            pipeline.delete(table, entry)
            pipeline.insert(table, entry)
    done.set()
    sender.join()
    assert problems == []
