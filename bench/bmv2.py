"""BMv2's simple_switch to compare with, when it and p4c are on PATH.

It starts with the same table entries as our pipeline: they are put into p4c's JSON as `entries`
(BMv2, docs/JSON_format.md), so that no control plane is needed. Registers start at zero.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from switch.runtime.pipeline import Exact, Lpm, Match, Pipeline
from topology.switches import compile_for_bmv2, compiler

SWITCHES: Final = ("simple_switch", "simple_switch_grpc")


class Bmv2Error(RuntimeError):
    """simple_switch did not do what was asked; the message has its output."""


def switch() -> str | None:
    """Return the simple_switch on PATH, if p4c is there as well."""
    found = next((name for name in SWITCHES if shutil.which(name)), None)
    return found if compiler() else None


def compiled(program: Path) -> dict[str, Any]:
    """Return the JSON that p4c makes of a program."""
    with tempfile.TemporaryDirectory() as directory:
        target, _p4info = compile_for_bmv2(program, Path(directory))
        content: dict[str, Any] = json.loads(target.read_text())
        return content


def with_entries(content: dict[str, Any], pipeline: Pipeline) -> dict[str, Any]:
    """Return p4c's JSON of a program with the entries that a pipeline of ours has."""
    widths = _widths(content)
    data = {
        action["name"]: [each["bitwidth"] for each in action["runtime_data"]]
        for action in content["actions"]
    }
    for table in (table for block in content["pipelines"] for table in block["tables"]):
        if not table["key"] or "entries" in table:
            continue
        ids = dict(zip(table["actions"], table["action_ids"], strict=True))
        table["entries"] = [
            {
                "match_key": [
                    _match(match, widths[tuple(key["target"])])
                    for match, key in zip(entry.match, table["key"], strict=True)
                ],
                "action_entry": {
                    "action_id": ids[entry.action],
                    "action_data": [
                        _hex(value, width)
                        for value, width in zip(entry.params, data[entry.action], strict=True)
                    ],
                },
                "priority": 0,
            }
            for entry in pipeline.entries(table["name"])
        ]
    return content


def _widths(content: dict[str, Any]) -> dict[tuple[str, str], int]:
    """Return the width of every field, by header instance and field name."""
    types = {each["name"]: each["fields"] for each in content["header_types"]}
    return {
        (header["name"], name): width
        for header in content["headers"]
        for name, width, *_ in types[header["header_type"]]
        if isinstance(width, int)
    }


def _hex(value: int, width: int) -> str:
    return f"0x{value:0{(width + 7) // 8 * 2}x}"


def _match(match: Match, width: int) -> dict[str, Any]:
    if isinstance(match, Exact):
        return {"match_type": "exact", "key": _hex(match.value, width)}
    if isinstance(match, Lpm):
        key = _hex(match.value, width)
        return {"match_type": "lpm", "key": key, "prefix_length": match.prefix_len}
    raise TypeError(f"no BMv2 notation for {match}")


@contextmanager
def running(
    configuration: dict[str, Any], ports: Mapping[int, str], prefix: list[str]
) -> Iterator[None]:
    """Run simple_switch on interfaces, started by `prefix`; it may take a moment to forward."""
    name = switch()
    assert name
    with tempfile.TemporaryDirectory() as directory:
        file, log = Path(directory) / "program.json", Path(directory) / "log"
        file.write_text(json.dumps(configuration))
        argv = [*prefix, name, "--log-level", "error"]
        for number, interface in ports.items():
            argv += ["-i", f"{number}@{interface}"]
        with log.open("wb") as output:
            process = subprocess.Popen([*argv, str(file)], stdout=output, stderr=output)
        try:
            yield
        except Exception as error:
            raise Bmv2Error(f"{name}: {error}\n{log.read_text(errors='replace')}") from error
        finally:
            process.terminate()
            process.wait()
