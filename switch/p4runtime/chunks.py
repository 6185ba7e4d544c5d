"""Long lists in messages that clients accept: by default those are below 4 MB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from google.protobuf.message import Message

MOST_BYTES = 1 << 20
MOST_ITEMS = 4096

Item = TypeVar("Item", bound=Message)


def chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Parts of a list, in order, none of them empty; an item is never split."""
    part: list[Item] = []
    size = 0
    for item in items:
        length = item.ByteSize()
        if part and (size + length > MOST_BYTES or len(part) == MOST_ITEMS):
            yield part
            part, size = [], 0
        part.append(item)
        size += length
    if part:
        yield part
