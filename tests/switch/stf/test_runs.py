"""Tests that fail or cannot be run: what is said of them, and the exit status."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from switch.stf import StfError, pairs, run_all

PROGRAM = Path(__file__).parent / "corpus" / "ternary.p4"
REPOSITORY = Path(__file__).resolve().parents[3]
ADD = "add t 1 hdr.data.a:1 to(port:2)\n"
PACKET = "packet 1 01 02 0304 05060708\n"


def outcome(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    test = tmp_path / "it.stf"
    test.write_text(text)
    status = run_all(pairs([PROGRAM, test]))
    return status, capsys.readouterr().out.replace(f"{tmp_path}/", "")


def test_a_packet_that_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = ADD + PACKET + "expect 2 01 02 *4 04 15060709 aa $\n"
    status, out = outcome(tmp_path, text, capsys)
    assert status == 1
    assert out == (
        "FAILED it.stf\n"
        "it.stf:3: port 2: the packet of line 2 is not as expected\n"
        "  expected 9 bytes exactly, seen 8 bytes\n"
        "  expected  0000  01 02 *4 04 15 06 07 09 aa\n"
        "  seen      0000  01 02 03 04 05 06 07 08\n"
        "                         ^    ^         ^ ^^\n"
        "0 passed, 1 failed\n"
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (ADD + "expect 2 00\n", "it.stf:2: port 2: no packet came out"),
        (ADD + PACKET + "expect 2\n" + PACKET, "it.stf:4: port 2: a packet that nothing expects"),
        (ADD + PACKET + "no_packet\nexpect 2\n", "it.stf:3: port 2: the packet of line 2 came"),
        (ADD + PACKET + "expect 2 01 02 0304 050607 $\n", "expected 7 bytes exactly"),
    ],
)
def test_a_failure_is_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, complaint: str
) -> None:
    status, out = outcome(tmp_path, text, capsys)
    assert status == 1
    assert complaint in out


def test_a_port_that_the_test_never_names_is_not_connected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out = outcome(tmp_path, ADD + PACKET, capsys)
    assert status == 0
    assert out == "passed it.stf\n1 passed, 0 failed\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("add t hdr.data.a:1 to(port:2)", "needs a priority"),
        ("add no 1 to(port:2)", "no table 'no'; there is: MyIngress.t"),
        ("add t 1 hdr.data.z:1 to(port:2)", "no key of table 'MyIngress.t' 'hdr.data.z'"),
        ("add t 1 a:1 hdr.data.a:2 to(port:2)", "is given twice"),
        ("add t 1 a:1/8 to(port:2)", "is matched ternary: write VALUE&&&MASK"),
        ("add t 1 a:0x100 to(port:2)", "does not fit its 8 bits"),
        ("add t 1 a:1 away(port:2)", "there is: MyIngress.to, MyIngress.drop"),
        ("add t 1 a:1 to(it:2)", "takes port, each once"),
        ("add t 1 a:1 to(port:2, port:2)", "takes port, each once"),
        (ADD + ADD, "it.stf:2: table 'MyIngress.t' already has an entry"),
        ("setdefault t to(port:512)", "does not fit the 9 bits"),
        ("packet 512 00", "a port is from 0 to 511"),
        ("no_packet", "no_packet must stand after a packet"),
        ("check_counter c(1) == 0", "no counter 'c'; there is: none"),
        ("check_counter c($A) == 0", "no entry was added with '= A'"),
        ("register_reset r", "no register 'r'"),
        ("mirroring_get 7", "no mirroring session 7"),
        ("mirroring_delete 7", "no mirroring session 7"),
        ("mirroring_add 40000 1", "a clone session is from"),
        ("mc_node_associate 1 0", "no multicast group 1"),
        ("mc_mgrp_create 1\nmc_node_associate 1 0", "it.stf:2: no multicast node 0"),
        ("packet 1 0x00", "it.stf:1: 'x' is not a hexadecimal digit"),
    ],
)
def test_what_cannot_be_run_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, complaint: str
) -> None:
    status, out = outcome(tmp_path, text + "\n", capsys)
    assert status == 2
    assert out.startswith("WRONG it.stf\nit.stf:")
    assert complaint in out
    assert out.endswith("0 passed, 1 failed\n")


def test_a_wrong_program_is_one_that_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.p4").write_text("parser")
    (tmp_path / "a.stf").write_text("")
    assert run_all(pairs([tmp_path, PROGRAM, PROGRAM.with_suffix(".stf")])) == 2
    out = capsys.readouterr().out
    assert f"WRONG {tmp_path / 'a.stf'}\n{tmp_path / 'a.p4'}:" in out
    assert out.endswith("1 passed, 1 failed\n")


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["a.stf"], "a program must stand before its tests"),
        (["a.p4"], "no .stf file after it"),
        (["a.p4", "b.p4", "b.stf"], "a.p4:1: this program has no .stf file after it"),
        (["a.txt"], "neither a .p4 program nor an .stf test nor a directory"),
        (["."], "no .stf file in this directory"),
    ],
)
def test_a_command_line_that_pairs_nothing(
    tmp_path: Path, names: list[str], complaint: str
) -> None:
    with pytest.raises(StfError, match=complaint):
        pairs(tmp_path / name for name in names)


def test_the_command_line(tmp_path: Path) -> None:
    failing = tmp_path / "failing.stf"
    failing.write_text("expect 2\n")
    passing = PROGRAM.with_suffix(".stf")

    def p4switch(*arguments: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "switch.cli", "stf", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            cwd=REPOSITORY,
        )

    good = p4switch(PROGRAM, passing)
    assert (good.returncode, good.stdout) == (0, f"passed {passing}\n1 passed, 0 failed\n")
    bad = p4switch(PROGRAM, passing, failing)
    assert bad.returncode == 1
    assert bad.stdout.endswith("1 passed, 1 failed\n")
    wrong = p4switch(failing)
    assert wrong.returncode == 2
    assert "a program must stand before its tests" in wrong.stderr
