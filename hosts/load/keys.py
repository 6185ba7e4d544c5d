"""Keys that have names of their own: those of a user's dump file."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Names:
    """Names end to end; name i is text[offsets[i] : offsets[i + 1]]."""

    text: NDArray[np.uint8]
    offsets: NDArray[np.uint64]

    @classmethod
    def of(cls, names: Iterable[bytes]) -> Self:
        """Collect names."""
        listed = list(names)
        lengths = np.fromiter(map(len, listed), dtype=np.uint64, count=len(listed))
        offsets = np.concatenate([np.zeros(1, np.uint64), np.cumsum(lengths)])
        return cls(np.frombuffer(b"".join(listed), dtype=np.uint8), offsets)

    def __len__(self) -> int:
        return self.offsets.size - 1

    def save(self, path: Path) -> None:
        """Write them as .npz."""
        with path.open("wb") as file:
            np.savez(file, text=self.text, offsets=self.offsets)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what save() has written."""
        with np.load(path) as stored:
            return cls(stored["text"], stored["offsets"])
