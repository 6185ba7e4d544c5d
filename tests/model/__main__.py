"""`make model`: every check of the formal model, with its figures."""

import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.model.checks import BROKEN, DEEP, DURABILITY, PROTOCOL
from tests.model.spin import search


def main(deep: bool) -> int:
    """Run the checks one after the other; return how many came out wrong."""
    console = Console()
    table = Table("check", "bounds", "states", "seconds", "MB", "result")
    wrong = 0
    for check in DEEP if deep else (*PROTOCOL, *BROKEN, *DURABILITY):
        with tempfile.TemporaryDirectory() as directory, console.status(check.name):
            result = search(check.defines, Path(directory))
        as_expected = check.violates in result.violated if check.violates else not result.violated
        wrong += not as_expected
        outcome = escape(result.violated) or "holds"
        table.add_row(
            check.name,
            check.defines,
            f"{result.states:,}",
            f"{result.seconds:.1f}",
            f"{result.memory:.0f}",
            outcome if as_expected else f"[red]WRONG: {outcome}",
        )
    console.print(table)
    return wrong


if __name__ == "__main__":
    sys.exit(main("--deep" in sys.argv[1:]))
