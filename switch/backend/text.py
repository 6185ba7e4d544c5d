"""C text in the making: lines, indentation, and names that C accepts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager


class Lines:
    """Lines of C at a current depth."""

    def __init__(self, depth: int = 0) -> None:
        self.lines: list[str] = []
        self.depth = depth

    def add(self, line: str) -> None:
        self.lines.append("    " * self.depth + line)

    @contextmanager
    def block(self, head: str = "", tail: str = "}") -> Iterator[None]:
        self.add(f"{head} {{" if head else "{")
        self.depth += 1
        yield
        self.depth -= 1
        self.add(tail)

    def __str__(self) -> str:
        return "\n".join(self.lines) + "\n"


def identifier(name: str) -> str:
    """A C identifier that no keyword or macro is: never without a trailing underscore."""
    return re.sub(r"\W", "_", name) + "_"


def p4_name(path: str) -> str:
    """The field names of a C path of identifiers."""
    return ".".join(name.removesuffix("_") for name in path.split("."))


class Names:
    """One C name per object, unique in its scope."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._names: dict[object, str] = {}

    def of(self, key: object, wish: str) -> str:
        if key not in self._names:
            base = name = identifier(wish)
            count = 1
            while name in self._taken:
                count += 1
                name = f"{base}{count}_"
            self._taken.add(name)
            self._names[key] = name
        return self._names[key]
