"""Runs Spin on the formal model (docs/model/README.md)."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MODEL: Final = Path(__file__).parents[2] / "docs" / "model" / "netmigrate.pml"

# Safety only; states compressed; at most so many MB. What more optimization saves in the search it
# takes in the compiler.
_COMPILE: Final = ["gcc", "-O1", "-w", "-DSAFETY", "-DCOLLAPSE", "-DMEMLIM=3500", "-o", "pan"]
_DEPTH: Final = "-m100000"


@dataclass(frozen=True, slots=True)
class Result:
    """What an exhaustive search found: the assertion that failed, if one did; states; seconds; MB
    of memory; steps that no execution took."""

    violated: str
    states: int
    seconds: float
    memory: float
    unreached: list[str]


def search(defines: str, directory: Path) -> Result:
    """Search all states of the model within the bounds that `defines` sets (`NAME`, `NAME=1`, …).

    `directory` then has the verifier `pan` and, if an assertion failed, the trail. RuntimeError if
    the search was not exhaustive.
    """
    options = [f"-D{define}" for define in defines.split()]
    _run(["spin", *options, "-a", str(MODEL)], directory)
    _run([*_COMPILE, "pan.c"], directory)
    output = _run(["./pan", _DEPTH], directory)
    violated = re.search(
        r"^pan:\d+: (?:assertion violated )?(.*) \(at depth \d+\)$", output, re.MULTILINE
    )
    if violated is None and ("Search not completed" in output or "errors: 0" not in output):
        raise RuntimeError(output)
    return Result(
        violated=violated[1] if violated else "",
        states=int(_number(output, r"(\d+) states, stored")),
        seconds=_number(output, r"elapsed time ([\d.]+) seconds"),
        memory=_number(output, r"([\d.]+)\s+total actual memory usage"),
        unreached=[
            line
            for line in re.findall(r"^\t(\S+\.pml:\d+, .*)$", output, re.MULTILINE)
            if not line.endswith('"-end-"')
        ],
    )


def _run(command: list[str], directory: Path) -> str:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def _number(output: str, pattern: str) -> float:
    found = re.search(pattern, output)
    if found is None:
        raise RuntimeError(output)
    return float(found[1])
