"""Many tests in one go: what failed, and how many passed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from switch.cc import BuildError
from switch.frontend.errors import CompileError
from switch.runtime.pipeline import Pipeline
from switch.stf.files import Pair
from switch.stf.parser import StfError
from switch.stf.report import describe
from switch.stf.runner import run

PASSED, FAILED, WRONG = 0, 1, 2


def run_all(
    pairs: Iterable[Pair],
    *,
    include: Sequence[Path] = (),
    defines: Mapping[str, str] | None = None,
    log_packets: bool = False,
) -> int:
    """Print every test's outcome and a summary; a wrong file is one that failed, too.

    With `log_packets` a failure shows the trace of the packet that went wrong.

    Returns 0 if all passed, 1 if a test failed, 2 if a program or a test could not be run.
    """
    outcomes = [_run_one(pair, include, defines, log_packets) for pair in pairs]
    passed = outcomes.count(PASSED)
    print(f"{passed} passed, {len(outcomes) - passed} failed")
    return max(outcomes, default=PASSED)


def _run_one(
    pair: Pair, include: Sequence[Path], defines: Mapping[str, str] | None, log_packets: bool
) -> int:
    try:
        pipeline = Pipeline.compile(pair.program, include=include, defines=defines)
        try:
            failures = run(pipeline, pair.test, log_packets=log_packets)
        finally:
            pipeline.close()
    except (CompileError, BuildError, StfError) as error:
        print(f"WRONG {pair.test}", error, sep="\n", flush=True)
        return WRONG
    print("FAILED" if failures else "passed", pair.test, flush=True)
    for failure in failures:
        print(describe(pair.test, failure), flush=True)
    return FAILED if failures else PASSED
