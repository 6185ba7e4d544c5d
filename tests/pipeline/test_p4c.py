"""The reference compiler's judgement of the program, where p4c is on PATH."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from finsy.proto import p4i
from google.protobuf import text_format

from switch.frontend import load
from switch.p4info import p4info
from topology.switches import compiler

from .conftest import PROGRAM

P4C = compiler()


@pytest.mark.skipif(P4C is None, reason="needs p4c on PATH")
def test_p4c_finds_no_fault_and_gives_the_same_p4info(tmp_path: Path) -> None:
    assert P4C is not None
    info = tmp_path / "p4info.txtpb"
    command = [*P4C, "-Wall", "--p4runtime-files", str(info), "-o", str(tmp_path / "json")]
    result = subprocess.run([*command, str(PROGRAM)], capture_output=True, text=True, check=True)
    assert result.stdout + result.stderr == ""
    assert _objects(text_format.Parse(info.read_text(), p4i.P4Info())) == _objects(
        p4info(load(PROGRAM))
    )


def _objects(info: p4i.P4Info) -> dict[str, list[Any]]:
    """Return what a controller sees: the order is not its business."""
    found: dict[str, list[Any]] = {}
    for field, value in info.ListFields():
        if field.is_repeated:
            found[field.name] = sorted(value, key=lambda each: each.preamble.id)
        elif value.ListFields():  # p4c's type_info is there also when it is empty
            found[field.name] = [value]
    return found
