"""From a key to its group: the Redis Cluster hash slot (Redis Cluster spec, "Key distribution")."""

from binascii import crc_hqx
from typing import Final

GROUPS: Final = 16384
MAX_BATCH: Final = 1024
"""The most groups that move as one: what is done for a batch at once must not be felt."""


def is_batch(size: int) -> bool:
    """Say whether groups can move in aligned batches of `size`."""
    return 1 <= size <= MAX_BATCH and size & (size - 1) == 0


def hash_tag(key: bytes) -> bytes:
    """Return the part of `key` that is hashed: what stands in its first non-empty `{…}`, or all."""
    opening = key.find(b"{")
    if opening < 0:
        return key
    closing = key.find(b"}", opening + 1)
    if closing <= opening + 1:
        return key
    return key[opening + 1 : closing]


def group_of(key: bytes) -> int:
    """Return the group of `key`, 0…16383: CRC16 (XMODEM) of its hash tag, modulo 16384."""
    return crc_hqx(hash_tag(key), 0) % GROUPS
