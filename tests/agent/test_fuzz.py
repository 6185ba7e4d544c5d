"""The core under AddressSanitizer and UndefinedBehaviorSanitizer, fed with mutated bytes."""

import os
import random
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.agent.harness import Store

ROOT = Path(__file__).parents[2]
CORE = ROOT / "hosts/agent/core"


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The core built with sanitizers, and the runtime to preload."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs gcc with libasan")
    output = tmp_path_factory.mktemp("core") / "_core.so"
    command = [compiler, "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-shared"]
    command += ["-fPIC", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    command += [f"-I{sysconfig.get_paths()['include']}", *map(str, CORE.glob("*.c"))]
    subprocess.run([*command, "-o", str(output)], check=True)
    libraries = [
        subprocess.run(
            [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    return output, " ".join(libraries)


def test_core_survives(sanitized: tuple[Path, str], store: Store) -> None:
    """Whatever comes over the network or the channel."""
    core, libraries = sanitized
    seed = random.randrange(1 << 30)
    environment = {
        **os.environ,
        "LD_PRELOAD": libraries,
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(ROOT),
    }
    arguments = [str(core), str(store.path), str(seed), "400"]
    result = subprocess.run(
        [sys.executable, str(ROOT / "tests/agent/fuzz_core.py"), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert result.returncode == 0, f"seed {seed}:\n{result.stderr[-6000:]}"
    assert "survived" in result.stdout
