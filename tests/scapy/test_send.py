"""Real packets on loopback: what a scripted service answers is shown, decoded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hosts.scapy import NetMigrate, Resp, send_control, send_query
from hosts.wire import HEADER_LENGTH, Flags, Header, Moving, Op
from tests.client.responder import reply, responder

pytestmark = pytest.mark.root
SOURCE = Flags.DOUBLE | Flags.FROM_SOURCE | Flags.FOUND


def double(header: Header, payload: bytes, tries: int) -> list[bytes]:
    if header.op in (Op.GROUP_START, Op.GROUP_COMPLETE):
        ack = Header(Op.GROUP_ACK, group=header.group, migration=header.migration)
        return [ack.pack() + payload]
    return [
        reply(header, Flags.DOUBLE, b"", migration=3),
        reply(header, SOURCE, b"$1\r\nv\r\n", migration=3),
    ]


def test_both_replies_of_a_double_read() -> None:
    with responder(double) as served:
        replies = send_query("127.0.0.1", "GET", "k", port=served.port)
        assert len(replies) == 2
        assert [r[Resp].value if Resp in r else None for r in replies] == [None, b"v"]
        shown = repr(replies).splitlines()
        assert shown[0].endswith("None  (not here yet)")
        assert "DOUBLE|FOUND|FROM_SOURCE" in shown[1]
        assert shown[1].endswith("b'v'  (the source's copy: counts only with 'not here yet')")
        ((header, payload),) = served.requests
        assert (header.op, payload) == (Op.READ, b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n")


def test_a_reply_that_names_a_source() -> None:
    told = Moving(7, 0x0A000101, 4701, 100, 16383).pack()
    with responder(lambda header, *_: [reply(header, Flags.MOVING, told, migration=7)]) as served:
        (shown,) = repr(send_query("127.0.0.1", "GET", "k", port=served.port)).splitlines()
    assert shown.endswith(
        "None  groups 100-16383 moving, maybe still at 10.0.1.1:4701 (migration 7)  (not here yet)"
    )


def test_a_reply_too_long_for_a_datagram() -> None:
    where = bytes((10, 0, 1, 1)) + (6380).to_bytes(2)
    flags = Flags.AUTHORITATIVE | Flags.FOUND | Flags.LONG
    with responder(lambda header, *_: [reply(header, flags, where)]) as served:
        (shown,) = repr(send_query("127.0.0.1", "GET", "k", port=served.port)).splitlines()
    assert shown.endswith("by TCP at 10.0.1.1:6380  (the owner's answer)")


def test_control_packet() -> None:
    with responder(double) as served:
        (ack,) = send_control("127.0.0.1", "START", 7, migration=2, lane=1, port=served.port)
        assert ack[NetMigrate].op == Op.GROUP_ACK
        (header, payload) = served.requests[0]
        assert (header.op, header.group, header.migration) == (Op.GROUP_START, 7, 2)
        assert len(payload) == 34 - HEADER_LENGTH


def test_silence() -> None:
    with responder(lambda *_: []) as served:
        replies = send_query("127.0.0.1", "GET", "k", port=served.port, timeout=0.1)
        assert repr(replies) == "no reply"


def test_command_line() -> None:
    root = Path(__file__).parents[2]
    with responder(double) as served:
        command = [sys.executable, "-m", "hosts.scapy", "--vip", "127.0.0.1"]
        command += ["--port", str(served.port), "--json"]
        done = subprocess.run(
            [*command, "query", "GET", "k"], cwd=root, capture_output=True, text=True, check=True
        )
        answer = json.loads(done.stdout)
        assert [each["meaning"][:8] for each in answer["replies"]] == ["not here", "the sour"]
        assert answer["replies"][1]["value"] == "v"
        bad = subprocess.run(
            [*command, "--flags", "NONSENSE", "query", "GET", "k"],
            cwd=root, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert bad.returncode == 2
        assert "flag NONSENSE: one of" in bad.stderr
