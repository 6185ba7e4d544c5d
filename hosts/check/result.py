"""What a check finds."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

# A broken run breaks many keys; this many are told in words, all are counted.
EXPLAINED: Final = 20


@dataclass(frozen=True)
class Violation:
    """Why no order of the operations on a key explains what they returned."""

    key: int | str
    text: str
    rows: tuple[int, ...]  # the operations that show it, as indices into the (key's) history


@dataclass
class Result:
    """Of one check over a whole history."""

    operations: int = 0
    keys: int = 0
    unknown: int = 0  # operations whose outcome nobody knows
    count: int = 0
    undecided: int = 0  # keys whose history is too tangled to be judged
    violations: list[Violation] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every key is linearizable."""
        return self.count == 0 and self.undecided == 0

    def add(self, key: int | str, rows: tuple[int, ...], explain: Callable[[], str]) -> None:
        """Count a violation; keep the first few with their explanation."""
        self.count += 1
        if len(self.violations) < EXPLAINED:
            self.violations.append(Violation(key, explain(), rows))

    def __add__(self, other: "Result") -> "Result":
        return Result(
            self.operations + other.operations,
            self.keys + other.keys,
            self.unknown + other.unknown,
            self.count + other.count,
            self.undecided + other.undecided,
            (self.violations + other.violations)[:EXPLAINED],
        )
