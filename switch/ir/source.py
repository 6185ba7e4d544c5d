"""Where a declaration or an expression stands in the source, and its annotations."""

from __future__ import annotations

from dataclasses import dataclass, field

AnnotationValue = int | bool | str


@dataclass(frozen=True, slots=True)
class Loc:
    """A source position, before preprocessing; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Annotation:
    """`@name`, `@name(values…)`, `@name[values…]` or `@name[key=value…]`.

    `text` is the body as written (tokens joined by a space); `values` and `pairs` are filled when
    the body is a list of constants, or of name = constant. `structured`: with brackets.
    """

    name: str
    text: str = ""
    values: tuple[AnnotationValue, ...] = ()
    pairs: tuple[tuple[str, AnnotationValue], ...] = ()
    structured: bool = False
    loc: Loc | None = field(default=None, compare=False)


Annotations = tuple[Annotation, ...]


def annotation(annotations: Annotations, name: str) -> Annotation | None:
    """The first annotation of that name."""
    return next((a for a in annotations if a.name == name), None)
