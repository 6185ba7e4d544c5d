"""The shared object of one program through ctypes; mirrors control.h and p4s.h."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

U32 = ctypes.c_uint32
U64 = ctypes.c_uint64
Words = ctypes.Array[ctypes.c_uint64]
Pointer = ctypes.c_void_p

EXISTS: Final = 1
NO_ENTRY: Final = 2
FULL: Final = 3
CONST: Final = 4
NO_MEMORY: Final = 5
IN_USE: Final = 6
NO_TARGET: Final = 7
NO_ROOM: Final = 8

ROW_HEAD: Final = 6
ENTRY_CONST: Final = 1

MEMBER: Final = 0x7FFFFFF0
GROUP: Final = MEMBER + 1
ONE_SHOT: Final = MEMBER + 2
NO_PORT: Final = 0xFFFFFFFF


class Match(ctypes.Structure):
    """struct p4_match."""

    _fields_ = (
        ("key", Pointer),
        ("mask", Pointer),
        ("low", Pointer),
        ("high", Pointer),
        ("priority", ctypes.c_int32),
    )


class Replica(ctypes.Structure):
    """struct p4_replica."""

    _fields_ = (("port", U32), ("instance", U32))


class Share(ctypes.Structure):
    """struct p4_share."""

    _fields_ = (("member", U32), ("weight", U32), ("watch", U32))


_SIGNATURES: Final[dict[str, tuple[object, tuple[object, ...]]]] = {
    "p4s_new": (Pointer, (U32,)),
    "p4s_free": (None, (Pointer,)),
    "p4s_lock": (None, (Pointer,)),
    "p4s_unlock": (None, (Pointer,)),
    "p4s_reset": (ctypes.c_bool, (Pointer,)),
    "p4s_table_insert": (ctypes.c_int, (Pointer, U32, Pointer, U32, Pointer)),
    "p4s_table_modify": (ctypes.c_int, (Pointer, U32, Pointer, U32, Pointer)),
    "p4s_table_delete": (ctypes.c_int, (Pointer, U32, Pointer)),
    "p4s_table_get": (U32, (Pointer, U32, Pointer, Pointer, U32)),
    "p4s_table_read": (U64, (Pointer, U32, Pointer, U64)),
    "p4s_default_set": (ctypes.c_int, (Pointer, U32, U32, Pointer)),
    "p4s_default_reset": (None, (Pointer, U32)),
    "p4s_member_set": (ctypes.c_int, (Pointer, U32, U32, U32, Pointer, ctypes.c_bool)),
    "p4s_member_delete": (ctypes.c_int, (Pointer, U32, U32)),
    "p4s_member_get": (ctypes.c_bool, (Pointer, U32, U32, Pointer)),
    "p4s_members_read": (U64, (Pointer, U32, Pointer, U64)),
    "p4s_group_set": (ctypes.c_int, (Pointer, U32, U32, Pointer, U32, ctypes.c_bool)),
    "p4s_group_delete": (ctypes.c_int, (Pointer, U32, U32)),
    "p4s_groups_read": (U64, (Pointer, U32, Pointer, U64)),
    "p4s_profile_counts": (None, (Pointer, U32, Pointer)),
    "p4s_port_set": (None, (Pointer, U32, ctypes.c_bool)),
    "p4s_value_set_write": (ctypes.c_int, (Pointer, U32, Pointer, U32)),
    "p4s_direct_counter_set": (ctypes.c_int, (Pointer, U32, Pointer, Pointer)),
    "p4s_direct_meter_get": (ctypes.c_int, (Pointer, U32, Pointer, Pointer)),
    "p4s_direct_meter_set": (ctypes.c_int, (Pointer, U32, Pointer, Pointer)),
    "p4s_direct_meter_counts_get": (ctypes.c_int, (Pointer, U32, Pointer, Pointer)),
    "p4s_direct_meter_counts_set": (ctypes.c_int, (Pointer, U32, Pointer, Pointer)),
    "p4s_counters_read": (None, (Pointer, U32, U32, U32, Pointer)),
    "p4s_counters_write": (None, (Pointer, U32, U32, U32, Pointer)),
    "p4s_registers_read": (None, (Pointer, U32, U32, U32, Pointer)),
    "p4s_registers_write": (None, (Pointer, U32, U32, U32, Pointer)),
    "p4s_meter_get": (None, (Pointer, U32, U32, Pointer)),
    "p4s_meter_set": (None, (Pointer, U32, U32, Pointer)),
    "p4s_meter_counts_get": (None, (Pointer, U32, U32, Pointer)),
    "p4s_meter_counts_set": (None, (Pointer, U32, U32, Pointer)),
    "p4s_clone_session_set": (ctypes.c_bool, (Pointer, U32, Pointer, U32, U32)),
    "p4s_clone_session_delete": (ctypes.c_bool, (Pointer, U32)),
    "p4s_multicast_group_set": (ctypes.c_bool, (Pointer, U32, Pointer, U32)),
    "p4s_multicast_group_delete": (ctypes.c_bool, (Pointer, U32)),
    "p4s_digest_take": (U32, (Pointer, Pointer, Pointer, U32)),
    "p4s_collect": (Pointer, (Pointer, U32, ctypes.c_char_p, U32, Pointer)),
    "p4s_release": (None, (Pointer,)),
    "p4s_trace_start": (None, (Pointer, Pointer, U64)),
    "p4s_trace_take": (Pointer, (Pointer, Pointer, Pointer)),
    "p4s_trace_one": (
        Pointer,
        (Pointer, U32, ctypes.c_char_p, U32, Pointer, Pointer, Pointer),
    ),
    "p4s_benchmark": (U64, (Pointer, U32, ctypes.c_char_p, Pointer, U32, U32, Pointer)),
    "p4s_statistics": (None, (Pointer, Pointer)),
}


def load(path: Path) -> ctypes.CDLL:
    """The library with all signatures declared; its calls release the GIL."""
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library


def address(library: ctypes.CDLL, name: str) -> int:
    """Where a function of the library is."""
    value = ctypes.cast(getattr(library, name), Pointer).value
    assert value is not None
    return value


def words(values: Iterable[int]) -> Words:
    """A C array of 64-bit words, never of no elements."""
    items = list(values) or [0]
    return (U64 * len(items))(*items)


def read(function: Callable[[Words, int], int], room: int = 256) -> list[int]:
    """All words of a call that writes them if there is room and always says how many there are."""
    while True:
        data = words([0] * room)
        count = function(data, room)
        if count <= room:
            return data[:count]
        room = count + count // 8


def array(matches: Sequence[Match]) -> ctypes.Array[Match]:
    return (Match * max(1, len(matches)))(*matches)


def match(
    key: Sequence[int], mask: Sequence[int], low: Sequence[int], high: Sequence[int], priority: int
) -> tuple[Match, Words]:
    """A struct p4_match, and the memory that it points to."""
    memory = words((*key, *mask, *low, *high))
    base = ctypes.addressof(memory)
    size = 8 * len(key)
    return Match(base, base + size, base + 2 * size, base + 3 * size, priority), memory


def shares(items: Sequence[tuple[int, int, int]]) -> ctypes.Array[Share]:
    return (Share * max(1, len(items)))(*(Share(*item) for item in items))


def replicas(items: Sequence[tuple[int, int]]) -> ctypes.Array[Replica]:
    return (Replica * max(1, len(items)))(*(Replica(port, instance) for port, instance in items))
