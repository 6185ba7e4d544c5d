"""`python -m bench [NAME…]`: run all benchmarks, or those named."""

import importlib
import sys
from typing import Final

from rich.console import Console

from bench import figures

NAMES: Final = (
    "filters",
    "compilation",
    "pipeline",
    "tables",
    "ports",
    "control",
    "steady",
    "migration",
    "impact",
)


def main() -> int:
    """Exit status 0 if every goal was met, 1 if not, 2 for an unknown name."""
    console = Console()
    names = sys.argv[1:] or list(NAMES)
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}: there are {', '.join(NAMES)}", file=sys.stderr)
        return 2
    met = True
    for name in names:
        met &= figures.run(importlib.import_module(f"bench.{name}").BENCHMARK, console)
    console.print(f"[dim]written to {figures.OUTPUT}/[/]")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
