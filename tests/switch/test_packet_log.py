"""The log of `p4switch run`: traces of packets that really went through, and messages."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from finsy.proto import p4r

from switch.packet_log import PacketLog
from switch.runtime.pipeline import Pipeline
from tests.switch.p4runtime.client import Client, insert
from tests.switch.p4runtime.entities import Entities
from tests.switch.test_cli import EXAMPLE, FRAME, p4switch, running

CORPUS = Path(__file__).parent / "stf" / "corpus"
UNKNOWN = bytes.fromhex("0200000000ff02000000000188b5")


def send(client: Client, payload: bytes) -> None:
    """A packet from the controller: it comes in on the CPU port."""
    packet = p4r.PacketOut(payload=payload)
    for item in client.info.controller_packet_metadata:
        if item.preamble.name == "packet_out":
            for field in item.metadata:
                packet.metadata.add(metadata_id=field.id, value=b"\0")
    assert client.stream
    client.stream.send(p4r.StreamMessageRequest(packet=packet))


def wait_for(log: Path, condition: Callable[[str], bool]) -> str:
    """The log once it is as it should be."""
    end = time.monotonic() + 60
    while not condition(text := log.read_text() if log.exists() else ""):
        assert time.monotonic() < end, text
        time.sleep(0.02)
    return text


def test_a_running_switch_traces_packets(tmp_path: Path) -> None:
    log = tmp_path / "switch.log"
    with running(EXAMPLE, "--log-packets", "--log-file", log) as (process, port):
        client = Client(port)
        entities = Entities(client)
        client.write(insert(entities.station(0x020000000002, 2)))
        send(client, FRAME)
        send(client, UNKNOWN)
        text = wait_for(log, lambda text: "\n2.0" in text and "2.0 example.p4(" in text)
        client.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    first, second = text.split("\n2.0", 1)
    assert first.splitlines()[0].endswith(" port 510: 62 bytes came in")
    for line in (
        "state from_controller",
        "table MyIngress.station(hdr.ethernet.dst=02:00:00:00:00:02) hit",
        "action MyIngress.forward(port=0x002)",
        "out of port 2, 60 bytes",
    ):
        assert line in first
    assert "table MyIngress.station(hdr.ethernet.dst=02:00:00:00:00:ff) miss" in second


def test_only_some_packets_of_some_ports(tmp_path: Path) -> None:
    log = tmp_path / "switch.log"
    options = ("--log-packets", "--log-file", log)
    with running(EXAMPLE, *options, "--log-port", "3") as (_, port):
        client = Client(port)
        send(client, FRAME)
        client.close()
    with running(EXAMPLE, *options, "--log-port", "510", "--log-count", "2") as (process, port):
        client = Client(port)
        for _ in range(4):
            send(client, FRAME)
        wait_for(log, lambda text: "\n2.0" in text)
        client.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert log.read_text().count("bytes came in") == 2


def test_a_signal_starts_and_ends_the_trace(tmp_path: Path) -> None:
    log = tmp_path / "switch.log"
    with running(EXAMPLE, "--log-file", log) as (process, port):
        client = Client(port)
        entities = Entities(client)
        client.write(insert(entities.station(0x020000000002, 2)))
        send(client, FRAME)
        process.send_signal(signal.SIGUSR1)
        wait_for(log, lambda text: text == "packets are logged\n")
        send(client, FRAME)
        text = wait_for(log, lambda text: "out of port" in text)
        # The entry was made before: the state is the same.
        assert "action MyIngress.forward(port=0x002)" in text
        process.send_signal(signal.SIGUSR1)
        wait_for(log, lambda text: text.endswith("packets are no longer logged\n"))
        send(client, FRAME)
        client.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert log.read_text().count("bytes came in") == 1


def test_messages_of_the_program_are_logged_without_a_trace(tmp_path: Path) -> None:
    log = tmp_path / "switch.log"
    with running(CORPUS / "assert.p4", "--log-file", log) as (_, port):
        client = Client(port)
        for first in (2, 1):
            send(client, bytes([first]) + bytes(7))
        text = wait_for(log, lambda text: text.count("\n") == 3)
        client.close()
    said, failed, _ = text.splitlines()
    assert said.endswith("assert.p4(9) log_msg: a is 2")
    assert failed.endswith("assert.p4(8) assert(hdr.data.a != 0x01) failed: the packet is dropped")


def test_a_log_that_cannot_be_written() -> None:
    failed = p4switch("run", "--log-file", "/no/such/directory/log", EXAMPLE)
    assert failed.returncode == 2
    assert "cannot write the log /no/such/directory/log" in failed.stderr
    assert failed.stderr.count("\n") == 1


# --- readers that are too slow --------------------------------------------------------------------


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline.compile(CORPUS / "register.p4")


def feed(pipeline: Pipeline, count: int) -> None:
    """Packets as the ports bring them: through `process_function`."""
    emit = ctypes.CFUNCTYPE(
        None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32
    )(lambda *_: None)
    process = ctypes.CFUNCTYPE(
        None, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_char_p, ctypes.c_uint32,
        type(emit), ctypes.c_void_p,
    )(pipeline.process_function)  # fmt: skip
    for _ in range(count):
        process(pipeline.handle, 1, bytes(8), 8, emit, None)


def test_what_does_not_fit_is_counted(pipeline: Pipeline) -> None:
    pipeline.start_trace()
    feed(pipeline, 30_000)
    traces, lost = pipeline.take_traces()
    assert lost
    assert len(traces) + lost == 30_000
    assert [trace.number for trace in traces] == list(range(1, len(traces) + 1))
    feed(pipeline, 1)
    (trace,), lost = pipeline.take_traces()
    assert (trace.number, lost) == (30_001, 0)


def test_a_log_that_nobody_reads_holds_nothing_up(pipeline: Pipeline) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading) as reader, os.fdopen(writing, "w") as writer:
        log = PacketLog(writer, tracing=True)
        log.follow(pipeline)
        log.start()
        feed(pipeline, 1000)
        pipeline.process(1, bytes(8))
        log.stop()
        for number in range(1, 1001):
            line = reader.readline()
            while not line.startswith(f"{number}.0 "):
                line = reader.readline()
                assert line
