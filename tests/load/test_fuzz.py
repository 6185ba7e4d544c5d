"""The cluster's client under the address and undefined-behaviour sanitizers."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
HOSTS = HERE.parents[1] / "hosts"
CORE = HOSTS / "load" / "core"
CLIENT = HOSTS / "client" / "core"
SOURCES: dict[str, list[Path]] = {
    "fuzz_reply": [CORE / "reply.c", CLIENT / "resp.c"],
    "fuzz_cluster": [
        *(CORE / f"{name}.c" for name in ("cluster", "node", "connection", "reply")),
        CLIENT / "resp.c",
    ],
}


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int, int], int]:
    """Run a fuzzer, built once, with a seed and a number of rounds; return what it counted."""
    directory = tmp_path_factory.mktemp("fuzz")

    def run(name: str, seed: int, rounds: int) -> int:
        binary = directory / name
        if not binary.exists():
            flags = ["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"]
            sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
            sources = [HERE / f"{name}.c", *SOURCES[name]]
            subprocess.run(["cc", *flags, *sanitizers, *sources, "-o", binary], check=True)
        done = subprocess.run(
            [binary, str(seed), str(rounds)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    return run


@pytest.mark.parametrize("seed", range(4))
def test_replies_whole_cut_and_damaged(fuzz: Callable[[str, int, int], int], seed: int) -> None:
    assert fuzz("fuzz_reply", seed, 200_000) > 1000


@pytest.mark.parametrize("seed", range(4))
def test_nodes_that_answer_as_they_please(fuzz: Callable[[str, int, int], int], seed: int) -> None:
    """Every request ends once, whatever comes back."""
    assert fuzz("fuzz_cluster", seed, 100_000) > 1000
