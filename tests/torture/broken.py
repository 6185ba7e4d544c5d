"""Agents that break the protocol on purpose: their core is built from sources with one mistake."""

import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

HOSTS = Path(__file__).resolve().parents[2] / "hosts"


@dataclass(frozen=True)
class Mistake:
    """A piece of a source file of the core, and what stands there by mistake."""

    file: str
    right: str
    wrong: str


MISTAKES = {
    "a migrated copy overwrites a newer value": Mistake(
        "arriving.c",
        "    if (!here || here == Py_True) return;\n    PyObject *keys = keys_of_item(item);\n",
        "    if (here || !here) return;\n    PyObject *keys = keys_of_item(item);\n",
    ),
    "a resent write is executed again": Mistake(
        "judge.c",
        "    case REPEATED:\n        repeat(core, item, record);\n        return false;\n",
        "    case REPEATED:\n        return repeat != NULL;\n",
    ),
    "an emigrating source serves reads": Mistake(
        "judge.c",
        "        if (!twice) break;\n        core->counters[C_DOUBLE_READS]++;\n"
        "        item->run = true, item->reply_flags = NM_FROM_SOURCE;\n",
        "        if (write) break;\n"
        "        item->run = true, item->reply_flags = NM_AUTHORITATIVE;\n",
    ),
}


def build(mistake: Mistake, directory: Path) -> Path:
    """Compile the agent's core with the mistake; return the extension module."""
    for part in ("agent/core", "wire"):
        shutil.copytree(HOSTS / part, directory / part)
    path = directory / "agent" / "core" / mistake.file
    source = path.read_text()
    assert source.count(mistake.right) == 1, f"{mistake.file} has changed: mend this mistake"
    path.write_text(source.replace(mistake.right, mistake.wrong))
    module = directory / f"_core{EXTENSION_SUFFIXES[0]}"
    subprocess.run(
        ["gcc", "-std=gnu11", "-O2", "-fPIC", "-shared", f"-I{sysconfig.get_path('include')}",
         *map(str, sorted((directory / "agent" / "core").glob("*.c"))), "-o", str(module)],
        check=True,
    )  # fmt: skip
    return module


def main() -> None:
    """`python -m tests.torture.broken MODULE OPTION...`: an agent on that core."""
    name, path = "hosts.agent._core", sys.argv.pop(1)
    spec = spec_from_file_location(name, path, loader=ExtensionFileLoader(name, path))
    assert spec is not None and spec.loader is not None
    sys.modules[name] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    import hosts.agent

    hosts.agent._core = module
    from hosts.agent.main import main as agent

    agent()


if __name__ == "__main__":
    main()
