"""The session's C under the address and undefined-behaviour sanitizers."""

import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CORE = HERE.parents[1] / "hosts" / "client" / "core"


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    binary = tmp_path_factory.mktemp("fuzz") / "fuzz_session"
    parts = ("session.c", "moving.c", "outbox.c", "resp.c")
    sources = [HERE / "fuzz_session.c", *(CORE / part for part in parts)]
    flags = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    subprocess.run(["cc", *flags, *sanitizers, *sources, "-o", binary], check=True)
    return binary


@pytest.mark.parametrize("seed", range(4))
def test_replies_cannot_corrupt_a_session(fuzzer: Path, seed: int) -> None:
    done = subprocess.run(
        [fuzzer, str(seed), "300000"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1000
