"""How the CLI prints: tables for people, one JSON value for programs, one line for errors."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NoReturn

import typer
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of a table.")]


def fail(message: str, status: int = 2) -> NoReturn:
    """Print one line on stderr and end."""
    print(f"netmigrate: {' '.join(message.split())}", file=sys.stderr)
    raise typer.Exit(status)


def print_json(value: object) -> None:
    """Print one JSON value."""
    print(json.dumps(value, indent=2))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print a table; a heading that ends with `>` stands over numbers."""
    table = Table(title=title or None, title_justify="left", title_style="bold", box=None)
    for heading in headings:
        table.add_column(heading.rstrip(">"), justify="right" if heading.endswith(">") else "left")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    # A pipe has no width: what a program or a file gets is never folded or cut.
    Console(width=None if sys.stdout.isatty() else 400).print(table)


def plain(message: Message) -> dict[str, Any]:
    """Return a protobuf message as JSON-ready values; numbers stay numbers."""
    result: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if _is_map(field):
            result[field.name] = {str(key): value[key] for key in sorted(value)}
        elif field.is_repeated:
            result[field.name] = [
                plain(item) if isinstance(item, Message) else item for item in value
            ]
        elif field.has_presence and not message.HasField(field.name):
            result[field.name] = None
        else:
            result[field.name] = plain(value) if isinstance(value, Message) else value
    return result


def _is_map(field: Any) -> bool:
    kind = field.message_type
    return kind is not None and bool(kind.GetOptions().map_entry)


def size(number: float) -> str:
    """Return a number of bytes as text."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError("the loop returns")


def duration(seconds: float) -> str:
    """Return a duration as text; negative ones are not known."""
    if seconds < 0:
        return "?"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
